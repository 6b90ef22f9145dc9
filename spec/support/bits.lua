-- bits.lua: one line for each model and weight type with a hash of logits,
-- computed in every way that must not matter: threads, rows of a batch, beams,
-- chunks of the prompt, with a cache and without, how much of a sliding window
-- is left, packed weights. An instruction set is chosen by the environment, so
-- the spec runs this file once for each. A difference inside of one run is an
-- error.
--
--   lua5.4 spec/support/bits.lua all|some[-f16] MODEL.gguf...
--
-- all: 40 tokens can be cut into pieces in 2^39 ways; here are the 39 with one
-- cut (so pieces of every size, beginning and ending everywhere in a tile), a
-- cut behind every token, and 24 ways with more cuts, drawn once.
-- some: 20 tokens and fewer cuts, for models that differ in their weights only.
-- With -f16 behind it the cache is of halves.

local core = require "decant.core"

local sources = {
  {31, 8, 10, 23, 60, 35, 0}, {5, 6, 7}, {11, 12, 13, 14, 15, 16, 17, 18, 19,
  20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30}, {2}, {40, 41, 42, 43},
  {9, 9, 9, 9, 9, 9}, {3, 70, 5}, {64, 65, 66, 67, 68, 69, 70, 71}, {1, 2},
}
-- Tokens of the prompt that fills the context: 20 tiles.
local LONGEST <const> = 320

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

-- Rows for the first `batch` sources, the first one at `place` (1); a causal
-- model reads none.
local function new_rows(model, batch, place)
  local rows = {}
  if model:hparams().kind == "causal" then
    for i = 1, batch do rows[i] = model:rows(1) end
    return rows
  end
  local inputs, masks = {}, {}
  for i = 1, batch do
    inputs[i] = within(sources[i], model:hparams().vocab)
  end
  inputs[1], inputs[place or 1] = inputs[place or 1], inputs[1]
  for i, ids in ipairs(inputs) do
    masks[i] = {}
    for j = 1, #ids do masks[i][j] = 1 end
  end
  for i, source in ipairs(model:sources(model:encode(inputs), masks)) do
    rows[i] = model:rows(1, source)
  end
  return rows
end

-- The scores behind the prompt of the row at `place` (1) when `batch` rows go
-- together and the prompt comes in pieces that end at `cuts`.
local function scores(model, ids, batch, cuts, place)
  local requests, last = {}, nil
  place = place or 1
  for i, rows in ipairs(new_rows(model, batch, place)) do
    requests[i] = {rows}
  end
  local from = 1
  for _, to in ipairs(cuts) do
    for i, request in ipairs(requests) do
      local piece = table.move(ids, from, to, 1, {})
      if i ~= place then piece[1] = (piece[1] + i) % 60 end  -- these differ
      request[2] = {piece}
    end
    last = core.forward(requests)[place][1]
    from = to + 1
  end
  for _, request in ipairs(requests) do request[1]:close() end
  return bytes_of(last)
end

-- The same from a cache that `width` beams share; the others go on otherwise.
local function beam_scores(model, ids, width)
  local rows, parents, pieces = new_rows(model, 1)[1], {}, {}
  core.forward {{rows, {table.move(ids, 1, #ids - 1, 1, {})}}}
  for i = 1, width do
    parents[i], pieces[i] = 1, {(ids[#ids] + i * (i // 2)) % 60}
  end
  pieces[width] = {ids[#ids]}
  rows:reorder(parents)
  local found = core.forward {{rows, pieces}} [1]
  rows:close()
  return bytes_of(found[width])
end

-- The scores behind every token, each fed by itself.
local function stepwise(model, ids)
  local rows, parts = new_rows(model, 1)[1], {}
  for i, id in ipairs(ids) do
    parts[i] = bytes_of(core.forward {{rows, {{id}}}} [1][1])
  end
  rows:close()
  return parts
end

-- Ways to cut n tokens, as lists of ends: one cut, at every `step`-th place.
local function single_cuts(n, step)
  local list = {}
  for i = 1, n - 1, step do list[#list + 1] = {i, n} end
  return list
end

-- Adds `count` ways with many cuts: at 1 of 2, of 4, of 8 places, by a linear
-- congruential generator.
local function add_many_cuts(list, n, count)
  local state = 1
  for k = 1, count do
    local cuts = {}
    for i = 1, n - 1 do
      state = (state * 1103515245 + 12345) % 2^31
      if state // 65536 % (1 << k % 3 + 1) == 0 then cuts[#cuts + 1] = i end
    end
    cuts[#cuts + 1] = n
    list[#list + 1] = cuts
  end
  return list
end

local threads <const>, counts <const> = {1, 2, 3, 5, 8},
                                        {1, 2, 3, 4, 5, 6, 7, 8, 9}
local ways = {
  all = {length = 40, threads = threads, counts = counts,
         cuts = add_many_cuts(single_cuts(40, 1), 40, 24),
         starts = {1, 15, 16, 17, 33}, pieces = {1, 7, 16, 33}},
  some = {length = 20, threads = threads, counts = counts,
          cuts = add_many_cuts(single_cuts(20, 3), 20, 3),
          starts = {1, 16, 17}, pieces = {7}},
}

-- The ends of pieces of `size` tokens.
local function even_cuts(n, size)
  local cuts = {}
  for to = size, n - 1, size do cuts[#cuts + 1] = to end
  cuts[#cuts + 1] = n
  return cuts
end

-- The scores behind every token in one causal pass, which reads no cache.
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
  return parts
end

local function some_ids(n, vocab)
  local ids = {}
  for i = 1, n do ids[i] = i * i * 7 % vocab end
  return ids
end

local function check(model, way)
  local length = way.length
  local ids, whole = some_ids(length, model:hparams().vocab), {length}
  local all = teacher_forced(model, ids)
  local expected = all[length]
  local function same(what, bytes)
    if bytes ~= expected then error("other bits: " .. what, 0) end
  end
  for _, n in ipairs(way.threads) do
    core.threads(n)
    same(n .. " threads", scores(model, ids, 1, whole))
    for place = 1, 9, 4 do  -- of the first thread, another, the last
      same(("%d threads, row %d of 9"):format(n, place),
           scores(model, ids, 9, {17, length}, place))
    end
    same(n .. " threads, 4 beams", beam_scores(model, ids, 4))
    same(n .. " threads, no cache", teacher_forced(model, ids)[length])
  end
  core.threads(1)
  for _, n in ipairs(way.counts) do
    same("batch of " .. n, scores(model, ids, n, whole))
    same(n .. " beams", beam_scores(model, ids, n))
  end
  for _, cuts in ipairs(way.cuts) do
    same("cut at " .. table.concat(cuts, ","), scores(model, ids, 1, cuts))
  end
  for i, bytes in ipairs(stepwise(model, ids)) do
    if bytes ~= all[i] then error("other bits: cached step " .. i, 0) end
  end
  for _, n in ipairs(way.starts) do
    local start = teacher_forced(model, table.move(ids, 1, n, 1, {}))
    if start[n] ~= all[n] then error("other bits: the first " .. n, 0) end
  end
  return table.concat(all)
end

-- Quantised weights that lie in panels against those that lie as in the file.
local function check_packing(path, way, hp)
  local packed <close> = assert(core.load(path, {pack = true}))
  local plain <close> = assert(core.load(path, {pack = false}))
  assert(plain:hparams().packed_bytes == 0)
  if packed:hparams().packed_bytes == 0 then return end  -- none is quantised
  local ids = some_ids(way.length, hp.vocab)
  local all, again = teacher_forced(plain, ids), teacher_forced(packed, ids)
  if table.concat(all) ~= table.concat(again) then
    error("other bits: packed, no cache", 0)
  end
  for _, n in ipairs(way.counts) do
    for _, model in ipairs {packed, plain} do
      if scores(model, ids, n, {1, #ids}) ~= all[#ids] then
        error("other bits: packed or plain, batch of " .. n, 0)
      end
    end
  end
end

-- The same for a prompt that fills the context, many blocks of the cache and
-- more than a window.
local function check_long(model, way)
  local hp = model:hparams()
  local ids = some_ids(math.min(hp.context, LONGEST), hp.vocab)
  local all = teacher_forced(model, ids)
  for _, size in ipairs(way.pieces) do
    local cuts = even_cuts(#ids, size)
    if scores(model, ids, 1, cuts) ~= all[#ids] then
      error("other bits: pieces of " .. size, 0)
    end
  end
  return table.concat(all)
end

core.parallel_from(0)  -- the smallest loop is shared out, too
local kind, cache = arg[1]:match "^(%l+)(.*)$"
local way = ways[kind]
for _, path in ipairs(table.move(arg, 2, #arg, 1, {})) do
  local model = assert(core.load(path, {cache_type = cache ~= "" and
                                        cache:sub(2) or "f32"}))
  if cache == "" then check_packing(path, way, model:hparams()) end
  local hash = fnv(-3750763034362895579, check(model, way))
  print(("%s %016x"):format(path:match "[^/]+$",
                            fnv(hash, check_long(model, way))))
  model:close()
end
