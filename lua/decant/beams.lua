-- decant.beams: the bookkeeping of beam searches, in the terms of the search.
--
--   beam       {ids = new tokens, score = sum of log-probabilities,
--               row = the session's row that holds it, id = its last token}
--   candidate  a beam that might be: the same fields, row being its parent's,
--              and finish = false or why it stops
--   slot       a finished row {ids, score = penalised by length, finish}, or
--              an empty one {score = DEAD}
--
-- Rules and the value of DEAD: transformers >= 4.50 (generate.md, section
-- 3.3). Equal scores keep the order of their lists, so the lower beam and then
-- the lower id wins.

local core = require "decant.core"

local beams = {}

local DEAD = -1e9


-- The first `n` of `list` by score.
local function best(n, list)
  for i, item in ipairs(list) do item.order = i end
  table.sort(list, function(a, b)
    if a.score ~= b.score then return a.score > b.score end
    return a.order < b.order
  end)
  return table.move(list, 1, math.min(n, #list), 1, {})
end


-- One beam of score 0 and width - 1 dead ones, all on the session's only row.
-- Where few tokens are allowed the dead ones fill the places that are left.
function beams.start(width)
  local list = {}
  for i = 1, width do
    list[i] = {ids = {}, score = i == 1 and 0 or DEAD, row = 1}
  end
  return list
end


-- What a row of `length` new tokens is worth among finished ones.
function beams.penalised(score, length, penalty)
  return score / length ^ penalty
end


function beams.empty_slots(width)
  local list = {}
  for i = 1, width do list[i] = {score = DEAD} end
  return list
end


-- Turns raw scores into what the search adds up: log-probabilities, then the
-- processors (which so never see a beam's score). One Logits a beam; beams on
-- the same row share one.
local function log_probabilities(running, rows, opts)
  local list, done = {}, {}
  for i, beam in ipairs(running) do
    local logits = rows[beam.row]
    if not done[beam.row] then
      logits:log_softmax()
      opts.process(logits, beam.ids)
      done[beam.row] = true
    end
    list[i] = logits
  end
  return list
end


local function extended(ids, id)
  local copy = table.move(ids, 1, #ids, 1, {})
  copy[#copy + 1] = id
  return copy
end


-- The `count` candidates of one step: the best first, or with opts.do_sample
-- in the order in which they were drawn.
function beams.expand(running, rows, opts, count)
  local list, scores = log_probabilities(running, rows, opts), {}
  for i, beam in ipairs(running) do scores[i] = beam.score end
  local found
  if opts.do_sample then
    found = core.beam_sample(list, scores, count, opts.rng)
  else
    found = core.beam_candidates(list, scores, count)
  end
  for _, candidate in ipairs(found) do
    local parent = running[candidate.row]
    candidate.ids = extended(parent.ids, candidate.id)
    candidate.row = parent.row
    candidate.finish = opts.stop(candidate.ids)
  end
  return found
end


-- The `width` beams that go on. A candidate that has stopped is dead, but
-- goes on where there are not enough others.
function beams.go_on(candidates, width)
  local list = {}
  for i, c in ipairs(candidates) do
    list[i] = {ids = c.ids, id = c.id, row = c.row,
               score = c.score + (c.finish and DEAD or 0)}
  end
  return best(width, list)
end


-- `slots` after what stopped among the first #slots candidates took its place.
function beams.finish(slots, candidates, penalty)
  local list = table.move(slots, 1, #slots, 1, {})
  for i = 1, math.min(#slots, #candidates) do
    local c = candidates[i]
    if c.finish then
      list[#list + 1] = {ids = c.ids, finish = c.finish,
                         score = beams.penalised(c.score, #c.ids, penalty)}
    end
  end
  return best(#slots, list)
end


function beams.all_stopped(candidates)
  for _, candidate in ipairs(candidates) do
    if not candidate.finish then return false end
  end
  return true
end


-- Appends the chosen tokens to the cache; returns the rows of the next step.
function beams.advance(session, running)
  local parents, ids = {}, {}
  for i, beam in ipairs(running) do
    parents[i], ids[i] = beam.row, {beam.id}
    beam.row = i
  end
  session:reorder(parents)
  return session:forward(ids)
end


-- The filled slots, `n` at most. Where nothing has finished (too few tokens
-- were allowed): the best running beam as it is.
function beams.hypotheses(slots, running, penalty, n)
  local list = {}
  for _, slot in ipairs(slots) do
    if slot.finish and #list < n then
      list[#list + 1] = {ids = slot.ids, score = slot.score,
                         finish = slot.finish}
    end
  end
  if #list == 0 then
    local ids = running[1].ids
    list[1] = {ids = ids, finish = "length",
               score = beams.penalised(running[1].score, #ids, penalty)}
  end
  return list
end

return beams
