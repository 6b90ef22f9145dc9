-- hparams.lua: config.json read by an architecture's table.
--
--   read(path, config, family [, weights]) -> h
--     weights    the checkpoint, for what its tensors alone say
--     h[key]     the values by their names in config.json
--     h.keys     list of {key, kind, value} for the GGUF, in order
--     h.made     list of {name, shape, bytes}: f32 tensors that config.json
--                says the numbers of
--
-- The table lists `fields`, one a key of config.json:
--
--   {"hidden_size", "A.embedding_length", "count", 1 << 16}
--   {"num_key_value_heads", ...}     the key there, the key in the GGUF ("A."
--                                    stands for the architecture; nil: only
--                                    used here), the rule for its value, the
--                                    largest one of a count
--
-- and `steps`, functions of the Reader below for what takes more than copying
-- (rope.lua, window.lua). A key that is missing has the default of its class:
-- `defaults`, where "=KEY" stands for the value of another key. A key that has
-- no default either is left out. null counts as missing: 5.x writes it for
-- keys without a value.
--
-- Every value is checked; the message names file, key, value and rule.

local failure = require "decant.convert.fail"
local files = require "decant.convert.files"
local fail, shown = failure.fail, failure.shown

local Reader = {}
Reader.__index = Reader

local function show(value)
  if type(value) == "number" or type(value) == "boolean" then
    return tostring(value)
  end
  return shown(value)
end

function Reader:fail(key, value, format, ...)
  fail("%s: %s = %s, %s", self.path, key, show(value), format:format(...))
end

-- What config.json says, else the class.
function Reader:value(key)
  local value = self.config[key]
  if value ~= nil and value ~= files.null then return value end
  value = self.family.defaults[key]
  local other = type(value) == "string" and value:match "^=(.*)"
  if other then return self:value(other) end
  return value
end

-- Whether the file says null: "none", where the class has a default.
function Reader:is_null(key)
  return self.config[key] == files.null
end

-- A tensor of the checkpoint, under whichever prefix; nil if it is not there.
function Reader:tensor(name)
  for _, prefix in ipairs(self.weights and self.family.prefixes or {}) do
    local tensor = self.weights:find(prefix .. name)
    if tensor then return tensor end
  end
end

local rules = {}

function rules.count(reader, key, value, max)
  if math.type(value) ~= "integer" or value < 1 or value > max then
    reader:fail(key, value, "must be an integer from 1 to %d", max)
  end
end

function rules.epsilon(reader, key, value)
  if type(value) ~= "number" or not (value > 0 and value < 1) then
    reader:fail(key, value, "must be a number between 0 and 1")
  end
end

function rules.positive(reader, key, value)
  if type(value) ~= "number" or not (value > 0 and value < 3e38) then
    reader:fail(key, value, "must be a number above 0")
  end
end

function rules.boolean(reader, key, value)
  if type(value) ~= "boolean" then
    reader:fail(key, value, "must be true or false")
  end
end

local kinds = {count = "u32", epsilon = "f32", positive = "f32",
               boolean = "bool"}

function Reader:check(key, value, rule, max)
  rules[rule](self, key, value, max)
  return value
end

function Reader:count(key, max)
  return self:check(key, self:value(key), "count", max)
end

function Reader:positive(key)
  return self:check(key, self:value(key), "positive")
end

function Reader:boolean(key)
  return self:check(key, self:value(key), "boolean")
end

-- A key for the GGUF.
function Reader:put(key, kind, value)
  key = key:gsub("^A%.", self.family.name .. ".")
  local keys = self.h.keys
  keys[#keys + 1] = {key, kind, value}
end

-- An f32 vector for the GGUF.
function Reader:make(name, numbers)
  local bytes = {}
  for i, x in ipairs(numbers) do bytes[i] = string.pack("<f", x) end
  local made = self.h.made
  made[#made + 1] = {name = name, shape = {#numbers},
                     bytes = table.concat(bytes)}
end

function Reader:field(row)
  local key, target, rule, max = table.unpack(row, 1, 4)
  local value = self:value(key)
  if row.optional and value ~= nil and self:is_null(key) then
    if target then self:put(target, kinds[rule], 0) end
    return  -- off, or worked out, where the class has one
  end
  if value == nil and row.optional then return end
  self:check(key, value, rule, max)
  self.h[key] = value
  if target then self:put(target, kinds[rule], value) end
end

-- The second key must be a multiple of the first.
function Reader:divides(key, other)
  local h = self.h
  if h[other] % h[key] ~= 0 then
    fail("%s: %s = %d does not divide %s = %d", self.path, key, h[key], other,
         h[other])
  end
end

local function sorted_keys(map)
  local names = {}
  for name in pairs(map) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- Names of transformers.ACT2FN that mean the same function.
local activations = {
  swish = "swish", silu = "swish", relu = "relu",
  gelu = "gelu", gelu_python = "gelu",
  gelu_new = "gelu_tanh", gelu_fast = "gelu_tanh",
  gelu_pytorch_tanh = "gelu_tanh", gelu_python_tanh = "gelu_tanh",
  gelu_accurate = "gelu_tanh", quick_gelu = "gelu_quick",
}

-- `name` is what the key means, if that is not its value.
function Reader:activation(key, name)
  local value = name or self:value(key)
  local known = activations[value]
  if not known then
    self:fail(key, self:value(key), "supported are %s",
              table.concat(sorted_keys(activations), ", "))
  end
  self:put("decant.activation", "string", known)
end

-- Keys that would change the graph, where they are there.
local function check_fixed(reader)
  local fixed = reader.family.fixed
  for _, key in ipairs(sorted_keys(fixed)) do
    local value = reader.config[key]
    if value ~= nil and value ~= files.null and value ~= fixed[key] then
      fail("%s: %s = %s is not supported for %s, only %s", reader.path, key,
           show(value), reader.family.name, fixed[key])
    end
  end
end

local function read(path, config, family, weights)
  local reader = setmetatable({
    path = path, config = config, family = family, weights = weights,
    h = {keys = {}, made = {}, swaps = {}},
  }, Reader)
  check_fixed(reader)
  for _, row in ipairs(family.fields) do reader:field(row) end
  reader.h.tied = reader:boolean "tie_word_embeddings"
  for _, step in ipairs(family.steps) do step(reader, reader.h) end
  return reader.h
end

return read
