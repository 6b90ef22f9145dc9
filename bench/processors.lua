-- processors.lua [PYTHON]: what one call of a processor costs, on one thread.
-- Run in the repository's root: lua5.4 bench/processors.lua. Where a Python
-- with torch is given, the same filters as transformers writes them run there,
-- between two of ours.
--
-- The rows are those of llama.cpp's own benchmark (test-sampling: 131,072
-- logits, uniform between -1 and 1, so hardly any token is improbable), whose
-- published figures stand beside, and normal ones with deviation 4, which look
-- like a model's. A figure is the fastest of several rounds over fresh rows.

package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
package.cpath = "./build/lib/?.so;" .. package.cpath

local decant = require "decant"
local core = require "decant.core"
local processors = decant.processors

local SIZES <const> = {32000, 131072, 151936}
local ROWS <const>, ROUNDS <const> = 8, 12
local clock = core.clock

decant.threads(1)

-- ---- rows ----

local function flat(rng) return 2 * rng:uniform() - 1 end

local function normal(rng)
  local radius = math.sqrt(-2 * math.log(1 - rng:uniform()))
  return 4 * radius * math.cos(2 * math.pi * rng:uniform())
end

local function row(kind, n)
  local rng, list = core.rng(17), {}
  for i = 1, n do list[i] = kind(rng) end
  return core.logits(list)
end

-- The fastest round's microseconds for one call of f on a fresh row.
local function cost(f, original)
  local best = math.huge
  for _ = 1, ROUNDS do
    local rows = {}
    for i = 1, ROWS do rows[i] = original:clone() end
    collectgarbage()
    collectgarbage "stop"
    local began = clock()
    for i = 1, ROWS do f(rows[i]) end
    best = math.min(best, (clock() - began) / ROWS)
    collectgarbage "restart"
  end
  return best * 1e6
end

-- ---- the filters ----

local filters = {
  {"top_k 40", processors.top_k(40), published = 0.19},
  {"top_p 0.8", processors.top_p(0.8), published = 10.1,
   torch = "TopPLogitsWarper(0.8)"},
  {"min_p 0.2", processors.min_p(0.2), published = 1.7,
   torch = "MinPLogitsWarper(0.2)"},
  {"typical 0.5", processors.typical_p(0.5), published = 18.8,
   torch = "TypicalLogitsWarper(0.5)"},
  {"xtc 1.0 0.1", processors.xtc {probability = 1, threshold = 0.1},
   published = 9.2},
  {"top_n_sigma 1", processors.top_n_sigma(1)},
  {"mirostat_v2", processors.mirostat_v2()},
  {"eta 0.0003", processors.eta_cutoff(0.0003),
   torch = "EtaLogitsWarper(0.0003)"},
}
filters[1].torch = "TopKLogitsWarper(40)"

-- Microseconds of transformers' classes on the same numbers, by name.
local function torch_costs(python, kind, n)
  if not python then return {} end
  local script = os.tmpname()
  local file = assert(io.open(script, "w"))
  file:write(([[
import time, torch
from transformers.generation.logits_process import *
torch.set_num_threads(1)
g = torch.Generator().manual_seed(17)
n = %d
row = %s
ids = torch.zeros(1, 1, dtype=torch.long)
def cost(p):
  best = 1e9
  for _ in range(%d):
    began = time.perf_counter()
    for _ in range(3): p(ids, row)
    best = min(best, (time.perf_counter() - began) / 3)
  return best * 1e6
]]):format(n, kind == flat and "2 * torch.rand(1, n, generator=g) - 1"
                 or "4 * torch.randn(1, n, generator=g)", ROUNDS))
  for i, filter in ipairs(filters) do
    if filter.torch then
      file:write(("print(%d, cost(%s))\n"):format(i, filter.torch))
    end
  end
  file:close()
  local costs = {}
  local pipe = assert(io.popen(python .. " " .. script .. " 2>/dev/null"))
  for line in pipe:lines() do
    local i, us = line:match "^(%d+) ([%d.]+)$"
    if i then costs[tonumber(i)] = tonumber(us) end
  end
  pipe:close()
  os.remove(script)
  return costs
end

local function milliseconds(us)
  return us and ("%.3f"):format(us / 1000) or "-"
end

local function table_of(name, kind, n, python)
  local original = row(kind, n)
  local first = {}
  for i, filter in ipairs(filters) do first[i] = cost(filter[2], original) end
  local theirs = torch_costs(python, kind, n)
  print(("\n%d %s logits, milliseconds a call\n"):format(n, name))
  print "| filter | decant | llama.cpp, published | torch |"
  print "|---|---|---|---|"
  for i, filter in ipairs(filters) do
    local published = n == 131072 and kind == flat and filter.published
    print(("| %s | %s | %s | %s |"):format(filter[1],
      milliseconds(math.min(first[i], cost(filter[2], original))),
      published or "-", milliseconds(theirs[i])))
  end
end

-- ---- what a user's processor costs ----

local function edits(n)
  local ids = {}
  for i = 1, 100 do ids[i] = i * (n // 101) end
  return function(logits)
    for i = 1, #ids do logits[ids[i]] = logits[ids[i]] - 1 end
  end
end

local function users()
  local original, history = row(normal, 32000), {}
  for i = 1, 100 do history[i] = i end
  local edit = core.chain {edits(32000)}
  print "\n32000 normal logits, microseconds a call\n"
  print "| a Lua processor that | us |"
  print "|---|---|"
  print(("| edits 100 entries by hand, in a chain with 100 ids | %.1f |")
        :format(cost(function(logits) edit(logits, history) end, original)))
  print(("| reads logits:top(10) | %.1f |"):format(
        cost(function(logits) logits:top(10) end, original)))
  local five = core.chain {
    processors.repetition_penalty(1.1), processors.no_repeat_ngram(3),
    processors.temperature(0.8), processors.top_k(40), processors.top_p(0.9)}
  print(("| (five built-in ones in a chain, no Lua between them) | %.1f |")
        :format(cost(function(logits) five(logits, history) end, original)))
end

local python = arg and arg[1]
print(("%s, 1 thread"):format(decant.info().isa))
for _, n in ipairs(SIZES) do
  table_of("uniform", flat, n, python)
  table_of("normal", normal, n, python)
end
users()
