-- random.lua: a GGUF with random weights, to measure a size of model that
-- nobody has trained, or that nobody may pass on.
--
--   require "bench.random" (path [, sizes])
--       sizes.architecture: "marian" or "llama", and what the tables `normal`
--       below list; a size that is left out is the one there
--   lua5.4 bench/random.lua PATH [name=value ...]
--
-- "marian" is the Transformer base with one vocabulary, ids 0 (end) and
-- vocab - 1 (start, pad). "llama" has the shape of SmolLM2-135M and the names
-- and keys of llama.cpp, so llama.cpp runs the same file. Neither has a
-- tokenizer. Nothing is drawn from the clock: the same sizes, the same file.
--
-- Weights are about 0.02 in size, whatever their type, so that no activation
-- grows or dies on its way up; matrices repeat one pool of random blocks.

package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
package.cpath = "./build/lib/?.so;" .. package.cpath

local core = require "decant.core"

local normal = {
  marian = {type = "q8_0", layers = 6, d_model = 512, d_ff = 2048, heads = 8,
            vocab = 32000, context = 512},
  llama = {type = "q8_0", layers = 30, d_model = 576, d_ff = 1536, heads = 9,
           kv_heads = 3, vocab = 49152, context = 4096, rope_base = 100000},
}


-- ---- weights ----

local BLOCK <const> = 32
local BLOCKS <const> = 16381  -- prime: rows of weights do not repeat soon

-- Of each type: the bytes of a block, of so many weights (32), made of random
-- words of 32 bits, and in front of them or behind them what must not be
-- random: scales and minima, as float16.
local function halves(...)
  return string.pack("<" .. ("I2"):rep(select("#", ...)), ...)
end

local blocks = {
  q8_0 = {bytes = 34, words = 8, head = halves(0x0C00)},  -- 2^-12
  q4_0 = {bytes = 18, words = 4, head = halves(0x1C00)},  -- 2^-8
  q4_1 = {bytes = 20, words = 4, head = halves(0x1C00, 0xA780)},  -- mean 0
  q5_0 = {bytes = 22, words = 5, head = halves(0x1800)},
  q5_1 = {bytes = 24, words = 5, head = halves(0x1800, 0xA7C0)},
  iq4_nl = {bytes = 18, words = 4, head = halves(0x0C00)},
  q2_k = {bytes = 84, of = 256, words = 20, tail = halves(0x1400, 0x1600)},
  q3_k = {bytes = 110, of = 256, words = 27, tail = halves(0x1000)},
  q4_k = {bytes = 144, of = 256, words = 35, head = halves(0x0400, 0x0F80)},
  q5_k = {bytes = 176, of = 256, words = 43, head = halves(0x0200, 0x0FC0)},
  q6_k = {bytes = 210, of = 256, words = 52, tail = halves(0x0100)},
  iq4_xs = {bytes = 136, of = 256, words = 33, head = halves(0x0200, 0x5A5A)},
  -- sign and fraction random, the exponent that of 1/64
  f16 = {bytes = 64, words = 16, keep = 0x83FF83FF, set = 0x24002400},
  f32 = {bytes = 128, words = 32, keep = 0x807FFFFF, set = 0x3C800000},
}

local function random_block(form, rng)
  local words = {}
  for i = 1, form.words, 4 do
    words[i], words[i + 1], words[i + 2], words[i + 3] = rng:bits()
  end
  if form.keep then
    for i, word in ipairs(words) do words[i] = word & form.keep | form.set end
  end
  return (form.head or "") ..
         string.pack("<" .. ("I4"):rep(form.words),
                     table.unpack(words, 1, form.words)) ..
         (form.tail or "")
end

local function random_pool(form)
  local rng, pool = core.rng(1), {}
  for i = 1, BLOCKS do pool[i] = random_block(form, rng) end
  return table.concat(pool)
end

-- n_bytes of an endless repetition of `pool`, from a place that depends on the
-- weight's number.
local function slice(pool, number, n_bytes)
  local skip = number * 7919 % BLOCKS * (#pool // BLOCKS)
  local copies = (skip + n_bytes) // #pool + 1
  return pool:rep(copies):sub(skip + 1, skip + n_bytes)
end


-- ---- tensors: {name, {rows, columns}} or {name, {size}, value} ----

local tensors = {}

-- The tensors of one block of a marian model.
local function marian_block(prefix, s, cross)
  local list = {}
  local function linear(name, rows, columns)
    list[#list + 1] = {prefix .. name .. ".weight", {rows, columns}}
    list[#list + 1] = {prefix .. name .. ".bias", {rows}, 0}
  end
  local function norm(name)
    list[#list + 1] = {prefix .. name .. ".weight", {s.d_model}, 1}
    list[#list + 1] = {prefix .. name .. ".bias", {s.d_model}, 0}
  end
  for _, kind in ipairs(cross and {"attn_", "cross_attn_"} or {"attn_"}) do
    for _, name in ipairs{"q", "k", "v", "o"} do
      linear(kind .. name, s.d_model, s.d_model)
    end
    norm(kind .. "norm")
  end
  linear("ffn_up", s.d_ff, s.d_model)
  linear("ffn_down", s.d_model, s.d_ff)
  norm "ffn_norm"
  return list
end

function tensors.marian(s)
  local list = {{"token_embd.weight", {s.vocab, s.d_model}}}
  for _, stack in ipairs{"enc", "dec"} do
    for i = 0, s.layers - 1 do
      local own = marian_block(("%s.blk.%d."):format(stack, i), s,
                               stack == "dec")
      table.move(own, 1, #own, #list + 1, list)
    end
  end
  list[#list + 1] = {"output.bias", {s.vocab}, 0}
  return list
end

-- The output matrix is the embeddings': there is no output.weight.
function tensors.llama(s)
  local d, kv = s.d_model, s.d_model // s.heads * s.kv_heads
  local list = {{"token_embd.weight", {s.vocab, d}}}
  for i = 0, s.layers - 1 do
    for _, weight in ipairs{
      {"attn_norm", {d}, 1}, {"attn_q", {d, d}}, {"attn_k", {kv, d}},
      {"attn_v", {kv, d}}, {"attn_output", {d, d}}, {"ffn_norm", {d}, 1},
      {"ffn_gate", {s.d_ff, d}}, {"ffn_up", {s.d_ff, d}},
      {"ffn_down", {d, s.d_ff}},
    } do
      weight[1] = ("blk.%d.%s.weight"):format(i, weight[1])
      list[#list + 1] = weight
    end
  end
  list[#list + 1] = {"output_norm.weight", {d}, 1}
  return list
end


-- ---- keys ----

local keys = {}

local function set_numbers(w, numbers)
  for key, value in pairs(numbers) do w:set(key, "u32", value) end
end

function keys.marian(w, s)
  set_numbers(w, {
    ["marian.vocab_size"] = s.vocab, ["marian.context_length"] = s.context,
    ["marian.embedding_length"] = s.d_model, ["marian.block_count"] = s.layers,
    ["marian.decoder_block_count"] = s.layers,
    ["marian.feed_forward_length"] = s.d_ff,
    ["decant.decoder.feed_forward_length"] = s.d_ff,
    ["marian.attention.head_count"] = s.heads,
    ["decant.decoder.attention.head_count"] = s.heads,
    ["marian.decoder_start_token_id"] = s.vocab - 1,
    ["decant.generation.eos_token_id"] = 0,
    ["decant.generation.pad_token_id"] = s.vocab - 1,
  })
  w:set("marian.attention.layer_norm_epsilon", "f32", 1e-5)
  w:set("marian.embedding_scale", "f32", s.d_model ^ 0.5)
  w:set("decant.activation", "string", "swish")
  w:set("decant.positions", "string", "sinusoidal")
  w:set("decant.norm_place", "string", "post")
end

function keys.llama(w, s)
  set_numbers(w, {
    ["llama.vocab_size"] = s.vocab, ["llama.context_length"] = s.context,
    ["llama.embedding_length"] = s.d_model, ["llama.block_count"] = s.layers,
    ["llama.feed_forward_length"] = s.d_ff,
    ["llama.attention.head_count"] = s.heads,
    ["llama.attention.head_count_kv"] = s.kv_heads,
    ["llama.rope.dimension_count"] = s.d_model // s.heads,
  })
  w:set("llama.attention.layer_norm_rms_epsilon", "f32", 1e-5)
  w:set("llama.rope.freq_base", "f32", s.rope_base)
  w:set("tokenizer.ggml.model", "string", "none")
end


-- ---- the file ----

local function write(path, sizes)
  local architecture = sizes and sizes.architecture or "marian"
  local s = setmetatable(sizes or {}, {__index = normal[architecture]})
  local form = assert(blocks[s.type], "no such type")
  local w <close> = assert(core.gguf_writer(path))
  w:set("general.architecture", "string", architecture)
  w:set("general.alignment", "u32", 32)
  keys[architecture](w, s)
  local pool = random_pool(form)
  for number, tensor in ipairs(tensors[architecture](s)) do
    local name, shape, fill = table.unpack(tensor)
    if #shape == 2 then
      local bytes = shape[1] * shape[2] // (form.of or BLOCK) * form.bytes
      w:tensor(name, s.type, shape, slice(pool, number, bytes))
    else
      w:tensor(name, "f32", shape, string.pack("<f", fill):rep(shape[1]))
    end
  end
  assert(w:finish())
end

if ... == "bench.random" then return write end

local sizes = {}
for i = 2, #arg do
  local name, value = arg[i]:match "^([%w_]+)=(.+)$"
  assert(name, "usage: random.lua PATH [name=value ...]")
  sizes[name] = math.tointeger(tonumber(value)) or value
end
write(assert(arg[1], "usage: random.lua PATH [name=value ...]"), sizes)
