-- start.lua: from nothing to the first scores: a decoder of the shape of
-- SmolLM2-135M in a mapped GGUF that the system has in its cache, in a new
-- process each time. Prints a Markdown table of milliseconds, medians:
--
--   load          decant.load
--   first step    the first token; a later one
--   touch pages   to map the file and touch each page of it, nothing else
--                 (bench/limits.c): what the first step cannot do without
--
-- lua5.4 bench/start.lua [ROUNDS]

package.path = "./lua/?.lua;./lua/?/init.lua;./?.lua;" .. package.path
package.cpath = "./build/lib/?.so;" .. package.cpath

local measure = require "bench.measure"

local ROUNDS <const> = math.tointeger(tonumber(arg[1])) or 9

-- In a process of its own.
if arg[1] == "once" then
  local decant = require "decant"
  local clock = require "decant.core".clock
  local times = {clock()}
  local model = assert(decant.load(arg[2]))
  times[2] = clock()
  local session = model:session()
  session:feed(1)
  times[3] = clock()
  session:feed(2)
  times[4] = clock()
  for i = 1, 3 do io.write((times[i + 1] - times[i]) * 1e3, "\n") end
  return
end

local path = measure.causal_model "q8_0"

local function started()
  local pipe <close> = assert(io.popen("lua5.4 bench/start.lua once " .. path))
  return {pipe:read("n", "n", "n")}
end

local lists = {{}, {}, {}, {}}
for round = 1, ROUNDS do
  local found = started()
  found[4] = measure.limits("pages " .. path).pages[1]
  for i, list in ipairs(lists) do list[round] = found[i] end
end
local load, first, later, pages = table.unpack(lists)
load, first = measure.median(load), measure.median(first)
later, pages = measure.median(later), measure.median(pages)
print "| load | first step | later step | touch pages | beyond the pages |"
print "|---|---|---|---|---|"
print(("| %.1f | %.1f | %.1f | %.1f | %.1f |"):format(
  load, first, later, pages, load + first - later - pages))
