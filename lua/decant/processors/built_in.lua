-- processors/built_in.lua: the processors that are C. Each factory takes its
-- main argument, the first that is named here, or a table of all by name, and
-- checks them once. docs/processors.md has the formulas in one place.

local core = require "decant.core"
local objects = require "decant.processors.objects"

local c = core.processors
local built_in = {}

-- ---- filters: probabilities p = softmax(logits) ----

--- Keeps the k highest (k >= 1) and what ties with the last of them.
-- TopKLogitsWarper; Fan, Lewis, Dauphin 2018.
built_in.top_k = c.top_k

--- Bans the least probable tokens as long as their sum is <= 1 - p (0 <= p
-- <= 1): the nucleus. TopPLogitsWarper; Holtzman et al. 2020.
built_in.top_p = c.top_p

--- Bans p < min_p * max(p), 0 <= min_p <= 1. MinPLogitsWarper; Nguyen et al.
-- 2024.
built_in.min_p = c.min_p

--- Keeps the tokens whose surprise -log p is nearest to the entropy, up to
-- the mass 0 < typical_p < 1. TypicalLogitsWarper; Meister et al. 2023.
built_in.typical_p = c.typical_p
built_in.typical = c.typical_p

--- Of the 100 best, keeps from the best down what holds 0 < top_h <= 1 of
-- their entropy. TopHLogitsWarper.
built_in.top_h = c.top_h

--- Bans p < epsilon, 0 < epsilon < 1. EpsilonLogitsWarper; Hewitt et al. 2022.
built_in.epsilon_cutoff = c.epsilon_cutoff

--- Bans p < min(eta, sqrt(eta) * exp(-entropy)), 0 < eta < 1.
-- EtaLogitsWarper; Hewitt et al. 2022.
built_in.eta_cutoff = c.eta_cutoff

--- Bans what is more than n standard deviations below the highest logit,
-- n > 0. llama.cpp top_n_sigma; Tang et al. 2024.
built_in.top_n_sigma = c.top_n_sigma

--- With the given probability: of the tokens with p >= threshold (0.1) only the
-- least probable stays. The draw belongs to the row and its length; `seed`
-- takes the place of the row's. llama.cpp xtc; p-e-w 2024.
built_in.xtc = c.xtc

--- tau (5 bits), eta (0.1), m (100): keeps the k best, k being estimated so
-- that their mean surprise is mu; mu -= eta * (surprise of the token taken -
-- tau). Keeps a state for its row. llama.cpp mirostat; Basu et al. 2021.
built_in.mirostat = c.mirostat

--- The same with a cut at -log2 p > mu. llama.cpp mirostat_v2.
built_in.mirostat_v2 = c.mirostat_v2

--- target (0 to 1), decay (0.9): favours probabilities near the target,
-- corrected by the average of those taken. Keeps a state for its row; the last
-- in a list. llama.cpp adaptive_p.
built_in.adaptive_p = c.adaptive_p

-- ---- scalings ----

--- logits / t, t > 0. TemperatureLogitsWarper.
built_in.temperature = c.temperature

--- temperature, range, exponent (1): from temperature - range where the row is
-- certain to temperature + range where it is not: by (entropy / log of the
-- number of allowed tokens) ^ exponent. llama.cpp temp_ext.
built_in.dynamic_temperature = c.dynamic_temperature

--- log_softmax of what is left. LogitNormalization.
built_in.renormalize = c.renormalize

--- NaN to 0, infinities to the largest floats; lifts bans, too.
-- InfNanRemoveLogitsProcessor.
built_in.remove_invalid_values = c.remove_invalid_values

-- ---- repetition ----

--- For each id of the row behind prompt_ignore_length (0), or of the last_n of
-- them (0: all): x < 0 ? x * penalty : x / penalty.
-- RepetitionPenaltyLogitsProcessor; Keskar et al. 2019.
built_in.repetition_penalty = c.repetition_penalty

--- The reciprocal for each id of encoder_input_ids: above 1 favours the
-- source's tokens. EncoderRepetitionPenaltyLogitsProcessor.
built_in.encoder_repetition_penalty = c.encoder_repetition_penalty

--- Bans what would repeat an n-gram of the row, ngram_size >= 1.
-- NoRepeatNGramLogitsProcessor.
built_in.no_repeat_ngram = c.no_repeat_ngram

--- Bans what would repeat an n-gram of encoder_input_ids.
-- EncoderNoRepeatNGramLogitsProcessor.
built_in.encoder_no_repeat_ngram = c.encoder_no_repeat_ngram

--- x - penalty * (how often the id is in the row); prompt_ignore_length and
-- last_n as above. llama.cpp penalties; OpenAI's frequency_penalty.
built_in.frequency_penalty = c.frequency_penalty

--- x - penalty for each id of the row; the same arguments.
built_in.presence_penalty = c.presence_penalty

-- The ids of all tokens whose text holds one of the texts.
local function ids_with(texts, tokenizer)
  local ids = {}
  for id = 0, #tokenizer - 1 do
    local piece = tokenizer:decode {id}
    for _, text in ipairs(texts) do
      if piece:find(text, 1, true) then
        ids[#ids + 1] = {id}
        break
      end
    end
  end
  return ids
end

local function is_tokenizer(value)
  local fine, decode = pcall(function() return value.decode end)
  return fine and objects.callable(decode)
end

--- multiplier, base (1.75), allowed_length (2), last_n, prompt_ignore_length,
-- sequence_breakers: x - multiplier * base ^ (n - allowed_length) where the
-- token would make a repetition of n ids longer. A repetition does not reach
-- over a sequence breaker: a list of ids, or with `tokenizer` a text (then any
-- token that holds it). llama.cpp dry; p-e-w 2024.
function built_in.dry(given)
  local breakers = type(given) == "table" and given.sequence_breakers
  if type(breakers) ~= "table" or type(breakers[1]) ~= "string" then
    return objects.call("dry", 2, c.dry, given)
  end
  local copy = {}
  for name, value in pairs(given) do copy[name] = value end
  if not is_tokenizer(given.tokenizer) then
    error("dry: sequence_breakers that are texts need a tokenizer", 2)
  end
  for i, text in ipairs(breakers) do
    if type(text) ~= "string" or text == "" then
      error(("dry: sequence_breakers[%d] is %s, must be a text like the first")
            :format(i, text == "" and "empty" or "a " .. type(text)), 2)
    end
  end
  copy.sequence_breakers = ids_with(breakers, given.tokenizer)
  copy.tokenizer = nil
  return objects.call("dry", 2, c.dry, copy)
end

-- ---- words ----

--- bad_words_ids, a list of lists of ids: bans what would complete one of
-- them, but never an end token alone (eos_token_id). NoBadWordsLogitsProcessor.
built_in.bad_words = c.bad_words

--- A list of lists of ids: bans what would complete one of them, with no
-- exception. CTranslate2 suppress_sequences.
built_in.suppress_sequences = c.suppress_sequences

--- While the new tokens are the beginning of `prefix`: p = (1 - beta) p, and
-- beta more for its next token, 0 < prefix_bias_beta < 1. CTranslate2.
built_in.prefix_bias = c.prefix_bias

--- sequence_bias, a list of {ids, bias}: adds the bias to what would complete
-- the sequence. SequenceBiasLogitsProcessor.
built_in.sequence_bias = c.sequence_bias

--- {[id] = bias}: adds to single tokens.
built_in.bias = c.bias

--- Bans tokens. SuppressTokensLogitsProcessor.
built_in.suppress_tokens = c.suppress_tokens

--- Bans tokens while the row is exactly begin_index long.
-- SuppressTokensAtBeginLogitsProcessor.
built_in.begin_suppress_tokens = c.begin_suppress_tokens

-- ---- length, beginning and end ----

--- Bans eos_token_id while the row is shorter than min_length.
-- MinLengthLogitsProcessor.
built_in.min_length = c.min_length

--- Bans eos_token_id while there are fewer than min_new_tokens behind
-- prompt_length. MinNewTokensLengthLogitsProcessor.
built_in.min_new_tokens = c.min_new_tokens

--- bos_token_id alone while the row is one token long.
-- ForcedBOSTokenLogitsProcessor.
built_in.forced_bos = c.forced_bos

--- eos_token_id alone for the last token before max_length.
-- ForcedEOSTokenLogitsProcessor.
built_in.forced_eos = c.forced_eos

--- eos + |eos| * (factor^(length - s) - 1) behind s = input_length + start.
-- ExponentialDecayLengthPenalty.
built_in.exponential_decay = c.exponential_decay

--- eos_token_id alone as soon as one of them has p > min_eos_p.
-- BarkEosPrioritizerLogitsProcessor.
built_in.bark_eos = c.bark_eos

-- ---- watermarks ----

--- greenlist_ratio (0.25), bias (2), hashing_key (15485863), seeding_scheme
-- ("lefthash" or "selfhash"), context_width (1), vocab_size (all): adds the
-- bias to the tokens that are green behind the row.
-- WatermarkLogitsProcessor; Kirchenbauer et al. 2023.
built_in.watermark = c.watermark

--- keys, ngram_len, sampling_table_size (65536), sampling_table_seed (0),
-- context_history_size (1024), skip_first_ngram_calls (false): tournament
-- sampling. SynthIDTextWatermarkLogitsProcessor; Dathathri et al. 2024.
built_in.synthid = c.synthid

-- Not the module itself: messages name a function by the first module that has
-- it as a field, and that is to be decant.processors.
return {factories = built_in}
