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


-- Decoders of random weights: of the shape of SmolLM2-135M, and of one whose
-- rows are whole blocks of every type.
M.shapes = {
  llama = {d_model = 576, heads = 9, kv_heads = 3, layers = 30},
  wide = {d_model = 1024, heads = 16, kv_heads = 4, layers = 12, d_ff = 2816,
          vocab = 32000},
}

-- The path of one.
function M.causal_model(type, shape)
  local path = ("%s/%s-%s.gguf"):format(M.WORK, shape or "llama", type)
  local file = io.open(path, "rb")
  if file then file:close() return path end
  local sizes = {architecture = "llama", type = type}
  for name, n in pairs(M.shapes[shape or "llama"]) do sizes[name] = n end
  random(path, sizes)
  return path
end


-- Appends a row of values to build/bench/results.tsv.
function M.keep(...)
  local file <close> = assert(io.open(M.WORK .. "/results.tsv", "a"))
  file:write(table.concat({...}, "\t"), "\n")
end

return M
