-- processors/from_config.lua: the list of processors that a config asks for, in
-- transformers' order.

local core = require "decant.core"
local built_in = require("decant.processors.built_in").factories
local callable = require("decant.processors.objects").callable
local guided = require "decant.processors.guidance"
local prefix_allowed = require "decant.processors.prefix_allowed"
local show = require "decant.show"

-- The field of a config, and what makes its processor: a function of the
-- value and of where it is used, or nil where that has no use for it. In
-- transformers' order. A field that is absent, false or (unless `empty`) an
-- empty table is off.
local constraints = {
  {"guidance_scale", function(scale, env)
    if scale == 1 then return nil end
    if not env.session then
      error("guidance_scale asks for a causal model: there is no row without "
            .. "the prompt to be guided by", 0)
    end
    return guided.guidance {
      guidance_scale = scale, unconditional = env.session,
      negative_prompt_ids = env.negative}
  end},
  {"sequence_bias", built_in.sequence_bias},
  {"encoder_repetition_penalty", function(penalty, env)
    return penalty ~= 1 and env.source
           and built_in.encoder_repetition_penalty {
             penalty = penalty, encoder_input_ids = env.source}
  end},
  {"repetition_penalty", function(penalty)
    return penalty ~= 1 and built_in.repetition_penalty(penalty)
  end},
  {"no_repeat_ngram_size", function(n)
    return n > 0 and built_in.no_repeat_ngram(n)
  end},
  {"encoder_no_repeat_ngram_size", function(n, env)
    return n > 0 and env.source and built_in.encoder_no_repeat_ngram {
      ngram_size = n, encoder_input_ids = env.source}
  end},
  {"bad_words_ids", function(words, env)
    return built_in.bad_words {bad_words_ids = words, eos_token_id = env.eos}
  end},
  {"min_length", function(n, env)  -- min_new_tokens overrides it
    return n > 0 and #env.eos > 0 and not env.has_min_new_tokens
           and built_in.min_length {min_length = n, eos_token_id = env.eos}
  end},
  {"min_new_tokens", function(n, env)
    return n > 0 and #env.eos > 0 and built_in.min_new_tokens {
      min_new_tokens = n, prompt_length = env.prompt, eos_token_id = env.eos}
  end},
  {"prefix_allowed_tokens_fn", function(fn, env)
    return prefix_allowed {
      prefix_allowed_tokens_fn = fn, batch_index = env.batch_index,
      num_beams = env.beams and 2 or 1}
  end},
  {"forced_bos_token_id", built_in.forced_bos},
  {"forced_eos_token_id", function(ids, env)
    return built_in.forced_eos {max_length = env.max_length,
                                eos_token_id = ids}
  end},
  {"remove_invalid_values", function()
    return built_in.remove_invalid_values()
  end},
  {"exponential_decay_length_penalty", function(decay, env)
    return #env.eos > 0 and built_in.exponential_decay {
      start = decay[1], factor = decay[2], input_length = env.prompt,
      eos_token_id = env.eos}
  end},
  {"suppress_tokens", built_in.suppress_tokens},
  {"begin_suppress_tokens", function(ids, env)
    return built_in.begin_suppress_tokens {tokens = ids,
                                           begin_index = env.begin}
  end},
}

-- A filter with its value, unless that is the one that filters nothing.
local function filter(name, off)
  return function(value, env)
    return value ~= off and built_in[name] {
      [name] = value, min_tokens_to_keep = env.keep}
  end
end

local sampling = {
  {"temperature", function(t)
    return t ~= 1 and built_in.temperature(t)
  end},
  {"top_h", built_in.top_h},
  {"top_k", filter("top_k", 0)},
  {"top_p", filter("top_p", 1)},
  {"min_p", filter("min_p")},
  {"typical_p", filter("typical_p", 1)},
  {"epsilon_cutoff", filter("epsilon_cutoff", 0)},
  {"eta_cutoff", filter("eta_cutoff", 0)},
}

local last = {
  {"watermarking_config", function(arguments)
    local kind = arguments.keys and "synthid" or "watermark"
    return built_in[kind](arguments)
  end, empty = true},
  {"renormalize_logits", function() return built_in.renormalize() end},
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

-- Raises at the first id of `value`, an id or a list of lists of them, that the
-- vocabulary has not.
local function check_ids(name, value, vocab)
  if type(value) == "table" then
    for _, each in ipairs(value) do check_ids(name, each, vocab) end
  elseif type(value) == "number" and value >= vocab then
    error(("%s: id %d is not in the vocabulary (0 to %d)"):format(
          name, value, vocab - 1), 0)
  end
end

local holders = {"bad_words_ids", "forced_bos_token_id",
                 "forced_eos_token_id", "negative_prompt_ids"}

-- What could only be seen at the first step otherwise. (Banning an id that
-- there is not is no mistake.)
local function check_vocabulary(config, vocab)
  for _, name in ipairs(holders) do check_ids(name, config[name], vocab) end
  for _, pair in ipairs(config.sequence_bias or {}) do
    check_ids("sequence_bias", pair[1], vocab)
  end
end

-- The negative prompt of one row: one for all, or one for each input.
local function negative_of(config, index)
  local ids = config.negative_prompt_ids
  if not ids or type(ids[1]) ~= "table" then return ids or nil end
  if not ids[index] then
    error(("negative_prompt_ids has no row for input %d"):format(index), 0)
  end
  return ids[index]
end

local function environment(config, context)
  local eos = list(context.eos or config.eos_token_id)
  local prompt = context.prompt_length or 0
  local forced = prompt <= 1 and is_set(config.forced_bos_token_id)
  return {
    eos = eos, prompt = prompt, source = context.encoder_ids,
    beams = context.beams, batch_index = context.batch_index or 1,
    session = context.session, vocab = context.vocab,
    negative = negative_of(config, context.batch_index or 1),
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
    local set = value and (is_set(value)
                           or rule.empty and type(value) == "table")
    local processor = set and rule[2](value, env)
    if processor then
      result[#result + 1] = processor
      place[core.processor_kind(processor) or processor] = #result
    end
  end
end

local function check_context(config, context)
  if type(config) ~= "table" then
    error("from_config: a config expected, got a " .. type(config), 3)
  elseif type(context) ~= "table" then
    error("from_config: the context is a " .. type(context)
          .. ", must be a table", 3)
  end
  for _, name in ipairs {"prompt_length", "max_length", "batch_index",
                         "vocab"} do
    local value = context[name]
    if value ~= nil and math.type(value) ~= "integer" then
      error(("from_config: %s is %s, must be an integer"):format(
            name, show(value)), 3)
    end
  end
  if context.session ~= nil and not callable(context.session) then
    error("from_config: session must be a function that opens one", 3)
  end
end

--- The list of processors that `config` asks for, in transformers' order:
-- guidance, what constrains, the user's config.processors, the filters if
-- config.do_sample, the watermark, renormalize. A user's built-in of a kind
-- that the config asks for takes the place of that one. context: prompt_length
-- (0), encoder_ids, eos (a list; else the config's), max_length (of the whole
-- row; else the config's), beams (true in beam search), batch_index (1),
-- session (opens one on nothing, for guidance; nil where there is none), vocab
-- (its size: then ids are checked).
return function(config, context)
  context = context == nil and {} or context
  check_context(config, context)
  local env = environment(config, context)
  local result, place = {}, {}
  if env.vocab then check_vocabulary(config, env.vocab) end
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
