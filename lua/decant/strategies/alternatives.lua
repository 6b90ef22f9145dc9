-- Alternatives (CTranslate2's return_alternatives): the num_return_sequences
-- most probable tokens behind the prompt, each with what follows it. With a
-- forced prefix (decoder_input_ids, or a causal model's prompt) that shows
-- what a text could have gone on with at this place.
--
-- What follows is greedy search, or sampling with do_sample. Tokens less
-- probable than min_alternative_expansion_prob are left out, but for the best.
-- All rows go through the model together.
--
-- Returns them in the order of their first tokens; the score is the sum of
-- log-probabilities.

local core = require "decant.core"
local options = require "decant.options"


-- One row for each first token.
local function begin(logits, opts)
  local rows = {}
  local seed, number = opts.rng:state()
  local least = opts.min_alternative_expansion_prob or 0
  for i, token in ipairs(logits:top(opts.num_return_sequences or 1)) do
    if i == 1 or token.prob >= least then
      rows[i] = {ids = {token.id}, score = math.log(token.prob), place = 1,
                 rng = core.rng(seed):row(number + ((i - 1) << 32))}
      rows[i].finish = opts.stop(rows[i].ids)
    end
  end
  return rows
end


-- Feeds the last tokens of the rows that have not stopped; returns these, and
-- the scores of what follows.
local function advance(session, rows)
  local live, parents, fed = {}, {}, {}
  for _, row in ipairs(rows) do
    if not row.finish then
      live[#live + 1] = row
      parents[#live], fed[#live] = row.place, {row.ids[#row.ids]}
      row.place = #live
    end
  end
  if #live == 0 then return live end
  return live, session:reorder(parents):forward(fed)
end


return function(session, prompt, opts)
  opts = options(opts)
  local logits = session:feed(prompt)
  opts.process(logits, {})
  local rows = begin(logits, opts)
  opts.emit(rows[1].ids[1])
  local live, scores = advance(session, rows)
  while #live > 0 do
    for i, row in ipairs(live) do
      opts.process(scores[i], row.ids)
      local id = opts.do_sample and scores[i]:sample(row.rng)
                 or scores[i]:argmax()
      row.score = row.score + math.log(scores[i]:probability(id))
      row.ids[#row.ids + 1] = id
      if row == rows[1] then opts.emit(id) end
      row.finish = opts.stop(row.ids)
    end
    live, scores = advance(session, rows)
  end
  return rows
end
