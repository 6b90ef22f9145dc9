-- Tokenizers in tokenizer.json: small files that can be followed by eye. Parity
-- with the library on whole vocabularies is in tokenizer_golden_spec.lua.

local core = require "decant.core"
local json = require "dkjson"
local small = require "spec.support.tokenizer_json"
local files = require "spec.support.tokenizer_files"

local path = os.tmpname() .. ".tokenizer.json"
teardown(function()
  os.remove(path)
  os.remove((path:gsub("%.json$", "_config.json")))
end)

local function open(tree)
  return assert(core.tokenizer(files.write(path, json.encode(tree))))
end

local function fails(tree, expected)
  local tokenizer, message = core.tokenizer(files.write(path,
                                                        json.encode(tree)))
  assert.is_nil(tokenizer)
  assert.truthy(message:find(path, 1, true), message)
  assert.truthy(message:find(expected, 1, true), message)
end

-- Values: tokenizers 0.23.3 on the same trees (spec/support/wants_json.py).
local wants = json.decode(files.read "spec/support/wants_json.json")

describe("a tokenizer.json", function()
  for name, make in pairs(small.trees) do
    it("of " .. name .. " gives what the library gives", function()
      local tokenizer = open(make())
      for _, want in ipairs(wants[name]) do
        local ids = tokenizer:encode(want.text, {special = true})
        assert.same(want.ids, ids, want.text)
        if want.decode then
          assert.equal(want.decode, tokenizer:decode(ids, {special = true}))
        end
        assert.equal(want.decode_skip, tokenizer:decode(ids))
      end
    end)
  end

  it("may write merges as texts or as pairs", function()
    local tree = small.trees.byte_level()
    local a = open(tree):encode "the hat"
    for i, merge in ipairs(tree.model.merges) do
      tree.model.merges[i] = {merge:match "^(%S+) (%S+)$"}
    end
    assert.same(a, open(tree):encode "the hat")
  end)

  it("decodes texts in the place of ids, bytes of one character too",
     function()
    local tokenizer = open(small.trees.byte_level())
    local surfaces = tokenizer:surfaces "that hat"
    assert.same({"th", "at", " ", "hat"}, surfaces)
    for i, surface in ipairs(surfaces) do surfaces[i] = {surface} end
    assert.equal("that hat", tokenizer:decode(surfaces))
    assert.equal("\u{E4}at", tokenizer:decode {{"\xC3"}, {"\xA4"}, {"at"}})
  end)

  it("takes a word that is a token as it is, if it says so", function()
    local tree = small.trees.byte_level()
    local plain = open(tree):encode "that"
    assert.same({"th", "at"}, open(tree):pieces "that")
    tree.model.vocab["that"] = 14
    assert.same(plain, open(tree):encode "that")  -- no merge leads there
    tree.model.ignore_merges = true
    assert.same({14}, open(tree):encode "that")
  end)

  it("never makes a control token out of a text, unless asked", function()
    local tree = small.trees.added()
    tree.model.ignore_merges = true
    tree.added_tokens[9] = small.added("bbb", 14, {special = true})
    local tokenizer = open(tree)
    assert.same({1, 1, 1}, tokenizer:encode "bbb")
    local stop = tokenizer:id "<stop>"
    assert.same({stop}, tokenizer:encode("<stop>", {special = true}))
    for _, text in ipairs {"<stop>", "a<stop>a", " <stop> "} do
      for _, id in ipairs(tokenizer:encode(text)) do
        assert.is_true(id ~= stop)
      end
    end
    -- the others are always found
    assert.same({tokenizer:id "<user>"}, tokenizer:encode "<user>")
  end)

  it("puts in front and behind what its template says", function()
    local tokenizer = open(small.trees.llama())
    local bos = tokenizer:id "<s>"
    assert.equal(bos, tokenizer.bos)
    assert.equal(bos, tokenizer:encode("ab")[1])
    assert.is_true(bos ~= tokenizer:encode("ab", {bos = false})[1])
    assert.is_nil(tokenizer.eos)
  end)

  it("has its special tokens from tokenizer_config.json beside it", function()
    local config = path:gsub("%.json$", "_config.json")
    files.write(config, json.encode {
      bos_token = {content = "<s>"}, eos_token = "</s>", pad_token = "none",
      unk_token = json.null, add_bos_token = true
    })
    local tokenizer = open(small.trees.byte_level())
    os.remove(config)
    assert.same({12, 13, nil},
                {tokenizer.bos, tokenizer.eos, tokenizer.pad})
    assert.same({13}, tokenizer.eog)
    assert.equal(12, tokenizer:encode("t")[1])
  end)

  it("may be in a directory", function()
    local directory = files.fill(files.directory(), {
      ["tokenizer.json"] = json.encode(small.trees.byte_level()),
      ["tokenizer_config.json"] = '{"eos_token": "</s>"}'
    })
    local tokenizer = assert(core.tokenizer(directory))
    files.remove(directory)
    assert.equal(13, tokenizer.eos)
  end)

  it("composes accents if its normalizer is NFC", function()
    local tree = small.trees.byte_level()
    tree.normalizer = {type = "NFC"}
    local tokenizer = open(tree)
    -- unicodedata.normalize of Python 3.11
    for text, composed in pairs {
      ["a\u{308}"] = "\u{E4}", ["\u{1100}\u{1161}\u{11A8}"] = "\u{AC01}",
      ["a\u{323}\u{307}"] = "\u{1EA1}\u{307}",
      ["a\u{307}\u{323}"] = "\u{1EA1}\u{307}",
      ["\u{212B}\u{2126}"] = "\u{C5}\u{3A9}", ["\u{958}"] = "\u{915}\u{93C}",
      ["\u{301}a\u{301}\u{301}"] = "\u{301}\u{E1}\u{301}",
      ["a\u{30D}\u{301}"] = "a\u{30D}\u{301}",  -- one is in the way
      ["q\u{307}\u{323}"] = "q\u{323}\u{307}",
      ["\xFFa\u{308}"] = "\u{FFFD}\u{E4}"
    } do
      assert.equal(composed, tokenizer:normalize(text))
    end
  end)

  it("names what it does not support", function()
    local function with(name, change, expected)
      local tree = small.trees[name]()
      change(tree)
      fails(tree, expected)
    end
    with("byte_level", function(t) t.model.type = "WordPiece" end,
         "model.type is \"WordPiece\"; supported are BPE and Unigram")
    with("byte_level", function(t) t.normalizer = {type = "Lowercase"} end,
         "normalizer: type \"Lowercase\" is not supported")
    with("byte_level", function(t) t.model.end_of_word_suffix = "</w>" end,
         "end_of_word_suffix is not supported")
    with("byte_level", function(t)
      t.pre_tokenizer = {type = "Sequence", pretokenizers = {
        {type = "Split", pattern = {Regex = "[aeiou]+"},
         behavior = "Isolated"}, t.pre_tokenizer}}
    end, "pre_tokenizer: Split by \"[aeiou]+\" is not supported")
    with("byte_level", function(t)
      t.post_processor = {type = "Magic"}
    end, "post_processor: type \"Magic\" is not supported")
    with("llama", function(t) t.normalizer = nil end,
         "without ByteLevel, Metaspace or Replace")
    with("unigram", function(t) t.pre_tokenizer = {type = "Whitespace"} end,
         "pre_tokenizer: type \"Whitespace\" is not supported")
  end)
end)

describe("the pre-tokenizer", function()
  local bytes = require "spec.support.tokenizer_bytes"
  -- made by spec/support/splits.py
  local splits = json.decode(files.read "spec/support/splits.json")

  local function named(name)
    return core.tokenizer(files.write(path .. ".gguf", bytes.gguf {
      {"general.architecture", "string", "gpt2"},
      {"tokenizer.ggml.model", "string", "gpt2"},
      {"tokenizer.ggml.pre", "string", name},
      {"tokenizer.ggml.tokens", "string[]", {"a", "b", "ab"}},
      {"tokenizer.ggml.merges", "string[]", {"a b"}}
    }))
  end

  teardown(function() os.remove(path .. ".gguf") end)

  for name, words in pairs(splits.words) do
    it(name .. " cuts as its regular expression does", function()
      local tokenizer = assert(named(name))
      for i, text in ipairs(splits.texts) do
        assert.same(words[i], tokenizer:split(text), text)
      end
    end)
  end

  it("goes by many names, and an unknown one is an error that lists them",
     function()
    for _, name in ipairs {"mpt", "olmo", "llama3", "refact", "smollm"} do
      assert.equal("byte-bpe", assert(named(name)).kind)
    end
    local tokenizer, message = named "nonsense"
    assert.is_nil(tokenizer)
    for _, part in ipairs {"tokenizer.ggml.pre: ", "\"nonsense\"", "llama-bpe",
                           "qwen2", "falcon"} do
      assert.truthy(message:find(part, 1, true), message)
    end
  end)
end)
