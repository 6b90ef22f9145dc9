-- decant.beams: the bookkeeping of beam searches, in the terms of the search.
--
--   beam       {ids = new tokens, score = sum of log-probabilities,
--               row = the session's row that holds it, id = its last token}
--   candidate  a beam that might be: {parent = beam, row = the parent's, id,
--               score, finish = false or why it stops}; with ids in place of
--               its parent it is one
--   slot       a finished row {ids, score = its worth, finish}, or an empty
--               one {score = DEAD}
--
-- Rules and the value of DEAD: transformers >= 4.50 (generate.md, section
-- 3.3). Equal scores keep the order of their lists, so the lower beam and then
-- the lower id wins.
--
-- What a reader would get wrong: a candidate has no ids of its own. Of the
-- children of a beam that go on, the last one takes the list of its parent
-- over; only the others copy it (go_on, which so comes last in a step).

local core = require "decant.core"

local beams = {}

local DEAD <const> = -1e9


-- The first `n` of `list` by the field `key`, equal ones as they stood; sorts
-- the list, and returns it where that is all of it. By insertion, for it is
-- short and nearly in order already.
function beams.best(n, list, key)
  for i = 2, #list do
    local item = list[i]
    local value, place = item[key], i
    while place > 1 and list[place - 1][key] < value do
      list[place] = list[place - 1]
      place = place - 1
    end
    list[place] = item
  end
  return n < #list and {table.unpack(list, 1, n)} or list
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


-- How many candidates of a step are looked at: enough that `width` go on even
-- if all end tokens of all beams are among them.
local function count_of(opts, width)
  local eos = opts.eos_token_id
  local n_eos = type(eos) == "table" and #eos or (eos and 1 or 0)
  return math.max(2, 1 + n_eos) * width
end


-- sum over the source of log(min(attention so far, 1)): 0 where all of it was
-- looked at (Wu et al. 2016, equation 14).
local function covered(coverage)
  local sum = 0
  for _, attention in ipairs(coverage) do
    if attention > 0 then sum = sum + math.log(math.min(attention, 1)) end
  end
  return sum
end


-- What a row of `length` new tokens is worth among finished ones. coverage:
-- a Tensor [source], the attention of its steps added up, or nil.
function beams.worth(score, length, opts, coverage)
  local worth = score / length ^ (opts.length_penalty or 1)
  if coverage then worth = worth + opts.coverage_penalty * covered(coverage) end
  return worth
end


function beams.empty_slots(width)
  local list = {}
  for i = 1, width do list[i] = {score = DEAD} end
  return list
end


-- Turns raw scores into what the search adds up: log-probabilities, `before`
-- if there is one, then the processors (which so never see a beam's score).
-- One Logits a beam; beams on the same row (at the start) share one. Where each
-- beam has one row and there are no others, that is the list `rows` itself.
local function log_probabilities(running, rows, opts, before)
  local list, last = {}, nil
  if #rows == #running and not before then list = rows end
  for i = 1, #running do
    local beam = running[i]
    if beam.row ~= last then
      last = beam.row
      local logits = before and rows[last]:clone() or rows[last]
      logits:log_softmax()
      if before then before(logits) end
      opts.process(logits, beam.ids)
      list[i] = logits
    else
      list[i] = list[i - 1]
    end
  end
  return list
end


-- Why the candidate's row would stop, or false.
function beams.judge(candidate, stop)
  local ids = candidate.parent.ids
  local n = #ids + 1
  ids[n] = candidate.id
  local reason = stop(ids)
  ids[n] = nil
  return reason
end


-- The `n` best continuations of all beams, judged, or with opts.do_sample n
-- drawn ones; and how many of them do not stop.
local function candidates_of(running, list, n, opts)
  local choose = opts.do_sample and core.beam_sample or core.beam_candidates
  local found, stop, live = choose(list, running, n, opts.rng), opts.stop, 0
  for i = 1, #found do
    local c = found[i]
    c.parent = running[c.row]
    c.row = c.parent.row
    c.finish = beams.judge(c, stop)
    if not c.finish then live = live + 1 end
  end
  return found, live
end


-- The candidates of one step of a search that keeps `width` beams: the best
-- first, or with opts.do_sample in the order in which they were drawn; and the
-- list of log-probabilities, one Logits a beam. before(logits), if given, edits
-- them ahead of the processors; then `rows` stay as they are.
--
-- Only where some of the best `width` stop is it looked at what is behind them.
function beams.expand(running, rows, opts, width, before)
  local list = log_probabilities(running, rows, opts, before)
  local count = count_of(opts, width)
  if not opts.do_sample then
    local found, live = candidates_of(running, list, width, opts)
    if live == width then return found, list end
  end
  return candidates_of(running, list, count, opts), list
end


-- The ids of a candidate, as a list of its own.
function beams.ids_of(candidate)
  local copy = {table.unpack(candidate.parent.ids)}
  copy[#copy + 1] = candidate.id
  return copy
end


-- Makes beams of the candidates that are to go on: each gets its ids.
function beams.become(candidates)
  for i = 1, #candidates do candidates[i].parent.heir = candidates[i] end
  for i = 1, #candidates do
    local c = candidates[i]
    local parent = c.parent
    if parent.heir == c then  -- the last child: its siblings have copied
      c.ids = parent.ids
      c.ids[#c.ids + 1] = c.id
    else
      c.ids = beams.ids_of(c)
    end
    c.coverage, c.parent = parent.coverage, nil
  end
  return candidates
end


-- The `width` beams that go on. A candidate that has stopped is dead, but
-- goes on where there are not enough others.
function beams.go_on(candidates, width)
  for i = 1, #candidates do
    local c = candidates[i]
    if c.finish then c.score = c.score + DEAD end
  end
  return beams.become(beams.best(width, candidates, "score"))
end


-- `slots` after what stopped among the first #slots candidates took its place.
function beams.finish(slots, candidates, opts)
  local list
  for i = 1, math.min(#slots, #candidates) do
    local c = candidates[i]
    if c.finish then
      list = list or table.move(slots, 1, #slots, 1, {})
      local ids = beams.ids_of(c)
      list[#list + 1] = {ids = ids, finish = c.finish,
                         score = beams.worth(c.score, #ids, opts,
                                             c.parent.coverage)}
    end
  end
  return list and beams.best(#slots, list, "score") or slots
end


function beams.all_stopped(candidates)
  for i = 1, #candidates do
    if not candidates[i].finish then return false end
  end
  return true
end


-- Whether a beam is dead and, however it goes on, worth less than `finished`,
-- a row that has (a slot, or nil).
local function is_out(beam, finished, opts)
  if beam.score > DEAD / 2 or not finished or not finished.ids then
    return false
  end
  local longest = (opts.length_penalty or 1) > 0 and opts.max_new_tokens
                  or #beam.ids
  return beams.worth(beam.score, longest, opts) < finished.score
end


-- Emits the tokens behind the first `told` that are decided: that all running
-- beams which are not out of the race, and the best finished row, have in
-- common. Returns how many are told now. The winner is one of these rows or
-- goes on from one of them.
function beams.emit(running, slots, told, opts)
  local best = slots[1]
  local first = best and best.ids or running[1].ids
  while true do
    local id = first[told + 1]
    if not id then return told end
    for i = 1, #running do
      local beam = running[i]
      if beam.ids[told + 1] ~= id and not is_out(beam, best, opts) then
        return told
      end
    end
    told = told + 1
    opts.emit(id)
  end
end


-- Emits the rest of the best row found.
function beams.emit_rest(found, told, opts)
  local ids = found[1].ids
  for i = told + 1, #ids do opts.emit(ids[i]) end
  return found
end


-- Appends the chosen tokens to the cache; returns the rows of the next step,
-- written over those of this one, and what else is wanted (session.lua).
function beams.advance(session, running, want, rows)
  local parents, ids = {}, {}
  for i = 1, #running do
    local beam = running[i]
    parents[i], ids[i] = beam.row, beam.id
    beam.row = i
  end
  session:reorder(parents)
  return session:forward(ids, want, rows)
end


-- The filled slots, `n` at most. Where nothing has finished (too few tokens
-- were allowed): the best running beam as it is.
function beams.hypotheses(slots, running, opts, n)
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
               score = beams.worth(running[1].score, #ids, opts)}
  end
  return list
end

return beams
