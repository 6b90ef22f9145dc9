-- rope.lua: rotary positions, from either form of config.json.
--
--   rope(reader, h)  puts A.rope.* and makes rope_freqs / rope_factors tensors
--
-- transformers 4.x has rope_theta (gpt_neox: rotary_emb_base) and
-- rope_scaling, whose kind is rope_type or, in old files, type. 5.x has one
-- object rope_parameters {rope_type, rope_theta, ...}, and models with two
-- kinds of layers one such object for each kind.
--
-- Formulas: transformers/modeling_rope_utils.py; what llama.cpp makes of the
-- keys: its conversion scripts and ggml_rope.

local failure = require "decant.convert.fail"
local files = require "decant.convert.files"
local fail = failure.fail

local MAX_CONTEXT <const> = 1 << 24

local function is_object(value)
  return files.type(value) == "object"
end

-- One set of parameters, and the way to it for messages.
local Rope = {}
Rope.__index = Rope

function Rope:fail(key, format, ...)
  fail("%s: %s.%s %s", self.path, self.where, key, format:format(...))
end

-- nil if it is not there.
function Rope:number(key, min, max)
  local value = self.values[key]
  if value == nil or value == files.null then return nil end
  if type(value) ~= "number" or not (value >= min and value <= max) then
    self:fail(key, "= %s, must be a number from %g to %g",
              failure.shown(value), min, max)
  end
  return value
end

function Rope:needed(key, min, max)
  local value = self:number(key, min, max)
  if not value then self:fail(key, "is missing") end
  return value
end

-- Longrope has a factor for each pair of dimensions.
function Rope:factors(key, count)
  local list = self.values[key]
  if files.type(list) ~= "array" or #list ~= count then
    self:fail(key, "must be a list of %d numbers", count)
  end
  for i, x in ipairs(list) do
    if type(x) ~= "number" or not (x > 0 and x < 1e30) then
      self:fail(key, "holds %s in place %d, must be numbers above 0",
                failure.shown(x), i)
    end
  end
  return list
end

-- An object of config.json, or nil where it is missing or null.
local function object(reader, key)
  local value = reader.config[key]
  if value == nil or value == files.null then return nil end
  if not is_object(value) then
    reader:fail(key, value, "must be an object or null")
  end
  return value
end

-- The object that is there, in the form of 5.x or of 4.x; `part` names the
-- kind of layers in models that have several.
local function parameters(reader, part)
  local where, values = "rope_parameters", object(reader, "rope_parameters")
  if values and part and is_object(values[part]) then
    where, values = where .. "." .. part, values[part]
  elseif not values then
    where, values = "rope_scaling", object(reader, "rope_scaling")
  end
  return setmetatable({path = reader.path, where = where,
                       values = values or {}}, Rope)
end

local function base_of(reader, rope, key)
  if rope.values.rope_theta ~= nil then
    return rope:needed("rope_theta", 1, 1e12)
  end
  return reader:check(key, reader:value(key), "positive")
end

-- The wavelengths that Llama 3.1 stretches, as divisors of the frequencies.
local function llama3(rope, h, base)
  local factor = rope:needed("factor", 1e-3, 1e6)
  local low = rope:needed("low_freq_factor", 1e-3, 1e6)
  local high = rope:needed("high_freq_factor", 1e-3, 1e6)
  local context = rope:needed("original_max_position_embeddings", 1,
                              MAX_CONTEXT)
  if low >= high then
    rope:fail("low_freq_factor", "= %g is not below high_freq_factor = %g",
              low, high)
  end
  local factors = {}
  for i = 0, h.n_rot // 2 - 1 do
    local wavelength = 2 * math.pi * base ^ (2 * i / h.n_rot)
    local smooth = (context / wavelength - low) / (high - low)
    factors[i + 1] = wavelength < context / high and 1
                     or wavelength > context / low and factor
                     or 1 / ((1 - smooth) / factor + smooth)
  end
  return factors
end

-- How much the scores grow with the context: the library's rule.
local function stretch(factor, scale)
  return factor <= 1 and 1.0 or 0.1 * scale * math.log(factor) + 1.0
end

local kinds = {}

function kinds.default() end

-- Another base for texts longer than max_position_embeddings, which is as far
-- as the converted model goes: below that it changes nothing.
kinds.dynamic = kinds.default

function kinds.linear(reader, rope)
  reader:put("A.rope.scaling.type", "string", "linear")
  reader:put("A.rope.scaling.factor", "f32", rope:needed("factor", 1e-3, 1e6))
end

-- The file's factor holds for the network as trained; the runtime multiplies
-- its own 0.1 ln(factor) + 1 by attn_factor.
function kinds.yarn(reader, rope)
  local factor = rope:needed("factor", 1e-3, 1e6)
  local context = rope:number("original_max_position_embeddings", 1,
                              MAX_CONTEXT) or reader.h.context
  if rope.values.truncate == false then
    rope:fail("truncate", "= false is not supported")
  end
  local attention = rope:number("attention_factor", 1e-3, 1e3)
  local mscale, all = rope:number("mscale", 0, 1e3),
                      rope:number("mscale_all_dim", 0, 1e3)
  if not attention and mscale and all and mscale > 0 and all > 0 then
    attention = stretch(factor, mscale) / stretch(factor, all)
  end
  reader:put("A.rope.scaling.type", "string", "yarn")
  reader:put("A.rope.scaling.factor", "f32", factor)
  reader:put("A.rope.scaling.original_context_length", "u32",
             math.tointeger(context))
  if attention then
    reader:put("A.rope.scaling.attn_factor", "f32",
               attention / stretch(factor, 1))
  end
  for key, name in pairs {beta_fast = "yarn_beta_fast",
                          beta_slow = "yarn_beta_slow"} do
    local value = rope:number(key, 1e-3, 1e6)
    if value then reader:put("A.rope.scaling." .. name, "f32", value) end
  end
end

function kinds.llama3(reader, rope, h, base)
  reader:make("rope_freqs.weight", llama3(rope, h, base))
end

-- Phi-3: one set of factors for short texts, one for long ones.
function kinds.longrope(reader, rope, h)
  local context = rope:number("original_max_position_embeddings", 1,
                              MAX_CONTEXT)
                  or reader:count("original_max_position_embeddings",
                                  MAX_CONTEXT)
  local attention = rope:number("attention_factor", 1e-3, 1e3)
  local scale = rope:number("factor", 1e-3, 1e6) or h.context / context
  if not attention then
    attention = scale <= 1 and 1.0
                or math.sqrt(1 + math.log(scale) / math.log(context))
  end
  reader:put("A.rope.scaling.type", "string", "longrope")
  reader:put("A.rope.scaling.original_context_length", "u32",
             math.tointeger(context))
  reader:put("A.rope.scaling.attn_factor", "f32", attention)
  reader:make("rope_factors_long.weight",
              rope:factors("long_factor", h.n_rot // 2))
  reader:make("rope_factors_short.weight",
              rope:factors("short_factor", h.n_rot // 2))
end

kinds.su = kinds.longrope  -- its name in the first Phi-3 files

local function kind_of(rope)
  local name = rope.values.rope_type
  if name == nil or name == files.null then name = rope.values.type end
  if name == nil or name == files.null then return kinds.default end
  if type(name) ~= "string" or not kinds[name] then
    rope:fail("rope_type", "= %s, supported are default, dynamic, linear, "
              .. "yarn, llama3 and longrope", failure.shown(name))
  end
  return kinds[name]
end

-- How many columns of a head turn.
local function rotated(reader, rope, h)
  local share = rope:number("partial_rotary_factor", 1e-3, 1)
  if not share and reader.family.rope_share then
    share = reader:value(reader.family.rope_share)
    if share then reader:check(reader.family.rope_share, share, "positive") end
  end
  local n = math.floor(h.head_dim * (share or 1))
  if n < 2 or n % 2 ~= 0 or n > h.head_dim then
    fail("%s: %d of the %d columns of a head turn; it must be an even number "
         .. "of them", reader.path, n, h.head_dim)
  end
  return n
end

return function(reader, h)
  local family = reader.family
  local rope = parameters(reader, family.rope_part)
  local base = base_of(reader, rope, family.rope_base or "rope_theta")
  h.n_rot = rotated(reader, rope, h)
  reader:put("A.rope.dimension_count", "u32", h.n_rot)
  reader:put("A.rope.freq_base", "f32", base)
  kind_of(rope)(reader, rope, h, base)
  if family.rope_local then
    local near = parameters(reader, family.rope_local)
    if near.where == rope.where then near.values = {} end
    reader:put("A.rope.freq_base_swa", "f32",
               base_of(reader, near, "rope_local_base_freq"))
  end
end
