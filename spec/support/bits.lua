-- bits.lua: one line for each model and weight type with a hash of logits,
-- computed in every way that must not matter: threads, batch, chunks of the
-- prompt, cache, how much of a sliding window is left, packed weights. An
-- instruction set is chosen by the environment, so the spec runs this file
-- once for each. A difference inside of one run is an error.
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
local prompt = {4, 29, 13, 48, 66, 42}

-- Ids of a vocabulary of `vocab`.
local function within(ids, vocab)
  local list = {}
  for i, id in ipairs(ids) do list[i] = id % vocab end
  return list
end

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

-- Rows for the first `batch` sources; a causal model reads none.
local function new_rows(model, batch)
  local rows = {}
  if model:hparams().kind == "causal" then
    for i = 1, batch do rows[i] = model:rows(1) end
    return rows
  end
  local inputs, masks = {}, {}
  for i = 1, batch do
    inputs[i], masks[i] = within(sources[i], model:hparams().vocab), {}
    for j = 1, #inputs[i] do masks[i][j] = 1 end
  end
  for i, source in ipairs(model:sources(model:encode(inputs), masks)) do
    rows[i] = model:rows(1, source)
  end
  return rows
end

-- The scores behind the prompt of row 1 when `batch` rows go together and the
-- prompt comes in pieces that end at `cuts`.
local function scores(model, ids, batch, cuts)
  local requests, last = {}, nil
  for i, rows in ipairs(new_rows(model, batch)) do requests[i] = {rows} end
  local from = 1
  for _, to in ipairs(cuts) do
    for i, request in ipairs(requests) do
      local piece = table.move(ids, from, to, 1, {})
      if i > 1 then piece[1] = (piece[1] + i) % 60 end  -- the others differ
      request[2] = {piece}
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
         cuts = all_cuts(#prompt), pieces = {1, 7, 16, 33}},
  some = {threads = {1, 3}, batches = {2, 5},
          cuts = {{3, 6}, {1, 2, 3, 4, 5, 6}}, pieces = {7}},
}

-- The ends of pieces of `size` tokens.
local function even_cuts(n, size)
  local cuts = {}
  for to = size, n - 1, size do cuts[#cuts + 1] = to end
  cuts[#cuts + 1] = n
  return cuts
end

-- All scores of the ids in one causal pass, without a cache; and the last.
local function teacher_forced(model, ids)
  local source
  if model:hparams().kind ~= "causal" then
    source = model:sources(model:encode {within(sources[1],
                                                model:hparams().vocab)})
  end
  local all, parts = model:decode({ids}, source), {}
  for i = 1, #ids do
    local row = all[1][i]:totable()
    parts[i] = string.pack(("f"):rep(#row), table.unpack(row))
  end
  return table.concat(parts), parts[#ids]
end

local function check(model, way)
  local ids, whole = within(prompt, model:hparams().vocab), {#prompt}
  local all, expected = teacher_forced(model, ids)
  local function same(what, bytes)
    if bytes ~= expected then error("other bits: " .. what, 0) end
  end
  for _, threads in ipairs(way.threads) do
    core.threads(threads)
    same(threads .. " threads", scores(model, ids, 1, whole))
    same(threads .. " threads, batch of 9", scores(model, ids, 9, whole))
    same("teacher forcing", select(2, teacher_forced(model, ids)))
  end
  core.threads(1)
  for _, batch in ipairs(way.batches) do
    same("batch of " .. batch, scores(model, ids, batch, whole))
  end
  for _, cuts in ipairs(way.cuts) do
    same("cut at " .. table.concat(cuts, ","), scores(model, ids, 2, cuts))
  end
  return all
end

-- Q8_0 weights that lie in panels against those that lie as in the file.
local function check_packing(path, way, hp)
  local packed <close> = assert(core.load(path, {pack = true}))
  local plain <close> = assert(core.load(path, {pack = false}))
  assert(plain:hparams().packed_bytes == 0)
  if packed:hparams().packed_bytes == 0 then return end  -- none of Q8_0
  local ids = within(prompt, hp.vocab)
  local all, last = teacher_forced(plain, ids)
  if all ~= teacher_forced(packed, ids) then
    error("other bits: packed, teacher forcing", 0)
  end
  for _, batch in ipairs(way.batches) do
    for _, model in ipairs {packed, plain} do
      if scores(model, ids, batch, {1, #ids}) ~= last then
        error("other bits: packed or plain, batch of " .. batch, 0)
      end
    end
  end
end

-- The same for a prompt that fills the context, several blocks of the cache
-- and more than a window.
local function check_long(model, way)
  local ids, hp = {}, model:hparams()
  for i = 1, math.min(hp.context, 90) do ids[i] = i * i * 7 % hp.vocab end
  local all, expected = teacher_forced(model, ids)
  for _, size in ipairs(way.pieces) do
    local cuts = even_cuts(#ids, size)
    if scores(model, ids, 1, cuts) ~= expected then
      error("other bits: pieces of " .. size, 0)
    end
  end
  return all
end

core.parallel_from(0)  -- the smallest loop is shared out, too
local way = ways[arg[1]]
for _, path in ipairs(table.move(arg, 2, #arg, 1, {})) do
  local model = assert(core.load(path))
  check_packing(path, way, model:hparams())
  local hash = fnv(-3750763034362895579, check(model, way))
  print(("%s %016x"):format(path:match "[^/]+$",
                            fnv(hash, check_long(model, way))))
  model:close()
end
