-- convert.lua: a Hugging Face directory, or another GGUF file, becomes one
-- GGUF file.
--
--   convert(source, target_file [, opts]) -> true, notes | nil, message
--     source          a directory, or a file whose name ends in .gguf
--     opts.type       the type of matrices (convert/types.lua lists them),
--                     "q8_0" if not given; norms, biases and position tables
--                     are f32, and a matrix whose rows are no whole blocks
--                     gets a type with smaller ones
--     opts.tokenizer  false: leave the tokenizer out, the model works on ids
--     opts.progress   function(done, total) in bytes, called after every
--                     tensor; false cancels: nil, "cancelled"
--     notes           sentences about tensors that were left out
--
-- The same source gives the same bytes. The target appears whole or not at
-- all: core.gguf_writer works on a temporary file and renames it. What is
-- written where: docs/gguf-keys.md.

local core = require "decant.core"
local lists = require "decant.lists"
local show = require "decant.show"
local checkpoint = require "decant.checkpoint"
local failure = require "decant.convert.fail"
local files = require "decant.convert.files"
local read_generation = require "decant.convert.generation"
local read_hparams = require "decant.convert.hparams"
local read_vocabulary = require "decant.convert.vocabulary"
local plan_tensors = require "decant.convert.plan"
local requantise = require "decant.convert.requantise"
local types = require "decant.convert.types"
local output = require "decant.convert.write"
local fail, shown, set = failure.fail, failure.shown, output.set

local function options_of(opts)
  return lists.options(opts, "decant.convert",
                       {"progress", "tokenizer", "type"})
end

-- model_type of config.json -> its table
local architectures = {}
for _, group in ipairs {"seq2seq", "t5", "llama", "gpt"} do
  for model_type, family in pairs(require("decant.convert." .. group)) do
    architectures[model_type] = family
  end
end

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
  set(writer, "general.architecture", "string", family.name)
  set(writer, "general.name", "string", name_of(dir, config))
  set(writer, "general.file_type", "u32", types.file_type(type))
  set(writer, "general.quantization_version", "u32", 2)
  set(writer, "general.alignment", "u32", 32)
end

local function set_hparams(writer, family, h, start)
  for _, row in ipairs(h.keys) do set(writer, table.unpack(row)) end
  if start then
    set(writer, family.name .. ".decoder_start_token_id", "u32", start)
  end
end

local function set_generation(writer, fields)
  for _, field in ipairs(fields) do
    set(writer, "decant.generation." .. field.name, field.kind, field.value)
  end
end

local function convert_directory(dir, target, opts)
  local config_path = dir .. "/config.json"
  local config = files.object(config_path)
  local family = architecture_of(config_path, config)
  local weights <close>, no_weights = checkpoint.open(dir)
  local h = read_hparams(config_path, config, family, weights)
  local fields, start = read_generation(dir, config_path, config, family, h)
  if not weights then fail("%s", no_weights) end
  local type = opts.type or "q8_0"
  local tensors, notes = plan_tensors(weights, dir, family, h, type)
  local vocabulary, left_out = read_vocabulary(dir, config, h.vocab_size,
                                               opts.tokenizer)
  table.move(left_out, 1, #left_out, #notes + 1, notes)
  local writer <close>, no_file = core.gguf_writer(target)
  if not writer then fail("%s", no_file) end
  set_general(writer, dir, config, family, type)
  set_hparams(writer, family, h, start)
  set_generation(writer, fields)
  for _, row in ipairs(vocabulary) do set(writer, table.unpack(row)) end
  if not output.write(writer, tensors, opts.progress) then
    return nil, "cancelled"
  end
  return true, notes
end

local function convert(source, target, opts)
  local kind = files.kind(source)
  if kind == "file" and source:find "%.gguf$" then
    return requantise(source, target, opts)
  elseif kind ~= "directory" then
    fail("%s: is neither a directory nor a .gguf file", source)
  end
  return convert_directory(source, target, opts)
end

-- For checks of the returned function: blames its caller.
local function check(ok, format, ...)
  if not ok then error("decant.convert: " .. format:format(...), 3) end
end

return function(source, target_file, opts)
  check(type(source) == "string", "source is %s, must be a string",
        type(source))
  check(type(target_file) == "string", "target_file is %s, must be a string",
        type(target_file))
  opts = options_of(opts)
  check(opts.type == nil or types.known(opts.type),
        "type = %s, must be one of %s", show(opts.type), types.names())
  check(opts.progress == nil or type(opts.progress) == "function",
        "progress is %s, must be a function", type(opts.progress))
  return failure.catch(convert, source, target_file, opts)
end
