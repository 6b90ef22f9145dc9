-- tokenizer.json and GGUF vocabularies that somebody broke: nil and a message
-- that names file, field, value and rule, or a tokenizer that works; never a
-- crash, never more time or memory than the file justifies.

local core = require "decant.core"
local json = require "dkjson"
local small = require "spec.support.tokenizer_json"
local bytes = require "spec.support.tokenizer_bytes"
local files = require "spec.support.tokenizer_files"

local path = os.tmpname()
local json_path = path .. ".tokenizer.json"
teardown(function()
  os.remove(path)
  os.remove(json_path)
end)

local TEXTS = {"", "the hat <stop>\0", "\xFF\xC3 ab <s>ab</s>", "aaa bbb  aa"}

-- Everything that a tokenizer does; the results do not matter here.
local function exercise(tokenizer)
  local all = {}
  for id = 0, #tokenizer - 1 do
    all[#all + 1] = id
    if tokenizer:id(tokenizer:piece(id)) ~= id then error "another id" end
  end
  for _, text in ipairs(TEXTS) do
    tokenizer:decode(tokenizer:encode(text))
    tokenizer:pieces(text, {special = true})
    tokenizer:split(text)
  end
  tokenizer:decode(all)
  tokenizer:decode(all, {special = true})
end

local function opens(text)
  return files.opens(json_path, text, exercise)
end

local function fails(text, ...)
  local ok, message = opens(text)
  assert.is_false(ok)
  for _, expected in ipairs {...} do
    assert.truthy(message:find(expected, 1, true), message)
  end
end

-- A small file with one thing changed.
local function with(name, change)
  local tree = small.trees[name]()
  change(tree)
  return json.encode(tree)
end

describe("a broken tokenizer.json", function()
  for _, name in ipairs {"byte_level", "added", "unigram"} do
    it("(" .. name .. ") may be cut off anywhere, or any bit flipped",
       function()
      local whole = json.encode(small.trees[name]())
      assert.is_true(opens(whole))
      for at = 1, #whole, 7 do
        assert.is_false(opens(whole:sub(1, at - 1)))
        local byte = string.char(whole:byte(at) ~ 1 << at % 8)
        opens(whole:sub(1, at - 1) .. byte .. whole:sub(at + 1))
      end
    end)
  end

  it("fails with the part that is missing or of a wrong type", function()
    fails("{}", "has no \"model\"")
    fails("[]", "byte 0", "expected '{'")
    fails('{"model": {}}', "model: has no \"vocab\"")
    fails('{"model": 5}', "model: byte ")
    fails('{"model": {"type": "BPE", "vocab": []}}', "model.vocab: byte")
    fails('{"model": {"vocab": {}, "merges": []}} x', "byte", "the end")
    fails('{"model": {}, "model": {}}', "\"model\" is there twice")
    fails(('{"x":'):rep(70) .. "1" .. ("}"):rep(70), "more than 64 deep")
    fails('{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [""]}, ' ..
          '"decoder": {"type": "ByteLevel"}}', "model.merges: merge 0")
  end)

  it("fails with the id that does not fit", function()
    fails(with("byte_level", function(t) t.model.vocab.t = 99 end),
          "model.vocab: id 99 of \"t\"", "ids must be 0 to 13")
    fails(with("byte_level", function(t) t.model.vocab.t = -1 end),
          "model.vocab: byte ")
    fails(with("byte_level", function(t) t.model.vocab.t = 2.5 end),
          "model.vocab: byte ")
    fails(with("byte_level", function(t) t.model.vocab.t = 1 end),
          "id 1 is that of")
    fails((with("byte_level", function(t) t.model.vocab.t = 7777 end)
             :gsub("7777", "18446744073709551615")), "id 18446744073709551615")
    fails(with("byte_level", function(t) t.added_tokens[1].id = 0 end),
          "added_tokens: id 0 is that of \"t\" and of \"<s>\"")
    fails(with("byte_level", function(t) t.added_tokens[2].id = 14 end),
          "added_tokens: id 14")
    fails(with("byte_level", function(t) t.added_tokens[2].id = nil end),
          "added_tokens: an item has no \"id\"")
    fails(with("unigram", function(t) t.model.unk_id = 8 end),
          "model: unk_id is 8, the vocabulary ends at 7")
    fails(with("unigram", function(t) t.model.unk_id = nil end),
          "no unknown token and no byte_fallback")
    fails(with("llama", function(t) t.model.unk_token = "<what>" end),
          "unk_token \"<what>\" is no token")
    fails(with("llama", function(t) t.model.vocab["<0x00>"] = nil
                                    t.model.vocab["<zero>"] = 3 end),
          "no byte piece <0x00>")
  end)

  it("fails with the piece that is empty, overlong or there twice", function()
    local long = ("x"):rep(1025)
    fails(with("byte_level", function(t)
      t.model.vocab.t, t.model.vocab[""] = nil, 0
    end), "model.vocab: piece 0 is empty")
    fails(with("byte_level", function(t)
      t.model.vocab.t, t.model.vocab[long] = nil, 0
    end), "model.vocab: piece 0 has 1025 bytes, the limit is 1024")
    fails(with("byte_level", function(t) t.added_tokens[1].content = "" end),
          "piece 12 is empty")
    fails(with("byte_level", function(t)
      t.added_tokens[1].content = ("x"):rep(10000000)
    end), "piece 12 has 10000000 bytes")
    fails(with("byte_level", function(t)
      t.added_tokens[1].content = "</s>"
    end), "pieces 12 and 13 are both \"</s>\"")
    fails(with("byte_level", function(t)
      t.added_tokens[2] = t.added_tokens[1]
      t.model.vocab.x = 13
    end), "the text \"<s>\" is that of another one")
    fails(with("unigram", function(t) t.model.vocab[5][1] = "ab" end),
          "pieces 4 and 5 are both \"ab\"")
  end)

  it("fails with the merge that refers to nothing", function()
    local function merge(text)
      return with("byte_level", function(t) t.model.merges[3] = text end)
    end
    fails(merge "x at", "model.merges: merge 2: \"x\" is no token")
    fails(merge "h x", "model.merges: merge 2: \"x\" is no token")
    fails(merge "a h", "model.merges: merge 2: \"ah\" is no token")
    fails(merge "hat", "merge 2: is not two tokens with a space between")
    fails(merge "h ", "merge 2: \"\" is no token")
    fails(merge {"h"}, "model.merges: merge 2: byte ")
    fails(merge {"h", "a", "t"}, "merge 2: is not two tokens")
    fails(merge(5), "merge 2: byte ")
    assert.is_true(opens(merge "t h"))  -- there twice: the first one counts
  end)

  it("fails with the score that is none", function()
    for _, score in ipairs {'"x"', "1e999", "-1e999", "null", "[]"} do
      fails((with("unigram", function(t) t.model.vocab[5][2] = 7777 end)
               :gsub("7777", score)), "model.vocab: byte ")
    end
    fails(with("unigram", function(t) t.model.vocab[5][3] = 1 end),
          "model.vocab: piece 4 is not a text and a score")
    fails((with("unigram", function(t) t.model.vocab[5][2] = 7777 end)
             :gsub("7777", "1e300")), "piece 4 (\"b\") has a score that is no")
  end)

  it("fails with what its processors refer to", function()
    local function template(item)
      return with("unigram", function(t)
        t.post_processor.single[2] = item
      end)
    end
    fails(template {SpecialToken = {id = "<nobody>"}},
          "post_processor: \"<nobody>\" is no token of the vocabulary")
    fails(template {Nothing = 1}, "an item is no SpecialToken and no Sequence")
    fails(with("unigram", function(t)
      for i = 2, 20 do
        t.post_processor.single[i] = {SpecialToken = {id = "</s>"}}
      end
    end), "more than 8 tokens on one side")
    fails(with("unigram", function(t)
      t.normalizer = {type = "Precompiled", precompiled_charsmap = "AA*A"}
    end), "normalizer: character 2 is not base64")
    fails(with("unigram", function(t)
      t.normalizer = {type = "Precompiled", precompiled_charsmap = "AAAA"}
    end), "precompiled_charsmap")
    local deep = {type = "ByteLevel", add_prefix_space = false}
    for _ = 1, 12 do deep = {type = "Sequence", pretokenizers = {deep}} end
    fails(with("byte_level", function(t)
      t.pre_tokenizer = {type = "Sequence", pretokenizers = {}}
      for i = 1, 9 do
        t.pre_tokenizer.pretokenizers[i] = {type = "Digits"}
      end
    end), "pre_tokenizer: more than 8 steps")
    assert.is_true(opens(with("byte_level", function(t)
      t.pre_tokenizer = deep
    end)))
  end)

  it("may hold added tokens within added tokens", function()
    local text = with("added", function(t)
      t.added_tokens = {
        small.added("aaa", 6), small.added("aaaa", 7),
        small.added("aaaaab", 8), small.added(("a"):rep(1000), 9)
      }
    end)
    assert.is_true(opens(text))
    local tokenizer = assert(core.tokenizer(json_path))
    assert.same({7, 6}, tokenizer:encode(("a"):rep(7)))
    assert.same({8, 7, 1}, tokenizer:encode "aaaaabaaaab")
    tokenizer:encode(("a"):rep(2^18))
  end)

  it("leaves no memory behind", function()
    local whole = json.encode(small.trees.llama())
    collectgarbage()
    local before = core.memory()
    for at = 1, #whole, 41 do opens(whole:sub(1, at)) end
    opens(whole)
    collectgarbage()
    assert.equal(before, core.memory())
  end)
end)

describe("a broken vocabulary in a GGUF file", function()
  local function keys(model)
    return {
      {"general.architecture", "string", "llama"},
      {"tokenizer.ggml.model", "string", model},
      {"tokenizer.ggml.pre", "string", "gpt-2"},
      {"tokenizer.ggml.tokens", "string[]", {"<unk>", "a", "b", "ab", "</s>"}},
      {"tokenizer.ggml.scores", "f32[]", {0, -1, -1, -2, 0}},
      {"tokenizer.ggml.token_type", "i32[]", {2, 1, 1, 1, 3}},
      {"tokenizer.ggml.merges", "string[]", {"a b"}},
      {"tokenizer.ggml.eos_token_id", "u32", 4},
      {"tokenizer.ggml.unknown_token_id", "u32", 0}
    }
  end

  local function open(list)
    return core.tokenizer(files.write(path, bytes.gguf(list)))
  end

  local function with_key(model, name, kind, value)
    local list = keys(model)
    for i, key in ipairs(list) do
      if key[1] == "tokenizer.ggml." .. name then table.remove(list, i) end
    end
    if kind then list[#list + 1] = {"tokenizer.ggml." .. name, kind, value} end
    return open(list)
  end

  local function fails_with(name, kind, value, ...)
    for _, model in ipairs {"llama", "gpt2", "t5"} do
      local tokenizer, message = with_key(model, name, kind, value)
      assert.is_nil(tokenizer)
      for _, expected in ipairs {path, "tokenizer.ggml." .. name, ...} do
        assert.truthy(message:find(expected, 1, true), message)
      end
    end
  end

  it("is whole before it is broken", function()
    for _, model in ipairs {"llama", "gpt2", "t5"} do
      local tokenizer = assert(open(keys(model)))
      exercise(tokenizer)
      assert.same({4}, tokenizer.eog)
      assert.equal(4, tokenizer.eos)
    end
    assert.same({3, 3, 2}, open(keys "gpt2"):encode "ababb")
    -- 2^32 - 1 is how some converters write "none"
    assert.is_nil(with_key("gpt2", "eos_token_id", "u32", 0xFFFFFFFF).eos)
    assert.is_nil(with_key("gpt2", "eos_token_id", "i32", -1).eos)
  end)

  it("fails with key, value and rule", function()
    local nan = 0 / 0
    fails_with("tokens", nil, nil)
    fails_with("tokens", "string[]", {"a", "b", "ab", "a", "c"}, "twice")
    fails_with("scores", "f32[]", {0, 0, nan, 0, 0}, "finite")
    fails_with("scores", "f32[]", {0, 0}, "2")
    fails_with("token_type", "i32[]", {1, 1, 1, 1, 7}, "from 0 to 6")
    fails_with("token_type", "i32[]", {1, 1, 1, 1, -1}, "from 0 to 6")
    fails_with("token_type", "i32[]", {1}, "1")
    fails_with("eos_token_id", "u32", 5, "5")
    fails_with("eos_token_id", "string", "</s>")
    fails_with("eot_token_id", "u32", 1000, "1000")
    fails_with("unknown_token_id", "u32", 77, "77")
    fails_with("merges", "string[]", {"a x"}, "a x")
    fails_with("merges", "string[]", {"ab"}, "ab")
  end)

  it("fails where only one kind of tokenizer looks", function()
    local function fails_as(model, name, kind, value, expected)
      local tokenizer, message = with_key(model, name, kind, value)
      assert.is_nil(tokenizer)
      assert.truthy(message:find(path, 1, true), message)
      assert.truthy(message:find(expected, 1, true), message)
    end
    fails_as("gpt2", "merges", "string[]", {"b a"},
             "tokenizer.ggml.merges, element 0: \"ba\" is no token")
    fails_as("gpt2", "merges", nil, nil, "tokenizer.ggml.merges")
    fails_as("gpt2", "pre", "string", "gpt-17", "known are: ")
    fails_as("gpt2", "pre", "u32", 3, "tokenizer.ggml.pre")
    fails_as("llama", "scores", nil, nil, "tokenizer.ggml.scores")
    fails_as("llama", "precompiled_charsmap", "u8[]", "\8\0\0\0",
             "precompiled_charsmap")
    fails_as("t5", "add_space_prefix", "u32", 1,
             "tokenizer.ggml.add_space_prefix")
  end)
end)

describe("half a megabyte of anything", function()
  local state, letters = 1, {}
  for i = 1, 2^18 do  -- a linear congruential generator: fixed letters
    state = (state * 1103515245 + 12345) % 2^31
    letters[i] = string.char(97 + math.floor(state >> 16) % 26)
  end
  local texts = {
    ("a"):rep(2^19), (" "):rep(2^19), ("\n"):rep(2^18), ("1"):rep(2^18),
    ("'"):rep(2^18), ("\xFF"):rep(2^18), ("\u{4E00}"):rep(2^18),
    table.concat(letters)
  }

  for _, name in ipairs {
    "tokenizers/gpt2.tokenizer.json", "tokenizers/bbpe-llama3.tokenizer.json",
    "tokenizers/spm-llama.model", "vocab/ggml-vocab-llama-spm.gguf"
  } do
    it("comes back from " .. name, function()
      local tokenizer <close> = assert(core.tokenizer("../shared/data/" ..
                                                      name))
      for i, text in ipairs(texts) do
        local ids = tokenizer:encode(text)
        if i ~= 6 then assert.equal(text, tokenizer:decode(ids)) end
      end
    end)
  end

  it("passes every pre-tokenizer's steps in one walk", function()
    for _, pre in ipairs {"default", "deepseek-llm", "deepseek-v3", "gpt-4o",
                          "viking"} do
      local tokenizer <close> = assert(core.tokenizer(files.write(path,
        bytes.gguf {
          {"general.architecture", "string", "gpt2"},
          {"tokenizer.ggml.model", "string", "gpt2"},
          {"tokenizer.ggml.pre", "string", pre},
          {"tokenizer.ggml.tokens", "string[]", {"a", "aa"}},
          {"tokenizer.ggml.merges", "string[]", {"a a"}}
        })))
      for _, text in ipairs(texts) do tokenizer:encode(text .. "a") end
    end
  end)
end)
