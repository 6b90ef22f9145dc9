-- decant.banks: how constrained beams are chosen (Post and Vilar 2018). Rows
-- that are equally far in their phrases form a bank and compete with each
-- other; the banks take turns.
--
-- Beams and candidates are those of beams.lua, with the field `state`, and
-- candidates with `bank` and `turn` (0, -1, -2: the first, the second, ...).

local beams = require "decant.beams"
local constraints = require "decant.constraints"

local banks = {}


-- Candidates that bring a beam further and are in none of the lists `known`,
-- judged.
function banks.advancing(running, scores, known, stop)
  local list, seen = {}, {}
  for _, candidates in ipairs(known) do
    for _, c in ipairs(candidates) do
      seen[table.concat(c.parent.ids, " ") .. " " .. c.id] = true
    end
  end
  for i, beam in ipairs(running) do
    local row = table.concat(beam.ids, " ") .. " "
    for _, id in ipairs(constraints.advance(beam.state)) do
      local score = beam.score + scores[i][id]
      if not seen[row .. id] and score > -math.huge then
        seen[row .. id] = true
        local c = {parent = beam, row = beam.row, id = id, score = score}
        c.finish = beams.judge(c, stop)
        list[#list + 1] = c
      end
    end
  end
  return list
end


-- The `width` that go on: by score within a bank, then by turns. A bank is a
-- run of equally far candidates, so dead beams (with scores of about -1e9) make
-- banks of their own, as in transformers.
function banks.take_turns(candidates, width)
  for _, c in ipairs(candidates) do
    c.bank = constraints.bank(c.state)
    c.merit = 100 * c.bank + c.score
  end
  local turn, bank = 0, nil
  for _, c in ipairs(beams.best(#candidates, candidates, "merit")) do
    turn = c.bank == bank and turn - 1 or 0
    c.turn, bank = turn, c.bank
  end
  return beams.best(width, candidates, "turn")
end

return banks
