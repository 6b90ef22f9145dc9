-- seq2seq.lua: the encoder-decoder models that descend from fairseq: Marian,
-- BART, mBART, M2M-100 with NLLB, and Pegasus. An architecture is a table.
--
-- The fact that one would get wrong: transformers 4.x leaves out of
-- config.json every key that equals the default of the model's class, so a
-- missing key means that default, and each class has its own (checked against
-- the classes of 4.55 and 5.23).

local copy = require "decant.convert.tables".copy

-- config.json -> metadata; see hparams.lua.
local fields = {
  {"vocab_size", "A.vocab_size", "count", 1 << 24},
  {"max_position_embeddings", "A.context_length", "count", 1 << 20},
  {"d_model", "A.embedding_length", "count", 1 << 16},
  {"encoder_layers", "A.block_count", "count", 1024},
  {"decoder_layers", "A.decoder_block_count", "count", 1024},
  {"encoder_ffn_dim", "A.feed_forward_length", "count", 1 << 20},
  {"decoder_ffn_dim", "decant.decoder.feed_forward_length", "count", 1 << 20},
  {"encoder_attention_heads", "A.attention.head_count", "count", 1 << 12},
  {"decoder_attention_heads", "decant.decoder.attention.head_count", "count",
   1 << 12},
}

-- nn.LayerNorm's default; no class lets config.json change it.
local LAYER_NORM_EPSILON <const> = 1e-5

local function sizes(reader, h)
  reader:divides("encoder_attention_heads", "d_model")
  reader:divides("decoder_attention_heads", "d_model")
  local other = reader:value "decoder_vocab_size"
  if other ~= nil and other ~= h.vocab_size then
    reader:fail("decoder_vocab_size", other, "differs from vocab_size = %d: "
                .. "separate vocabularies are not supported", h.vocab_size)
  end
  h.context, h.d = h.max_position_embeddings, h.d_model
  h.encoder_ff, h.decoder_ff = h.encoder_ffn_dim, h.decoder_ffn_dim
  reader:put("A.attention.layer_norm_epsilon", "f32", LAYER_NORM_EPSILON)
end

-- Marian and Pegasus read a table of sinusoids that lies in the file. In F32
-- it is what is computed here; one that was rounded to 16 bits is taken along.
local function rounded_positions(reader)
  if not reader.family.stored_positions then return false end
  local table_ = reader:tensor "encoder.embed_positions.weight"
  return table_ ~= nil and table_.dtype ~= "F32"
end

local function choices(reader, h)
  local family = reader.family
  reader:put("A.embedding_scale", "f32", reader:boolean "scale_embedding"
                                         and math.sqrt(h.d_model) or 1.0)
  reader:activation "activation_function"
  h.rounded_positions = rounded_positions(reader)
  reader:put("decant.positions", "string",
             h.rounded_positions and "learned" or family.positions)
  reader:put("decant.norm_place", "string", family.norm_place)
  if family.skips_pads then
    local pad = reader:value "pad_token_id"
    if math.type(pad) ~= "integer" or pad < 0 or pad >= h.vocab_size then
      reader:fail("pad_token_id", pad, "must be an integer from 0 to %d",
                  h.vocab_size - 1)
    end
    reader:put("decant.pad_token_id", "u32", pad)
  end
end

-- One row a pair of tensors; see plan.lua.
local function attention(source, target)
  return {
    {source .. ".q_proj", target .. "_q", "d", "d"},
    {source .. ".k_proj", target .. "_k", "d", "d"},
    {source .. ".v_proj", target .. "_v", "d", "d"},
    {source .. ".out_proj", target .. "_o", "d", "d"},
    {source .. "_layer_norm", target .. "_norm", "d"},
  }
end

local function feed_forward(ff)
  return {
    {"fc1", "ffn_up", ff, "d"},
    {"fc2", "ffn_down", "d", ff},
    {"final_layer_norm", "ffn_norm", "d"},
  }
end

local function stack(side, target, ...)
  return {source = side .. ".layers.%d.", target = target .. ".blk.%d.",
          count = side .. "_layers", parts = {...}}
end

local self_attention = attention("self_attn", "attn")

local encoder = stack("encoder", "enc", self_attention,
                      feed_forward "encoder_ff")
local decoder = stack("decoder", "dec", self_attention,
                      attention("encoder_attn", "cross_attn"),
                      feed_forward "decoder_ff")

-- What stands beside the layers, on both sides.
local function position_tables(only)
  return {
    {"encoder.embed_positions", "enc.position_embd", "context", "d",
     table = true, skip = "position_offset", only = only},
    {"decoder.embed_positions", "dec.position_embd", "context", "d",
     table = true, skip = "position_offset", only = only},
  }
end
local positions = position_tables()
local rounded = position_tables "rounded_positions"
local embedding_norms = {
  {"encoder.layernorm_embedding", "enc.embd_norm", "d"},
  {"decoder.layernorm_embedding", "dec.embd_norm", "d"},
}
local final_norms = {
  {"encoder.layer_norm", "enc.output_norm", "d"},
  {"decoder.layer_norm", "dec.output_norm", "d"},
}

-- What config.json may not turn round; `d` is added for one family.
local function fixed(d)
  return copy({
    normalize_before = false, add_final_layer_norm = false,
    add_bias_logits = false, is_encoder_decoder = true,
  }, d)
end

local function defaults(d)
  return copy({
    vocab_size = 50265, max_position_embeddings = 1024, d_model = 1024,
    encoder_layers = 12, encoder_ffn_dim = 4096, encoder_attention_heads = 16,
    decoder_layers = 12, decoder_ffn_dim = 4096, decoder_attention_heads = 16,
    activation_function = "gelu", scale_embedding = false,
    tie_word_embeddings = true,
  }, d)
end

local marian = {
  name = "marian",
  defaults = defaults {vocab_size = 58101},
  -- generation fields whose class default is not "none"
  generation = {decoder_start_token_id = 58100, pad_token_id = 58100,
                eos_token_id = 0, forced_eos_token_id = 0},
  -- keys that, where they are present, must say what the graph does
  fixed = fixed {normalize_embedding = false, static_position_embeddings = true,
                 share_encoder_decoder_embeddings = true},
  positions = "sinusoidal",  -- computed
  stored_positions = true,
  position_offset = 0,
  norm_place = "post",
  parts = {rounded},
  -- Lua patterns, behind the prefix
  ignored = {"^encoder%.embed_positions%.weight$",
             "^decoder%.embed_positions%.weight$"},
}

local bart = {
  name = "bart",
  defaults = defaults {},
  generation = {decoder_start_token_id = 2, pad_token_id = 1,
                bos_token_id = 0, eos_token_id = 2, forced_eos_token_id = 2},
  fixed = fixed {normalize_embedding = true,
                 static_position_embeddings = false},
  positions = "learned",
  position_offset = 2,  -- unused rows in front of the table
  norm_place = "post",
  parts = {positions, embedding_norms},
  ignored = {"^encoder%.version$", "^decoder%.version$"},  -- from fairseq
}

local mbart = {
  name = "mbart",
  defaults = defaults {},
  generation = {pad_token_id = 1, bos_token_id = 0, eos_token_id = 2,
                forced_eos_token_id = 2},
  -- the library's class has the norms in front, whatever the file says
  fixed = fixed {normalize_before = true, normalize_embedding = true,
                 add_final_layer_norm = true,
                 static_position_embeddings = false},
  positions = "learned",
  position_offset = 2,
  norm_place = "pre",
  parts = {positions, embedding_norms, final_norms},
  ignored = {"^encoder%.version$", "^decoder%.version$"},
}

local m2m100 = {
  name = "m2m100",
  defaults = defaults {vocab_size = 128112, activation_function = "relu",
                       scale_embedding = true, pad_token_id = 1},
  generation = {decoder_start_token_id = 2, pad_token_id = 1,
                bos_token_id = 0, eos_token_id = 2},
  fixed = fixed {normalize_before = true, normalize_embedding = false,
                 add_final_layer_norm = true,
                 static_position_embeddings = true},
  positions = "sinusoidal_skip",  -- exponent j / (d/2 - 1)
  skips_pads = true,
  norm_place = "pre",
  parts = {final_norms},
  ignored = {"^encoder%.version$", "^decoder%.version$",
             "^encoder%.embed_positions%.weights?$",
             "^decoder%.embed_positions%.weights?$"},
}

local pegasus = {
  name = "pegasus",
  defaults = defaults {},
  generation = {decoder_start_token_id = 0, pad_token_id = 0,
                eos_token_id = 1, forced_eos_token_id = 1},
  fixed = fixed {normalize_before = true, normalize_embedding = false,
                 add_final_layer_norm = true,
                 static_position_embeddings = true},
  positions = "sinusoidal",
  stored_positions = true,
  position_offset = 0,
  norm_place = "pre",
  parts = {final_norms, rounded},
  ignored = {"^encoder%.embed_positions%.weight$",
             "^decoder%.embed_positions%.weight$"},
}

for _, family in ipairs {marian, bart, mbart, m2m100, pegasus} do
  family.seq2seq = true
  family.fields = fields
  family.steps = {sizes, choices}
  family.stacks = {encoder, decoder}
  family.prefixes = {"model.", ""}
  family.embeddings = {"shared.weight", "encoder.embed_tokens.weight",
                       "decoder.embed_tokens.weight"}
  family.head = "lm_head.weight"
  family.output_bias = "final_logits_bias"
  family.bias = true  -- every matrix and norm has one
end

return {marian = marian, bart = bart, mbart = mbart, m2m_100 = m2m100,
        pegasus = pegasus}
