-- config/types.lua: the fields of a config and what each may hold: a table of
-- functions(value) -> true, or false and the rule that does not hold. How
-- fields go together: rules.lua.

local core = require "decant.core"

local function is_integer(value)
  return type(value) == "number" and math.tointeger(value) ~= nil
end

-- What the core counts in 32 bits, unless a field knows better.
local MOST <const> = 2147483647

-- The rules are texts from the start: nearly every value is right.
local function integer(min, max)
  max = max or MOST
  local rule = ("must be an integer from %d to %d"):format(min, max)
  return function(value)
    return is_integer(value) and value >= min and value <= max, rule
  end
end

-- A length: the context of the model ends it.
local function length(value)
  return is_integer(value) and value >= 1, "must be an integer from 1"
end

local MOST_THREADS <const> = 64  -- DC_MAX_THREADS of base/threads.h

-- Of what each has its own memory: rows of one input.
local rows_at_once = integer(1, 65536)

local function number(what, holds)
  local rule = "must be " .. what
  return function(value)
    return type(value) == "number" and value == value and holds(value), rule
  end
end

-- Scores are float32: what acts on them must be in range as one, too. The
-- largest, the least above 0, and the last below 1.
local LARGEST <const> = (2 - 2^-23) * 2^127
local LEAST <const> = 2^-126
local BELOW_1 <const> = 1 - 2^-24

local function is_float(x) return math.abs(x) <= LARGEST end

local function is_part(x) return x >= LEAST and x <= BELOW_1 end

local positive = number("a number above 0 (1.2e-38 to 3.4e38)", function(x)
  return x >= LEAST and is_float(x)
end)
local unit = number("a number from 0 to 1", function(x)
  return x >= 0 and x <= 1
end)
local share = number("1 or a number from 1.2e-38 to 0.9999999", function(x)
  return x == 1 or is_part(x)
end)
local below_one = number("0 or a number from 1.2e-38 to 0.9999999", function(x)
  return x == 0 or is_part(x)
end)
local from_0 = number("a number from 0 to 3.4e38", function(x)
  return x >= 0 and is_float(x)
end)
local seconds = number("a number of seconds above 0", function(x)
  return x > 0
end)
local finite = number("a number from -3.4e38 to 3.4e38", is_float)

local function any_integer(value)
  return is_integer(value), "must be an integer"
end

local function flag(value)
  return type(value) == "boolean", "must be true or false"
end

local function callable(value)
  if type(value) == "function" then return true end
  local meta = getmetatable(value)
  return type(meta) == "table" and type(meta.__call) == "function"
end

local function called(value) return callable(value), "must be a function" end

local function is_id(value) return is_integer(value) and value >= 0 end

local function id(value) return is_id(value), "must be a token id (from 0)" end

-- A sequence without holes or other keys whose elements all hold. What a
-- metatable says of it does not count: that may have no end.
local function is_list(value, holds)
  if type(value) ~= "table" then return false end
  local count = 0
  for _ in next, value do count = count + 1 end
  if count ~= rawlen(value) then return false end
  for i = 1, count do
    if not holds(rawget(value, i)) then return false end
  end
  return true
end

-- Whether `value` is a list that is not empty and whose elements all hold.
local function is_some(value, holds)
  return is_list(value, holds) and rawlen(value) > 0
end

local function is_ids(value) return is_list(value, is_id) end
local function is_word(value) return is_some(value, is_id) end

local function ids(value)
  return is_word(value), "must be a list of token ids that is not empty"
end

local function id_or_ids(value)
  return is_id(value) or is_word(value),
         "must be a token id or a list of token ids"
end

local function words(value)
  return is_some(value, is_word),
         "must be a list of lists of token ids, none of them empty"
end

local function biases(value)
  return is_some(value, function(pair)
    if type(pair) ~= "table" or rawlen(pair) ~= 2 then return false end
    local bias = rawget(pair, 2)
    return type(bias) == "number" and (is_float(bias) or bias == -math.huge)
           and is_word(rawget(pair, 1))
  end), "must be a list of {ids, bias} that is not empty, the biases below "
     .. "3.4e38"
end

local function decay(value)
  return type(value) == "table" and rawlen(value) == 2
         and (integer(0)(rawget(value, 1))) and (positive(rawget(value, 2))),
         "must be {start, factor}, start an integer from 0, factor above 0"
end

local function early_stopping(value)
  return type(value) == "boolean" or value == "never",
         'must be true, false or "never"'
end

-- A phrase, or a list of phrases of which one must appear.
local function forced(value)
  return is_some(value, function(entry)
    return is_word(entry) or is_some(entry, is_word)
  end), "must be a list of lists of token ids, or of lists of such lists, none "
     .. "of them empty"
end

local function layers(value)
  return value == "low" or value == "high" or is_word(value),
         'must be "low", "high" or a list of layers from 0'
end

local function loaded(value)
  return type(value) == "table" and callable(value.generate)
         and type(value.config) == "table", "must be a model"
end

local function session(value)
  return type(value) == "table" and callable(value.feed), "must be a session"
end

local function utility(value)
  return callable(value) or value == "chrf" or value == "bleu",
         'must be "chrf", "bleu" or a function(hypothesis, reference)'
end

-- What is no UTF-8 is in no text, or would cut a character of one in two.
local function is_text(value)
  return type(value) == "string" and value ~= "" and utf8.len(value) ~= nil
end

local function texts(value)
  return is_text(value) or is_some(value, is_text),
         "must be a text (UTF-8) or a list of texts, none of them empty"
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

local function conditions(value)
  return callable(value) or is_some(value, callable),
         "must be a function(ids) or a list of such functions"
end

local function strategy(value)
  return type(value) == "string" or callable(value),
         "must be the name of a strategy or a function"
end

-- One row for all inputs, or one for each.
local function rows(value)
  return is_word(value) or is_some(value, is_ids),
         "must be a list of token ids or a list of such lists, not empty"
end

local function prompts(value)
  return is_word(value) or is_some(value, is_word),
         "must be a list of token ids or a list of such lists, none of them "
         .. "empty"
end

local function mask(value)
  local function is_bit(bit) return bit == 0 or bit == 1 end
  local function is_bits(list) return is_some(list, is_bit) end
  return type(value) == "userdata" or is_bits(value)
         or is_some(value, is_bits),
         "must be a list of 0 and 1, a list of such lists, or a Tensor"
end

-- ---- the fields ----

return {
  -- length
  max_length = length, max_new_tokens = length,
  min_length = integer(0), min_new_tokens = integer(0),
  early_stopping = early_stopping, max_time = seconds, stop_strings = texts,
  stopping_criteria = conditions,
  -- strategy
  do_sample = flag, num_beams = rows_at_once,
  num_beam_groups = rows_at_once,
  diversity_penalty = from_0, num_return_sequences = rows_at_once,
  length_penalty = finite, strategy = strategy, seed = any_integer,
  coverage_penalty = from_0, force_words_ids = forced, penalty_alpha = unit,
  dola_layers = layers, assistant_model = loaded,
  num_assistant_tokens = integer(1), assistant_confidence_threshold = unit,
  prompt_lookup_num_tokens = integer(1), max_matching_ngram_size = integer(1),
  best_of = rows_at_once, inner_strategy = strategy, reward = called,
  utility = utility, return_alternatives = flag,
  min_alternative_expansion_prob = unit,
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
  guidance_scale = finite, negative_prompt_ids = prompts,
  watermarking_config = watermark,
  -- special tokens
  pad_token_id = id, bos_token_id = id, eos_token_id = id_or_ids,
  decoder_start_token_id = id,
  -- what results tell
  logprobs = flag, top_logprobs = integer(1), output_attentions = flag,
  replace_unknowns = flag,
  -- the run
  on_token = called, threads = integer(1, MOST_THREADS),
  batch_size = integer(1), decoder_input_ids = rows, source_mask = mask,
  session = session,
}
