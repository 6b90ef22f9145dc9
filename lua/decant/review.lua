-- decant.review: what a result shall tell of its tokens and nobody noted while
-- they were decided: log-probabilities of a beam search or of a strategy of
-- the caller, alternatives, attention. The finished row goes through the
-- decoder once more, all positions in a few passes; the bits are those of the
-- search (they depend on no chunking), so nothing has to be kept in it.
--
--   review(call, item, source, result, ids)   fills in, if the config asks:
--     result.logprobs          log-probability of each new token
--     result.top_logprobs      for each the best tokens {{id =, logprob =},...}
--     result.cross_attentions  Tensor [new tokens, source length]

local core = require "decant.core"
local row = require "decant.row"
local session = require "decant.session"

-- Positions at once: each is a row of the vocabulary's size.
local POSITIONS <const> = 32


-- Calls visit(i, logits, attention) for i = 1 .. #ids: the scores that ids[i]
-- was chosen from and, if `attends`, what was read of the source meanwhile.
local function visit_all(timeline, prompt, ids, attends, visit)
  local logits, extra = timeline:feed(prompt, attends and {attention = true}
                                              or nil)
  visit(1, logits, extra and extra.attention[#prompt])
  local want = {every = true, attention = attends or nil}
  for from = 1, #ids - 1, POSITIONS do
    local to = math.min(from + POSITIONS, #ids) - 1
    extra = select(2, timeline:feed(table.move(ids, from, to, 1, {}), want))
    for i = from, to do
      local at = i - from + 1
      visit(i + 1, extra.every[at], attends and extra.attention[at])
    end
  end
end


-- What visits the scores: notes log-probabilities under the processors.
local function listener(call, item, result, ids, opened)
  local config = call.config
  local chain = row.processors(call, item, opened)
  local beams, n_top = config.num_beams > 1, config.top_logprobs
  local before = {}
  result.logprobs = {}
  result.top_logprobs = n_top and {} or nil
  return function(i, logits)
    -- a beam search adds up what the processors make of log-probabilities
    if beams then logits:log_softmax() end
    chain(logits, before)
    local id = ids[i]
    result.logprobs[i] = beams and logits[id] or logits:log_probability(id)
    if n_top then
      result.top_logprobs[i] = row.alternatives(logits, n_top, beams)
    end
    before[i] = id
  end
end


return function(call, item, source, result, ids)
  local config, model = call.config, call.model
  local wants_scores = row.wants_logprobs(config) and not result.logprobs
                       or config.top_logprobs and not result.top_logprobs
  local attends = config.output_attentions
  if #ids == 0 or not wants_scores and not attends then return end
  local opened <close> = row.sessions()
  local note = wants_scores and listener(call, item, result, ids, opened)
  local rows = {}
  local timeline <close> = session.new(model.core:rows(1, source),
                                       model.engine, model.config, model)
  visit_all(timeline, item.prompt, ids, attends, function(i, logits, attention)
    if note then note(i, logits) end
    if attends then rows[i] = attention:totable() end
  end)
  if attends then result.cross_attentions = core.tensor(rows) end
end
