-- Tokenizers in GGUF files: the vocabularies and token ids of llama.cpp's own
-- tests (../shared/data/vocab), and small files of our own.

local core = require "decant.core"
local bytes = require "spec.support.tokenizer_bytes"
local files = require "spec.support.tokenizer_files"

local VOCAB = "../shared/data/vocab/ggml-vocab-"

-- The texts of a .inp file and the ids of its .out file, side by side.
local function cases(name)
  local texts, ids = {}, {}
  local whole = files.read(VOCAB .. name .. ".gguf.inp")
  for text in whole:gmatch "(.-)\n__ggml_vocab_test__\n" do
    texts[#texts + 1] = text
  end
  for line in io.lines(VOCAB .. name .. ".gguf.out") do
    local list = {}
    for id in line:gmatch "%d+" do list[#list + 1] = math.tointeger(id) end
    ids[#ids + 1] = list
  end
  assert.equal(#texts, #ids)
  return texts, ids
end

describe("llama.cpp's test vocabulary", function()
  for name, count in pairs {["gpt-2"] = 46, ["llama-spm"] = 46} do
    it(name .. " gives the ids of all its texts, and the texts back",
       function()
      local tokenizer <close> = assert(core.tokenizer(VOCAB .. name ..
                                                      ".gguf"))
      local texts, ids = cases(name)
      assert.equal(count, #texts)
      for i, text in ipairs(texts) do
        assert.same(ids[i], tokenizer:encode(text, {bos = false}), text)
        assert.equal(text, tokenizer:decode(ids[i]))
      end
    end)
  end
end)

describe("the tokens that end a generation", function()
  local path = os.tmpname()
  teardown(function() os.remove(path) end)

  local function open(tokens, types, more)
    local keys = {
      {"general.architecture", "string", "llama"},
      {"tokenizer.ggml.model", "string", "gpt2"},
      {"tokenizer.ggml.pre", "string", "gpt-2"},
      {"tokenizer.ggml.tokens", "string[]", tokens},
      {"tokenizer.ggml.token_type", "i32[]", types},
      {"tokenizer.ggml.merges", "string[]", {"a b"}}
    }
    for _, key in ipairs(more or {}) do keys[#keys + 1] = key end
    return assert(core.tokenizer(files.write(path, bytes.gguf(keys))))
  end

  it("are eos, what the file names, and what is known by its text",
     function()
    local tokenizer = open(
      {"a", "b", "ab", "<|im_end|>", "<x>", "<|end|>", "</s>", "<y>"},
      {1, 1, 1, 3, 3, 3, 3, 3},
      {{"tokenizer.ggml.eos_token_id", "u32", 7},
       {"tokenizer.ggml.eot_token_id", "u32", 4}})
    assert.same({3, 4, 5, 6, 7}, tokenizer.eog)
    assert.equal(7, tokenizer.eos)
    assert.same({}, open({"a", "b", "ab"}, {1, 1, 1}).eog)
  end)

  it("leave out a message's end where there is a call's and a return",
     function()
    local tokenizer = open({"a", "b", "ab", "<|end|>", "<|return|>",
                            "<|call|>"}, {1, 1, 1, 3, 3, 3})
    assert.same({4, 5}, tokenizer.eog)
  end)

  it("are control tokens even if the file calls them user-defined", function()
    local tokenizer = open({"a", "b", "ab", "<|im_end|>", "<user>"},
                           {1, 1, 1, 4, 4})
    assert.same({2, 4, 2}, tokenizer:encode "ab<user>ab")
    for _, id in ipairs(tokenizer:encode "ab<|im_end|>") do
      assert.is_true(id ~= 3)
    end
    assert.same({2, 3}, tokenizer:encode("ab<|im_end|>", {special = true}))
    assert.equal("ab<user>", tokenizer:decode {2, 3, 4})
  end)

  it("are where generate stops, if the model's file does not say", function()
    local decant = require "decant"
    local model <close> = assert(decant.load
      "../shared/models/stories260K/stories260K.gguf")
    assert.same({2}, model.tokenizer.eog)
    assert.same(model.tokenizer.eog, model.config.generation.eos_token_id)
  end)
end)

describe("a byte-level vocabulary", function()
  it("decodes parts of characters when they are whole", function()
    local tokenizer <close> = assert(core.tokenizer(VOCAB .. "gpt-2.gguf"))
    local ids, stream = tokenizer:encode "\u{1F600}\u{E4}", tokenizer:stream()
    local parts = {}
    for i, id in ipairs(ids) do parts[i] = stream(id) end
    parts[#parts + 1] = stream()
    assert.equal("\u{1F600}\u{E4}", table.concat(parts))
    for _, part in ipairs(parts) do assert.truthy(utf8.len(part)) end
    -- the first byte of four, then a letter: one U+FFFD (tokenizers 0.23.3)
    assert.equal("\u{FFFD}", tokenizer:decode {ids[1]})
    assert.equal("\u{FFFD}a", tokenizer:decode {ids[1], tokenizer:id "a"})
  end)
end)

describe("a file without a vocabulary", function()
  for _, word in ipairs {"none", "no_vocab"} do
    it("says so: " .. word, function()
      local path = files.write(os.tmpname(), bytes.gguf {
        {"general.architecture", "string", "llama"},
        {"tokenizer.ggml.model", "string", word}})
      local tokenizer, message = core.tokenizer(path)
      os.remove(path)
      assert.is_nil(tokenizer)
      assert.equal(path .. ": the file has no tokenizer", message)
    end)
  end

  it("of bytes cannot spell in bytes", function()
    local path = files.write(os.tmpname(), bytes.gguf {
      {"general.architecture", "string", "llama"},
      {"tokenizer.ggml.model", "string", "t5"},
      {"tokenizer.ggml.tokens", "string[]", {"<unk>", "a"}},
      {"tokenizer.ggml.scores", "f32[]", {0, -1}},
      {"tokenizer.ggml.unknown_token_id", "u32", 0},
      {"decant.tokenizer.byte_fallback", "bool", 1}})
    local tokenizer, message = core.tokenizer(path)
    os.remove(path)
    assert.is_nil(tokenizer)
    assert.truthy(message:find("there is no byte piece <0x00>", 1, true),
                  message)
  end)
end)
