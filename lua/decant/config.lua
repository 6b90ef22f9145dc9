-- config.lua: GenerationConfig, the checked table of everything that a caller
-- may ask of generate. Fields, names and meanings are those of transformers;
-- docs/config.md is the manual page.
--
--   config{...}                -> the caller's fields, checked; the others read
--                                 as their defaults
--   config.merge(caller, model [, level [, vocab]])
--                              -> the same over the model's own generation
--                                 defaults; `false` switches those off
--   config.strategy(merged)    -> the strategy that it asks for: a name, or a
--                                 function of the caller
--   config.lengths(merged, prompt_length) -> longest row, shortest row
--   config.fields              the names of all fields, sorted
--
-- What was set, by the caller or the model's file, is there under rawget;
-- defaults come from the metatable. The fields are in config/types.lua, how
-- they go together in config/rules.lua.

local mode = require "decant.mode"
local nearest = require "decant.nearest"
local objects = require "decant.processors.objects"
local rules = require "decant.config.rules"
local show = require "decant.show"
local types = require "decant.config.types"

local defaults = {
  max_length = 100, min_length = 1, do_sample = false, temperature = 1,
  top_k = 0, top_p = 1, num_beams = 1, repetition_penalty = 1,
  length_penalty = 1, early_stopping = true,
  pad_token_id = 0, bos_token_id = 2, eos_token_id = 3,
  num_return_sequences = 1, num_beam_groups = 1, diversity_penalty = 0,
}

-- What the name of a bundled strategy says where the caller is silent.
local implied = {
  greedy = {do_sample = false, num_beams = 1},
  sample = {do_sample = true, num_beams = 1},
  beam = {num_beams = 4},
  diverse_beam = {num_beams = 4, num_beam_groups = 2, diversity_penalty = 0.5},
  constrained_beam = {num_beams = 4},
  stochastic_beam = {num_beams = 4, do_sample = true},
  contrastive = {penalty_alpha = 0.6, top_k = 4, num_beams = 1,
                 do_sample = false},
  dola = {dola_layers = "low", num_beams = 1},
  speculative = {num_beams = 1},
  best_of_n = {best_of = 8, do_sample = true},
  minimum_bayes_risk = {best_of = 8, do_sample = true},
  alternatives = {return_alternatives = true, num_beams = 1},
}

-- Where `false` means that there is none, not that the default holds.
local none = {pad_token_id = true, bos_token_id = true, eos_token_id = true}

-- Whether `false` is a value of the field, not the switch that turns it off.
local function keeps_false(name)
  return none[name] or name == "early_stopping"
         or types[name] == types.do_sample
end

local fields = {}
for name in pairs(types) do fields[#fields + 1] = name end
table.sort(fields)

-- ---- checks: nil, or what is wrong ----

local function wrong_field(name, value)
  local check = types[name]
  if not check then
    if type(name) ~= "string" then
      return ("unknown field [%s]: a config has named fields only")
             :format(show(name))
    end
    return ("unknown field '%s', did you mean '%s'?")
           :format(name:sub(1, 60), nearest(name:sub(1, 60):lower(), fields))
  end
  if value == false then return end  -- off
  local fine, rule = check(value)
  if not fine then
    return ("%s is %s, %s"):format(name, show(value), rule)
  end
end

-- ---- the object ----

local config = {fields = fields}

local GenerationConfig = {__name = "decant.GenerationConfig",
                          __index = defaults}

function GenerationConfig.__newindex(self, name, value)
  local wrong = value ~= nil and wrong_field(name, value)
  if wrong then error("config: " .. wrong, 2) end
  rawset(self, name, value)
end

-- The value that counts for a field whose setting is `value`.
local function effective(name, value)
  if value == nil or value == false and not none[name] then
    return defaults[name]
  end
  return value
end

-- A copy of the caller's fields with what the name of a strategy implies.
local function with_implied(caller)
  local copy = {}
  for name, value in next, implied[rawget(caller, "strategy")] or {} do
    copy[name] = value
  end
  for name, value in next, caller do copy[name] = value end
  return copy
end

-- What is wrong with the caller's table.
local function wrong_table(given)
  if type(given) ~= "table" then
    return ("a table of fields expected, got %s"):format(type(given))
  end
  for name, value in next, given do
    local wrong = wrong_field(name, value)
    if wrong then return wrong end
  end
  return rules.wrong_lengths(given, given)
end

local function getter(object)
  return function(name) return effective(name, rawget(object, name)) end
end

-- The lists of lists of a GGUF are flat: each inner list behind its length.
-- What does not come out even is left as it is, for the check to refuse.
local function unflatten(value)
  if type(value) ~= "table" or not types.suppress_tokens(value) then
    return value
  end
  local result, i = {}, 1
  while i <= #value do
    local n = value[i]
    if n > #value - i then return value end
    result[#result + 1] = table.move(value, i + 1, i + n, 1, {})
    i = i + 1 + n
  end
  return result
end

-- A length that the caller sets puts the model's other way of setting it out
-- of force.
local rivals = {max_new_tokens = "max_length", min_new_tokens = "min_length"}

-- Whole numbers as integers, also in lists: a config takes 2.0 for 2, and
-- nobody behind it shall meet the 2.0 again. The lists are copied as they lie
-- there, so nobody meets their metatables either.
local function whole(value)
  if math.type(value) == "float" then
    return math.tointeger(value) or value
  elseif type(value) ~= "table" or rawlen(value) == 0
         or objects.callable(value) then
    return value
  end
  local copy = {}
  for i = 1, rawlen(value) do copy[i] = whole(rawget(value, i)) end
  return copy
end

-- Copies what the model's file sets and the caller does not; unknown fields
-- of the file are not ours to judge.
local function take_model(object, caller, model)
  for name, value in next, model do
    local rival = rivals[name]
    if types[name] and rawget(caller, name) == nil
       and not (rival and rawget(caller, rival)) then
      if name == "bad_words_ids" then value = unflatten(value) end
      local wrong = wrong_field(name, value)
      if wrong then return "the model's generation defaults: " .. wrong end
      rawset(object, name, whole(value))
    end
  end
end

-- The caller's fields over what is there, `false` resolved.
local function take_caller(object, caller)
  for name, value in next, caller do
    if value == false and not keeps_false(name) then value = nil end
    rawset(object, name, whole(value))
  end
end

--- The strategy that a merged config asks for: what the caller named, or by
-- the fields, as in transformers.
function config.strategy(merged)
  return mode.of(merged)
end

-- What is wrong between the fields of a merged config. `caller`: what the
-- caller set; what the model's file sets for nothing is not held against it.
local function wrong_together(object, caller, vocab)
  local get = getter(object)
  return rules.wrong_pair(get, caller) or rules.wrong_lengths(object, caller)
         or rules.without_effect(caller, get, mode.runs(object), defaults)
         or vocab and rules.outside(caller, get, vocab)
end

--- The caller's fields (a table or a config) over the model's generation
-- defaults (a table or nil) over the defaults of decant. `false` is resolved:
-- it reads as the default, or as false for the ids of special tokens. What is
-- wrong is raised as `error` would with `level` (1: at the caller of this).
-- `vocab`, if given, bounds the ids that the caller sets.
function config.merge(caller, model, level, vocab)
  caller = caller == nil and {} or caller
  level = (level or 1) + 1
  local wrong = wrong_table(caller)
  if wrong then error("config: " .. wrong, level) end
  local full = with_implied(caller)
  local object = setmetatable({}, GenerationConfig)
  wrong = take_model(object, full, model or {})
  if not wrong then
    take_caller(object, full)
    wrong = wrong_together(object, caller, vocab)
  end
  if wrong then error("config: " .. wrong, level) end
  return object
end

-- New tokens, so that a prompt can be added without overflow.
local MOST <const> = 1 << 53

--- How long a row may get and how long it must get, prompt (or start token)
-- included. max_new_tokens and min_new_tokens win; a max_length that nobody
-- set counts from the end of a prompt that is more than a start token.
function config.lengths(merged, prompt_length)
  local longest, shortest = merged.max_length, merged.min_length
  if merged.max_new_tokens then
    longest = prompt_length + math.min(merged.max_new_tokens, MOST)
  elseif not rawget(merged, "max_length") then
    longest = longest + math.max(prompt_length - 1, 0)
  end
  if merged.min_new_tokens then
    shortest = prompt_length + math.min(merged.min_new_tokens, MOST)
  end
  return longest, shortest
end

-- Whether the fields agree can be said only where the number of beams is
-- known: else the model's file may set it.
local function new(_, given)
  given = given == nil and {} or given
  local wrong = wrong_table(given)
  if wrong then error("config: " .. wrong, 2) end
  local object = with_implied(given)
  wrong = object.num_beams and rules.wrong_pair(getter(object), given)
  if wrong then error("config: " .. wrong, 2) end
  return setmetatable(object, GenerationConfig)
end

return setmetatable(config, {__call = new})
