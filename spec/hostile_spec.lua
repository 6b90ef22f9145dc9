-- Files made to hurt: sizes near the end of a word, things that overlap, lie
-- outside, come twice or in circles, texts of ten megabytes. Each is refused
-- with a sentence (file, field, value, rule), or is harmless and works.
-- More of this kind: model_files_spec (contents of GGUF models), gguf_spec,
-- tokenizer_hostile_spec, tokenizer_json_hostile_spec, saved_spec,
-- convert_config_spec, convert_input_spec, safetensors_spec, checkpoint_spec.

local core = require "decant.core"
local decant = require "decant"
local dkjson = require "dkjson"
local small = require "spec.support.tokenizer_json"
local tempdir = require "spec.support.tempdir"
local tiny = require "spec.support.tiny"

local BIG <const>, ALL <const> = math.maxinteger, -1  -- 2^63 - 1, 2^64 - 1
local U32 <const>, STRING <const>, ARRAY <const> = 4, 8, 9

local function pack(format, ...)
  return ("<" .. format):pack(...)
end

-- A GGUF of packed keys and tensors; `counts` may say other numbers of them.
local function gguf(keys, tensors, data, counts)
  keys, counts = keys or {}, counts or {}
  table.insert(keys, 1, pack("s8I4s8", "general.architecture", STRING, "t"))
  tensors = tensors or {}
  local head = "GGUF" .. pack("I4i8i8", counts.version or 3,
                              counts.tensors or #tensors, counts.keys or #keys)
               .. table.concat(keys) .. table.concat(tensors)
  return head .. ("\0"):rep(-#head % 32) .. (data or "")
end

local function key(kind, bytes, name)
  return pack("s8I4", name or "k", kind) .. bytes
end

local function tensor(name, dims, type, offset)
  local sizes = {}
  for i, n in ipairs(dims) do sizes[i] = pack("i8", n) end
  return pack("s8I4", name, dims.count or #dims) .. table.concat(sizes)
         .. pack("I4i8", type or 0, offset or 0)
end

local function one(...)
  return gguf({}, {tensor(...)}, ("\0"):rep(64))
end

local floats = ("\0"):rep(32)

local gguf_cases = {
  -- counts and lengths near 2^63 and 2^64
  {gguf({}, {}, "", {tensors = BIG}),
   "header: says 9223372036854775807 tensors, must be 0 to 32768"},
  {gguf({}, {}, "", {tensors = ALL}),
   "header: says -1 tensors, must be 0 to 32768"},
  {gguf({}, {}, "", {keys = BIG}),
   "header: says 9223372036854775807 keys, must be 0 to 32768"},
  {gguf({}, {}, "", {keys = ALL}),
   "header: says -1 keys, must be 0 to 32768"},
  {gguf {pack("i8", BIG)},
   "key number 2: a text of 9223372036854775807 bytes, but only 23 are left"},
  {gguf {pack("i8", ALL)},
   "key number 2: a text of 18446744073709551615 bytes, but only 23 are left"},
  {gguf {key(STRING, pack("i8", BIG))},
   "key 'k': a text of 9223372036854775807 bytes, but only 10 are left"},
  {gguf {key(STRING, pack("i8", ALL - 7))},
   "key 'k': a text of 18446744073709551608 bytes, but only 10 are left"},
  {gguf {key(ARRAY, pack("I4i8", U32, BIG))},
   "key 'k': an array of 9223372036854775807 elements, but only"},
  {gguf {key(ARRAY, pack("I4i8", U32, 1 << 62))},
   "key 'k': an array of 4611686018427387904 elements, but only"},
  {gguf {key(ARRAY, pack("I4i8", STRING, 1 << 61))},
   "key 'k': an array of 2305843009213693952 elements, but only"},
  {gguf {key(ARRAY, pack("I4i8", 7, ALL))},
   "key 'k': an array of 18446744073709551615 elements, but only"},
  {one("a", {BIG}),
   "tensor 'a': 9223372036854775807 elements of f32 have more than 2^63 bytes"},
  {one("a", {ALL}),
   "tensor 'a': dimension 1 is -1, must be at least 1"},
  {one("a", {1 << 62}),
   "tensor 'a': 4611686018427387904 elements of f32 have more than 2^63 bytes"},
  {one("a", {1 << 32, 1 << 32}),
   "tensor 'a': its dimensions multiply to more than 2^63 elements"},
  {one("a", {1 << 21, 1 << 21, 1 << 21, 2}),
   "tensor 'a': its dimensions multiply to more than 2^63 elements"},
  {one("a", {8}, 0, BIG - 31),
   "tensor 'a': offset 9223372036854775776, must be 0, where"},
  {one("a", {8}, 0, -32),
   "tensor 'a': offset 18446744073709551584, must be 0, where"},
  {one("a", {8}, 0, 1 << 62),
   "tensor 'a': offset 4611686018427387904, must be 0, where"},
  {gguf({}, {pack("i8", BIG)}),
   "header: says 1 tensors, but only 31 bytes are left"},
  -- what has no size, or too many
  {one("a", {0}),
   "tensor 'a': dimension 1 is 0, must be at least 1"},
  {one("a", {8, 0}),
   "tensor 'a': dimension 2 is 0, must be at least 1"},
  {one("a", {}),
   "tensor 'a': 0 dimensions, must have 1 to 4"},
  {one("a", {2, 2, 2, 2, 2}),
   "tensor 'a': 5 dimensions, must have 1 to 4"},
  {one("a", {8, count = ALL & 0xffffffff}),
   "tensor 'a': 4294967295 dimensions, must have 1 to 4"},
  {one("a", {8}, 999),
   "tensor 'a': type 999 is not one that GGUF has"},
  {one("a", {33}, 8),
   "tensor 'a': rows of 33 elements, but q8_0 comes in blocks of 32"},
  {one("", {8}),
   "tensor number 1: a name of 0 bytes, must have 1 to 63"},
  {one(("n"):rep(65), {8}),
   "tensor number 1: a name of 65 bytes, must have 1 to 63"},
  {one("a\0b", {8}),
   "tensor number 1: the name is no UTF-8 or has control characters"},
  -- tensors that overlap or lie outside
  {gguf({}, {tensor("a", {8}), tensor("b", {8})}, floats),
   "tensor 'b': offset 0, must be 32, where the tensor before it ends"},
  {gguf({}, {tensor("a", {16}), tensor("b", {8}, 0, 32)}, floats:rep(2)),
   "tensor 'b': offset 32, must be 64, where the tensor before it ends"},
  {gguf({}, {tensor("a", {8}, 0, 32), tensor("b", {8})}, floats:rep(2)),
   "tensor 'a': offset 32, must be 0, where"},
  {gguf({}, {tensor("a", {8}), tensor("b", {8}, 0, 32)}, floats),
   "tensor 'b': its 32 bytes at offset 32 end behind"},
  {one("a", {17}),
   "tensor 'a': its 68 bytes at offset 0 end behind"},
  {one("a", {8}, 0, 64),
   "tensor 'a': offset 64, must be 0, where"},
  {one("a", {8}, 0, 7),
   "tensor 'a': offset 7 is not a multiple of the alignment 32"},
  -- names twice
  {gguf({key(U32, pack("I4", 1)), key(U32, pack("I4", 2))}),
   "key 'k': appears twice"},
  {gguf({key(STRING, pack("s8", "x"), "general.architecture")}),
   "key 'general.architecture': appears twice"},
  {gguf({}, {tensor("a", {8}), tensor("a", {8}, 0, 32)}, floats:rep(2)),
   "tensor 'a': appears twice"},
  -- arrays of arrays, and kinds that there are not
  {gguf {key(ARRAY, pack("I4i8I4i8I4", ARRAY, 1, U32, 1, 7))},
   "key 'k': an array of type 9, must be of scalars or strings"},
  {gguf {key(ARRAY, pack("I4i8", 13, 1))},
   "key 'k': an array of type 13, must be of scalars or strings"},
  {gguf {key(13, pack("I4", 0))},
   "key 'k': value type 13, must be from 0 to 12"},
  {gguf {key(7, "\2")},
   "key 'k': a bool is 2, must be 0 or 1"},
  {gguf {key(ARRAY, pack("I4i8", 7, 2) .. "\1\3")},
   "key 'k': a bool is 3, must be 0 or 1"},
  {gguf {key(U32, pack("I4", 0), "")},
   "key number 2: a name of 0 bytes, must have 1 to 65535"},
  {gguf {key(U32, pack("I4", 0), "general.alignment")},
   "alignment': is 0, must be a power of two from 8 to 4096"},
  {gguf {key(U32, pack("I4", 24), "general.alignment")},
   "alignment': is 24, must be a power of two from 8 to 4096"},
  {gguf {key(STRING, pack("s8", "32"), "general.alignment")},
   "alignment': is of type string, must be u32"},
  {gguf({}, {}, "", {version = 1}),
   "version: is 1, must be 2 or 3"},
  {gguf({}, {}, "", {version = 4}),
   "version: is 4, must be 2 or 3"},
  {gguf({}, {}, "", {version = 3 << 24}),
   "version: the file is big-endian, must be little-endian"},
}


-- Headers of safetensors over 8 bytes of data.
local function st(header, length)
  return pack("i8", length or #header) .. header .. ("\0"):rep(8)
end

local function entry(shape, offsets, more)
  return ('{"a":{"dtype":"F32","shape":[%s],"data_offsets":[%s]}%s}'):format(
    shape, offsets, more or "")
end

local other = ',"b":{"dtype":"F32","shape":[1],"data_offsets":[%s]}'

local safetensors_cases = {
  {st("{}", BIG), "header length: is 9223372036854775807, must be from"},
  {st("{}", ALL), "header length: is 18446744073709551615, must be from"},
  {st("{}", 1), "header length: is 1, must be from"},
  {st(entry("9223372036854775807", "0,8")),
   "header: tensor 'a': shape: its dimensions multiply to"},
  {st(entry("9223372036854775808", "0,8")),
   "header: tensor 'a': shape: its dimensions multiply to"},
  {st(entry("18446744073709551616", "0,8")),
   "header: tensor 'a': shape: byte 29: expected a whole"},
  {st(entry("4294967296,4294967296", "0,8")),
   "header: tensor 'a': shape: its dimensions multiply to"},
  {st(entry("2305843009213693952,2", "0,8")),
   "header: tensor 'a': shape: its dimensions multiply to"},
  {st(entry("2", "0,9223372036854775807")),
   "header: tensor 'a': data_offsets: [0, 9223372036854775807]"},
  {st(entry("2", "9223372036854775800,9223372036854775808")),
   "'a': data_offsets: [9223372036854775800, 9223372036854775808], must"},
  {st(entry("2", "8,0")),
   "header: tensor 'a': data_offsets: [8, 0], must be in order"},
  {st(entry("2", "8,16")),
   "header: tensor 'a': data_offsets: [8, 16], must be in order"},
  {st(entry("2", "-8,0")),
   "header: tensor 'a': data_offsets: byte 48: expected a whole"},
  {st(entry("2.0", "0,8")),
   "header: tensor 'a': shape: byte 29: expected a whole"},
  {st(entry("1e0", "0,8")),
   "header: tensor 'a': shape: byte 29: expected a whole"},
  {st(entry("[2]", "0,8")),
   "header: tensor 'a': shape: byte 29: expected a whole"},
  {st(entry("2", "0,8,8")),
   "header: tensor 'a': data_offsets: byte 52: must be two"},
  {st(entry("2", "0")),
   "header: tensor 'a': data_offsets: byte 50: must be two"},
  {st(entry("2", "0,8", other:format "4,8")),
   "tensor 'b': data_offsets: begins at 4, must begin where"},
  {st(entry("1", "0,4", other:format "0,4")),
   "tensor 'b': data_offsets: begins at 0, must begin where"},
  {st(entry("1", "0,4", other:format "5,9")),
   "header: tensor 'b': data_offsets: [5, 9], must be in order"},
  {st(entry("1", "4,8")),
   "tensor 'a': data_offsets: begins at 4, must begin where"},
  {st(entry("1", "0,4")), "4 bytes follow the last tensor, must be none"},
  {st(entry("2", "0,8", ',"a":{}')), "header: tensor 'a': appears twice"},
  {st('{"__metadata__":{"a":["b"]}}'),
   "header: __metadata__: byte 21: expected a string"},
  {st('{"__metadata__":[]}'), "header: __metadata__: byte 16: expected '{'"},
  {st(("["):rep(100)), "header: must begin with '{'"},
  {st('{"a":' .. ("["):rep(100000)),
   "header: tensor 'a': byte 5: expected '{'"},
}


-- A tokenizer.json with one thing changed.
local function tokenizer(name, change)
  local tree = small.trees[name]()
  change(tree)
  return dkjson.encode(tree)
end

local function added(change)
  return tokenizer("byte_level", function(t) change(t.added_tokens, t) end)
end

local tokenizer_cases = {
  -- added tokens that stand for each other
  {added(function(list) list[1].content, list[2].content = "t", "h" end),
   'model.vocab: pieces 0 and 12 are both "t"'},
  {tokenizer("added", function(t)
     t.added_tokens = {small.added("a", 1), small.added("b", 0)}
   end), 'added_tokens: id 1 is that of "b" and of "a"'},
  {added(function(list) list[2].id = 12 end),
   'added_tokens: id 12 is that of "<s>" and of "</s>"'},
  {added(function(list) list[1].id = BIG end),
   "added_tokens: id 9223372036854775807, ids end at 2147483647"},
  {added(function(list) list[1].id = 2^53 end), "added_tokens: id: byte "},
  {added(function(list) list[1].id = {12} end), "added_tokens: id: byte "},
  {added(function(list) list[1].content = {"<s>"} end),
   "added_tokens: content: byte "},
  {added(function(list) list[1].special = "yes" end),
   "added_tokens: special: byte "},
  {added(function(_, t) t.added_tokens = {{{{}}}} end), "added_tokens: byte "},
  {added(function(_, t) t.added_tokens = {"<s>"} end), "added_tokens: byte "},
  -- merges that refer to nothing, or to what only they make
  {tokenizer("byte_level", function(t) t.model.merges[1] = "a q" end),
   'model.merges: merge 0: "q" is no token of the vocabulary'},
  {tokenizer("byte_level", function(t) t.model.merges = {{{"a", "t"}}} end),
   "model.merges: merge 0: byte "},
  {tokenizer("byte_level", function(t) t.model.merges = {a = "t"} end),
   "model.merges: byte "},
  {tokenizer("byte_level", function(t) t.model.vocab = {{"t", 0}} end),
   "model.vocab: byte "},
  {tokenizer("byte_level", function(t) t.model.vocab.t = {} end),
   "model.vocab: byte "},
  {tokenizer("unigram", function(t) t.model.vocab = {a = 0} end),
   "model.vocab: byte "},
  {tokenizer("unigram", function(t) t.model.vocab[1] = {{"a"}, 0} end),
   "model.vocab: byte "},
  {tokenizer("unigram", function(t) t.model.unk_id = BIG end),
   "model: unk_id is 9223372036854775807, the vocabulary ends at 7"},
  {tokenizer("unigram", function(t) t.model.unk_id = -1 end),
   "model: unk_id: byte "},
  {tokenizer("byte_level", function(t) t.model.type = "WordPiece" end),
   'model.type is "WordPiece"; supported are BPE and Unigram'},
  {tokenizer("byte_level", function(t) t.pre_tokenizer.type = "Magic" end),
   'pre_tokenizer: type "Magic" is not supported'},
  {tokenizer("byte_level", function(t) t.normalizer = {type = "Magic"} end),
   'normalizer: type "Magic" is not supported'},
  {tokenizer("byte_level", function(t)
     t.post_processor = {type = "Magic"}
   end), 'post_processor: type "Magic" is not supported'},
  {tokenizer("byte_level", function(t)
     t.pre_tokenizer = {type = "Split", pattern = {Regex = "(a+)+$"},
                        behavior = "Isolated"}
   end), 'pre_tokenizer: Split by "(a+)+$" is not supported'},
}


local function key_of(name, value, kind)
  return function(m) tiny.set(m, name, value, kind) end
end

local function shape(name, ...)
  local sizes = {...}
  return function(m) tiny.reshape(m, name, sizes) end
end

-- {architecture, edit, message}: tiny models with one thing changed.
local model_cases = {
  {"llama", key_of("llama.block_count", 1 << 31),
   "block_count': is 2147483648, must be an integer from 1 to 4096"},
  {"llama", key_of("llama.block_count", BIG, "u64"),
   "block_count': is 9223372036854775807, must be an integer from 1 to 4096"},
  {"llama", key_of("llama.embedding_length", 1 << 62, "u64"),
   "embedding_length': is 4611686018427387904, must be an integer"},
  {"llama", key_of("llama.feed_forward_length", ALL, "u64"),
   "feed_forward_length': is 18446744073709551615, must be an integer"},
  {"llama", key_of("llama.context_length", BIG, "u64"),
   "context_length': is 9223372036854775807, must be an integer"},
  {"llama", key_of("llama.context_length", -1, "i32"),
   "context_length': is -1, must be an integer from 1 to 1073741824"},
  {"llama", key_of("llama.vocab_size", BIG, "u64"),
   "vocab_size': is 9223372036854775807, must be an integer"},
  {"llama", key_of("llama.vocab_size", 0),
   "vocab_size': is 0, must be an integer from 1 to 16777216"},
  {"llama", key_of("llama.vocab_size", 32),
   "tensor 'token_embd.weight' is 1x1x64x32, the hyperparameters want 32x32"},
  {"llama", key_of("llama.attention.head_count", BIG, "u64"),
   "attention.head_count': is 9223372036854775807, must be an integer"},
  {"llama", key_of("llama.attention.head_count_kv", 8),
   "attention.head_count_kv': is 8, must be a divisor of head_count (4)"},
  {"llama", key_of("llama.attention.key_length", 0, "u32"),
   "attention.key_length': is 0, must be an integer from 1 to 1048576"},
  {"llama", key_of("llama.attention.key_length", 1 << 30, "u32"),
   "attention.key_length': is 1073741824, must be an integer"},
  {"llama", key_of("llama.attention.value_length", 4, "u32"),
   "tensor 'blk.0.attn_v.weight' is 1x1x16x32, the hyperparameters want 8x32"},
  {"llama", key_of("llama.rope.dimension_count", 0xffffffff),
   "rope.dimension_count': is 4294967295, must be an integer"},
  {"llama", key_of("llama.rope.freq_base", math.huge),
   "rope.freq_base': is inf, must be a number from 1e-06 to 1e+30"},
  {"llama", key_of("llama.rope.freq_base", -10000),
   "rope.freq_base': is -10000, must be a number from 1e-06 to 1e+30"},
  {"llama", key_of("llama.rope.scaling.factor", math.huge, "f32"),
   "rope.scaling.factor': is inf, must be a number from 1e-06 to 1000000"},
  {"llama", key_of("llama.rope.scaling.factor", 1e-30, "f32"),
   "rope.scaling.factor': is 1e-30, must be a number from 1e-06 to 1000000"},
  {"llama", key_of("llama.attention.scale", math.huge, "f32"),
   "attention.scale': is inf, must be a number from 0 to 1000000"},
  {"llama", key_of("llama.attention.layer_norm_rms_epsilon", -1e-5),
   "attention.layer_norm_rms_epsilon': is -9.99999975e-06, must be a number"},
  {"llama", key_of("tokenizer.chat_template", 7, "u32"),
   "chat_template': is of type u32, must be string"},
  {"phi3", key_of("phi3.attention.sliding_window", -1, "i32"),
   "attention.sliding_window': is -1, must be an integer from 0 to 1073741824"},
  {"phi3", key_of("phi3.attention.sliding_window", BIG, "u64"),
   "attention.sliding_window': is 9223372036854775807, must be an integer"},
  {"gemma2", key_of("gemma2.attention.sliding_window_pattern", {1, 0, 1, 0},
                    "u32[]"),
   "sliding_window_pattern: must be a number, or a bool for each layer"},
  {"gemma2", key_of("gemma2.attn_logit_softcapping", math.huge, "f32"),
   "attn_logit_softcapping': is inf, must be a number from 0 to 1000000"},
  {"t5", key_of("t5.attention.relative_buckets_count", 0),
   "attention.relative_buckets_count': is 0, must be an integer"},
  {"t5", key_of("t5.attention.relative_buckets_count", 1 << 30),
   "attention.relative_buckets_count': is 1073741824, must be an integer"},
  {"t5", key_of("t5.decoder_block_count", 0, "u32"),
   "decoder_block_count': is 0, must be an integer from 1 to 4096"},
  {"t5", key_of("t5.decoder_block_count", 1 << 20, "u32"),
   "decoder_block_count': is 1048576, must be an integer from 1 to 4096"},
  {"m2m100", key_of("m2m100.decoder_start_token_id", ALL, "u64"),
   "decoder_start_token_id': is 18446744073709551615, must be an integer"},
  {"gpt2", shape("position_embd.weight", 1, 32),
   "tensor 'position_embd.weight' is 1x1x1x32, the hyperparameters want 96x32"},
  {"gpt2", shape("token_embd.weight", 64, 0),
   "tensor 'token_embd.weight': dimension 1 is 0, must be at least 1"},
}

describe("a hostile", function()
  local dir
  setup(function() dir = tempdir.new() end)
  teardown(function() dir:remove() end)

  -- Refused with the path and the sentence; nothing of it stays in memory.
  local function refused(open, path, expected)
    collectgarbage()
    local before = core.memory()
    local file, message = open(path)
    assert.is_nil(file)
    assert.equal(path .. ": ", message:sub(1, #path + 2))
    assert.truthy(message:find(expected, 1, true), message)
    collectgarbage()
    assert.equal(before, core.memory())
  end

  local function check(kind, file, open, cases)
    for i, case in ipairs(cases) do
      it(("%s is refused: %s (%d)"):format(kind, case[2], i), function()
        refused(open, dir:write(file, case[1]), case[2])
      end)
    end
  end

  check("GGUF", "x.gguf", core.gguf, gguf_cases)
  check("safetensors file", "x.safetensors", core.safetensors,
        safetensors_cases)
  check("tokenizer.json", "tokenizer.json", core.tokenizer, tokenizer_cases)

  for i, case in ipairs(model_cases) do
    local name, edit, expected = table.unpack(case)
    it(("model (%s) is refused: %s (%d)"):format(name, expected, i), function()
      refused(core.load, tiny.write(dir:file "m.gguf", name, edit), expected)
    end)
  end

  it("chat template of ten megabytes is a text like any other", function()
    local path = tiny.write(dir:file "m.gguf", "llama", function(m)
      local pieces = {"<unk>", "<s>", "</s>"}
      for byte = 0, 60 do pieces[#pieces + 1] = "t" .. byte end
      local kinds, scores = {2, 3, 3}, {}
      for j = 1, 64 do kinds[j], scores[j] = kinds[j] or 1, -j end
      tiny.set(m, "tokenizer.ggml.model", "t5", "string")
      tiny.set(m, "tokenizer.ggml.tokens", pieces, "string[]")
      tiny.set(m, "tokenizer.ggml.scores", scores, "f32[]")
      tiny.set(m, "tokenizer.ggml.token_type", kinds, "i32[]")
      tiny.set(m, "tokenizer.chat_template",
               ("{% if <|im_start|> %}[INST]"):rep(400000), "string")
    end)
    local model <close> = assert(decant.load(path))
    assert.error_matches(function()
      model:chat {{role = "user", content = "t1"}}
    end, "the chat template of the model's file is none that decant knows")
  end)

  it("scale that is NaN ends in an error, never in a token", function()
    local block = pack("I2", 0x7e00) .. ("\1"):rep(32)
    local model <close> = assert(decant.load(tiny.write(dir:file "m.gguf",
      "llama", function(m)
        tiny.reshape(m, "output.weight", nil)
        for _, t in ipairs(m.tensors) do
          if t[1] == "token_embd.weight" then
            t[3], t[4] = "q8_0", block:rep(64)
          end
        end
      end)))
    for _, config in ipairs {{}, {do_sample = true, seed = 1},
                             {num_beams = 2}} do
      config.max_new_tokens = 2
      assert.error_matches(function() model:generate({1, 2}, config) end,
                           "NaN")
    end
  end)
end)
