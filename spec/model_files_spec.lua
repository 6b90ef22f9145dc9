-- Model files whose structure is sound and whose contents are not: each is
-- refused with a sentence that names the key or tensor and the rule. The files
-- are tiny models (support/tiny.lua) with one thing changed.

local core = require "decant.core"
local fixtures = require "spec.support.fixtures"
local tiny = require "spec.support.tiny"

local function key(name, value, type)
  return function(model) tiny.set(model, name, value, type) end
end

local function shape(name, ...)
  local sizes = {...}
  return function(model) tiny.reshape(model, name, sizes) end
end

local function without(name)
  return function(model) tiny.reshape(model, name, nil) end
end

local function extra(name, ...)
  local sizes = {...}
  return function(model) table.insert(model.tensors, {name, sizes}) end
end

local function typed(name, type, bytes)
  return function(model)
    for _, tensor in ipairs(model.tensors) do
      if tensor[1] == name then tensor[3], tensor[4] = type, bytes end
    end
  end
end

local function both(...)
  local edits = {...}
  return function(model)
    for _, edit in ipairs(edits) do edit(model) end
  end
end

local function vocabulary(model)
  tiny.set(model, "llama.vocab_size", nil)
  tiny.set(model, "tokenizer.ggml.tokens", {"a", "b", "c"}, "string[]")
end

local NAN <const>, INF <const> = 0 / 0, math.huge

-- architecture, what is changed, what the message must say
local cases = {
  -- keys that are missing
  {"llama", key("llama.embedding_length"),
   "llama.embedding_length: the key is missing"},
  {"llama", key("llama.context_length"),
   "llama.context_length: the key is missing"},
  {"llama", key("llama.block_count"), "llama.block_count: the key is missing"},
  {"llama", key("llama.feed_forward_length"),
   "llama.feed_forward_length: the key is missing"},
  {"llama", key("llama.attention.head_count"),
   "llama.attention.head_count: the key is missing"},
  {"llama", key("llama.vocab_size"), "llama.vocab_size: the key is missing"},
  {"llama", key("llama.attention.layer_norm_rms_epsilon"),
   "llama.attention.layer_norm_rms_epsilon: the key is missing"},
  {"gpt2", key("gpt2.attention.layer_norm_epsilon"),
   "gpt2.attention.layer_norm_epsilon: the key is missing"},
  {"t5", key("t5.attention.relative_buckets_count"),
   "relative_buckets_count: the key is missing"},
  {"mbart", key("mbart.decoder_start_token_id"),
   "mbart.decoder_start_token_id: the key is missing"},
  {"m2m100", key("decant.pad_token_id"),
   "decant.pad_token_id: the key is missing"},
  {"gemma3", key("gemma3.attention.sliding_window"),
   "gemma3.attention.sliding_window: the key is missing"},

  -- values that no model can have
  {"llama", key("llama.block_count", 0), "block_count': is 0"},
  {"llama", key("llama.block_count", 2000), "block_count: is 2000"},
  {"llama", key("llama.attention.head_count", 0), "head_count': is 0"},
  {"llama", key("llama.attention.head_count_kv", 0), "head_count_kv': is 0"},
  {"llama", key("llama.attention.head_count_kv", 3), "a divisor of head_count"},
  {"llama", key("llama.attention.head_count", 3),
   "a divisor of embedding_length"},
  {"llama", both(key("llama.attention.head_count", 3),
                 key("llama.attention.head_count_kv", 1),
                 key("llama.attention.key_length", 8, "u32")),
   "head_count: 3 does not divide embedding_length (32)"},
  {"llama", key("llama.attention.head_count", {4, 2}, "u32[]"),
   "layers of different sizes"},
  {"llama", key("llama.feed_forward_length", {48, 64}, "u32[]"),
   "layers of different sizes"},
  {"llama", key("llama.rope.dimension_count", 0), "dimension_count': is 0"},
  {"llama", key("llama.rope.dimension_count", 5), "must be even"},
  {"llama", key("llama.rope.dimension_count", 10), "the width of a head"},
  {"llama", key("llama.rope.freq_base", NAN), "freq_base': is NaN"},
  {"llama", key("llama.rope.freq_base", 0), "freq_base': is 0"},
  {"llama", key("llama.rope.scaling.factor", 0, "f32"), "factor': is 0"},
  {"llama", key("llama.rope.scaling.factor", NAN, "f32"), "factor': is NaN"},
  {"llama", key("llama.rope.scaling.type", "bent", "string"),
   "rope.scaling.type: 'bent' is not known"},
  {"llama", key("llama.rope.scaling.yarn_beta_fast", INF, "f32"),
   "yarn_beta_fast: must be a finite number above 0"},
  {"llama", key("llama.rope.scaling.yarn_ext_factor", -1, "f32"),
   "yarn_ext_factor: must be a finite number, 0 or more"},
  {"llama", key("llama.attention.layer_norm_rms_epsilon", NAN),
   "epsilon': is NaN"},
  {"llama", key("llama.attention.layer_norm_rms_epsilon", 0),
   "epsilon: must be a finite number above 0"},
  {"llama", key("llama.attention.layer_norm_rms_epsilon", 1),
   "epsilon: must lie between 0 and 1"},
  {"llama", key("llama.attention.scale", NAN, "f32"), "scale': is NaN"},
  {"llama", key("llama.attention.scale", 0, "f32"),
   "attention.scale: must be a finite number above 0"},
  {"llama", key("llama.embedding_scale", NAN, "f32"),
   "embedding_scale': is NaN"},
  {"gemma2", key("gemma2.attn_logit_softcapping", NAN, "f32"),
   "softcapping': is NaN"},
  {"gemma2", key("gemma2.final_logit_softcapping", -1, "f32"),
   "softcapping': is -1"},
  {"gemma2", key("gemma2.attention.sliding_window_pattern", {true}, "bool[]"),
   "a bool for each layer"},
  {"t5", key("t5.attention.relative_buckets_count", 6), "a multiple of 4"},
  {"t5", key("decant.attention.relative_max_distance", 4),
   "less than twice the largest distance"},
  {"t5", key("decant.attention.relative_max_distance", 1 << 20),
   "relative_max_distance: is 1048576"},
  {"t5", key("t5.decoder_start_token_id", 64), "decoder_start_token_id"},
  {"m2m100", key("decant.pad_token_id", 64), "decant.pad_token_id: is 64"},
  {"llama", key("llama.context_length", 0), "context_length': is 0"},
  {"llama", key("llama.embedding_length", "32", "string"),
   "embedding_length': is of type string"},

  -- what is contradictory, or not supported
  {"llama", key("general.architecture", "mamba"),
   "general.architecture: 'mamba' is not one that decant runs"},
  {"llama", key("llama.expert_count", 8, "u32"), "mixtures of experts"},
  {"llama", key("llama.attention.causal", false, "bool"),
   "such a model does not generate"},
  {"llama", key("decant.positions", "learned", "string"),
   "decant.positions: does not fit the architecture"},
  {"mbart", key("decant.activation", "sine", "string"),
   "decant.activation: 'sine' is not known"},
  {"mbart", key("decant.norm_place", "middle", "string"),
   "decant.norm_place: 'middle' is not known"},
  {"gptneox", key("decant.norm_place", "post", "string"),
   "parallel layers have their norms in front"},
  {"gptneox", key("gptneox.use_parallel_residual", 1, "u32"),
   "use_parallel_residual"},
  {"llama", vocabulary, "'token_embd.weight' is 1x1x64x32, the " ..
                        "hyperparameters want 3x32"},
  {"llama", key("llama.vocab_size", 65),
   "'token_embd.weight' is 1x1x64x32, the hyperparameters want 65x32"},
  {"phi3", without("rope_factors_long.weight"),
   "tensor 'rope_factors_long.weight' is missing"},
  {"llama", extra("rope_factors_long.weight", 4),
   "'rope_factors_short': one is missing"},
  {"llama", extra("rope_freqs.weight", 3), "rope_freqs.weight"},

  -- tensors that are missing
  {"llama", without("token_embd.weight"), "'token_embd.weight' is missing"},
  {"llama", without("output_norm.weight"), "'output_norm.weight' is missing"},
  {"llama", without("blk.1.attn_k.weight"), "'blk.1.attn_k.weight' is missing"},
  {"llama", without("blk.0.ffn_gate.weight"),
   "'blk.0.ffn_up.weight' is 1x1x48x32, the hyperparameters want 96x32"},
  {"gpt2", without("blk.0.attn_qkv.bias"), "'blk.0.attn_qkv.bias' is missing"},
  {"gpt2", without("blk.1.ffn_norm.bias"), "'blk.1.ffn_norm.bias' is missing"},
  {"gpt2", without("position_embd.weight"),
   "'position_embd.weight' is missing"},
  {"qwen2", without("blk.0.attn_v.bias"), "'blk.0.attn_v.bias' is missing"},
  {"qwen3", without("blk.1.attn_q_norm.weight"),
   "'blk.1.attn_q_norm.weight' is missing"},
  {"gemma2", without("blk.3.post_ffw_norm.weight"),
   "'blk.3.post_ffw_norm.weight' is missing"},
  {"mbart", without("dec.output_norm.bias"),
   "'dec.output_norm.bias' is missing"},
  {"t5", without("dec.blk.0.attn_rel_b.weight"),
   "'dec.blk.0.attn_rel_b.weight' is missing"},
  {"t5", without("dec.blk.1.cross_attn_o.weight"),
   "'dec.blk.1.cross_attn_o.weight' is missing"},

  -- tensors that are left over
  {"llama", extra("blk.2.attn_q.weight", 32, 32),
   "'blk.2.attn_q.weight' is not one of a llama model"},
  {"llama", extra("blk.0.attn_q_norm.weight", 8),
   "'blk.0.attn_q_norm.weight' is not one of a llama model"},
  {"llama", extra("position_embd.weight", 96, 32),
   "'position_embd.weight' is not one of a llama model"},
  {"gemma", extra("blk.0.post_ffw_norm.weight", 32),
   "'blk.0.post_ffw_norm.weight' is not one of a gemma model"},
  {"qwen3", extra("blk.0.ffn_up.bias", 48),
   "'blk.0.ffn_up.bias' is not one of a qwen3 model"},
  {"t5", extra("enc.blk.1.attn_rel_b.weight", 8, 4),
   "'enc.blk.1.attn_rel_b.weight' is not one of a t5 model"},
  {"llama", extra("enc.blk.0.attn_q.weight", 32, 32), "is not one of a llama"},
  {"gpt2", extra("blk.0.attn_q.weight", 32, 32),
   "'blk.0.attn_q.weight' is not one of a gpt2 model"},

  -- tensors of another shape or type
  {"llama", shape("token_embd.weight", 64, 31), "'token_embd.weight' is"},
  {"llama", shape("blk.0.attn_k.weight", 32, 32),
   "'blk.0.attn_k.weight' is 1x1x32x32, the hyperparameters want 16x32"},
  {"llama", shape("blk.1.ffn_down.weight", 48, 32), "'blk.1.ffn_down.weight'"},
  {"llama", shape("output_norm.weight", 33), "'output_norm.weight' is"},
  {"llama", shape("blk.0.attn_q.weight", 2, 16, 32), "'blk.0.attn_q.weight'"},
  {"llama", extra("output.bias", 63), "'output.bias' is"},
  {"phi3", shape("blk.0.attn_qkv.weight", 60, 32), "want 64x32"},
  {"phi3", shape("blk.0.ffn_up.weight", 48, 32), "want 96x32"},
  {"gpt2", shape("position_embd.weight", 95, 32), "want 96x32"},
  {"t5", shape("enc.blk.0.attn_rel_b.weight", 4, 8), "want 8x4"},
  {"qwen3", shape("blk.0.attn_k_norm.weight", 8), "want 1x12"},
  {"llama", typed("output_norm.weight", "f16", ("\0\60"):rep(32)),
   "'output_norm.weight' is f16, must be f32"},
  {"llama", typed("blk.0.attn_q.weight", "i32", ("\0\0\0\1"):rep(1024)),
   "'blk.0.attn_q.weight' is i32, a type that decant does not compute with"},
  {"llama", both(extra("rope_freqs.weight", 4),
                 typed("rope_freqs.weight", "f32", ("<ffff"):pack(1, 0, 1, 1))),
   "'rope_freqs.weight': factor 1 is not a number from"},
  {"llama", both(extra("rope_freqs.weight", 4),
                 typed("rope_freqs.weight", "f32",
                       ("<ffff"):pack(NAN, 1, 1, 1))),
   "'rope_freqs.weight': factor 0 is not a number from"},
}

describe("a model file", function()
  local path = fixtures.folder() .. "/broken.gguf"

  it("of every architecture is accepted when nothing is changed", function()
    for _, name in ipairs(tiny.names) do
      assert(core.load(tiny.write(path, name))):close()
    end
  end)

  local memory
  for i, case in ipairs(cases) do
    local name, edit, expected = table.unpack(case)
    it(("of %s is refused: %s (%d)"):format(name, expected, i), function()
      collectgarbage()
      memory = core.memory()
      local model, message = core.load(tiny.write(path, name, edit))
      assert.is_nil(model)
      assert.truthy(message:find(expected, 1, true), message)
      assert.equal(path .. ": ", message:sub(1, #path + 2))
      collectgarbage()
      assert.equal(memory, core.memory())
    end)
  end

  it("may name the sizes of its layers one by one", function()
    local model = assert(core.load(tiny.write(path, "llama", both(
      key("llama.attention.head_count_kv", {2, 2}, "u32[]"),
      key("llama.feed_forward_length", {48, 48}, "i32[]")))))
    assert.equal(2, model:hparams().kv_heads)
  end)

  it("may leave the vocabulary's size to its tokens", function()
    local tokens = {}
    for i = 1, 64 do tokens[i] = "t" .. i end
    local model = assert(core.load(tiny.write(path, "llama", both(
      key("llama.vocab_size"),
      key("tokenizer.ggml.tokens", tokens, "string[]")))))
    assert.equal(64, model:hparams().vocab)
  end)

  it("of a T5 may hold the bias that cross-attention never reads", function()
    assert(core.load(tiny.write(path, "t5",
                     extra("dec.blk.0.cross_attn_rel_b.weight", 8, 4))))
  end)
end)
