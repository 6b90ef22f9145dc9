-- processors.lua: factories of logits processors, and the list of processors
-- that a config asks for. docs/processors.md is the manual page.
--
-- A factory takes its main argument or a table of named arguments:
-- top_p(0.9) is top_p{top_p = 0.9, min_tokens_to_keep = 1}. It checks them
-- once and returns something to be called as p(logits, ids), which edits the
-- logits in place and returns them; ids is the whole row so far, with the
-- prompt or start token. All but the last two are C. Names and rules are
-- those of transformers' classes.

local core = require "decant.core"

local built_in = core.processors
local processors = {}

-- ---- filters: probabilities p = softmax(logits) ----

--- Keeps the k highest (k >= 1) and what ties with the last of them.
-- TopKLogitsWarper; Fan, Lewis, Dauphin 2018.
processors.top_k = built_in.top_k

--- Bans the least probable tokens as long as their sum is <= 1 - p (0 <= p
-- <= 1): the nucleus. TopPLogitsWarper; Holtzman et al. 2020.
processors.top_p = built_in.top_p

--- Bans p < min_p * max(p), 0 <= min_p <= 1. MinPLogitsWarper; Nguyen et al.
-- 2024.
processors.min_p = built_in.min_p

--- Keeps the tokens whose surprise -log p is nearest to the entropy, up to
-- the mass 0 < typical_p < 1. TypicalLogitsWarper; Meister et al. 2023.
processors.typical_p = built_in.typical_p
processors.typical = built_in.typical_p

--- Of the 100 best, keeps from the best down what holds 0 < top_h <= 1 of
-- their entropy. TopHLogitsWarper.
processors.top_h = built_in.top_h

--- Bans p < epsilon, 0 < epsilon < 1. EpsilonLogitsWarper; Hewitt et al. 2022.
processors.epsilon_cutoff = built_in.epsilon_cutoff

--- Bans p < min(eta, sqrt(eta) * exp(-entropy)), 0 < eta < 1.
-- EtaLogitsWarper; Hewitt et al. 2022.
processors.eta_cutoff = built_in.eta_cutoff

-- ---- scalings ----

--- logits / t, t > 0. TemperatureLogitsWarper.
processors.temperature = built_in.temperature

--- log_softmax of what is left. LogitNormalization.
processors.renormalize = built_in.renormalize

--- NaN to 0, infinities to the largest floats; lifts bans, too.
-- InfNanRemoveLogitsProcessor.
processors.remove_invalid_values = built_in.remove_invalid_values

-- ---- repetition ----

--- For each id of the row behind prompt_ignore_length (0): x < 0 ? x * penalty
-- : x / penalty. RepetitionPenaltyLogitsProcessor; Keskar et al. 2019.
processors.repetition_penalty = built_in.repetition_penalty

--- The reciprocal for each id of encoder_input_ids: above 1 favours the
-- source's tokens. EncoderRepetitionPenaltyLogitsProcessor.
processors.encoder_repetition_penalty = built_in.encoder_repetition_penalty

--- Bans what would repeat an n-gram of the row, ngram_size >= 1.
-- NoRepeatNGramLogitsProcessor.
processors.no_repeat_ngram = built_in.no_repeat_ngram

--- Bans what would repeat an n-gram of encoder_input_ids.
-- EncoderNoRepeatNGramLogitsProcessor.
processors.encoder_no_repeat_ngram = built_in.encoder_no_repeat_ngram

-- ---- words ----

--- bad_words_ids, a list of lists of ids: bans what would complete one of
-- them, but never an end token alone (eos_token_id). NoBadWordsLogitsProcessor.
processors.bad_words = built_in.bad_words

--- sequence_bias, a list of {ids, bias}: adds the bias to what would complete
-- the sequence. SequenceBiasLogitsProcessor.
processors.sequence_bias = built_in.sequence_bias

--- {[id] = bias}: adds to single tokens.
processors.bias = built_in.bias

--- Bans tokens. SuppressTokensLogitsProcessor.
processors.suppress_tokens = built_in.suppress_tokens

--- Bans tokens while the row is exactly begin_index long.
-- SuppressTokensAtBeginLogitsProcessor.
processors.begin_suppress_tokens = built_in.begin_suppress_tokens

-- ---- length, beginning and end ----

--- Bans eos_token_id while the row is shorter than min_length.
-- MinLengthLogitsProcessor.
processors.min_length = built_in.min_length

--- Bans eos_token_id while there are fewer than min_new_tokens behind
-- prompt_length. MinNewTokensLengthLogitsProcessor.
processors.min_new_tokens = built_in.min_new_tokens

--- bos_token_id alone while the row is one token long.
-- ForcedBOSTokenLogitsProcessor.
processors.forced_bos = built_in.forced_bos

--- eos_token_id alone for the last token before max_length.
-- ForcedEOSTokenLogitsProcessor.
processors.forced_eos = built_in.forced_eos

--- eos + |eos| * (factor^(length - s) - 1) behind s = input_length + start.
-- ExponentialDecayLengthPenalty.
processors.exponential_decay = built_in.exponential_decay

-- ---- made in Lua, because they call the user ----

local function check_fields(given, known, name)
  for key in pairs(given) do
    if not known[key] then
      error(("%s: unknown argument '%s'"):format(name, tostring(key)), 3)
    end
  end
end

local function callable(value)
  local meta = getmetatable(value)
  return type(value) == "function"
         or type(meta) == "table" and meta.__call ~= nil
end

--- Only what fn(ids, batch_index) lists stays; an empty list is an error.
-- Where nothing of it is allowed any more, all of it gets score 0 (not with
-- num_beams > 1: there it would lift a dead beam above the others).
-- PrefixConstrainedLogitsProcessor. batch_index counts from 1.
function processors.prefix_allowed(given)
  if type(given) ~= "table" or callable(given) then
    given = {prefix_allowed_tokens_fn = given}
  end
  check_fields(given, {prefix_allowed_tokens_fn = true, batch_index = true,
                       num_beams = true}, "prefix_allowed")
  local fn, index = given.prefix_allowed_tokens_fn, given.batch_index or 1
  local rescue = (given.num_beams or 1) == 1
  if not callable(fn) then
    error("prefix_allowed: prefix_allowed_tokens_fn is a " .. type(fn)
          .. ", must be a function(ids, batch_index)", 2)
  end
  return function(logits, ids)
    local allowed = fn(ids, index)
    if type(allowed) ~= "table" or #allowed == 0 then
      error("prefix_allowed: the function must return a list of ids that is "
            .. "not empty", 0)
    end
    logits:keep(allowed)
    if rescue and logits:allowed() == 0 then
      for _, id in ipairs(allowed) do logits[id] = 0 end
    end
    return logits
  end
end

--- u + guidance_scale * (c - u) on the log-probabilities c of the row and u of
-- `unconditional`: Logits, a list of numbers, or a function(ids) that returns
-- Logits. UnbatchedClassifierFreeGuidanceLogitsProcessor; Sanchez et al. 2023.
function processors.guidance(given)
  if type(given) ~= "table" then
    error("guidance: a table of arguments expected, got " .. type(given), 2)
  end
  check_fields(given, {guidance_scale = true, unconditional = true},
               "guidance")
  local scale, other = given.guidance_scale, given.unconditional
  if type(scale) ~= "number" then
    error("guidance: guidance_scale is missing", 2)
  end
  if other == nil then error("guidance: unconditional is missing", 2) end
  if type(other) == "table" then other = core.logits(other) end
  return function(logits, ids)
    local row = other
    if type(other) == "function" then row = other(ids) end
    return logits:guide(row, scale)
  end
end

-- ---- from a config ----

-- The field of a config, and what makes its processor: a function of the
-- value and of where it is used, or nil where that has no use for it. In
-- transformers' order. A field that is absent, false or empty is off.
local constraints = {
  {"sequence_bias", processors.sequence_bias},
  {"encoder_repetition_penalty", function(penalty, env)
    return penalty ~= 1 and env.source
           and processors.encoder_repetition_penalty {
             penalty = penalty, encoder_input_ids = env.source}
  end},
  {"repetition_penalty", function(penalty)
    return penalty ~= 1 and processors.repetition_penalty(penalty)
  end},
  {"no_repeat_ngram_size", function(n)
    return n > 0 and processors.no_repeat_ngram(n)
  end},
  {"encoder_no_repeat_ngram_size", function(n, env)
    return n > 0 and env.source and processors.encoder_no_repeat_ngram {
      ngram_size = n, encoder_input_ids = env.source}
  end},
  {"bad_words_ids", function(words, env)
    return processors.bad_words {bad_words_ids = words,
                                 eos_token_id = env.eos}
  end},
  {"min_length", function(n, env)  -- min_new_tokens overrides it
    return n > 0 and #env.eos > 0 and not env.has_min_new_tokens
           and processors.min_length {min_length = n, eos_token_id = env.eos}
  end},
  {"min_new_tokens", function(n, env)
    return n > 0 and #env.eos > 0 and processors.min_new_tokens {
      min_new_tokens = n, prompt_length = env.prompt, eos_token_id = env.eos}
  end},
  {"prefix_allowed_tokens_fn", function(fn, env)
    return processors.prefix_allowed {
      prefix_allowed_tokens_fn = fn, batch_index = env.batch_index,
      num_beams = env.beams and 2 or 1}
  end},
  {"forced_bos_token_id", processors.forced_bos},
  {"forced_eos_token_id", function(ids, env)
    return processors.forced_eos {max_length = env.max_length,
                                  eos_token_id = ids}
  end},
  {"remove_invalid_values", function()
    return processors.remove_invalid_values()
  end},
  {"exponential_decay_length_penalty", function(decay, env)
    return #env.eos > 0 and processors.exponential_decay {
      start = decay[1], factor = decay[2], input_length = env.prompt,
      eos_token_id = env.eos}
  end},
  {"suppress_tokens", processors.suppress_tokens},
  {"begin_suppress_tokens", function(ids, env)
    return processors.begin_suppress_tokens {tokens = ids,
                                             begin_index = env.begin}
  end},
}

-- A filter with its value, unless that is the one that filters nothing.
local function filter(name, off)
  return function(value, env)
    return value ~= off and processors[name] {
      [name] = value, min_tokens_to_keep = env.keep}
  end
end

local sampling = {
  {"temperature", function(t)
    return t ~= 1 and processors.temperature(t)
  end},
  {"top_h", processors.top_h},
  {"top_k", filter("top_k", 0)},
  {"top_p", filter("top_p", 1)},
  {"min_p", filter("min_p")},
  {"typical_p", filter("typical_p", 1)},
  {"epsilon_cutoff", filter("epsilon_cutoff", 0)},
  {"eta_cutoff", filter("eta_cutoff", 0)},
}

local last = {
  {"renormalize_logits", function() return processors.renormalize() end},
}

local function is_set(value)
  return value ~= nil and value ~= false
         and (type(value) ~= "table" or callable(value)
              or next(value) ~= nil)
end

local function list(value)
  if not is_set(value) then return {} end
  return type(value) == "table" and value or {value}
end

local function environment(config, context)
  local eos = list(context.eos or config.eos_token_id)
  local prompt = context.prompt_length or 0
  local forced = prompt <= 1 and is_set(config.forced_bos_token_id)
  return {
    eos = eos, prompt = prompt, source = context.encoder_ids,
    beams = context.beams, batch_index = context.batch_index or 1,
    max_length = context.max_length or config.max_length,
    has_min_new_tokens = is_set(config.min_new_tokens),
    begin = prompt + (forced and 1 or 0),
    -- a beam needs two tokens that do not end it
    keep = context.beams and math.max(#eos, 1) + 1 or 1,
  }
end

-- Appends what `rules` make of the config; notes the place of each kind.
local function add(result, place, rules, config, env)
  for _, rule in ipairs(rules) do
    local value = config[rule[1]]
    local processor = is_set(value) and rule[2](value, env)
    if processor then
      result[#result + 1] = processor
      place[core.processor_kind(processor) or processor] = #result
    end
  end
end

--- The list of processors that `config` asks for, in transformers' order: what
-- constrains, the user's config.processors, the filters if config.do_sample,
-- renormalize. A user's built-in of a kind that the config asks for takes the
-- place of that one. context: prompt_length (0), encoder_ids, eos (a list;
-- else the config's), max_length (of the whole row; else the config's), beams
-- (true in beam search), batch_index (1).
function processors.from_config(config, context)
  local env = environment(config, context or {})
  local result, place = {}, {}
  add(result, place, constraints, config, env)
  local n_constraints = #result
  if config.do_sample then add(result, place, sampling, config, env) end
  add(result, place, last, config, env)

  local users = {}
  for _, processor in ipairs(list(config.processors)) do
    local i = place[core.processor_kind(processor) or ""]
    if i then
      result[i] = processor
    else
      users[#users + 1] = processor
    end
  end
  table.move(result, n_constraints + 1, #result, n_constraints + #users + 1)
  return table.move(users, 1, #users, n_constraints + 1, result)
end

return processors
