-- t5.lua: T5 in its two editions, the first (relu) and v1.1 with Flan-T5
-- (gated gelu, an output matrix of its own). Names are llama.cpp's.
--
-- The fact that one would get wrong: a tied output is multiplied by
-- d_model^-0.5, an untied one is not. 5.x writes scale_decoder_outputs and
-- always tie_word_embeddings = true; 4.x has tie_word_embeddings alone, which
-- means both. The runtime scales if there is no output.weight: so there is one
-- if it shall not, even if its numbers are those of the embeddings.

local files = require "decant.convert.files"

local function sizes(reader, h)
  h.layers, h.context = h.num_layers, h.n_positions
  h.d, h.ff, h.heads, h.inner = h.d_model, h.d_ff, h.num_heads,
                                h.num_heads * h.d_kv
  h.buckets = h.relative_attention_num_buckets
  reader:put("A.attention.key_length", "u32", h.d_kv)
  reader:put("A.attention.value_length", "u32", h.d_kv)
  reader:put("A.attention.layer_norm_rms_epsilon", "f32",
             h.layer_norm_epsilon)
end

-- "relu" or "gated-gelu", which has always meant the tanh form.
local function feed_forward(reader, h)
  local value = reader:value "feed_forward_proj"
  local name = tostring(value):match "^gated%-(.*)$"
  h.gated, h.plain = name ~= nil, name == nil
  reader:activation("feed_forward_proj", name == "gelu" and "gelu_new"
                                         or name or value)
end

local function outputs(reader, h)
  local scaled = reader.config.scale_decoder_outputs
  if scaled == nil or scaled == files.null then
    scaled = h.tied
  elseif type(scaled) ~= "boolean" then
    reader:fail("scale_decoder_outputs", scaled, "must be true or false")
  end
  h.keep_head = not scaled
  h.no_head = scaled and "scaled outputs (scale_decoder_outputs) come from "
                         .. "the embeddings"
end

local function attention(layer, module, target)
  local source = ("layer.%d."):format(layer)
  return {
    {source .. "layer_norm", target .. "_norm", "d"},
    {source .. module .. ".q", target .. "_q", "inner", "d"},
    {source .. module .. ".k", target .. "_k", "inner", "d"},
    {source .. module .. ".v", target .. "_v", "inner", "d"},
    {source .. module .. ".o", target .. "_o", "d", "inner"},
  }
end

local function dense(layer)
  local source = ("layer.%d."):format(layer)
  return {
    {source .. "layer_norm", "ffn_norm", "d"},
    {source .. "DenseReluDense.wi", "ffn_up", "ff", "d", only = "plain"},
    {source .. "DenseReluDense.wi_0", "ffn_gate", "ff", "d", only = "gated"},
    {source .. "DenseReluDense.wi_1", "ffn_up", "ff", "d", only = "gated"},
    {source .. "DenseReluDense.wo", "ffn_down", "d", "ff"},
  }
end

local self_attention = attention(0, "SelfAttention", "attn")

-- The biases of the first layer serve all; other layers have none.
local function relative(side, target)
  return {side .. ".block.0.layer.0.SelfAttention.relative_attention_bias",
          target .. ".blk.0.attn_rel_b", "buckets", "heads", table = true}
end

local t5 = {
  name = "t5", seq2seq = true,
  fields = {
    {"vocab_size", "A.vocab_size", "count", 1 << 24},
    {"n_positions", "A.context_length", "count", 1 << 20},
    {"d_model", "A.embedding_length", "count", 1 << 16},
    {"num_layers", "A.block_count", "count", 1024},
    {"num_decoder_layers", "A.decoder_block_count", "count", 1024},
    {"d_ff", "A.feed_forward_length", "count", 1 << 20},
    {"num_heads", "A.attention.head_count", "count", 1 << 12},
    {"d_kv", nil, "count", 1 << 16},
    {"layer_norm_epsilon", "A.attention.layer_norm_epsilon", "epsilon"},
    {"relative_attention_num_buckets", "A.attention.relative_buckets_count",
     "count", 1 << 16},
    {"relative_attention_max_distance",
     "decant.attention.relative_max_distance", "count", 1 << 20},
  },
  defaults = {
    vocab_size = 32128, n_positions = 512, d_model = 512, num_layers = 6,
    num_decoder_layers = "=num_layers", d_ff = 2048, num_heads = 8, d_kv = 64,
    layer_norm_epsilon = 1e-6, relative_attention_num_buckets = 32,
    relative_attention_max_distance = 128, feed_forward_proj = "relu",
    tie_word_embeddings = true,
  },
  generation = {decoder_start_token_id = 0, pad_token_id = 0,
                eos_token_id = 1},
  fixed = {is_encoder_decoder = true},
  steps = {sizes, feed_forward, outputs},
  prefixes = {""},
  embeddings = {"shared.weight", "encoder.embed_tokens.weight",
                "decoder.embed_tokens.weight"},
  head = "lm_head.weight",
  stacks = {
    {source = "encoder.block.%d.", target = "enc.blk.%d.", count = "layers",
     parts = {self_attention, dense(1)}},
    {source = "decoder.block.%d.", target = "dec.blk.%d.",
     count = "num_decoder_layers",
     parts = {self_attention, attention(1, "EncDecAttention", "cross_attn"),
              dense(2)}},
  },
  parts = {{
    relative("encoder", "enc"), relative("decoder", "dec"),
    {"encoder.final_layer_norm", "enc.output_norm", "d"},
    {"decoder.final_layer_norm", "dec.output_norm", "d"},
  }},
  -- the first checkpoints have one that nothing reads
  ignored = {"^decoder%.block%.0%.layer%.1%.EncDecAttention%."
             .. "relative_attention_bias%.weight$"},
}

return {t5 = t5}
