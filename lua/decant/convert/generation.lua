-- generation.lua: the model's own generation defaults, as they travel in the
-- GGUF under decant.generation.FIELD.
--
--   read(dir, config_path, config, family, h) -> fields, start
--     fields: list of {name, kind, value}, sorted by name, ready for the
--             writer; start: the id that the decoder begins with, of an
--             encoder-decoder model
--
-- Files of transformers >= 4.26 have generation_config.json. Older ones keep
-- the same fields in config.json, among the rest, less those that equal the
-- class default. A list of lists (bad_words_ids) is written flat, each inner
-- list after its length: [[89], [1, 2]] becomes 1 89 2 1 2.

local failure = require "decant.convert.fail"
local files = require "decant.convert.files"
local fail, shown = failure.fail, failure.shown

-- What config.json of the old style may set.
local OLD_FIELDS = {
  "max_length", "min_length", "do_sample", "early_stopping", "num_beams",
  "num_beam_groups", "diversity_penalty", "temperature", "top_k", "top_p",
  "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
  "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences",
  "forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values",
  "exponential_decay_length_penalty", "suppress_tokens",
  "begin_suppress_tokens", "decoder_start_token_id", "bos_token_id",
  "eos_token_id", "pad_token_id",
}

-- Fields about the program that wrote or runs the model, not about its output.
local NOT_GENERATION = {
  transformers_version = true, _from_model_config = true, _commit_hash = true,
  cache_config = true, compile_config = true,
  continuous_batching_config = true, generation_kwargs = true,
}

-- Fields that hold token ids: one, a list, or a list of lists.
local ID_FIELDS = {
  bos_token_id = true, eos_token_id = true, pad_token_id = true,
  decoder_start_token_id = true, forced_bos_token_id = true,
  forced_eos_token_id = true, bad_words_ids = true, force_words_ids = true,
}

local function is_integer(value)
  return math.type(value) == "integer"
end

local function is_i32(value)
  return is_integer(value) and value >= -2^31 and value < 2^31
end

local function is_finite(value)
  return type(value) == "number" and math.abs(value) < math.huge
end

local function is_string(value)
  return type(value) == "string"
end

local function all(list, is)
  for _, value in ipairs(list) do
    if not is(value) then return false end
  end
  return true
end

local function is_i32_list(value)
  return files.type(value) == "array" and all(value, is_i32)
end

-- [[89], [1, 2]] -> {1, 89, 2, 1, 2}
local function flatten(lists)
  local flat = {}
  for _, list in ipairs(lists) do
    flat[#flat + 1] = #list
    table.move(list, 1, #list, #flat + 1, flat)
  end
  return flat
end

local function list_kind(list)
  if all(list, is_i32) then return "i32[]", list end
  if all(list, is_finite) then return "f64[]", list end
  if all(list, is_string) then return "string[]", list end
  if all(list, is_i32_list) then return "i32[]", flatten(list) end
end

-- The kind of a value in the GGUF and the value to write, or nothing.
local function kind_of(value)
  local type_ = files.type(value)
  if type_ == "boolean" then return "bool", value end
  if type_ == "string" then return "string", value end
  if type_ == "array" then return list_kind(value) end
  if is_integer(value) and value >= 0 and value < 2^32 then
    return "u32", value
  end
  if is_i32(value) then return "i32", value end
  if is_finite(value) and not is_integer(value) then return "f64", value end
end

local function check_ids(path, name, value, vocab)
  if type(value) == "table" then
    for _, item in ipairs(value) do check_ids(path, name, item, vocab) end
  elseif not is_integer(value) or value < 0 or value >= vocab then
    fail("%s: %s holds %s, a token id is an integer from 0 to %d", path, name,
         shown(value), vocab - 1)
  end
end

local function is_nothing(value)
  return value == files.null or type(value) == "table" and next(value) == nil
end

local function field(path, name, value, vocab)
  if not name:find "^[%w_]+$" or #name > 64 then
    fail("%s: %s is no name of a field", path, shown(name))
  end
  if ID_FIELDS[name] then check_ids(path, name, value, vocab) end
  local kind, written = kind_of(value)
  if not kind then
    fail("%s: %s holds %s that cannot be kept in a GGUF (numbers, booleans, "
         .. "strings, lists of them and lists of lists of integers can)",
         path, name, files.type(value))
  end
  return {name = name, kind = kind, value = written}
end

-- The fields that config.json sets, over those of its class.
local function old_style(config, family)
  local fields = {}
  for _, name in ipairs(OLD_FIELDS) do
    local value = config[name]
    if value == nil then value = family.generation[name] end
    fields[name] = value
  end
  if config.force_bos_token_to_be_generated == true
     and fields.forced_bos_token_id == nil then
    fields.forced_bos_token_id = fields.bos_token_id
  end
  return fields
end

-- The decoder's first id: what generation_config.json, config.json or the
-- class call so, else their bos, as in the library.
local function start_id(path, fields, config, family)
  for _, name in ipairs {"decoder_start_token_id", "bos_token_id"} do
    for _, from in ipairs {fields, config, family.generation} do
      local id = from[name]
      if id ~= nil and id ~= files.null then
        if not is_integer(id) then
          fail("%s: %s = %s, must be an integer", path, name, shown(id))
        end
        return id
      end
    end
  end
  fail("%s: decoder_start_token_id is missing", path)
end

local function read(dir, config_path, config, family, h)
  local path, found = dir .. "/generation_config.json"
  if files.kind(path) then
    found = files.object(path)
  else
    path, found = config_path, old_style(config, family)
  end
  local fields = {}
  for name, value in pairs(found) do
    if not NOT_GENERATION[name] and not is_nothing(value) then
      fields[#fields + 1] = field(path, name, value, h.vocab_size)
    end
  end
  table.sort(fields, function(a, b) return a.name < b.name end)
  if not family.seq2seq then return fields end
  local start = start_id(path, found, config, family)
  check_ids(config_path, "decoder_start_token_id", start, h.vocab_size)
  return fields, start
end

return read
