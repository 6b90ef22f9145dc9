-- llama.lua: the decoders that descend from Llama: Llama itself (with Mistral,
-- SmolLM2, TinyLlama), Qwen 2 and 3, Phi-3, StarCoder2 and Gemma 1 to 3.
-- Names of keys and tensors are llama.cpp's.
--
-- Three facts that one would get wrong. Hugging Face's Llama turns columns i
-- and i + d_head/2 of a head together, GGUF's "llama" columns 2i and 2i + 1:
-- the rows of its q and k are interleaved (swap = "rope"); the others stay as
-- they are. Gemma's norms multiply by 1 + w: the 1 is added here. And 4.x
-- leaves out keys that equal the default of the class, so the defaults of each
-- class count (4.55 and 5.23 were asked).

local copy = require "decant.convert.tables".copy
local rope = require "decant.convert.rope"
local window = require "decant.convert.window"

local RMS <const> = "A.attention.layer_norm_rms_epsilon"

-- config.json -> metadata; see hparams.lua.
local function fields(epsilon, epsilon_key, ...)
  return {
    {"vocab_size", "A.vocab_size", "count", 1 << 24},
    {"max_position_embeddings", "A.context_length", "count", 1 << 20},
    {"hidden_size", "A.embedding_length", "count", 1 << 16},
    {"num_hidden_layers", "A.block_count", "count", 1024},
    {"intermediate_size", "A.feed_forward_length", "count", 1 << 20},
    {"num_attention_heads", "A.attention.head_count", "count", 1 << 12},
    {"num_key_value_heads", "A.attention.head_count_kv", "count", 1 << 12},
    {"head_dim", nil, "count", 1 << 16, optional = true},
    {epsilon, epsilon_key, "epsilon"},
    ...
  }
end

-- Whether q, k, v and o have biases.
local BIASED <const> = {"attention_bias", nil, "boolean"}

local fields_rms = fields("rms_norm_eps", RMS)

-- Sizes by the names that the rows below use.
local function sizes(reader, h)
  if not h.head_dim then
    reader:divides("num_attention_heads", "hidden_size")
    h.head_dim = h.hidden_size // h.num_attention_heads
  end
  reader:divides("num_key_value_heads", "num_attention_heads")
  h.context, h.layers = h.max_position_embeddings, h.num_hidden_layers
  h.d, h.ff, h.gate_up = h.hidden_size, h.intermediate_size,
                         2 * h.intermediate_size
  h.q = h.num_attention_heads * h.head_dim
  h.kv = h.num_key_value_heads * h.head_dim
  h.qkv = h.q + 2 * h.kv
  h.swaps.rope = {2, h.head_dim // 2, 1}
  reader:put("A.attention.key_length", "u32", h.head_dim)
  reader:put("A.attention.value_length", "u32", h.head_dim)
end

local function activation(reader)
  reader:activation "hidden_act"
end

-- Gemma's first files say gelu and mean the tanh form; a hidden_activation
-- beside it is not read. In Gemma 2 and 3 that key is the one that counts.
local function gemma_activation(reader)
  local name = reader:value "hidden_act"
  reader:activation("hidden_act", name == "gelu" and "gelu_new" or name)
end

local function hidden_activation(reader)
  reader:activation "hidden_activation"
end

-- q k times this; the class scales by another number than the head's size.
local function score_scale(reader)
  local scalar = reader:positive "query_pre_attn_scalar"
  reader:put("A.attention.scale", "f32", scalar ^ -0.5)
end

-- Rows of tensors: plan.lua. `bias` names the key that decides, or is true.
local function attention(qk)
  return {
    {"self_attn.q_proj", "attn_q", "q", "d", bias = qk.bias, swap = qk.swap},
    {"self_attn.k_proj", "attn_k", "kv", "d", bias = qk.bias, swap = qk.swap},
    {"self_attn.v_proj", "attn_v", "kv", "d", bias = qk.bias},
    {"self_attn.o_proj", "attn_output", "d", "q", bias = qk.o_bias},
  }
end

local biased_attention = attention {bias = "attention_bias",
                                    o_bias = "attention_bias"}

local function gated(bias)
  return {
    {"mlp.gate_proj", "ffn_gate", "ff", "d", bias = bias},
    {"mlp.up_proj", "ffn_up", "ff", "d", bias = bias},
    {"mlp.down_proj", "ffn_down", "d", "ff", bias = bias},
  }
end

local norms = {
  {"input_layernorm", "attn_norm", "d"},
  {"post_attention_layernorm", "ffn_norm", "d"},
}
local gemma_norms = {
  {"input_layernorm", "attn_norm", "d", plus = 1},
  {"post_attention_layernorm", "ffn_norm", "d", plus = 1},
}
local sandwich_norms = {
  {"input_layernorm", "attn_norm", "d", plus = 1},
  {"post_attention_layernorm", "post_attention_norm", "d", plus = 1},
  {"pre_feedforward_layernorm", "ffn_norm", "d", plus = 1},
  {"post_feedforward_layernorm", "post_ffw_norm", "d", plus = 1},
}
local function head_norms(plus)
  return {
    {"self_attn.q_norm", "attn_q_norm", "head_dim", plus = plus},
    {"self_attn.k_norm", "attn_k_norm", "head_dim", plus = plus},
  }
end

local function layers(...)
  return {{source = "layers.%d.", target = "blk.%d.", count = "layers",
           parts = {...}}}
end

local final_norm = {{"norm", "output_norm", "d"}}
local gemma_final_norm = {{"norm", "output_norm", "d", plus = 1}}

local llama_defaults = {
  vocab_size = 32000, max_position_embeddings = 2048, hidden_size = 4096,
  num_hidden_layers = 32, intermediate_size = 11008, num_attention_heads = 32,
  num_key_value_heads = "=num_attention_heads", rms_norm_eps = 1e-6,
  hidden_act = "silu", rope_theta = 10000.0, attention_bias = false,
  mlp_bias = false, tie_word_embeddings = false,
}

local llama = {
  name = "llama",
  fields = fields("rms_norm_eps", RMS, BIASED,
                  {"mlp_bias", nil, "boolean"}),
  defaults = llama_defaults,
  generation = {bos_token_id = 1, eos_token_id = 2},
  fixed = {},
  steps = {sizes, rope, window, activation},
  stacks = layers(norms, attention {bias = "attention_bias", swap = "rope",
                                    o_bias = "attention_bias"},
                  gated "mlp_bias"),
  parts = {final_norm},
}

local mistral = copy(llama, {
  defaults = copy(llama_defaults, {
    max_position_embeddings = 131072, intermediate_size = 14336,
    num_key_value_heads = 8, sliding_window = 4096,
  }),
})

local qwen_defaults = copy(llama_defaults, {
  vocab_size = 151936, max_position_embeddings = 32768,
  intermediate_size = 22016, num_key_value_heads = 32,
  use_sliding_window = false, sliding_window = 4096, max_window_layers = 28,
})

local qwen2 = {
  name = "qwen2",
  fields = fields_rms,
  defaults = qwen_defaults,
  generation = {},
  fixed = {},
  upper_windows = true,
  steps = {sizes, rope, window, activation},
  stacks = layers(norms, attention {bias = true}, gated()),
  parts = {final_norm},
}

local qwen3 = copy(qwen2, {
  name = "qwen3",
  fields = fields("rms_norm_eps", RMS, BIASED),
  defaults = copy(qwen_defaults, {head_dim = 128}),
  stacks = layers(norms, head_norms(), biased_attention, gated()),
})

-- Fused matrices stay fused: rows q | k | v and gate | up.
local phi3 = {
  name = "phi3",
  fields = fields_rms,
  defaults = copy(llama_defaults, {
    vocab_size = 32064, max_position_embeddings = 4096, hidden_size = 3072,
    intermediate_size = 8192, rms_norm_eps = 1e-5,
    original_max_position_embeddings = 4096, partial_rotary_factor = 1.0,
  }),
  generation = {bos_token_id = 1, eos_token_id = 32000, pad_token_id = 32000},
  fixed = {},
  rope_share = "partial_rotary_factor",
  steps = {sizes, rope, window, activation},
  stacks = layers(norms, {
    {"self_attn.qkv_proj", "attn_qkv", "qkv", "d"},
    {"self_attn.o_proj", "attn_output", "d", "q"},
    {"mlp.gate_up_proj", "ffn_up", "gate_up", "d"},
    {"mlp.down_proj", "ffn_down", "d", "ff"},
  }),
  parts = {final_norm},
}

-- Layer norms, biases everywhere (norms have them always), no gate.
local starcoder2 = {
  name = "starcoder2",
  fields = fields("norm_epsilon", "A.attention.layer_norm_epsilon",
                  {"use_bias", nil, "boolean"}),
  defaults = copy(llama_defaults, {
    vocab_size = 49152, max_position_embeddings = 4096, hidden_size = 3072,
    num_hidden_layers = 30, intermediate_size = 12288,
    num_attention_heads = 24, num_key_value_heads = 2, norm_epsilon = 1e-5,
    hidden_act = "gelu_pytorch_tanh", use_bias = true,
    tie_word_embeddings = true,
  }),
  generation = {bos_token_id = 50256, eos_token_id = 50256},
  fixed = {mlp_type = "default", norm_type = "layer_norm"},
  bias = true,
  steps = {sizes, rope, window, activation},
  stacks = layers(norms, attention {bias = "use_bias", o_bias = "use_bias"}, {
    {"mlp.c_fc", "ffn_up", "ff", "d", bias = "use_bias"},
    {"mlp.c_proj", "ffn_down", "d", "ff", bias = "use_bias"},
  }),
  parts = {final_norm},
}

local gemma_defaults = {
  vocab_size = 256000, max_position_embeddings = 8192, hidden_size = 3072,
  num_hidden_layers = 28, intermediate_size = 24576, num_attention_heads = 16,
  num_key_value_heads = 16, head_dim = 256, rms_norm_eps = 1e-6,
  hidden_act = "gelu_pytorch_tanh", rope_theta = 10000.0,
  attention_bias = false, tie_word_embeddings = true,
}

local gemma = {
  name = "gemma",
  fields = fields("rms_norm_eps", RMS, BIASED),
  defaults = gemma_defaults,
  generation = {bos_token_id = 2, eos_token_id = 1, pad_token_id = 0},
  fixed = {use_bidirectional_attention = false},
  steps = {sizes, rope, gemma_activation},
  stacks = layers(gemma_norms, biased_attention, gated()),
  parts = {gemma_final_norm},
}

local caps = {
  {"attn_logit_softcapping", "A.attn_logit_softcapping", "positive",
   optional = true},
  {"final_logit_softcapping", "A.final_logit_softcapping", "positive",
   optional = true},
}

local gemma2 = copy(gemma, {
  name = "gemma2",
  fields = fields("rms_norm_eps", RMS, BIASED, table.unpack(caps)),
  defaults = copy(gemma_defaults, {
    hidden_size = 2304, num_hidden_layers = 26, intermediate_size = 9216,
    num_attention_heads = 8, num_key_value_heads = 4,
    query_pre_attn_scalar = 256, sliding_window = 4096,
    hidden_activation = "gelu_pytorch_tanh",
    attn_logit_softcapping = 50.0, final_logit_softcapping = 30.0,
  }),
  window_pattern = 2,  -- every second layer sees all
  steps = {sizes, rope, window, hidden_activation, score_scale},
  stacks = layers(sandwich_norms, biased_attention, gated()),
})

local gemma3 = copy(gemma2, {
  name = "gemma3",
  fields = fields("rms_norm_eps", RMS, BIASED, caps[2]),
  defaults = copy(gemma_defaults, {
    vocab_size = 262208, max_position_embeddings = 131072,
    hidden_size = 2304, num_hidden_layers = 26, intermediate_size = 9216,
    num_attention_heads = 8, num_key_value_heads = 4,
    query_pre_attn_scalar = 256, sliding_window = 4096,
    hidden_activation = "gelu_pytorch_tanh",
    rope_theta = 1000000.0, rope_local_base_freq = 10000.0,
  }),
  window_pattern = 6,
  rope_part = "full_attention",
  rope_local = "sliding_attention",
  stacks = layers(sandwich_norms, head_norms(1), biased_attention, gated()),
})

local families = {
  llama = llama, mistral = mistral, qwen2 = qwen2, qwen3 = qwen3,
  phi3 = phi3, starcoder2 = starcoder2, gemma = gemma, gemma2 = gemma2,
  gemma3_text = gemma3,
}

for _, family in pairs(families) do
  family.window_pattern = family.window_pattern or 0  -- all, if any
  family.prefixes = {"model.", ""}
  family.embeddings = {"embed_tokens.weight"}
  family.head = "lm_head.weight"
  family.ignored = {"^layers%.%d+%.self_attn%.rotary_emb%.inv_freq$"}
end

return families
