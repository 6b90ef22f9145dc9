-- config/rules.lua: how the fields of a config go together.
--
--   rules.wrong_pair(get, caller)     two fields that cannot both hold
--   rules.wrong_lengths(object, caller)
--                                     a shortest row above the longest
--   rules.without_effect(caller, get, runs, defaults)
--                                     a field that the caller sets for nothing
--   rules.outside(caller, vocab)      an id beyond the vocabulary
--
-- Each answers nil or what is wrong. get(name): the value that counts; object,
-- caller: what is set at all, and what the caller sets; runs: the set of the
-- strategies that will run (mode.runs).

local mode = require "decant.mode"

local rules = {}


-- ---- contradictions ----

local function wrong_groups(get)
  local beams, groups = get "num_beams", get "num_beam_groups"
  if beams % groups ~= 0 then
    return ("num_beams is %d, must be a multiple of num_beam_groups, which "
            .. "is %d"):format(beams, groups)
  elseif groups > 1 and get "do_sample" then
    return "num_beam_groups above 1 and do_sample exclude each other"
  elseif groups > 1 and get "diversity_penalty" == 0 then
    return ("num_beam_groups is %d: diversity_penalty must be above 0")
           :format(groups)
  end
end

local function wrong_sequences(get)
  local beams, sequences = get "num_beams", get "num_return_sequences"
  if sequences > beams and (beams > 1 or not get "do_sample")
     and not get "return_alternatives" and not get "best_of" then
    return ("num_return_sequences is %d, must be at most num_beams, which "
            .. "is %d (only sampling without beams gives more)")
           :format(sequences, beams)
  end
end

-- Strategies whose names leave no choice.
local fixed = {
  greedy = {do_sample = false, num_beams = 1},
  sample = {do_sample = true, num_beams = 1},
}

local function wrong_name(get)
  for name, value in pairs(fixed[get "strategy"] or {}) do
    if get(name) ~= value then
      return ("strategy %q and %s = %s exclude each other")
             :format(get "strategy", name, tostring(get(name)))
    end
  end
end

-- A token that is to be forced must not be banned.
local function wrong_forced(get)
  local suppressed, banned = get "suppress_tokens", {}
  if not suppressed then return nil end
  for _, id in ipairs(suppressed) do banned[id] = true end
  for _, name in ipairs{"forced_bos_token_id", "forced_eos_token_id"} do
    local ids = get(name) or {}
    for _, id in ipairs(type(ids) == "table" and ids or {ids}) do
      if banned[id] then
        return ("%s is %d, which suppress_tokens bans"):format(name, id)
      end
    end
  end
end

local function wrong_guidance(get)
  if get "negative_prompt_ids" and not get "guidance_scale" then
    return "negative_prompt_ids has no effect without guidance_scale"
  end
end

function rules.wrong_pair(get, caller)
  return wrong_groups(get) or wrong_sequences(get) or wrong_name(get)
         or wrong_forced(get) or wrong_guidance(get)
         or mode.wrong(get, caller)
end


-- ---- lengths ----

local lengths = {{"min_length", "max_length"},
                 {"min_new_tokens", "max_new_tokens"}}

-- A shortest row of the model's file gives way to the caller's longest.
function rules.wrong_lengths(object, caller)
  for _, pair in ipairs(lengths) do
    local low, high = rawget(object, pair[1]), rawget(object, pair[2])
    if low and high and low > high and rawget(caller, pair[1]) then
      return ("%s is %d, must be at most %s, which is %d")
             :format(pair[1], low, pair[2], high)
    end
  end
end


-- ---- fields that act in some modes only ----

local function set(names)
  local found = {}
  for name in names:gmatch "%S+" do found[name] = true end
  return found
end

local function is_sampling(get) return get "do_sample" end

local function is_of_top_k(get, runs)
  return get "do_sample" or runs.contrastive
end

local function has_assistant(get) return get "assistant_model" end

local function is_lookup(get, runs)
  return runs.speculative and not get "assistant_model"
end

local sampling = {is_sampling, "do_sample = true"}
local of_top_k = {is_of_top_k, "do_sample = true"}
local assistant = {has_assistant, "assistant_model"}
local lookup = {is_lookup, "prompt_lookup_num_tokens"}
local beam_search <const> = "a beam search (num_beams above 1)"
local search = {set "beam diverse_beam constrained_beam", beam_search}
local worth = {set("beam diverse_beam constrained_beam stochastic_beam "
                   .. "best_of_n"), beam_search}
local width = {set "beam diverse_beam constrained_beam stochastic_beam",
               "a strategy with beams"}
local groups = {set "diverse_beam",
                'the strategy "diverse_beam" (num_beam_groups above 1)'}
local best_of = {set "best_of_n minimum_bayes_risk", "best_of"}
local alternatives = {set "alternatives", "return_alternatives"}

local function only(strategy)
  return {set(strategy), ("the strategy %q"):format(strategy)}
end

-- What a field needs to have an effect: a set of strategies of which one has
-- to run, or a condition on other fields; and its name. Fields that are not
-- here act in all of them.
local needs = {
  temperature = sampling, top_k = of_top_k, top_p = sampling,
  min_p = sampling, top_h = sampling, typical_p = sampling,
  epsilon_cutoff = sampling, eta_cutoff = sampling,
  num_beams = width, early_stopping = search, length_penalty = worth,
  diversity_penalty = groups, num_beam_groups = only "diverse_beam",
  force_words_ids = only "constrained_beam", coverage_penalty = only "beam",
  penalty_alpha = only "contrastive", dola_layers = only "dola",
  assistant_model = only "speculative",
  prompt_lookup_num_tokens = only "speculative",
  num_assistant_tokens = assistant, assistant_confidence_threshold = assistant,
  max_matching_ngram_size = lookup,
  best_of = best_of, inner_strategy = best_of, reward = best_of,
  utility = best_of,
  return_alternatives = only "alternatives",
  min_alternative_expansion_prob = alternatives,
}

-- Values that change nothing wherever they stand, beside the default.
local neutral = {min_p = 0, typical_p = 1, epsilon_cutoff = 0, eta_cutoff = 0,
                 coverage_penalty = 0, penalty_alpha = 0,
                 min_alternative_expansion_prob = 0}

local function holds(need, get, runs)
  if type(need) == "function" then return need(get, runs) end
  for name in pairs(runs) do
    if need[name] then return true end
  end
end

-- The value in front of the rule, where it says something.
local function shown(name, value)
  if type(value) == "table" or type(value) == "function" then return name end
  return ("%s is %s, but"):format(name, tostring(value))
end

-- The strategy that the caller names, beside which another field is idle.
local function beside(caller)
  for _, field in ipairs{"inner_strategy", "strategy"} do
    local name = rawget(caller, field)
    if type(name) == "string" then return ("; %s is %q"):format(field, name) end
  end
  return ""
end

-- runs: the strategies that will run, or nil: in one of the caller's own any
-- field may act.
function rules.without_effect(caller, get, runs, defaults)
  if not runs then return nil end
  local wrong
  for name, value in next, caller do
    local need = needs[name]
    if need and value and value ~= defaults[name] and value ~= neutral[name]
       and not holds(need[1], get, runs) and (not wrong or name < wrong) then
      wrong = name
    end
  end
  return wrong and ("%s has no effect without %s%s"):format(
    shown(wrong, rawget(caller, wrong)), needs[wrong][2], beside(caller))
end


-- ---- ids ----

local function is_outside(id, vocab) return id >= vocab and id end

local function ids_outside(ids, vocab)
  if type(ids) ~= "table" then return is_outside(ids, vocab) end
  for i = 1, #ids do
    local found = ids_outside(ids[i], vocab)
    if found then return found end
  end
end

local function bias_outside(biases, vocab)
  for _, pair in ipairs(biases) do
    local found = ids_outside(pair[1], vocab)
    if found then return found end
  end
end

local holders = {
  bad_words_ids = ids_outside, begin_suppress_tokens = ids_outside,
  bos_token_id = ids_outside, decoder_start_token_id = ids_outside,
  eos_token_id = ids_outside, forced_bos_token_id = ids_outside,
  forced_eos_token_id = ids_outside, pad_token_id = ids_outside,
  sequence_bias = bias_outside, suppress_tokens = ids_outside,
  decoder_input_ids = ids_outside,
}

function rules.outside(caller, get, vocab)
  local wrong, id
  for name, value in next, caller do
    local look = value and holders[name]
    local found = look and look(get(name), vocab)
    if found and (not wrong or name < wrong) then wrong, id = name, found end
  end
  return wrong and ("%s has the id %d; the ids of the model go from 0 to %d")
                   :format(wrong, id, vocab - 1)
end

return rules
