-- waiting.lua: what it costs that threads wait for each other.
--
--   lua5.4 bench/waiting.lua [MODEL.gguf [STEPS]]
--
-- First tokens a second with one thread and with two, alone on the machine and
-- beside a busy loop that another process runs on the first processor; each
-- with workers that wait actively and passively. Then the frames of a game: a
-- step, and 16 ms of other work on the same thread; how long the step takes,
-- and what processor time others than this thread take in a frame. Rounds are
-- interleaved; medians.

package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
package.cpath = "./build/lib/?.so;" .. package.cpath

local decant = require "decant"
local core = require "decant.core"

local path <const>, steps <const> = arg[1] or "de-en",
                                    tonumber(arg[2] or 40)
local ROUNDS <const> = 5

local model <close> = assert(decant.load(path))
local vocab <const> = model.config.vocab


local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end


local function new_session()
  local ids = {}
  for i = 1, 20 do ids[i] = i * 37 % (vocab - 2) + 1 end
  if model.kind == "causal" then
    local session = model:session()
    session:feed(ids)
    return session
  end
  return model:session{source = model:encode{ids}}
end


-- Seconds a step.
local function decode(wait, n)
  decant.threads{n = n, wait = wait}
  local session <close> = new_session()
  session:feed(1)
  local began = core.clock()
  for i = 1, steps do session:feed(i * 31 % vocab) end
  return (core.clock() - began) / steps
end


-- Starts a loop that keeps the first processor busy; returns what ends it.
local function keep_busy()
  local pipe = assert(io.popen(
    "taskset -c 0 sh -c 'while :; do :; done' >/dev/null & echo $!"))
  local pid = assert(pipe:read "n")
  pipe:close()
  return setmetatable({}, {__close = function()
    os.execute("kill " .. pid)
  end})
end


local ways = {{"active", 1}, {"active", 2}, {"passive", 2}}

local function table_of(title)
  local times = {}
  for w in ipairs(ways) do times[w] = {} end
  for round = 1, ROUNDS do
    for w, way in ipairs(ways) do times[w][round] = decode(way[1], way[2]) end
  end
  for w, way in ipairs(ways) do
    local one, this = median(times[1]), median(times[w])
    print(("| %s | %s | %d | %.1f | %.2f |"):format(title, way[1], way[2],
          1 / this, one / this))
  end
end


-- Milliseconds of a step, and of processor time a frame beside this thread's.
local function frames(wait, n)
  decant.threads{n = n, wait = wait}
  local session <close> = new_session()
  local times, clock, wall = {}, os.clock(), core.clock()
  for i = 1, steps do
    local began = core.clock()
    session:feed(i * 31 % vocab)
    times[i] = core.clock() - began
    repeat until core.clock() - began >= 0.016
  end
  local others = os.clock() - clock - (core.clock() - wall)
  return median(times) * 1e3, others / steps * 1e3
end


print "| beside | wait | threads | tokens/s | to one thread |"
print "|---|---|---|---|---|"
table_of "nothing"
do
  local _ <close> = keep_busy()
  table_of "a busy loop"
end
print "\n| wait | threads | ms a step | ms of others a frame |"
print "|---|---|---|---|"
for _, way in ipairs(ways) do
  print(("| %s | %d | %.2f | %.2f |"):format(way[1], way[2],
        frames(way[1], way[2])))
end
