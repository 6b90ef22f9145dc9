-- decant.gumbel: draws without replacement, with their keys.
--
-- The key of a row is its log-probability plus Gumbel noise; the rows with the
-- highest keys of all are a draw without replacement (Kool, van Hoof, Welling
-- 2019). Keys are made from the top down (Maddison et al. 2014): the highest
-- of what begins with a beam is the beam's own; each further one is drawn, and
-- lies below the one before. So n children cost n draws, not one for each
-- token of the vocabulary.

local core = require "decant.core"

local gumbel = {}


-- The highest key of rows that weigh exp(location) in all, given that it is
-- below `bound`: a truncated Gumbel variable, in the form that cannot overflow.
local function key_below(bound, location, rng)
  local noise = -math.log(1 - rng:uniform())
  local d = location - bound
  if d > 0 then return bound - math.log(1 + noise * math.exp(-d)) end
  return location - math.log(math.exp(d) + noise)
end


-- `n` tokens drawn from log-probabilities, in the order of their keys: {id,
-- score, key}. `score` and `key` are those of the row that they continue.
function gumbel.draws(logits, n, score, key, rng)
  local list = core.beam_sample({logits}, {0}, n, rng)
  local left = 1
  for i, draw in ipairs(list) do
    if i > 1 then
      if left <= 0 then return table.move(list, 1, i - 1, 1, {}) end
      key = key_below(key, score + math.log(left), rng)
    end
    draw.key = key
    left = left - math.exp(draw.score)
  end
  return list
end

return gumbel
