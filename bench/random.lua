-- random.lua: a GGUF with random q8_0 weights, to measure a size of model
-- that nobody has trained.
--
--   require "bench.random" (path [, sizes])
--       sizes: layers 6 (of encoder and decoder), d_model 512, d_ff 2048,
--       heads 8, vocab 32000, context 512
--
-- A marian model without a tokenizer; ids 0 (end) and vocab - 1 (start, pad).
-- Nothing is drawn from the clock: the same sizes give the same file.

local core = require "decant.core"

local BLOCKS <const> = 16381  -- prime: rows of weights do not repeat soon


-- Blocks of q8_0: a scale as float16 (about 1/256) and 32 signed bytes.
local function random_blocks()
  local rng, blocks = core.rng(1), {}
  for i = 1, BLOCKS do
    local words = {}
    for j = 1, 8, 4 do
      words[j], words[j + 1], words[j + 2], words[j + 3] = rng:bits()
    end
    blocks[i] = string.pack("<I2I4I4I4I4I4I4I4I4", 0x0C00,
                            table.unpack(words, 1, 8))
  end
  return table.concat(blocks)
end


-- n_bytes of an endless repetition of `data`, from a place that depends on the
-- weight's number.
local function slice(data, number, n_bytes)
  local skip = number * 7919 % BLOCKS * 34
  local copies = (skip + n_bytes) // #data + 1
  return data:rep(copies):sub(skip + 1, skip + n_bytes)
end


-- The tensors of one block as {name, {rows, columns}} or {name, {size}}.
local function block(prefix, s, cross)
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


local function all_tensors(s)
  local list = {{"token_embd.weight", {s.vocab, s.d_model}}}
  for _, stack in ipairs{"enc", "dec"} do
    for i = 0, s.layers - 1 do
      local own = block(("%s.blk.%d."):format(stack, i), s, stack == "dec")
      table.move(own, 1, #own, #list + 1, list)
    end
  end
  list[#list + 1] = {"output.bias", {s.vocab}, 0}
  return list
end


local function set_keys(w, s)
  w:set("general.architecture", "string", "marian")
  w:set("general.alignment", "u32", 32)
  for key, value in pairs{
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
  } do
    w:set(key, "u32", value)
  end
  w:set("marian.attention.layer_norm_epsilon", "f32", 1e-5)
  w:set("marian.embedding_scale", "f32", s.d_model ^ 0.5)
  w:set("decant.activation", "string", "swish")
  w:set("decant.positions", "string", "sinusoidal")
  w:set("decant.norm_place", "string", "post")
end


return function(path, sizes)
  local s = setmetatable(sizes or {}, {__index = {
    layers = 6, d_model = 512, d_ff = 2048, heads = 8, vocab = 32000,
    context = 512}})
  local w <close> = assert(core.gguf_writer(path))
  set_keys(w, s)
  local data = random_blocks()
  for number, tensor in ipairs(all_tensors(s)) do
    local name, shape, fill = table.unpack(tensor)
    if #shape == 2 then
      local bytes = shape[1] * shape[2] // 32 * 34
      w:tensor(name, "q8_0", shape, slice(data, number, bytes))
    else
      w:tensor(name, "f32", shape, string.pack("<f", fill):rep(shape[1]))
    end
  end
  assert(w:finish())
end
