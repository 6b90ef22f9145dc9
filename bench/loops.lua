-- loops.lua [ROUNDS]: what it costs that strategies are Lua: generate beside
-- the same loops in C (loops.c), on the bundled model and on a random one of
-- 6+6 layers, width 512, 32,000 tokens. Prints a Markdown table.
--
-- Both sides run in turn, A B A B, on one thread; in its turn a side runs once
-- to get its memory back into the caches that the other one has taken, then
-- RUNS times. A figure is the median of the turns, the ratio the median of each
-- pair's. Time is processor time, so what else the machine does shows in caches
-- only.

package.path = "./lua/?.lua;./lua/?/init.lua;./?.lua;" .. package.path
package.cpath = "./build/lib/?.so;" .. package.cpath

local decant = require "decant"
local measure = require "bench.measure"
local peer = require "bench.peer"
local random = require "bench.random"

local ROUNDS <const> = math.tointeger(tonumber(arg[1])) or 21
local RUNS <const> = 3
local TOKENS <const> = 64
local WORK <const> = measure.WORK

local loops = {
  {"greedy", {num_beams = 1}},
  {"sample", {num_beams = 1, do_sample = true, seed = 1,
              repetition_penalty = 1.2, temperature = 0.8, top_k = 40,
              top_p = 0.9, min_p = 0.02}},
  {"beam", {num_beams = 4}},
}


-- The config with which no token ends a row of `n`, nor is anything else done
-- that the C loop does not do.
local function config_of(fields, n)
  local config = {max_new_tokens = n, eos_token_id = false, min_length = 0,
                  forced_eos_token_id = false, bad_words_ids = false}
  for name, value in pairs(fields) do config[name] = value end
  return config
end


-- Seconds of a run, and its score.
local function run_lua(model, ids, config)
  local began = os.clock()
  local result = model:generate(ids, config)[1]
  local time = os.clock() - began
  return time, result.score * (config.num_beams > 1 and TOKENS or 1)
end


local function run_c(ask, name)
  local time, count, score = ask(name .. " " .. TOKENS)
                             :match "(%S+) (%S+) (%S+)"
  return tonumber(time), tonumber(score), tonumber(count)
end


-- A turn of one side: the mean time of a run, and what else each of them gives.
local function turn(run, ...)
  local sum, _, score, count = 0, run(...)
  for _ = 1, RUNS do sum = sum + (run(...)) end
  return sum / RUNS, score, count
end


-- Bytes that one more token leaves to the collector.
local function garbage(model, ids, fields)
  local function bytes(n)
    collectgarbage()
    collectgarbage "stop"
    local before = collectgarbage "count"
    model:generate(ids, config_of(fields, n))
    local after = collectgarbage "count"
    collectgarbage "restart"
    return (after - before) * 1024
  end
  return (bytes(TOKENS) - bytes(TOKENS // 2)) // (TOKENS // 2)
end


-- Times of both sides, in turn. Both must have found the same.
local function compare(model, ask, ids, loop)
  local name, fields = table.unpack(loop)
  local config = config_of(fields, TOKENS)
  local c, lua, ratios, allocations = {}, {}, {}, nil
  for i = 1, ROUNDS do
    local theirs, own
    c[i], theirs, allocations = turn(run_c, ask, name)
    lua[i], own = turn(run_lua, model, ids, config)
    assert(math.abs(own - theirs) < 1e-6 * math.abs(own),
           name .. ": the two sides have different scores")
    ratios[i] = lua[i] / c[i]
  end
  return measure.median(c), measure.median(lua), measure.median(ratios),
         allocations
end


local function source(model, n)
  local ids = {}
  for i = 1, n - 1 do ids[i] = i * 37 % (model.config.vocab - 2) + 1 end
  ids[n] = 0
  return ids
end


local function us(seconds) return seconds / TOKENS * 1e6 end


local function table_of(title, path)
  local model = assert(decant.load(path, {threads = 1}))
  local ask, ids = peer(WORK .. "/loops " .. path), source(model, 20)
  ask("ids " .. table.concat(ids, " "))
  local steps = {}
  for _, loop in ipairs(loops) do
    local c, lua, ratio, allocations = compare(model, ask, ids, loop)
    steps[loop[1]] = lua
    print(("| %s | %s | %.1f | %.1f | %+.1f %% | %.2f | %d |"):format(
      title, loop[1], us(c), us(lua), (ratio - 1) * 100, allocations / TOKENS,
      garbage(model, ids, loop[2])))
  end
  return model, steps.beam / steps.greedy
end


-- Seconds of greedy search on a source of n tokens.
local function long_source(model, n)
  local ids, times = source(model, n), {}
  for i = 1, 5 do
    times[i] = run_lua(model, ids, config_of({num_beams = 1}, TOKENS))
  end
  return measure.median(times)
end


print("| model | loop | C us/token | Lua us/token | Lua - C | C allocations " ..
      "a token | Lua garbage a token, bytes |")
print "|---|---|---|---|---|---|---|"
local _, small = table_of("de-en", "models/de-en.gguf")
random(WORK .. "/random.gguf")
local model, large = table_of("6+6, d 512", WORK .. "/random.gguf")
print(("\nA step of 4 beams takes %.2f (de-en) and %.2f (6+6) times one of " ..
       "greedy search."):format(small, large))
local times = {}
for i, n in ipairs{125, 250, 500} do times[i] = long_source(model, n) * 1e3 end
print(("Sources of 125, 250 and 500 tokens: %.0f, %.0f, %.0f ms for " ..
       "encoding and %d tokens."):format(times[1], times[2], times[3], TOKENS))
