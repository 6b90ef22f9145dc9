-- decant.review: what a result shall tell of its tokens and nobody noted while
-- they were decided: log-probabilities of a beam search or of a strategy of
-- the caller, alternatives, attention. The finished row is read once more
-- (reread.lua).
--
--   review(call, item, source, result, ids)   fills in, if the config asks:
--     result.logprobs          log-probability of each new token
--     result.top_logprobs      for each the best tokens {{id =, logprob =},...}
--     result.cross_attentions  Tensor [new tokens, source length]

local core = require "decant.core"
local mode = require "decant.mode"
local reread = require "decant.reread"
local row = require "decant.row"


-- Whether the strategy shows log-probabilities to the processors, and whether
-- it adds up what these make of them as it stands (a beam search), or takes
-- the distribution that it stands for.
local function habits_of(config)
  local stochastic = (mode.runs(config) or {}).stochastic_beam
  local beams = config.num_beams > 1
  return beams or stochastic, beams and not stochastic
end


-- What visits the scores: notes log-probabilities under the processors.
local function listener(call, item, result, ids, opened)
  local config = call.config
  local chain = row.processors(call, item, opened)
  local before_processors, as_they_stand = habits_of(config)
  local n_top, before = config.top_logprobs, {}
  result.logprobs = {}
  result.top_logprobs = n_top and {} or nil
  return function(i, logits)
    if before_processors then logits:log_softmax() end
    chain(logits, before)
    local id = ids[i]
    result.logprobs[i] = as_they_stand and logits[id]
                         or logits:log_probability(id)
    if n_top then
      result.top_logprobs[i] = row.alternatives(logits, n_top, as_they_stand)
    end
    before[i] = id
  end
end


return function(call, item, source, result, ids)
  local config = call.config
  local wants_scores = row.wants_logprobs(config) and not result.logprobs
                       or config.top_logprobs and not result.top_logprobs
  local attends = config.output_attentions
  if #ids == 0 or not wants_scores and not attends then return end
  local opened <close> = row.sessions()
  local note = wants_scores and listener(call, item, result, ids, opened)
  local rows = {}
  local want = {every = wants_scores or nil, attention = attends or nil}
  local reader <close> = reread.open(call.model, source, item.prompt, want)
  reader:read(ids, function(i, logits, attention)
    if note then note(i, logits) end
    if attends then rows[i] = attention:totable() end
  end)
  if attends then result.cross_attentions = core.tensor(rows) end
end
