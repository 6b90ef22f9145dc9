-- hparams.lua: config.json read by an architecture's table (seq2seq.lua).
--
--   read(path, config, family) -> {d_model = 512, ..., activation = "swish",
--                                  embedding_scale = 22.6, tied = true}
--
-- Every value is checked here; the message names file, key, value and rule.

local failure = require "decant.convert.fail"
local files = require "decant.convert.files"
local fail, shown = failure.fail, failure.shown

local function show(value)
  if type(value) == "number" or type(value) == "boolean" then
    return tostring(value)
  end
  return shown(value)
end

-- A key of the file, else its class default. null counts as missing: 5.x
-- writes it for keys that have no value.
local function value_of(config, key, default)
  local value = config[key]
  if value == nil or value == files.null then return default end
  return value
end

local function count(path, config, key, default, max)
  local value = value_of(config, key, default)
  if math.type(value) ~= "integer" or value < 1 or value > max then
    fail("%s: %s = %s, must be an integer from 1 to %d", path, key,
         show(value), max)
  end
  return value
end

local function boolean(path, config, key, default)
  local value = value_of(config, key, default)
  if type(value) ~= "boolean" then
    fail("%s: %s = %s, must be true or false", path, key, show(value))
  end
  return value
end

local function known_names(map)
  local names = {}
  for name in pairs(map) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ", ")
end

local function activation(path, config, family)
  local key = "activation_function"
  local value = value_of(config, key, family.defaults[key])
  local known = family.activations[value]
  if not known then
    fail("%s: %s = %s, supported are %s", path, key, show(value),
         known_names(family.activations))
  end
  return known
end

-- Keys that old files carry and that would change the graph.
local function check_fixed(path, config, family)
  local keys = {}
  for key in pairs(family.fixed) do keys[#keys + 1] = key end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local needed = family.fixed[key]
    local value = value_of(config, key, needed)
    if value ~= needed then
      fail("%s: %s = %s is not supported for %s, only %s", path, key,
           show(value), family.name, needed)
    end
  end
end

local function check_heads(path, h, side)
  local heads = h[side .. "_attention_heads"]
  if h.d_model % heads ~= 0 then
    fail("%s: %s_attention_heads = %d does not divide d_model = %d", path,
         side, heads, h.d_model)
  end
end

local function check_vocabularies(path, config, h)
  local size = value_of(config, "decoder_vocab_size", h.vocab_size)
  if size ~= h.vocab_size then
    fail("%s: decoder_vocab_size = %s differs from vocab_size = %d: separate "
         .. "vocabularies are not supported", path, show(size), h.vocab_size)
  end
end

local function read(path, config, family)
  local h = {}
  check_fixed(path, config, family)
  for _, row in ipairs(family.config_keys) do
    local key, max = row[1], row[3]
    h[key] = count(path, config, key, family.defaults[key], max)
  end
  check_heads(path, h, "encoder")
  check_heads(path, h, "decoder")
  check_vocabularies(path, config, h)
  h.activation = activation(path, config, family)
  local scaled = boolean(path, config, "scale_embedding",
                         family.defaults.scale_embedding)
  h.embedding_scale = scaled and math.sqrt(h.d_model) or 1.0
  h.tied = boolean(path, config, "tie_word_embeddings", true)
  return h
end

return read
