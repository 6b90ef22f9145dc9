-- decode.lua WHAT [ROUNDS]: a decoder of the shape of SmolLM2-135M, random
-- weights, in decant and llama.cpp; WHAT is one of
--
--   one       tokens one by one, after 16 others
--   depth     the same after 2,048 others
--   rows      4 and 8 timelines together, one token each
--   prefill   512 tokens at once
--   types     as one, with each type of weights and a wider shape
--
-- Prints a Markdown table of tokens a second. The roof is what the machine's
-- limits (bench/limits.c) allow: bytes that a token needs over the bytes that
-- the memory gives in large pages, or its multiply-adds over those that the
-- processor does, whichever takes longer. Both sides and the limit of memory
-- are measured in turn; medians. Without llama.cpp (bench/README.md) its
-- columns stay empty. Its cache is of halves, decant's of floats or as a row
-- says.

package.path = "./lua/?.lua;./lua/?/init.lua;./?.lua;" .. package.path
package.cpath = "./build/lib/?.so;" .. package.cpath

local core = require "decant.core"
local decant = require "decant"
local measure = require "bench.measure"

local WHAT <const> = arg[1]
local ROUNDS <const> = math.tointeger(tonumber(arg[2])) or 5
local PROMPT <const> = 16

local shape = measure.shapes[WHAT == "types" and "wide" or "llama"]


-- ---- what a token costs ----

-- Elements of the matrices that each token is multiplied with in the layers,
-- and of the output matrix; bytes of the file's weights.
local function sizes_of(path)
  local s = {layers = 0, output = 0, bytes = 0}
  local gguf <close> = assert(core.gguf(path))
  for _, tensor in ipairs(gguf:tensors()) do
    if #tensor.shape == 2 then
      local n = tensor.shape[1] * tensor.shape[2]
      local part = tensor.name == "token_embd.weight" and "output" or "layers"
      s[part] = s[part] + n
    end
  end
  local file <close> = assert(io.open(path, "rb"))
  s.bytes = file:seek "end"
  return s
end

-- Multiply-adds of attention over `depth` keys; bytes of them and the values.
local function attention(depth, cache)
  local queries = 2 * shape.d_model * shape.layers * depth
  return queries,
         queries * shape.kv_heads / shape.heads * (cache == "f16" and 2 or 4)
end


-- ---- what is measured ----

-- Of each: threads, and cases {label, command, tokens, cost}; cost(sizes) is
-- the multiply-adds and the bytes of the whole command.
local works = {}

local function steps(label, depth, n)
  return {label, ("decode %d %d"):format(depth, n), n, function(s, cache)
    local macs, bytes = attention(depth + n / 2, cache)
    return n * (s.layers + s.output + macs), n * (s.bytes + bytes)
  end}
end

local function together(rows, n)
  return {rows .. " rows", ("rows %d %d"):format(rows, n), rows * n,
          function(s)
    local macs, bytes = attention(PROMPT + n / 2)
    return n * rows * (s.layers + s.output + macs),
           n * (s.bytes + rows * bytes)
  end}
end

local function prefill(n)
  return {"prefill " .. n, "prefill " .. n, n, function(s)
    local macs, bytes = attention(n / 2)
    return n * (s.layers + macs) + s.output, s.bytes + bytes
  end}
end

local all = decant.info().threads
local both = all > 1 and {all, 1} or {1}

works.one = {types = {"q8_0", "q4_0", "f16"}, threads = both,
             steps("one row", PROMPT, 48)}
works.depth = {types = {"q8_0"}, threads = {all}, caches = {"f32", "f16"},
               steps("at depth 2048", 2048, 32)}
works.rows = {types = {"q8_0"}, threads = {all}, together(4, 24),
              together(8, 24)}
works.types = {types = {"q2_k", "q3_k", "iq4_xs", "q4_k", "iq4_nl", "q4_0",
                        "q4_1", "q5_k", "q5_0", "q5_1", "q6_k", "q8_0"},
               threads = both, shape = "wide", steps("one row", PROMPT, 32)}
works.prefill = {types = {"q8_0", "q4_0", "f16"}, threads = {all},
                 prefill(512)}


-- ---- measuring ----

-- The bytes that the memory gives, measured beside the rest.
local function bandwidth(threads)
  local read = measure.limits "read"
  for name, list in pairs(read) do
    measure.keep("limit", "-", threads, name, list[threads], 1, 1)
  end
  return (read["read-large"] or read.read)[threads]
end

-- Thousand million multiply-adds a second that the machine can do at most for
-- work of so many multiply-adds and bytes.
local function roof(type, threads, macs, bytes, memory)
  local peaks = measure.limits "multiply"
  for name, list in pairs(peaks) do
    measure.keep("limit", "-", threads, name, list[threads], 1, 1)
  end
  local peak = (type ~= "f16" and peaks.int8 or peaks.f32)[threads]
  return math.min(peak, memory * macs / bytes)
end

local function seconds(answer) return tonumber(answer:match "%S+") end

local function row(engines, type, threads, case, sizes, cache)
  local label, command, tokens, cost = table.unpack(case)
  if cache then label = ("%s, cache %s"):format(label, cache) end
  local runs = {}
  for i, engine in ipairs(engines) do
    engine.ask("threads " .. threads)
    runs[i] = function() return tokens / seconds(engine.ask(command)) end
  end
  runs[#runs + 1] = function() return bandwidth(threads) end
  local found = measure.in_turn(runs, ROUNDS)
  local memory = table.remove(found)
  local macs, bytes = cost(sizes, cache)
  local top = roof(type, threads, macs, bytes, memory) * 1e9 / macs * tokens
  print(("| %s | %s | %d | %.0f | %s | %s | %.1f | %.1f | %.0f %% |"):format(
    label, type, threads, found[1],
    found[2] and ("%.0f"):format(found[2]) or "-",
    found[2] and ("%.2f"):format(found[1] / found[2]) or "-",
    found[1] / tokens * bytes / 1e9, found[1] / tokens * macs / 1e9,
    100 * found[1] / top))
  for i, engine in ipairs(engines) do
    measure.keep(label, type, threads, engine.name, found[i],
                 macs / tokens, bytes / tokens)
  end
end


local work = assert(works[WHAT],
                    "usage: decode.lua one|depth|rows|prefill|types [ROUNDS]")
local engines = measure.causal_engines()
if not engines[2] then print "llama.cpp is not installed.\n" end
print("| work | weights | threads | decant, tokens/s | llama.cpp | ratio | " ..
      "decant, GB/s | GMAC/s | of the roof |")
print "|---|---|---|---|---|---|---|---|---|"
for _, type in ipairs(work.types) do
  local path = measure.causal_model(type, work.shape)
  local sizes = sizes_of(path)
  for _, cache in ipairs(work.caches or {false}) do
    for _, engine in ipairs(engines) do
      engine.ask(("load %s %s"):format(path, cache or "f32"))
    end
    for _, threads in ipairs(work.threads) do
      for _, case in ipairs(work) do
        row(engines, type, threads, case, sizes, cache)
      end
    end
  end
end
