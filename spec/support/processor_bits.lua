-- processor_bits.lua: one line for each processor that is C, with a hash of
-- what it makes of some rows, banned entries, ties and a wide range among
-- them. An instruction set is chosen by the environment, so the spec runs this
-- file once for each.

local core = require "decant.core"
local arguments = require "spec.support.processor_arguments"

local function hash(h, logits)
  for id = 0, #logits - 1 do
    for byte in string.pack("f", logits[id]):gmatch "[\0-\255]" do
      h = (h ~ byte:byte()) * 1099511628211
    end
  end
  return h
end

-- Sizes that are no multiple of any vector.
local rows = {}
for i, n in ipairs {4, 17, 403} do
  for kind = 1, 3 do
    local rng, list = core.rng(i):row(kind), {}
    for id = 1, n do
      local u = rng:uniform()
      list[id] = kind == 1 and 12 * (u - 0.5) or kind == 2 and u // 0.1
                 or -3 * math.log(1 - u)
    end
    if kind == 3 then list[n // 2] = -math.huge end
    rows[#rows + 1] = core.logits(list)
  end
end

local names = {}
for name in pairs(arguments) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  local h = 0xcbf29ce484222325
  for _, row in ipairs(rows) do
    local p, ids = core.processors[name](arguments[name]), {1, 2}
    for _ = 1, 4 do
      local logits = p(row:clone(), ids)
      h = hash(h, logits)
      ids[#ids + 1] = logits:argmax()
    end
  end
  print(name, ("%016x"):format(h))
end
