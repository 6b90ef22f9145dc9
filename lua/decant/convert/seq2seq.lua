-- seq2seq.lua: how the encoder-decoder models of Hugging Face map to GGUF.
-- An architecture is a table; nothing here computes.
--
-- The fact that one would get wrong: transformers 4.x leaves out of
-- config.json every key that equals the default of the model's class, so a
-- missing key means that default, and each class has its own (checked against
-- MarianConfig and BartConfig of 4.55 and 5.23).

-- config.json -> metadata: {key of config.json, key of the GGUF, the largest
-- value that the loader takes}, all of them integers from 1; "A." stands for
-- the architecture's name.
local config_keys = {
  {"vocab_size", "A.vocab_size", 1 << 24},
  {"max_position_embeddings", "A.context_length", 1 << 20},
  {"d_model", "A.embedding_length", 1 << 16},
  {"encoder_layers", "A.block_count", 1024},
  {"decoder_layers", "A.decoder_block_count", 1024},
  {"encoder_ffn_dim", "A.feed_forward_length", 1 << 20},
  {"decoder_ffn_dim", "decant.decoder.feed_forward_length", 1 << 20},
  {"encoder_attention_heads", "A.attention.head_count", 1 << 12},
  {"decoder_attention_heads", "decant.decoder.attention.head_count", 1 << 12},
}

-- Names of transformers.ACT2FN that mean the same function.
local activations = {
  swish = "swish", silu = "swish", relu = "relu",
  gelu = "gelu", gelu_python = "gelu",
  gelu_new = "gelu_tanh", gelu_fast = "gelu_tanh",
  gelu_pytorch_tanh = "gelu_tanh", gelu_python_tanh = "gelu_tanh",
}

-- One row a pair of tensors: {name in the checkpoint, name in the GGUF, rows,
-- columns}, sizes by name; .weight is [rows, columns] and .bias [rows]. A norm
-- has no columns: both are [rows].
local function attention(source, target)
  return {
    {source .. ".q_proj", target .. "_q", "d", "d"},
    {source .. ".k_proj", target .. "_k", "d", "d"},
    {source .. ".v_proj", target .. "_v", "d", "d"},
    {source .. ".out_proj", target .. "_o", "d", "d"},
    {source .. "_layer_norm", target .. "_norm", "d"},
  }
end

local feed_forward = {
  {"fc1", "ffn_up", "ff", "d"},
  {"fc2", "ffn_down", "d", "ff"},
  {"final_layer_norm", "ffn_norm", "d"},
}

local self_attention = attention("self_attn", "attn")
local cross_attention = attention("encoder_attn", "cross_attn")

local stacks = {
  {source = "encoder", target = "enc", layers = "encoder_layers",
   ff = "encoder_ffn_dim", parts = {self_attention, feed_forward}},
  {source = "decoder", target = "dec", layers = "decoder_layers",
   ff = "decoder_ffn_dim",
   parts = {self_attention, cross_attention, feed_forward}},
}

local marian = {
  name = "marian",
  defaults = {
    vocab_size = 58101, max_position_embeddings = 1024, d_model = 1024,
    encoder_layers = 12, encoder_ffn_dim = 4096, encoder_attention_heads = 16,
    decoder_layers = 12, decoder_ffn_dim = 4096, decoder_attention_heads = 16,
    activation_function = "gelu", scale_embedding = false,
  },
  -- generation fields whose class default is not "none"
  generation = {decoder_start_token_id = 58100, pad_token_id = 58100,
                eos_token_id = 0, forced_eos_token_id = 0},
  -- keys that, where they are present, must say what the graph does
  fixed = {
    normalize_before = false, normalize_embedding = false,
    add_final_layer_norm = false, add_bias_logits = false,
    static_position_embeddings = true, is_encoder_decoder = true,
    share_encoder_decoder_embeddings = true,
  },
  positions = "sinusoidal",  -- computed; a table in the file is ignored
  ignored = {"encoder.embed_positions.weight",
             "decoder.embed_positions.weight"},
}

local bart = {
  name = "bart",
  defaults = {
    vocab_size = 50265, max_position_embeddings = 1024, d_model = 1024,
    encoder_layers = 12, encoder_ffn_dim = 4096, encoder_attention_heads = 16,
    decoder_layers = 12, decoder_ffn_dim = 4096, decoder_attention_heads = 16,
    activation_function = "gelu", scale_embedding = false,
  },
  generation = {decoder_start_token_id = 2, pad_token_id = 1,
                bos_token_id = 0, eos_token_id = 2, forced_eos_token_id = 2},
  fixed = {
    normalize_before = false, normalize_embedding = true,
    add_final_layer_norm = false, add_bias_logits = false,
    static_position_embeddings = false, is_encoder_decoder = true,
  },
  positions = "learned",
  position_offset = 2,  -- unused rows in front of the table
  embedding_norm = "layernorm_embedding",
  ignored = {"encoder.version", "decoder.version"},  -- left by fairseq
}

for _, family in ipairs {marian, bart} do
  family.config_keys = config_keys
  family.activations = activations
  family.stacks = stacks
  family.norm_place = "post"
end

return {marian = marian, bart = bart}
