-- gpt.lua: GPT-2 and GPT-NeoX (Pythia). Names are llama.cpp's.
--
-- The facts that one would get wrong: GPT-2 stores its projections as
-- [in, out] (Conv1D), so they are transposed here. GPT-NeoX has the rows of
-- query_key_value head by head, q k v of the first head first; GGUF wants all
-- of q, then k, then v.

local rope = require "decant.convert.rope"

local function gpt2_sizes(reader, h)
  reader:divides("n_head", "n_embd")
  h.context, h.layers, h.d, h.qkv = h.n_positions, h.n_layer, h.n_embd,
                                    3 * h.n_embd
  h.ff = h.n_inner or 4 * h.n_embd
  reader:put("A.feed_forward_length", "u32", h.ff)
  if not reader:boolean "scale_attn_weights" then
    reader:put("A.attention.scale", "f32", 1.0)
  end
  reader:activation "activation_function"
end

local gpt2 = {
  name = "gpt2",
  fields = {
    {"vocab_size", "A.vocab_size", "count", 1 << 24},
    {"n_positions", "A.context_length", "count", 1 << 20},
    {"n_embd", "A.embedding_length", "count", 1 << 16},
    {"n_layer", "A.block_count", "count", 1024},
    {"n_head", "A.attention.head_count", "count", 1 << 12},
    {"n_inner", nil, "count", 1 << 20, optional = true},
    {"layer_norm_epsilon", "A.attention.layer_norm_epsilon", "epsilon"},
  },
  defaults = {
    vocab_size = 50257, n_positions = 1024, n_embd = 768, n_layer = 12,
    n_head = 12, layer_norm_epsilon = 1e-5, activation_function = "gelu_new",
    scale_attn_weights = true, tie_word_embeddings = true,
  },
  generation = {bos_token_id = 50256, eos_token_id = 50256},
  fixed = {scale_attn_by_inverse_layer_idx = false,
           add_cross_attention = false},
  steps = {gpt2_sizes},
  prefixes = {"transformer.", ""},
  embeddings = {"wte.weight"},
  head = "lm_head.weight",
  bias = true,
  stacks = {{
    source = "h.%d.", target = "blk.%d.", count = "layers",
    parts = {{
      {"ln_1", "attn_norm", "d"},
      {"attn.c_attn", "attn_qkv", "qkv", "d", transposed = true},
      {"attn.c_proj", "attn_output", "d", "d", transposed = true},
      {"ln_2", "ffn_norm", "d"},
      {"mlp.c_fc", "ffn_up", "ff", "d", transposed = true},
      {"mlp.c_proj", "ffn_down", "d", "ff", transposed = true},
    }},
  }},
  parts = {{
    {"wpe", "position_embd", "context", "d", table = true},
    {"ln_f", "output_norm", "d"},
  }},
  -- the triangle of the causal mask
  ignored = {"^h%.%d+%.attn%.bias$", "^h%.%d+%.attn%.masked_bias$"},
}

local function neox_sizes(reader, h)
  reader:divides("num_attention_heads", "hidden_size")
  h.head_dim = h.hidden_size // h.num_attention_heads
  h.context, h.layers = h.max_position_embeddings, h.num_hidden_layers
  h.d, h.qkv, h.ff = h.hidden_size, 3 * h.hidden_size, h.intermediate_size
  h.swaps.heads = {h.num_attention_heads, 3, h.head_dim}
  reader:activation "hidden_act"
end

local gptneox = {
  name = "gptneox",
  fields = {
    {"vocab_size", "A.vocab_size", "count", 1 << 24},
    {"max_position_embeddings", "A.context_length", "count", 1 << 20},
    {"hidden_size", "A.embedding_length", "count", 1 << 16},
    {"num_hidden_layers", "A.block_count", "count", 1024},
    {"intermediate_size", "A.feed_forward_length", "count", 1 << 20},
    {"num_attention_heads", "A.attention.head_count", "count", 1 << 12},
    {"layer_norm_eps", "A.attention.layer_norm_epsilon", "epsilon"},
    {"use_parallel_residual", "A.use_parallel_residual", "boolean"},
    {"attention_bias", nil, "boolean"},
  },
  defaults = {
    vocab_size = 50432, max_position_embeddings = 2048, hidden_size = 6144,
    num_hidden_layers = 44, intermediate_size = 24576,
    num_attention_heads = 64, layer_norm_eps = 1e-5, hidden_act = "gelu",
    use_parallel_residual = true, rotary_pct = 0.25,
    rotary_emb_base = 10000.0, attention_bias = true,
    tie_word_embeddings = false,
  },
  generation = {bos_token_id = 0, eos_token_id = 2},
  fixed = {},
  rope_base = "rotary_emb_base",
  rope_share = "rotary_pct",
  steps = {neox_sizes, rope},
  prefixes = {"gpt_neox.", ""},
  embeddings = {"embed_in.weight"},
  head = "embed_out.weight",
  bias = true,
  stacks = {{
    source = "layers.%d.", target = "blk.%d.", count = "layers",
    parts = {{
      {"input_layernorm", "attn_norm", "d"},
      {"attention.query_key_value", "attn_qkv", "qkv", "d", swap = "heads",
       bias = "attention_bias"},
      {"attention.dense", "attn_output", "d", "d", bias = "attention_bias"},
      {"post_attention_layernorm", "ffn_norm", "d"},
      {"mlp.dense_h_to_4h", "ffn_up", "ff", "d"},
      {"mlp.dense_4h_to_h", "ffn_down", "d", "ff"},
    }},
  }},
  parts = {{{"final_layer_norm", "output_norm", "d"}}},
  ignored = {"^layers%.%d+%.attention%.bias$",
             "^layers%.%d+%.attention%.masked_bias$",
             "^layers%.%d+%.attention%.rotary_emb%.inv_freq$"},
}

return {gpt2 = gpt2, gpt_neox = gptneox}
