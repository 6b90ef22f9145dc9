-- decant.convert on the small Marian and Bart models of ../shared/models and
-- on changed copies of them. What must come out is derived here from the
-- checkpoint's bytes, by names written out independently of the converter's.

local convert = require "decant.convert"
local core = require "decant.core"
local hf = require "spec.support.hf"
local conversion = require "spec.support.conversion"
local converted, refusal = conversion.converted, conversion.refusal
local contains, keys_of = conversion.contains, conversion.keys_of
local target = conversion.target

local G2P = "../shared/models/bart-g2p"

-- The names of one model's tensors, word by word.
local WORDS = {
  {"^model%.shared%.", "token_embd."}, {"^final_logits_bias$", "output.bias"},
  {"^model%.encoder%.", "enc."}, {"^model%.decoder%.", "dec."},
  {"%.layers%.", ".blk."}, {"%.embed_positions%.", ".position_embd."},
  {"%.layernorm_embedding%.", ".embd_norm."},
  {"%.encoder_attn_layer_norm", ".cross_attn_norm"},
  {"%.self_attn_layer_norm", ".attn_norm"},
  {"%.final_layer_norm", ".ffn_norm"},
  {"%.encoder_attn%.(%l)%l*_proj", ".cross_attn_%1"},
  {"%.self_attn%.(%l)%l*_proj", ".attn_%1"},
  {"%.fc1", ".ffn_up"}, {"%.fc2", ".ffn_down"},
}

local function expected_name(name)
  for _, word in ipairs(WORDS) do name = name:gsub(word[1], word[2]) end
  return name
end

-- {name in the GGUF = bytes} of a checkpoint; positions without 2 rows.
local function expected_tensors(path)
  local expected = {}
  for name, t in pairs(hf.tensors(path)) do
    local skip = name:find "embed_positions" and 2 * 4 * t.shape[2] or 0
    expected[expected_name(name)] = t.data:sub(skip + 1)
  end
  return expected
end

local function tensors_of(gguf)
  local found = {}
  for _, t in ipairs(gguf:tensors()) do found[t.name] = gguf:bytes(t.name) end
  return found
end

local function type_of(gguf, name)
  for _, t in ipairs(gguf:tensors()) do
    if t.name == name then return t.type, t.shape end
  end
end

local function f32(x)
  return (string.unpack("<f", string.pack("<f", x)))
end

describe("converting a Marian directory", function()
  after_each(hf.clean)

  it("writes every key that docs/gguf-keys.md lists, and no other", function()
    local gguf <close> = converted(hf.copy "marian")
    assert.same({
      ["general.architecture"] = {"string", "marian"},
      ["general.name"] = {"string", "marian"},
      ["general.file_type"] = {"u32", 7},
      ["general.quantization_version"] = {"u32", 2},
      ["general.alignment"] = {"u32", 32},
      ["marian.vocab_size"] = {"u32", 90},
      ["marian.context_length"] = {"u32", 64},
      ["marian.embedding_length"] = {"u32", 32},
      ["marian.block_count"] = {"u32", 2},
      ["marian.decoder_block_count"] = {"u32", 2},
      ["marian.feed_forward_length"] = {"u32", 64},
      ["decant.decoder.feed_forward_length"] = {"u32", 64},
      ["marian.attention.head_count"] = {"u32", 4},
      ["decant.decoder.attention.head_count"] = {"u32", 4},
      ["marian.attention.layer_norm_epsilon"] = {"f32", f32(1e-5)},
      ["marian.decoder_start_token_id"] = {"u32", 89},
      ["marian.embedding_scale"] = {"f32", f32(math.sqrt(32))},
      ["decant.activation"] = {"string", "swish"},
      ["decant.positions"] = {"string", "sinusoidal"},
      ["decant.norm_place"] = {"string", "post"},
      ["decant.generation.bad_words_ids"] = {"i32[]", {1, 89}},
      ["decant.generation.decoder_start_token_id"] = {"u32", 89},
      ["decant.generation.eos_token_id"] = {"u32", 0},
      ["decant.generation.forced_eos_token_id"] = {"u32", 0},
      ["decant.generation.pad_token_id"] = {"u32", 89},
      ["tokenizer.ggml.model"] = {"string", "none"},
    }, keys_of(gguf))
  end)

  it("keeps every number in f32", function()
    local gguf <close> = converted(hf.copy "marian", {type = "f32"})
    assert.same(expected_tensors(hf.MODELS .. "/marian/model.safetensors"),
                tensors_of(gguf))
    assert.equal(0, gguf:get "general.file_type")
  end)

  it("reads both forms of config.json alike", function()
    local _, new = converted(hf.copy "marian")
    local _, old = converted(hf.copy("marian", "config.v4.json"))
    assert.is_true(hf.read(new) == hf.read(old))
  end)

  it("ignores position tables, and says so", function()
    local dir = hf.copy "marian"
    local _, plain = converted(dir)
    hf.edit_tensors(dir, function(t)
      t["model.encoder.embed_positions.weight"] = hf.ramp({64, 32}, 1)
      t["model.decoder.embed_positions.weight"] = hf.ramp({64, 32}, 1)
    end)
    local path = target()
    local _, notes = assert(convert(dir, path))
    assert.is_true(hf.read(plain) == hf.read(path))
    assert.same({"model.encoder.embed_positions.weight is ignored",
                 "model.decoder.embed_positions.weight is ignored"}, notes)
  end)
end)

describe("converting a Bart directory", function()
  after_each(hf.clean)

  it("cuts the two unused rows off the position tables", function()
    local gguf <close> = converted(hf.copy "bart", {type = "f32"})
    assert.same(expected_tensors(hf.MODELS .. "/bart/model.safetensors"),
                tensors_of(gguf))
    local _, shape = type_of(gguf, "enc.position_embd.weight")
    assert.same({64, 32}, shape)
  end)

  it("describes the graph", function()
    local gguf <close> = converted(hf.copy "bart")
    assert.equal("learned", gguf:get "decant.positions")
    assert.equal("gelu", gguf:get "decant.activation")
    assert.equal(1, gguf:get "bart.embedding_scale")
    assert.equal(80, gguf:get "bart.feed_forward_length")
    assert.equal(64, gguf:get "decant.decoder.feed_forward_length")
    assert.equal(2, gguf:get "bart.decoder_start_token_id")
  end)

  it("reads both forms of config.json alike", function()
    local _, new = converted(hf.copy "bart")
    local _, old = converted(hf.copy("bart", "config.v4.json"))
    assert.is_true(hf.read(new) == hf.read(old))
  end)

  it("takes generation fields from config.json where they are", function()
    local gguf <close> = converted(G2P)
    assert.equal(2, gguf:get "decant.generation.forced_eos_token_id")
    assert.equal(1, gguf:get "decant.generation.decoder_start_token_id")
    assert.equal(1, gguf:get "decant.generation.bos_token_id")
    assert.equal(2, gguf:get "decant.generation.eos_token_id")
    assert.equal(0, gguf:get "decant.generation.pad_token_id")
    assert.equal(1, gguf:get "bart.decoder_start_token_id")
    assert.equal(1, gguf:get "bart.block_count")
  end)
end)

describe("the type of the weights", function()
  after_each(hf.clean)

  it("is the one asked for, in matrices only", function()
    for _, type in ipairs {"f32", "f16", "q8_0"} do
      local gguf <close> = converted(hf.copy "bart", {type = type})
      assert.equal(type, type_of(gguf, "token_embd.weight"))
      assert.equal(type, type_of(gguf, "dec.blk.1.cross_attn_q.weight"))
      assert.equal("f32", type_of(gguf, "dec.blk.1.cross_attn_q.bias"))
      assert.equal("f32", type_of(gguf, "enc.blk.0.ffn_norm.weight"))
      assert.equal("f32", type_of(gguf, "enc.position_embd.weight"))
      assert.equal("f32", type_of(gguf, "output.bias"))
    end
  end)

  it("is f16 instead of q8_0 where 32 does not divide a row", function()
    local gguf <close> = converted(hf.copy "bart", {type = "q8_0"})
    local type, shape = type_of(gguf, "enc.blk.0.ffn_down.weight")
    assert.same({"f16", {32, 80}}, {type, shape})
    assert.equal("q8_0", type_of(gguf, "dec.blk.0.ffn_down.weight"))
  end)

  it("q8_0 stays within half a step of the checkpoint", function()
    local gguf <close> = converted(hf.copy "marian", {type = "q8_0"})
    local blocks = gguf:bytes "enc.blk.0.ffn_up.weight"
    local t = hf.tensors(hf.MODELS .. "/marian/model.safetensors")
    local data = t["model.encoder.layers.0.fc1.weight"].data
    assert.equal(64 * 34, #blocks)  -- 64 rows of one block
    for row = 0, 63 do
      local largest, want = 0, {string.unpack("<" .. ("f"):rep(32), data,
                                              row * 128 + 1)}
      for i = 1, 32 do largest = math.max(largest, math.abs(want[i])) end
      local quants = {string.unpack(("b"):rep(32), blocks, row * 34 + 3)}
      for i = 1, 32 do
        -- the scale is largest / 127 rounded to half precision
        local error = math.abs(quants[i] * largest / 127 - want[i])
        assert.is_true(error <= 0.55 * largest / 127)
      end
    end
  end)

  it("of the checkpoint may be F16 or BF16", function()
    local dir = hf.copy "marian"
    hf.edit_tensors(dir, function(t)
      -- 1.5 and -2 are 3e00 c000 in half precision and 3fc0 c000 in bf16
      t["model.decoder.layers.1.fc1.bias"] = {
        dtype = "F16", shape = {64},
        data = string.pack("<I2I2", 0x3e00, 0xc000):rep(32)}
      t["model.decoder.layers.1.fc1.weight"] = {
        dtype = "BF16", shape = {64, 32},
        data = string.pack("<I2I2", 0x3fc0, 0xc000):rep(64 * 16)}
    end)
    local gguf <close> = converted(dir, {type = "f32"})
    local pair = string.pack("<ff", 1.5, -2)
    assert.is_true(pair:rep(32) == gguf:bytes "dec.blk.1.ffn_up.bias")
    assert.is_true(pair:rep(64 * 16) == gguf:bytes "dec.blk.1.ffn_up.weight")
  end)
end)

describe("the file", function()
  after_each(hf.clean)

  it("has the same bytes every time", function()
    local dir = hf.copy "bart"
    local _, one = converted(dir)
    local _, two = converted(dir)
    assert.is_true(hf.read(one) == hf.read(two))
  end)

  it("is the same from shards as from one file", function()
    local dir = hf.copy "marian"
    local _, single = converted(dir)
    local path = dir .. "/model.safetensors"
    local halves, map = {{}, {}}, {}
    for name, t in pairs(hf.tensors(path)) do
      local half = name:find "decoder" and 1 or 2
      halves[half][name] = t
      map[#map + 1] = ('"%s": "part-%d.safetensors"'):format(name, half)
    end
    os.remove(path)
    for half = 1, 2 do
      hf.save(("%s/part-%d.safetensors"):format(dir, half), halves[half])
    end
    hf.write(path .. ".index.json",
             '{"weight_map": {' .. table.concat(map, ",") .. "}}")
    local _, sharded = converted(dir)
    assert.is_true(hf.read(single) == hf.read(sharded))
  end)

  it("is reported on in bytes, up to its size", function()
    local path, last, size = target(), 0, nil
    assert(convert(hf.copy "marian", path, {progress = function(done, total)
      assert.is_true(done > last and done <= total)
      last, size = done, total
    end}))
    assert.equal(#hf.read(path), size)
    assert.equal(size, last)
  end)

  it("is not there when progress cancels", function()
    local calls = 0
    local message = refusal(hf.copy "marian", {progress = function()
      calls = calls + 1
      return calls < 3
    end})
    assert.equal("cancelled", message)
    assert.equal(3, calls)
  end)

  it("that was there before survives a cancelled conversion", function()
    local path = target()
    hf.write(path, "old")
    convert(hf.copy "marian", path, {progress = function() return false end})
    assert.equal("old", hf.read(path))
    assert.same({"out.gguf"}, hf.list(path:match "^(.*)/"))
    assert(convert(hf.copy "marian", path))
    assert.equal("GGUF", hf.read(path):sub(1, 4))
  end)

  it("is not there when progress raises; the error goes through", function()
    local path = target()
    local mine = {}
    local ok, err = pcall(convert, hf.copy "marian", path,
                          {progress = function() error(mine) end})
    assert.is_false(ok)
    assert.is_true(rawequal(mine, err))
    assert.same({}, hf.list(path:match "^(.*)/"))
  end)

  it("is made while progress yields", function()
    local path = target()
    local run = coroutine.wrap(function()
      return convert(hf.copy "marian", path, {progress = coroutine.yield})
    end)
    local rounds = 0
    while run() ~= true do rounds = rounds + 1 end
    assert.is_true(rounds > 80)
    assert.is_true(hf.exists(path))
  end)

  it("cannot be written into a folder that is not there", function()
    local ok, message = convert(hf.copy "marian", "/no/such/folder/x.gguf")
    assert.is_nil(ok)
    contains(message, "/no/such/folder/x.gguf")
  end)

  it("leaves no memory behind, whole or refused", function()
    local dir, path = hf.copy "marian", target()
    collectgarbage "stop"  -- what is open is closed, not left to it
    local used = core.memory()
    local ok = convert(dir, path)
    local cancelled = convert(dir, path, {progress = function()
      return false
    end})
    hf.edit_tensors(dir, function(t) t["model.shared.weight"] = nil end)
    local refused = convert(dir, path)
    local left = core.memory()
    collectgarbage "restart"
    assert.same({true, nil, nil}, {ok, cancelled, refused})
    assert.equal(used, left)
  end)
end)

describe("the embeddings", function()
  after_each(hf.clean)

  local function with_copies(edit)
    local dir = hf.copy "marian"
    hf.edit_tensors(dir, function(t)
      local shared = t["model.shared.weight"]
      t["model.encoder.embed_tokens.weight"] = shared
      t["model.decoder.embed_tokens.weight"] = shared
      t["lm_head.weight"] = shared
      if edit then edit(t, hf.ramp({90, 32}, 1)) end
    end)
    return dir
  end

  it("are stored once, whatever copies the file has", function()
    local _, plain = converted(hf.copy "marian")
    local path = target()
    local _, notes = assert(convert(with_copies(), path))
    assert.is_true(hf.read(plain) == hf.read(path))
    assert.equal(3, #notes)
    contains(notes[3], "lm_head.weight equals model.shared.weight")
  end)

  it("are found under another of their names", function()
    local _, plain = converted(hf.copy "marian")
    local _, path = converted(with_copies(function(t)
      t["model.shared.weight"] = nil
    end))
    assert.is_true(hf.read(plain) == hf.read(path))
  end)

  it("do not serve the output if lm_head has other numbers", function()
    local gguf <close> = converted(with_copies(function(t, other)
      t["lm_head.weight"] = other
    end), {type = "f32"})
    assert.is_true(hf.ramp({90, 32}, 1).data == gguf:bytes "output.weight")
    local t = hf.tensors(hf.MODELS .. "/marian/model.safetensors")
    assert.is_true(t["model.shared.weight"].data
                   == gguf:bytes "token_embd.weight")
  end)

  it("must be the same on both sides", function()
    contains(refusal(with_copies(function(t, other)
      t["model.decoder.embed_tokens.weight"] = other
    end)), "model.decoder.embed_tokens.weight differs from "
           .. "model.shared.weight: an embedding table for each side")
  end)

  it("need an lm_head beside them where config.json unties it", function()
    local dir = hf.copy "marian"
    hf.edit_json(dir .. "/config.json", function(config)
      config.tie_word_embeddings = false
    end)
    contains(refusal(dir), "tensor lm_head.weight is missing ([90, 32]")
  end)

  it("may come without the prefix and the head", function()
    local dir = hf.copy "bart"
    hf.edit_tensors(dir, function(t)
      t["final_logits_bias"] = nil
      local names = {}
      for name in pairs(t) do names[#names + 1] = name end
      for _, name in ipairs(names) do
        t[name:gsub("^model%.", "")], t[name] = t[name], nil
      end
    end)
    local gguf <close> = converted(dir, {type = "f32"})
    local expected = expected_tensors(hf.MODELS .. "/bart/model.safetensors")
    expected["output.bias"] = nil
    assert.same(expected, tensors_of(gguf))
  end)
end)

describe("a mistake of the caller", function()
  local cases = {
    {"source is nil", nil, "x"}, {"target_file is nil", "x", nil},
    {"a table of options is wanted, got a string", "x", "x", "f16"},
    {"unknown option 'typ'", "x", "x", {typ = "f16"}},
    {'type = "q9_9", must be one of f32, f16, bf16', "x", "x",
     {type = "q9_9"}},
    {"progress is boolean", "x", "x", {progress = true}},
  }
  for _, case in ipairs(cases) do
    it("raises: " .. case[1], function()
      local ok, message = pcall(convert, table.unpack(case, 2, 4))
      assert.is_false(ok)
      contains(message, "decant.convert: " .. case[1])
    end)
  end
end)
