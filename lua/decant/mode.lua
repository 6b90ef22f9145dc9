-- decant.mode: which strategy the fields of a config ask for, by the rules of
-- transformers (generate.md, section 1.3) and for decant's own fields by the
-- same idea: what is set picks the mode. config.strategy goes before all.
--
--   mode.of(config)        -> the name of a strategy
--   mode.returns_all(name) -> whether one run of it finds all of the
--                             num_return_sequences; else each is a run
--   mode.inner(config)     -> the strategy that best_of_n goes around
--   mode.runs(config)      -> the set of the strategies that run, an inner one
--                             too; nil where one is the caller's own
--   mode.rows(config)      -> how many rows one run of it keeps alive
--   mode.wrong(get, caller)
--                          -> nil, or which fields exclude each other
--   mode.wrong_for(model, config)
--                          -> nil, or what this model cannot do

local constraints = require "decant.constraints"
local drafts = require "decant.drafts"

local mode = {}


local function is_set(value) return value ~= nil and value ~= false end

local function has_words(config)
  return is_set(config.force_words_ids) and #config.force_words_ids > 0
end

local function is_contrastive(config)
  return (config.penalty_alpha or 0) > 0 and (config.top_k or 0) > 1
         and not config.do_sample
end

local function is_speculative(config)
  return is_set(config.assistant_model)
         or is_set(config.prompt_lookup_num_tokens)
end


-- With one row at a time.
local function single(config)
  if is_speculative(config) then return "speculative" end
  if is_set(config.dola_layers) then return "dola" end
  if is_contrastive(config) then return "contrastive" end
  return config.do_sample and "sample" or "greedy"
end


-- What runs if nothing goes around it (best_of, alternatives).
local function inner(config)
  if (config.num_beams or 1) == 1 then return single(config) end
  if has_words(config) then return "constrained_beam" end
  if (config.num_beam_groups or 1) > 1 then return "diverse_beam" end
  return "beam"
end


function mode.of(config)
  if config.strategy then return config.strategy end
  if config.return_alternatives then return "alternatives" end
  if is_set(config.best_of) then
    return config.utility and "minimum_bayes_risk" or "best_of_n"
  end
  return inner(config)
end


-- The strategy of which best_of_n and minimum_bayes_risk take several results.
function mode.inner(config)
  return config.inner_strategy or inner(config)
end


local all = {
  beam = true, diverse_beam = true, constrained_beam = true,
  stochastic_beam = true, best_of_n = true, minimum_bayes_risk = true,
  alternatives = true,
}

function mode.returns_all(name)
  return all[name] or false
end


-- Strategies that choose among the results of another.
local chooses = {best_of_n = true, minimum_bayes_risk = true}

-- Those whose fields are known.
local bundled = {
  alternatives = true, beam = true, best_of_n = true, constrained_beam = true,
  contrastive = true, diverse_beam = true, dola = true, greedy = true,
  minimum_bayes_risk = true, sample = true, speculative = true,
  stochastic_beam = true,
}

function mode.runs(config)
  local name = mode.of(config)
  local runs = {[name] = true}
  if chooses[name] then runs[mode.inner(config)] = true end
  for each in pairs(runs) do
    if not bundled[each] then return nil end
  end
  return runs
end


function mode.rows(config)
  local name = mode.of(config)
  if name == "contrastive" then return math.max(config.top_k or 1, 1) end
  if name == "alternatives" then return config.num_return_sequences end
  if config.best_of and all[name] then
    return config.best_of * config.num_beams
  end
  return config.num_beams
end


local function beams(config) return config.num_beams > 1 end

-- When a field is on that can exclude another, and what it is called then, if
-- not by its name: {whether it holds, name}.
local on = {
  num_beams = {beams, "num_beams above 1"},
  num_beam_groups = {function(c) return c.num_beam_groups > 1 end,
                     "num_beam_groups above 1"},
  force_words_ids = {has_words},
  penalty_alpha = {function(c) return (c.penalty_alpha or 0) > 0 end,
                   "penalty_alpha (contrastive search)"},
  coverage_penalty = {function(c) return (c.coverage_penalty or 0) > 0 end,
                      "coverage_penalty (of plain beam search)"},
}

local function is_on(field, config)
  if on[field] then return on[field][1](config) end
  return is_set(config[field])
end

-- What a field is called that is on: where the caller did not set it, but named
-- a strategy, that implies it.
local function called(field, caller)
  local strategy = rawget(caller, "strategy")
  if strategy and not rawget(caller, field) then
    return ("strategy %q"):format(strategy)
  end
  return on[field] and on[field][2] or field
end

-- Fields that cannot be on together: one that the caller sets, and others,
-- wherever they come from. What only the model's file sets gives way, by the
-- order of `mode.of`.
local exclusive = {
  {"force_words_ids", "do_sample", "num_beam_groups"},
  {"coverage_penalty", "num_beam_groups", "force_words_ids"},
  {"penalty_alpha", "num_beams", "do_sample", "dola_layers",
   "assistant_model", "prompt_lookup_num_tokens"},
  {"dola_layers", "num_beams", "assistant_model", "prompt_lookup_num_tokens"},
  {"assistant_model", "num_beams", "prompt_lookup_num_tokens"},
  {"prompt_lookup_num_tokens", "num_beams"},
  {"best_of", "return_alternatives"},
  {"reward", "utility"},
  {"return_alternatives", "num_beams", "dola_layers", "penalty_alpha",
   "assistant_model", "prompt_lookup_num_tokens"},
}

-- Rows of one input at most, as in config/types.lua.
local MOST_ROWS <const> = 65536

-- What a field that the caller sets needs: {field, whether it lacks it,
-- message}.
local lacking = {
  {"force_words_ids",
   function(c) return has_words(c) and not beams(c) end,
   "force_words_ids needs num_beams above 1"},
  {"coverage_penalty",
   function(c) return (c.coverage_penalty or 0) > 0 and not beams(c) end,
   "coverage_penalty needs num_beams above 1"},
  {"penalty_alpha",
   function(c) return (c.penalty_alpha or 0) > 0 and (c.top_k or 0) < 2 end,
   "penalty_alpha (contrastive search) needs top_k above 1, the number of "
   .. "candidates"},
  {"best_of",
   function(c) return c.strategy and not chooses[c.strategy] end,
   "best_of goes around inner_strategy, not around strategy"},
  {"top_k",
   function(c) return mode.of(c) == "contrastive" and c.top_k > MOST_ROWS end,
   "contrastive search has a row for each of its top_k candidates: top_k must "
   .. "be at most " .. MOST_ROWS},
  {"inner_strategy",
   function(c) return chooses[c.inner_strategy] end,
   "inner_strategy must not choose among results itself, as best_of_n and "
   .. "minimum_bayes_risk do"},
  {"best_of",
   function(c) return not c.do_sample and not c.inner_strategy end,
   "best_of takes several draws: do_sample must be true"},
  {"best_of",
   function(c) return c.num_return_sequences > (c.best_of or 0) end,
   "num_return_sequences must be at most best_of"},
}


local function wrong_together(config, caller)
  for _, entry in ipairs(exclusive) do
    local field = entry[1]
    for i = 2, rawget(caller, field) and is_on(field, config) and #entry or 0 do
      if is_on(entry[i], config) then
        return ("%s and %s exclude each other"):format(
          called(field, caller), called(entry[i], caller))
      end
    end
  end
end


-- `get` reads a field, `caller` is the table that the caller gave. What a
-- strategy of the caller's does with the fields is its own affair.
function mode.wrong(get, caller)
  if type(get "strategy") == "function" then return nil end
  local config = setmetatable({}, {__index = function(_, name)
    return get(name)
  end})
  for _, rule in ipairs(lacking) do
    if rawget(caller, rule[1]) and rule[2](config) then return rule[3] end
  end
  return wrong_together(config, caller)
end


-- ---- what needs the model ----

local function wrong_assistant(model, config)
  local wrong = config.assistant_model and
                drafts.check(model, config.assistant_model)
  return wrong and "assistant_model " .. wrong
end


local function wrong_layers(model, config)
  local n = model.config.decoder_layers or model.config.layers
  local layers = config.dola_layers
  for _, layer in ipairs(type(layers) == "table" and layers or {}) do
    if layer >= n then
      return ("dola_layers has %d; early exits are numbered 0 to %d")
             :format(layer, n - 1)
    end
  end
end


local function wrong_words(model, config)
  if not has_words(config) then return nil end
  local eos = config.eos_token_id or {}
  return constraints.wrong(config.force_words_ids, {
    vocab = model.config.vocab, eos = type(eos) == "table" and eos or {eos},
    suppressed = config.suppress_tokens or {},
    bad_words = config.bad_words_ids or {},
  })
end


local function wrong_negative(model, config)
  local rows, context = config.negative_prompt_ids or {}, model.config.context
  for _, row in ipairs(type(rows[1]) == "table" and rows or {rows}) do
    if context and #row >= context then
      return ("negative_prompt_ids has %d ids; the context of the model holds "
              .. "%d positions"):format(#row, context)
    end
  end
end


function mode.wrong_for(model, config)
  if (config.coverage_penalty or 0) > 0 and model.kind == "causal" then
    return "coverage_penalty: a causal model has no cross-attention"
  end
  return wrong_assistant(model, config) or wrong_layers(model, config)
         or wrong_words(model, config) or wrong_negative(model, config)
end

return mode
