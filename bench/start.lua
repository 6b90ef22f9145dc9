-- start.lua: from nothing to the first scores: a decoder of the shape of
-- SmolLM2-135M in a mapped GGUF that the system has in its cache, in a new
-- process each time. Prints a Markdown table of milliseconds, medians, for each
-- way to load it (the option pack):
--
--   load          decant.load
--   first step    the first token; the second
--   later step    when the packed copy of the weights is made
--   copy          what the steps took longer until then, the first left out
--   touch pages   to map the file and touch each page of it, nothing else
--                 (bench/limits.c): what the first step cannot do without
--   beyond        load and first step, less a later step and the pages
--
-- lua5.4 bench/start.lua [ROUNDS]

package.path = "./lua/?.lua;./lua/?/init.lua;./?.lua;" .. package.path
package.cpath = "./build/lib/?.so;" .. package.cpath

local measure = require "bench.measure"

local ROUNDS <const> = math.tointeger(tonumber(arg[1])) or 9
local COPIED <const> = 18  -- steps behind which a copy is whole
local STEPS <const> = 27
local WAYS <const> = {"nil", "true", "false"}

-- In a process of its own.
if arg[1] == "once" then
  local decant = require "decant"
  local clock = require "decant.core".clock
  local pack = ({["true"] = true, ["false"] = false})[arg[3]]
  local times = {clock()}
  local model = assert(decant.load(arg[2], {pack = pack}))
  times[2] = clock()
  local session = model:session()
  for i = 1, STEPS do
    session:feed(i)
    times[i + 2] = clock()
  end
  for i = 2, #times do io.write((times[i] - times[i - 1]) * 1e3, "\n") end
  return
end

local path = measure.causal_model "q8_0"

-- What a process measured, and the pages.
local function started(way)
  local pipe <close> = assert(io.popen(("lua5.4 bench/start.lua once %s %s")
                                       :format(path, way)))
  local load, steps, copy = pipe:read "n", {}, 0
  for i = 1, STEPS do steps[i] = pipe:read "n" end
  local later = measure.median(table.move(steps, COPIED + 1, STEPS, 1, {}))
  for i = 2, COPIED do copy = copy + steps[i] - later end
  local pages = measure.limits("pages " .. path).pages[1]
  return {load, steps[1], steps[2], later, copy, pages,
          load + steps[1] - later - pages}
end

local lists = {}
for round = 1, ROUNDS do
  for _, way in ipairs(WAYS) do
    lists[way] = lists[way] or {}
    for i, value in ipairs(started(way)) do
      lists[way][i] = lists[way][i] or {}
      lists[way][i][round] = value
    end
  end
end

print("| pack | load | first step | second | later step | copy | touch pages "
      .. "| beyond |")
print "|---|---|---|---|---|---|---|---|"
for _, way in ipairs(WAYS) do
  for i, list in ipairs(lists[way]) do
    lists[way][i] = ("%.1f"):format(measure.median(list))
  end
  print(("| %s | %s |"):format(way, table.concat(lists[way], " | ")))
end
