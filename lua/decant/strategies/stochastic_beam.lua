-- Stochastic beam search (Kool, van Hoof, Welling 2019): num_beams rows drawn
-- from the model without replacement. Every row has a key, its log-probability
-- plus Gumbel noise; the rows with the highest keys are such a draw.
--
-- The best child of a beam has its parent's key (gumbel.lua), so the first row
-- is plain sampling.
--
-- Returns the num_return_sequences rows with the highest keys, in their order;
-- the score is the sum of log-probabilities, divided by length ^ length_penalty
-- as in beam search. temperature, top_k, ... shape the distribution.

local beams = require "decant.beams"
local gumbel = require "decant.gumbel"
local options = require "decant.options"


-- The `width` children of a beam with the highest keys.
local function children(beam, logits, opts, width)
  logits:log_softmax()
  opts.process(logits, beam.ids)
  logits:log_softmax()
  local list = gumbel.draws(logits, width, beam.score, beam.key, opts.rng)
  for _, child in ipairs(list) do
    child.parent, child.row = beam, beam.row
    child.score = beam.score + child.score
    child.finish = beams.judge(child, opts.stop)
  end
  return list
end


-- The `width` of `list` with the highest keys: those that go on, and those
-- that have stopped.
local function choose(list, width)
  local live, ended = {}, {}
  for _, row in ipairs(beams.best(width, list, "key")) do
    local part = row.finish and ended or live
    part[#part + 1] = row
  end
  return live, ended
end


local function ended_row(child, ids)
  return {ids = ids, key = child.key, score = child.score,
          finish = child.finish}
end


-- One step: the beams that go on, and all rows that have ended so far.
local function step(running, ended, rows, opts, width)
  local all = table.move(ended, 1, #ended, 1, {})
  for _, beam in ipairs(running) do
    local list = children(beam, rows[beam.row], opts, width)
    table.move(list, 1, #list, #all + 1, all)
  end
  local live, done = choose(all, width)
  for i, row in ipairs(done) do
    if row.parent then done[i] = ended_row(row, beams.ids_of(row)) end
  end
  return beams.become(live), done
end


-- Of all rows the one with the highest key will win: its best child has the
-- same key.
local function leader(running, ended)
  local a, b = running[1], ended[1]
  return (not b or a and a.key > b.key) and a or b
end


return function(session, prompt, opts)
  opts = options(opts)
  local width = opts.num_beams or 4
  local running, ended = {{ids = {}, score = 0, key = 0, row = 1}}, {}
  local rows, told = {(session:feed(prompt))}, 0
  while true do
    running, ended = step(running, ended, rows, opts, width)
    local first = leader(running, ended).ids
    for i = told + 1, #first do opts.emit(first[i]) end
    told = #first
    if #running == 0 then break end
    rows = beams.advance(session, running, nil, rows)
  end
  local found = {}
  for i = 1, math.min(opts.num_return_sequences or 1, #ended) do
    local row = ended[i]
    found[i] = {ids = row.ids, finish = row.finish,
                score = beams.worth(row.score, #row.ids, opts)}
  end
  return found
end
