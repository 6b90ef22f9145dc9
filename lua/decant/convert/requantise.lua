-- requantise.lua: a GGUF file becomes another one whose matrices have another
-- type.
--
--   requantise(source, target, opts) -> true, notes | nil, "cancelled"
--
-- All keys travel bit for bit, except general.file_type, which says the new
-- type, and split.* of a file in one part. A matrix is read exactly and
-- quantised anew; what has its type already is copied. The rest (norms,
-- biases, tables of positions, whatever ggml does not quantise either) becomes
-- f32, which holds every number of the smaller types.

local core = require "decant.core"
local fail = require "decant.convert.fail".fail
local types = require "decant.convert.types"
local output = require "decant.convert.write"

-- Weights of two dimensions that are looked up or added, not multiplied with;
-- the names by which llama.cpp leaves them alone.
local TABLES = {"position_embd%.weight$", "attn_rel_b%.weight$",
                "_norm%.weight$", "^rope_f"}

local function is_matrix(tensor)
  if #tensor.shape < 2 or not tensor.name:find "%.weight$" then return false end
  for _, pattern in ipairs(TABLES) do
    if tensor.name:find(pattern) then return false end
  end
  return true
end

local function type_of(tensor, type)
  if not core.converts_from(tensor.type) then return tensor.type end
  if not is_matrix(tensor) then return "f32" end
  return types.matrix(type, tensor.shape[#tensor.shape])
end

local function plan(gguf, type)
  local tensors = gguf:tensors()
  for _, tensor in ipairs(tensors) do
    tensor.source = {gguf = gguf, name = tensor.name}
    tensor.type = type_of(tensor, type)
  end
  return tensors
end

-- llama.cpp cuts large files into parts; one of them is no model.
local function check_whole(source, gguf)
  local parts = gguf:get "split.count"
  if math.type(parts) == "integer" and parts > 1 then
    fail("%s: is one of %d parts of a model (split.count); join them first",
         source, parts)
  end
end

local SET_HERE = {["general.file_type"] = true,
                  ["general.quantization_version"] = true}

local function copy_keys(writer, gguf, type)
  for _, key in ipairs(gguf:keys()) do
    if not SET_HERE[key] and not key:find "^split%." then
      output.copy_key(writer, gguf, key)
    end
  end
  output.set(writer, "general.file_type", "u32", types.file_type(type))
  output.set(writer, "general.quantization_version", "u32", 2)
end

return function(source, target, opts)
  local gguf <close>, message = core.gguf(source)
  if not gguf then fail("%s", message) end
  check_whole(source, gguf)
  if opts.tokenizer == false then
    fail("%s: tokenizer = false is for directories; a .gguf keeps its own",
         source)
  end
  local type = opts.type or "q8_0"
  local writer <close>, no_file = core.gguf_writer(target)
  if not writer then fail("%s", no_file) end
  copy_keys(writer, gguf, type)
  if not output.write(writer, plan(gguf, type), opts.progress) then
    return nil, "cancelled"
  end
  return true, {}
end
