-- convert.lua: a Hugging Face directory becomes one GGUF file.
--
--   convert(source_dir, target_file [, opts]) -> true, notes | nil, message
--     opts.type       "f32", "f16" or "q8_0" (default): the type of matrices;
--                     norms, biases and position tables stay f32, and q8_0
--                     falls back to f16 where rows are no multiple of 32
--     opts.tokenizer  false: leave the tokenizer out, the model works on ids
--     opts.progress   function(done, total) in bytes, called after every
--                     tensor; false cancels: nil, "cancelled"
--     notes           sentences about tensors that were left out
--
-- The same directory gives the same bytes. The target appears whole or not at
-- all: core.gguf_writer works on a temporary file and renames it. What is
-- written where: docs/gguf-keys.md.

local core = require "decant.core"
local checkpoint = require "decant.checkpoint"
local architectures = require "decant.convert.seq2seq"
local failure = require "decant.convert.fail"
local files = require "decant.convert.files"
local read_generation = require "decant.convert.generation"
local read_hparams = require "decant.convert.hparams"
local read_vocabulary = require "decant.convert.vocabulary"
local plan_tensors = require "decant.convert.plan"
local fail, shown = failure.fail, failure.shown

-- general.file_type, the numbers of llama.cpp
local FILE_TYPES = {f32 = 0, f16 = 1, q8_0 = 7}

local OPTIONS = {type = true, tokenizer = true, progress = true}

-- nn.LayerNorm's default; neither class lets config.json change it.
local LAYER_NORM_EPSILON = 1e-5

local function known_architectures()
  local names = {}
  for name in pairs(architectures) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ", ")
end

local function architecture_of(path, config)
  local name = config.model_type
  if files.type(name) ~= "string" then
    fail("%s: model_type is %s; it names the architecture", path,
         name == nil and "missing" or files.type(name))
  end
  local family = architectures[name]
  if not family then
    fail("%s: model_type = %s is not supported; known are %s", path,
         shown(name), known_architectures())
  end
  return family
end

-- The model's name, without any path of the machine that made it.
local function name_of(dir, config)
  local name = config._name_or_path
  if type(name) ~= "string" or not name:find "[^/\\]" then name = dir end
  name = name:match "([^/\\]+)[/\\]*$"
  return (name == nil or name == "." or name == "..") and "model" or name
end

local function set_general(writer, dir, config, family, type)
  writer:set("general.architecture", "string", family.name)
  writer:set("general.name", "string", name_of(dir, config))
  writer:set("general.file_type", "u32", FILE_TYPES[type])
  writer:set("general.quantization_version", "u32", 2)
  writer:set("general.alignment", "u32", 32)
end

local function set_hparams(writer, family, h, start)
  local A = family.name .. "."
  for _, row in ipairs(family.config_keys) do
    writer:set((row[2]:gsub("^A%.", A)), "u32", h[row[1]])
  end
  writer:set(A .. "attention.layer_norm_epsilon", "f32", LAYER_NORM_EPSILON)
  writer:set(A .. "decoder_start_token_id", "u32", start)
  writer:set(A .. "embedding_scale", "f32", h.embedding_scale)
  writer:set("decant.activation", "string", h.activation)
  writer:set("decant.positions", "string", family.positions)
  writer:set("decant.norm_place", "string", family.norm_place)
end

local function set_generation(writer, fields)
  for _, field in ipairs(fields) do
    writer:set("decant.generation." .. field.name, field.kind, field.value)
  end
end

local function add_tensors(writer, tensors)
  for _, tensor in ipairs(tensors) do
    writer:tensor(tensor.name, tensor.type, tensor.shape,
                  {safetensors = tensor.source.file,
                   name = tensor.source.name, first = tensor.first})
  end
end

-- Writes tensor by tensor. Returns false when progress cancelled it.
local function write(writer, progress)
  local ok, message = writer:begin()
  if not ok then fail("%s", message) end
  repeat
    local done, total = writer:next()
    if not done and total then fail("%s", total) end
    if done and progress and progress(done, total) == false then
      return false
    end
  until not done
  ok, message = writer:finish()
  if not ok then fail("%s", message) end
  return true
end

local function convert(dir, target, opts)
  if files.kind(dir) ~= "directory" then
    fail("%s: is not a directory", dir)
  end
  local config_path = dir .. "/config.json"
  local config = files.object(config_path)
  local family = architecture_of(config_path, config)
  local h = read_hparams(config_path, config, family)
  local fields, start = read_generation(dir, config_path, config, family, h)
  local vocabulary = read_vocabulary(dir, h.vocab_size, opts.tokenizer)
  local weights <close>, no_weights = checkpoint.open(dir)
  if not weights then fail("%s", no_weights) end
  local type = opts.type or "q8_0"
  local tensors, notes = plan_tensors(weights, dir, family, h, type)
  local writer <close>, no_file = core.gguf_writer(target)
  if not writer then fail("%s", no_file) end
  set_general(writer, dir, config, family, type)
  set_hparams(writer, family, h, start)
  set_generation(writer, fields)
  for _, row in ipairs(vocabulary) do writer:set(table.unpack(row)) end
  add_tensors(writer, tensors)
  if not write(writer, opts.progress) then return nil, "cancelled" end
  return true, notes
end

-- For checks of the returned function: blames its caller.
local function check(ok, format, ...)
  if not ok then error("decant.convert: " .. format:format(...), 3) end
end

return function(source_dir, target_file, opts)
  check(type(source_dir) == "string", "source_dir is %s, must be a string",
        type(source_dir))
  check(type(target_file) == "string", "target_file is %s, must be a string",
        type(target_file))
  check(opts == nil or type(opts) == "table", "opts is %s, must be a table",
        type(opts))
  opts = opts or {}
  for name in pairs(opts) do
    check(OPTIONS[name], "unknown option %s; known are progress, tokenizer, "
          .. "type", tostring(name))
  end
  check(opts.type == nil or FILE_TYPES[opts.type],
        "type = %s, must be f32, f16 or q8_0", tostring(opts.type))
  check(opts.progress == nil or type(opts.progress) == "function",
        "progress is %s, must be a function", type(opts.progress))
  return failure.catch(convert, source_dir, target_file, opts)
end
