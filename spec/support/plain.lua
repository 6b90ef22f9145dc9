-- plain.lua: rows as tables {[id] = x}, and what processors do to them written
-- down plainly: full sorts, no incremental algorithm, doubles.

local assert = require "luassert"
local core = require "decant.core"

local inf = math.huge

local plain = {}

function plain.random_list(rng, n, deviation)
  local list = {}
  for id = 0, n - 1 do
    local radius = math.sqrt(-2 * math.log(1 - rng:uniform()))
    list[id] = deviation * radius * math.cos(2 * math.pi * rng:uniform())
  end
  return core.logits(list):totable()  -- as floats
end

function plain.random_ids(rng, n, vocab)
  local ids = {}
  for i = 1, n do ids[i] = math.floor(rng:uniform() * vocab) end
  return ids
end

function plain.clone(list)
  local copy = {}
  for id, x in pairs(list) do copy[id] = x end
  return copy
end

function plain.softmax(list)
  local max, sum, p = -inf, 0, {}
  for _, x in pairs(list) do max = math.max(max, x) end
  for id, x in pairs(list) do
    p[id] = math.exp(x - max)
    sum = sum + p[id]
  end
  for id in pairs(p) do p[id] = p[id] / sum end
  return p
end

-- The allowed ids, most probable first.
function plain.ranked(list)
  local ids = {}
  for id, x in pairs(list) do if x > -inf then ids[#ids + 1] = id end end
  table.sort(ids, function(a, b)
    if list[a] ~= list[b] then return list[a] > list[b] end
    return a < b
  end)
  return ids
end

function plain.keep(list, ids)
  local kept = {}
  for id in pairs(list) do kept[id] = -inf end
  for _, id in ipairs(ids) do kept[id] = list[id] end
  return kept
end

function plain.same(want, got)
  for id, x in pairs(want) do
    if math.abs(x) == inf then
      assert.equal(x, got[id], "id " .. id)
    else
      assert.near(x, got[id], 1e-5 * math.abs(x) + 2e-6, "id " .. id)
    end
  end
end

-- `formula(list, ids)` is what p(logits, ids) must give, on 60 random rows.
function plain.agrees(p, formula, vocab)
  local rng = core.rng(9)
  for round = 1, 60 do
    local list = plain.random_list(rng, vocab or 40, 1 + round % 4)
    if round % 3 == 0 then list[round % 40] = -inf end
    local ids = plain.random_ids(rng, round % 31, round % 2 == 0 and 5 or 40)
    plain.same(formula(plain.clone(list), ids), p(core.logits(list), ids))
  end
end

return plain
