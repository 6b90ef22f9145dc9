-- measure.lua: what the benchmarks share: medians of runs in turn, the
-- machine's limits, the peers, and a file of results for bench/roofline.lua.

local peer = require "bench.peer"
local random = require "bench.random"

local M = {}

M.WORK = "build/bench"


function M.median(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local middle = (#sorted + 1) // 2
  return #sorted % 2 == 1 and sorted[middle]
         or (sorted[middle] + sorted[middle + 1]) / 2
end


-- Medians of what the functions of `runs` return, called in turn, A B C A B C,
-- so that a noisy machine is noisy to all of them. The first round warms up.
function M.in_turn(runs, rounds)
  local lists = {}
  for i in ipairs(runs) do lists[i] = {} end
  for round = 0, rounds do
    for i, run in ipairs(runs) do
      local value = run()
      if round > 0 then lists[i][round] = value end
    end
  end
  for i, list in ipairs(lists) do lists[i] = M.median(list) end
  return lists
end


-- limits[name][threads] of bench/limits.c.
function M.limits(what)
  local limits = {}
  local pipe <close> = assert(io.popen(M.WORK .. "/limits " .. what))
  for line in pipe:lines() do
    local name, threads, value = line:match "^([%w-]+)\t(%d+)\t(%S+)$"
    if name then
      limits[name] = limits[name] or {}
      limits[name][math.tointeger(tonumber(threads))] = tonumber(value)
    end
  end
  return limits
end


-- The Python that has a peer: named by an environment variable, or else one
-- that bench/peers.sh made; nil when it cannot import the module.
function M.python(variable, module, directory)
  local python = os.getenv(variable)
                 or ("%s/%s/bin/python"):format(M.WORK, directory)
  local works = os.execute(("%s -c 'import %s' >%s/errors 2>&1")
                           :format(python, module, M.WORK))
  return works and python or nil
end

-- The engines that run decoders, as {name =, ask =}; decant is the first.
function M.causal_engines()
  local engines = {{name = "decant", ask = peer "lua5.4 bench/causal.lua"}}
  local python = M.python("LLAMA_PYTHON", "llama_cpp", "llama")
  if python then
    engines[2] = {name = "llama.cpp", ask = peer(python .. " bench/llama.py")}
  end
  return engines
end


-- The path of a decoder of the shape of SmolLM2-135M with random weights.
function M.causal_model(type)
  local path = ("%s/llama-%s.gguf"):format(M.WORK, type)
  local file = io.open(path, "rb")
  if file then file:close()
  else random(path, {architecture = "llama", type = type}) end
  return path
end


-- Appends a row of values to build/bench/results.tsv.
function M.keep(...)
  local file <close> = assert(io.open(M.WORK .. "/results.tsv", "a"))
  file:write(table.concat({...}, "\t"), "\n")
end

return M
