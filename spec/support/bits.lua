-- bits.lua: one line for each model and weight type with a hash of logits,
-- computed in every way that must not matter: threads, batch, chunks of the
-- prompt, cache. An instruction set is chosen by the environment, so the spec
-- runs this file once for each. A difference inside of one run is an error.
--
--   lua5.4 spec/support/bits.lua all|some MODEL.gguf...
--
-- all: every thread count, batch and way to cut; some: a sample of them, for
-- models that differ in their weights only.

local core = require "decant.core"

local sources = {
  {31, 8, 10, 23, 60, 35, 0}, {5, 6, 7}, {11, 12, 13, 14, 15, 16, 17, 18, 19,
  20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30}, {2}, {40, 41, 42, 43},
  {9, 9, 9, 9, 9, 9}, {3, 70, 5}, {64, 65, 66, 67, 68, 69, 70, 71}, {1, 2},
}
local prompt = {4, 29, 13, 29, 48, 66, 42, 30}

local function fnv(hash, bytes)
  for i = 1, #bytes do
    hash = (hash ~ bytes:byte(i)) * 1099511628211
  end
  return hash
end

local function bytes_of(logits)
  local values = {}
  for id = 0, #logits - 1 do values[id + 1] = logits[id] end
  return string.pack(("f"):rep(#values), table.unpack(values))
end

-- The scores behind the prompt of row 1 when `batch` rows go together and the
-- prompt comes in pieces that end at `cuts`.
local function scores(model, batch, cuts)
  local inputs = table.move(sources, 1, batch, 1, {})
  local encoded = model:encode(inputs)
  local masks = {}
  for i, ids in ipairs(inputs) do
    masks[i] = {}
    for j = 1, #ids do masks[i][j] = 1 end
  end
  local requests, last = {}, nil
  for i, source in ipairs(model:sources(encoded, masks)) do
    requests[i] = {model:rows(1, source)}
  end
  local from = 1
  for _, to in ipairs(cuts) do
    for i, request in ipairs(requests) do
      local ids = table.move(prompt, from, to, 1, {})
      if i > 1 then ids[1] = (ids[1] + i) % 70 end  -- the others differ
      request[2] = {ids}
    end
    last = core.forward(requests)[1][1]
    from = to + 1
  end
  for _, request in ipairs(requests) do request[1]:close() end
  return bytes_of(last)
end

-- Every way to cut n tokens into pieces, as lists of ends.
local function all_cuts(n)
  local list = {}
  for bits = 0, (1 << (n - 1)) - 1 do
    local cuts = {}
    for i = 1, n - 1 do
      if bits & (1 << (i - 1)) ~= 0 then cuts[#cuts + 1] = i end
    end
    cuts[#cuts + 1] = n
    list[#list + 1] = cuts
  end
  return list
end

local ways = {
  all = {threads = {1, 2, 3, 5}, batches = {1, 2, 3, 4, 5, 6, 7, 8, 9},
         cuts = all_cuts(#prompt)},
  some = {threads = {1, 3}, batches = {2, 5},
          cuts = {{3, 8}, {1, 2, 3, 4, 5, 6, 7, 8}}},
}

-- All scores of the prompt in one causal pass, without a cache; and the last.
local function teacher_forced(model)
  local source = model:sources(model:encode {sources[1]})
  local all, parts = model:decode({prompt}, source), {}
  for i = 1, #prompt do
    local row = all[1][i]:totable()
    parts[i] = string.pack(("f"):rep(#row), table.unpack(row))
  end
  return table.concat(parts), parts[#prompt]
end

local function check(model, way)
  local whole = {#prompt}
  local all, expected = teacher_forced(model)
  local function same(what, bytes)
    if bytes ~= expected then error("other bits: " .. what, 0) end
  end
  for _, threads in ipairs(way.threads) do
    core.threads(threads)
    same(threads .. " threads", scores(model, 1, whole))
    same(threads .. " threads, batch of 9", scores(model, 9, whole))
    if select(2, teacher_forced(model)) ~= expected then
      error("other bits: teacher forcing", 0)
    end
  end
  for _, batch in ipairs(way.batches) do
    same("batch of " .. batch, scores(model, batch, whole))
  end
  for _, cuts in ipairs(way.cuts) do
    same("cut at " .. table.concat(cuts, ","), scores(model, 2, cuts))
  end
  return fnv(-3750763034362895579, all)
end

core.parallel_from(0)  -- the smallest loop is shared out, too
for _, path in ipairs(table.move(arg, 2, #arg, 1, {})) do
  local model = assert(core.load(path))
  print(("%s %016x"):format(path:match "[^/]+$", check(model, ways[arg[1]])))
  model:close()
end
