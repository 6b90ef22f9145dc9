-- typed.lua: a small encoder-decoder whose matrices are of any weight type,
-- wide enough for blocks of 256. Its blocks are bytes of a fixed generator
-- with scales of a sane size put in, so no quantiser is needed; keys come
-- from the converted marian of the zoo.
--
--   typed.gguf("q4_k")            path; all matrices, the tied embedding too
--   typed.gguf("mixed", {"q4_k", "q6_k", ...})  the types in turn
--   typed.types                   every type

local core = require "decant.core"
local fixtures = require "spec.support.fixtures"

local typed = {}

local D, VOCAB = 256, 90

-- Elements and bytes of a block, where it has halves, and their high byte.
local layouts = {
  f32 = {1, 4, {2}, 0x3c}, f16 = {1, 2, {0}, 0x28},
  bf16 = {1, 2, {0}, 0x3c}, q4_0 = {32, 18, {0}, 0x20},
  q4_1 = {32, 20, {0, 2}, 0x20}, q5_0 = {32, 22, {0}, 0x1c},
  q5_1 = {32, 24, {0, 2}, 0x1c}, q8_0 = {32, 34, {0}, 0x10},
  q2_k = {256, 84, {80, 82}, 0x14}, q3_k = {256, 110, {108}, 0x14},
  q4_k = {256, 144, {0, 2}, 0x08}, q5_k = {256, 176, {0, 2}, 0x08},
  q6_k = {256, 210, {208}, 0x04}, iq4_nl = {32, 18, {0}, 0x10},
  iq4_xs = {256, 136, {0}, 0x04},
}

typed.types = {}
for name in pairs(layouts) do typed.types[#typed.types + 1] = name end
table.sort(typed.types)

-- 64 KiB of bytes, the highest of Knuth's MMIX generator.
local function make_pool()
  local state, bytes = 1, {}
  for i = 1, 65536 do
    state = state * 6364136223846793005 + 1442695040888963407
    bytes[i] = string.char(state >> 56)
  end
  return table.concat(bytes)
end

local pool = make_pool()

-- `size` bytes from the pool; where they begin depends on the seed.
local function random(seed, size)
  local from = seed * 7919 % (#pool - size)
  return pool:sub(from + 1, from + size)
end

-- One block: random, its halves small and of either sign.
local function block(layout, seed)
  local bytes = random(seed, layout[2])
  for _, at in ipairs(layout[3]) do
    local high = layout[4] | (bytes:byte(at + 2) & 0x83)
    bytes = bytes:sub(1, at + 1) .. string.char(high) .. bytes:sub(at + 3)
  end
  return bytes
end

-- The bytes of a matrix of n elements.
function typed.matrix(type, n, seed)
  local layout, parts = layouts[type], {}
  for i = 1, n // layout[1] do parts[i] = block(layout, seed * 1009 + i) end
  return table.concat(parts)
end

-- n floats from -1 to 1.
local function vector(n, seed)
  local parts = {}
  for i = 1, n do
    local byte = pool:byte((seed * 7919 + i) % #pool + 1)
    parts[i] = ("<f"):pack((byte - 128) / 128)
  end
  return table.concat(parts)
end

-- {name, outputs, inputs}; no inputs: a vector.
local function tensors()
  local list = {{"token_embd.weight", VOCAB, D}}
  local function add(name, inputs)
    list[#list + 1] = {name .. ".weight", D, inputs}
    list[#list + 1] = {name .. ".bias", D}
  end
  for _, part in ipairs {"enc.blk.0.attn", "dec.blk.0.attn",
                         "dec.blk.0.cross_attn"} do
    for _, name in ipairs {"_q", "_k", "_v", "_o"} do add(part .. name, D) end
    add(part .. "_norm")
  end
  for _, part in ipairs {"enc.blk.0.ffn", "dec.blk.0.ffn"} do
    for _, name in ipairs {"_up", "_down"} do add(part .. name, D) end
    add(part .. "_norm")
  end
  return list
end

local sizes = {
  ["marian.embedding_length"] = D, ["marian.block_count"] = 1,
  ["marian.decoder_block_count"] = 1, ["marian.feed_forward_length"] = D,
  ["decant.decoder.feed_forward_length"] = D,
}

-- `convert(type, bytes)` may change a matrix before it is written: it returns
-- its new type and bytes.
function typed.write(path, types, convert)
  local marian <close> = assert(core.gguf(fixtures.gguf("marian", "f32")))
  local w = assert(core.gguf_writer(path))
  for _, key in ipairs(marian:keys()) do
    w:set(key, marian:type(key), sizes[key] or marian:get(key))
  end
  local n_matrices = 0
  for seed, t in ipairs(tensors()) do
    if t[3] then
      local type = types[n_matrices % #types + 1]
      local bytes = typed.matrix(type, t[2] * t[3], seed)
      if convert then type, bytes = convert(type, bytes) end
      w:tensor(t[1], type, {t[2], t[3]}, bytes)
      n_matrices = n_matrices + 1
    else
      w:tensor(t[1], "f32", {t[2]}, vector(t[2], seed))
    end
  end
  assert(w:finish())
  return path
end

local made = {}

function typed.gguf(name, types)
  if not made[name] then
    local path = ("%s/typed-%s.gguf"):format(fixtures.folder(), name)
    made[name] = typed.write(path, types or {name})
  end
  return made[name]
end

return typed
