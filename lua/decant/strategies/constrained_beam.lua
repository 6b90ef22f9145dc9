-- Constrained beam search: rows that hold the phrases of force_words_ids
-- (Hokamp and Liu 2017; Post and Vilar 2018; Hu et al. 2019).
--
-- To the K best continuations of a step come those that bring a beam further
-- in its phrases. They are put into banks by how far they are, and the banks
-- take turns: the best of each, then the second of each, until K go on. Only
-- a row that holds all phrases may end.
--
-- Rules: transformers' constrained beam search (generate.md, section 3.6) with
-- the bookkeeping of hypotheses.lua. As there, a beam that is complete goes on
-- only while it is among the K best, so a phrase may be missing where the
-- longest length ends the search first. The prompt counts as part of the row.
--
-- Returns the best num_return_sequences hypotheses.

local banks = require "decant.banks"
local beams = require "decant.beams"
local constraints = require "decant.constraints"
local hypotheses = require "decant.hypotheses"
local options = require "decant.options"


local function check(words, opts)
  local wrong = constraints.wrong(words, {longest = opts.max_new_tokens or 100})
  if wrong then error(wrong, 0) end
end


-- Whether the row that this candidate makes holds everything.
local function is_complete(candidate)
  return constraints.add(candidate.parent.state, candidate.id).completed
end


-- The beams of the next step: of `live` and what brings beams further.
local function choose(live, more, width)
  local all = table.move(more, 1, #more, #live + 1, live)
  for _, c in ipairs(all) do
    c.state = constraints.add(c.parent.state, c.id)
  end
  local chosen = #more > 0 and banks.take_turns(all, width) or all
  return beams.become(chosen)
end


-- What runs at the end: rows that hold everything, and the others if these
-- are too few.
local function close(found, running, n)
  local complete, rest = {}, {}
  for _, beam in ipairs(running) do
    local list = beam.state.completed and complete or rest
    list[#list + 1] = beam
  end
  found:open(complete)
  if #complete < n then found:open(rest) end
end


return function(session, prompt, opts)
  opts = options(opts)
  local words = opts.force_words_ids or {}
  check(words, opts)
  local width, n = opts.num_beams or 4, opts.num_return_sequences or 1
  local found, told = hypotheses.new(width, opts), 0
  local state = constraints.start(words)
  for _, id in ipairs(prompt) do state = constraints.add(state, id) end
  local running = beams.start(width)
  for _, beam in ipairs(running) do beam.state = state end
  local rows = {(session:feed(prompt))}

  while true do
    local candidates, scores = beams.expand(running, rows, opts, width)
    local live, last, ended = found:take(candidates, width, is_complete)
    local more, over = found:take(
      banks.advancing(running, scores, {live, ended}, opts.stop), math.huge,
      is_complete)
    found:judge(candidates, #live + #more)
    if found.done and #found == 0 then  -- only the end is allowed
      for _, c in ipairs(candidates) do
        found:add(beams.ids_of(c), c.score, c.finish)
      end
      break
    end
    running = choose(live, more, width)
    if last or over or found.done then break end
    told = beams.emit(running, found, told, opts)
    rows = beams.advance(session, running, nil, rows)
  end

  if not found.done then close(found, running, n) end
  return beams.emit_rest(hypotheses.merge({found}, n), told, opts)
end
