-- config.lua: GenerationConfig, the checked table of everything that a caller
-- may ask of generate. Fields, names and meanings are those of transformers;
-- docs/config.md is the manual page.
--
--   config{...}                -> the caller's fields, checked; the others read
--                                 as their defaults
--   config.merge(caller, model)-> the same over the model's own generation
--                                 defaults; `false` switches those off
--   config.lengths(merged, prompt_length) -> longest row, shortest row
--   config.fields              the names of all fields, sorted
--
-- What was set, by the caller or the model's file, is there under rawget;
-- defaults come from the metatable.

local core = require "decant.core"
local nearest = require "decant.nearest"

-- ---- types: a function(value) -> true, or false and the rule ----

local function is_integer(value)
  return math.type(value) == "integer"
         or math.type(value) == "float" and value % 1 == 0
            and math.abs(value) < 2^53
end

local function integer(min)
  return function(value)
    return is_integer(value) and value >= min,
           "must be an integer from " .. min
  end
end

local function number(rule, holds)
  return function(value)
    return type(value) == "number" and value == value and holds(value),
           "must be " .. rule
  end
end

local positive = number("a number above 0 (at least 1.2e-38)", function(x)
  return x >= 2^-126 and x < 2^128  -- as a float32
end)
local unit = number("a number from 0 to 1", function(x)
  return x >= 0 and x <= 1
end)
local share = number("a number above 0 and at most 1", function(x)
  return x > 0 and x <= 1
end)
local below_one = number("a number from 0 to below 1", function(x)
  return x >= 0 and x < 1
end)
local from_0 = number("a number from 0", function(x)
  return x >= 0 and x < math.huge
end)
local finite = number("a finite number", function(x)
  return math.abs(x) < math.huge
end)

local function any_integer(value)
  return is_integer(value), "must be an integer"
end

local function flag(value)
  return type(value) == "boolean", "must be true or false"
end

local function callable(value)
  if type(value) == "function" then return true end
  local meta = getmetatable(value)
  return type(meta) == "table" and meta.__call ~= nil
end

local function called(value) return callable(value), "must be a function" end

local function is_id(value) return is_integer(value) and value >= 0 end

local function id(value) return is_id(value), "must be a token id (from 0)" end

-- A sequence without holes or other keys whose elements all hold.
local function is_list(value, holds)
  if type(value) ~= "table" then return false end
  local count = 0
  for _ in pairs(value) do count = count + 1 end
  if count ~= #value then return false end
  for _, element in ipairs(value) do
    if not holds(element) then return false end
  end
  return true
end

local function is_ids(value) return is_list(value, is_id) end
local function is_word(value) return is_ids(value) and #value > 0 end

local function ids(value)
  return is_ids(value), "must be a list of token ids"
end

local function id_or_ids(value)
  return is_id(value) or is_word(value),
         "must be a token id or a list of token ids"
end

local function words(value)
  return is_list(value, is_word),
         "must be a list of lists of token ids, none of them empty"
end

local function biases(value)
  return is_list(value, function(pair)
    local bias = type(pair) == "table" and pair[2]
    return type(bias) == "number" and bias == bias and bias < math.huge
           and is_word(pair[1])
  end), "must be a list of {ids, bias}"
end

local function decay(value)
  return type(value) == "table" and is_id(value[1]) and #value == 2
         and (positive(value[2])), "must be {start, factor}, factor above 0"
end

local function early_stopping(value)
  return type(value) == "boolean" or value == "never",
         'must be true, false or "never"'
end

local function texts(value)
  local function is_text(text) return type(text) == "string" and text ~= "" end
  return is_text(value) or is_list(value, is_text),
         "must be a text or a list of texts, none of them empty"
end

local function functions(value)
  return is_list(value, callable), "must be a list of functions(logits, ids)"
end

-- The arguments of processors.watermark, or with keys those of synthid.
local function watermark(value)
  if type(value) ~= "table" then return false, "must be a table" end
  local factory = value.keys and "synthid" or "watermark"
  local fine, message = pcall(core.processors[factory], value)
  return fine, not fine and "its " .. (message:match "%((.+)%)$" or message)
end

local function strategy(value)
  return type(value) == "string" or callable(value),
         "must be the name of a strategy or a function"
end

local function rows(value)
  return is_ids(value) or is_list(value, is_ids),
         "must be a list of token ids or a list of such lists"
end

local function mask(value)
  local function is_bit(bit) return bit == 0 or bit == 1 end
  local function is_bits(list) return is_list(list, is_bit) end
  return type(value) == "userdata" or is_bits(value)
         or is_list(value, is_bits),
         "must be a list of 0 and 1, a list of such lists, or a Tensor"
end

-- ---- the fields ----

local types = {
  -- length
  max_length = integer(1), max_new_tokens = integer(1),
  min_length = integer(0), min_new_tokens = integer(0),
  early_stopping = early_stopping, max_time = positive, stop_strings = texts,
  -- strategy
  do_sample = flag, num_beams = integer(1), num_beam_groups = integer(1),
  diversity_penalty = from_0, num_return_sequences = integer(1),
  length_penalty = finite, strategy = strategy, seed = any_integer,
  -- logits
  temperature = positive, top_k = integer(0), top_p = unit, min_p = unit,
  top_h = share, typical_p = share, epsilon_cutoff = below_one,
  eta_cutoff = below_one, repetition_penalty = positive,
  encoder_repetition_penalty = positive, no_repeat_ngram_size = integer(0),
  encoder_no_repeat_ngram_size = integer(0), bad_words_ids = words,
  renormalize_logits = flag, forced_bos_token_id = id,
  forced_eos_token_id = id_or_ids, remove_invalid_values = flag,
  exponential_decay_length_penalty = decay, suppress_tokens = ids,
  begin_suppress_tokens = ids, sequence_bias = biases,
  prefix_allowed_tokens_fn = called, processors = functions,
  guidance_scale = finite, negative_prompt_ids = rows,
  watermarking_config = watermark,
  -- special tokens
  pad_token_id = id, bos_token_id = id, eos_token_id = id_or_ids,
  decoder_start_token_id = id,
  -- the run
  on_token = called, threads = integer(1), batch_size = integer(1),
  decoder_input_ids = rows, source_mask = mask,
}

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
}

-- Where `false` means that there is none, not that the default holds.
local none = {pad_token_id = true, bos_token_id = true, eos_token_id = true}

local fields = {}
for name in pairs(types) do fields[#fields + 1] = name end
table.sort(fields)

-- ---- messages ----

local function show(value)
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) ~= "table" then return tostring(value) end
  local shown = {}
  for i = 1, math.min(#value, 8) do shown[i] = show(value[i]) end
  if #value > 8 or next(value) and #value == 0 then
    shown[#shown + 1] = "..."
  end
  return "{" .. table.concat(shown, ", ") .. "}"
end

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

-- Two fields that cannot both hold. `get` reads a field.
local function wrong_pair(get)
  local beams, groups = get "num_beams", get "num_beam_groups"
  local sequences, sampling = get "num_return_sequences", get "do_sample"
  if beams % groups ~= 0 then
    return ("num_beams is %d, must be a multiple of num_beam_groups, which "
            .. "is %d"):format(beams, groups)
  elseif groups > 1 and sampling then
    return "num_beam_groups above 1 and do_sample exclude each other"
  elseif groups > 1 and get "diversity_penalty" == 0 then
    return ("num_beam_groups is %d: diversity_penalty must be above 0")
           :format(groups)
  elseif get "negative_prompt_ids" and not get "guidance_scale" then
    return "negative_prompt_ids has no effect without guidance_scale"
  elseif sequences > beams and (beams > 1 or not sampling) then
    return ("num_return_sequences is %d, must be at most num_beams, which "
            .. "is %d (only sampling without beams gives more)")
           :format(sequences, beams)
  end
end

local function wrong_lengths(caller)
  for _, pair in ipairs {{"min_length", "max_length"},
                         {"min_new_tokens", "max_new_tokens"}} do
    local low, high = rawget(caller, pair[1]), rawget(caller, pair[2])
    if low and high and low > high then
      return ("%s is %d, must be at most %s, which is %d")
             :format(pair[1], low, pair[2], high)
    end
  end
end

-- ---- the object ----

local config = {fields = fields}

local GenerationConfig = {__name = "decant.GenerationConfig"}

function GenerationConfig.__index(_, name) return defaults[name] end

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
  return wrong_lengths(given)
end

local function getter(object)
  return function(name) return effective(name, rawget(object, name)) end
end

-- The lists of lists of a GGUF are flat: each inner list behind its length.
-- What does not come out even is left as it is, for the check to refuse.
local function unflatten(value)
  if type(value) ~= "table" or not is_word(value) then return value end
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
      rawset(object, name, value)
    end
  end
end

--- The caller's fields (a table or a config) over the model's generation
-- defaults (a table or nil) over the defaults of decant. `false` is resolved:
-- it reads as the default, or as false for the ids of special tokens. What is
-- wrong is raised as `error` would with `level` (1: at the caller of this).
function config.merge(caller, model, level)
  caller = caller == nil and {} or caller
  level = (level or 1) + 1
  local wrong = wrong_table(caller)
  if wrong then error("config: " .. wrong, level) end
  caller = with_implied(caller)
  local object = setmetatable({}, GenerationConfig)
  wrong = take_model(object, caller, model or {})
  if wrong then error("config: " .. wrong, level) end
  for name, value in next, caller do
    if value == false and types[name] ~= flag and not none[name]
       and name ~= "early_stopping" then
      value = nil
    end
    rawset(object, name, value)
  end
  wrong = wrong_pair(getter(object))
  if wrong then error("config: " .. wrong, level) end
  return object
end

--- How long a row may get and how long it must get, prompt (or start token)
-- included. max_new_tokens and min_new_tokens win; a max_length that nobody
-- set counts from the end of a prompt that is more than a start token.
function config.lengths(merged, prompt_length)
  local longest, shortest = merged.max_length, merged.min_length
  if merged.max_new_tokens then
    longest = prompt_length + merged.max_new_tokens
  elseif not rawget(merged, "max_length") then
    longest = longest + math.max(prompt_length - 1, 0)
  end
  if merged.min_new_tokens then
    shortest = prompt_length + merged.min_new_tokens
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
  wrong = object.num_beams and wrong_pair(getter(object))
  if wrong then error("config: " .. wrong, 2) end
  return setmetatable(object, GenerationConfig)
end

return setmetatable(config, {__call = new})
