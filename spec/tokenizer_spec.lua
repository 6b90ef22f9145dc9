-- The Tokenizer userdata: options, defaults, fields, streaming, loading.
-- Parity with the libraries is in tokenizer_golden_spec.lua.

local core = require "decant.core"
local json = require "dkjson"
local bytes = require "spec.support.tokenizer_bytes"
local files = require "spec.support.tokenizer_files"

local DE_EN = files.data .. "de-en.model"
local LLAMA = files.data .. "spm-llama.model"

-- A Marian pair small enough to follow by eye.
local SMALL = {
  pieces = {
    {"<unk>", 0.0, bytes.UNKNOWN}, {"<s>", 0.0, bytes.CONTROL},
    {"</s>", 0.0, bytes.CONTROL}, {"\u{2581}", -3.0}, {"\u{2581}a", -2.0},
    {"b", -2.5}, {"<", -4.0}, {"/", -4.0}, {"s", -4.0}, {">", -4.0}
  }
}
local VOCAB = {
  ["</s>"] = 0, ["<unk>"] = 1, [">>fr<<"] = 2, ["\u{2581}"] = 3,
  ["\u{2581}a"] = 4, b = 5, ["<"] = 6, ["/"] = 7, s = 8, [">"] = 9,
  ["\u{E4}"] = 10, ["<pad>"] = 11
}

local directory, small

setup(function()
  directory = files.fill(files.directory(), {
    ["source.spm"] = bytes.spm(SMALL), ["vocab.json"] = json.encode(VOCAB)
  })
  small = assert(core.tokenizer(directory))
end)

teardown(function() files.remove(directory) end)

local function raises(text, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  assert.truthy(message:find(text, 1, true), message)
end

describe("a Marian tokenizer", function()
  it("appends </s> unless told not to", function()
    assert.same({4, 0}, small:encode "a")
    assert.same({4}, small:encode("a", {eos = false}))
    assert.same({0}, small:encode "")
    assert.same({0}, small:encode "   ")
  end)

  it("sees plain characters in the text of a special token", function()
    assert.same({4, 6, 7, 8, 9, 5, 0}, small:encode "a</s>b")
    assert.same({4, 0, 3, 5, 0}, small:encode("a</s>b", {special = true}))
    assert.same({11, 1, 0}, small:encode("<pad><unk>", {special = true}))
  end)

  it("never makes a special token out of text that lacks them", function()
    local model = {pieces = {}}  -- one that knows none of these characters
    for i = 1, 5 do model.pieces[i] = SMALL.pieces[i] end
    local other = files.fill(files.directory(), {
      ["source.spm"] = bytes.spm(model), ["vocab.json"] = json.encode(VOCAB)
    })
    local tokenizer = assert(core.tokenizer(other))
    files.remove(other)
    assert.same({4, 1, 0}, tokenizer:encode "a</s>")
    assert.same({4, 1, 0}, tokenizer:encode "a<pad>")
  end)

  it("takes a language token at the front if the vocabulary has it",
     function()
    assert.same({2, 4, 0}, small:encode ">>fr<< a")
    assert.same({3, 9, 9, 1, 6, 6, 4, 0}, small:encode ">>xy<< a")
    assert.same({1, 4, 0}, small:encode(">>xy<< a", {special = true}))
    assert.same({4, 9, 9, 1, 8, 6, 6, 0}, small:encode "a>>frs<<")
  end)

  it("looks unknown characters up in the vocabulary", function()
    assert.same({4, 10, 0}, small:encode "a\u{E4}")
    assert.same({4, 1, 0}, small:encode "a\u{E4}\u{E4}")
  end)

  it("shows special tokens only when asked", function()
    assert.equal("ab", small:decode {11, 4, 1, 5, 0})
    assert.equal("<pad> a<unk> b</s>",
                 small:decode({11, 4, 1, 5, 0}, {special = true}))
    assert.equal("a b", small:decode {4, 3, 5, 3, 3, 0})
  end)

  it("cuts the target side by its own file", function()
    local pair = files.fill(files.directory(), {
      ["source.spm"] = files.read(files.data .. "opus-mt-en-mg.source.spm"),
      ["target.spm"] = files.read(files.data .. "opus-mt-en-mg.target.spm"),
      ["vocab.json"] = files.read(files.data .. "opus-mt-en-mg.vocab.json")
    })
    local tokenizer = assert(core.tokenizer(pair))
    files.remove(pair)
    -- golden mixed.02
    assert.same({34291, 245, 0}, tokenizer:encode "Hello world")
    assert.same({34291, 245, 0},
                tokenizer:encode("Hello world", {side = "source"}))
    assert.same({448, 17531, 28, 13946, 0},
                tokenizer:encode("Hello world", {side = "target"}))
    assert.equal(54688, #tokenizer)
    assert.equal(54687, tokenizer.pad)
  end)
end)

describe("a tokenizer", function()
  it("has the ids of its special tokens as fields", function()
    assert.same({nil, 0, 11, 1},
                {small.bos, small.eos, small.pad, small.unk})
    local spm = assert(core.tokenizer(DE_EN))
    assert.same({1, 2, nil, 0}, {spm.bos, spm.eos, spm.pad, spm.unk})
    local albert = assert(core.tokenizer(files.data .. "hf.spiece.model"))
    assert.same({nil, nil, 0, 1},
                {albert.bos, albert.eos, albert.pad, albert.unk})
    assert.is_nil(small.nothing)
    assert.is_nil(small[1])
  end)

  it("has a length, a name and a kind", function()
    assert.equal(12, #small)
    assert.equal("Tokenizer (marian, 12 pieces)", tostring(small))
    assert.equal("marian", small.kind)
    assert.equal("unigram", assert(core.tokenizer(DE_EN)).kind)
  end)

  it("adds begin and end where there are such tokens", function()
    local spm = assert(core.tokenizer(DE_EN))
    local plain = spm:encode "Tom"
    assert.same({1, plain[1], 2}, spm:encode("Tom", {bos = true, eos = true}))
    raises("bos: this tokenizer has no such token", small.encode, small, "a",
           {bos = true})
  end)

  it("parses control tokens of a SentencePiece model when asked", function()
    local spm = assert(core.tokenizer(DE_EN))
    local tom = spm:id "\u{2581}Tom"
    assert.same({1, tom, 2, tom},
                spm:encode("<s>Tom</s>Tom", {special = true}))
    assert.is_true(#spm:encode "<s>" > 1)
    assert.equal("<s>Tom</s>", spm:decode({1, tom, 2}, {special = true}))
    assert.equal("Tom", spm:decode {1, tom, 2})
  end)

  it("gives ids of pieces and pieces of ids", function()
    assert.equal("\u{2581}a", small:piece(4))
    assert.equal(4, small:id "\u{2581}a")
    assert.is_nil(small:id "no such piece")
    assert.is_nil(small:id "")
    raises("is 12, must be from 0 to 11", small.piece, small, 12)
    raises("is -1, must be from 0 to 11", small.piece, small, -1)
    raises("id 12 at position 2 is no integer from 0 to 11", small.decode,
           small, {4, 12})
    raises('id "x" at position 1', small.decode, small, {"x"})
    raises("is 99, must be from 0 to 11", small:stream(), 99)
  end)

  it("tells the stretch of the text that each id stands for", function()
    local text = "a\u{E4}\u{E4}"
    assert.same({"\u{2581}a", "\u{E4}\u{E4}", ""}, small:surfaces(text))
    assert.same({"\u{2581}a", "<unk>", "</s>"}, small:pieces(text))
    assert.same({"", "\u{2581}a", ""}, small:surfaces ">>fr<< a")
    assert.same({"\u{2581}a"}, small:surfaces("a", {eos = false}))
    assert.same({""}, small:surfaces "")
    local spm = assert(core.tokenizer(DE_EN))
    assert.same({"\u{2581}Tom", "\u{2581}", "\u{2603}"},
                spm:surfaces "Tom \u{2603}")
    assert.same(spm:surfaces "Tom \u{2603}", spm:pieces "Tom \u{2603}")
    local bytes_of = assert(core.tokenizer(LLAMA))
    assert.same({"\u{2581}", "\xE2", "\x98", "\x83"},
                bytes_of:surfaces("\u{2603}", {bos = false}))
  end)

  it("decodes a text in the place of an id, with its space marks", function()
    local mark = "\u{2581}"
    assert.equal("a x b", small:decode {4, {mark .. "x" .. mark}, 5})
    assert.equal("xb", small:decode {{mark .. "x"}, 5})
    assert.equal("</s>b", small:decode {{"</s>"}, 5, 0})
    local stream = small:stream()
    assert.same({"a", "", " x", "b", ""},
                {stream(4), stream {mark}, stream {"x"}, stream(5), stream()})
    local spm, list = assert(core.tokenizer(DE_EN)), {}
    for i, stretch in ipairs(spm:surfaces "Tom ist  da \u{2603}.") do
      list[i] = {stretch}
    end
    assert.equal("Tom ist da \u{2603}.", spm:decode(list))
    raises("id table at", small.decode, small, {4, {}})
    raises("id table at", small.decode, small, {4, {5}})
    raises("number expected, got table", small:stream(), {})
  end)

  it("decodes a text that is no UTF-8 to characters", function()
    assert.equal("a\u{FFFD}\u{FFFD}b", small:decode {4, {"\xE2\x98"}, 5})
    assert.equal("\u{FFFD}b", small:decode {{"\xC3"}, 5})
    assert.equal("a", small:decode {4, {""}})
  end)

  it("goes on behind other ids: with their space, their open character",
     function()
    local spm = assert(core.tokenizer(LLAMA))
    local upon = {spm:id "\u{2581}up", spm:id "on"}
    local head = spm:encode("Once", {bos = true})
    assert.equal("upon", spm:decode(upon))
    assert.equal(" upon", spm:decode(upon, {after = head}))
    assert.equal("upon", spm:decode(upon, {after = {}}))
    assert.equal("upon", spm:decode(upon, {after = {spm.bos}}))
    -- a control token is a border: what is behind it was encoded by itself
    head[#head + 1] = spm.eos
    assert.equal("upon", spm:decode(upon, {after = head}))
    local open, rest = spm:id "<0xC3>", spm:id "<0xA4>"
    local stream = spm:stream {after = {head[2], open}}
    assert.same({"\u{E4}", " up", "on", ""},
                {stream(rest), stream(upon[1]), stream(upon[2]), stream()})
    raises("id 12 at position 1 is no integer", small.decode, small, {4},
           {after = {12}})
    raises("a table of token ids expected, got number", small.stream, small,
           {after = 1})
  end)

  it("refuses options that it does not know or that are of a wrong type",
     function()
    raises("unknown option 'bosses'", small.encode, small, "a",
           {bosses = true})
    raises("eos must be true or false, got number", small.encode, small, "a",
           {eos = 1})
    raises("side must be \"source\" or \"target\"", small.encode, small, "a",
           {side = "left"})
    raises("unknown option 'side'", small.decode, small, {}, {side = "source"})
    raises("table expected", small.encode, small, "a", 5)
    raises("string expected", small.encode, small, {})
  end)

  it("is unusable after close, which may be called again", function()
    local tokenizer = assert(core.tokenizer(DE_EN))
    local stream = tokenizer:stream()
    tokenizer:close()
    tokenizer:close()
    assert.equal("Tokenizer (closed)", tostring(tokenizer))
    raises("the tokenizer is closed", tokenizer.encode, tokenizer, "a")
    raises("the tokenizer is closed", function() return tokenizer.eos end)
    raises("the tokenizer is closed", stream, 5)
    do
      local closed <close> = assert(core.tokenizer(DE_EN))
      assert.is_true(#closed > 0)
      tokenizer = closed
    end
    raises("the tokenizer is closed", tokenizer.encode, tokenizer, "a")
  end)

  it("gives all its memory back", function()
    collectgarbage()
    local before = core.memory()
    local tokenizer = assert(core.tokenizer(directory))
    local stream = tokenizer:stream()
    stream(4)
    assert.is_true(core.memory() > before)
    tokenizer:close()
    stream = nil  -- luacheck: ignore
    collectgarbage()
    assert.equal(before, core.memory())
  end)

  it("encodes and decodes a megabyte of anything", function()
    local spm = assert(core.tokenizer(DE_EN))
    local state, noise = 1, {}
    for i = 1, 2^20 do  -- a linear congruential generator: fixed bytes
      state = (state * 1103515245 + 12345) % 2^31
      noise[i] = string.char(math.floor(state) >> 16 & 0xFF)
    end
    local texts = {
      ("a"):rep(2^20), (" "):rep(2^20), ("\0"):rep(2^20), ("."):rep(2^20),
      table.concat(noise), ("</s>"):rep(2^18), (">>"):rep(2^19)
    }
    for _, text in ipairs(texts) do
      spm:decode(spm:encode(text))
      small:decode(small:encode(text, {special = true}))
    end
    local ids = spm:encode(("a"):rep(2^20))
    assert.equal(("a"):rep(2^20), spm:decode(ids))
    assert.same({}, spm:encode((" "):rep(2^20)))
    assert.equal(2^18 + 1, #small:encode(("</s>"):rep(2^18),
                                         {special = true}))
  end)
end)

-- What only models of our own making show. Values: sentencepiece 0.2.3 on the
-- same bytes.
describe("a SentencePiece tokenizer", function()
  local path = os.tmpname()

  teardown(function() os.remove(path) end)

  local function open(model)
    return assert(core.tokenizer(files.write(path, bytes.spm(model))))
  end

  it("scores an unknown character 10 below the lowest piece", function()
    local function cut(y)
      return open {pieces = {
        {"<unk>", 0.0, bytes.UNKNOWN}, {"\u{2581}", -1.0}, {"y", y},
        {"xy", -15.0}, {"far", -99.0, bytes.USER}
      }}:encode "xyz"
    end
    assert.same({1, 3, 0}, cut(9.5))       -- xy and one unknown
    assert.same({1, 0, 2, 0}, cut(10.5))   -- y between two unknowns
  end)

  it("eats all marks at the front if it squeezes, else one", function()
    local function decoded(squeeze, prefix)
      local tokenizer = open {
        pieces = SMALL.pieces, normalizer = {[3] = prefix, [4] = squeeze}
      }
      return tokenizer:decode {1, 3, 4, 4}
    end
    assert.equal("a a", decoded(true, true))
    assert.equal("a a", decoded(true, false))
    assert.equal(" a a", decoded(false, true))
    assert.equal("  a a", decoded(false, false))
  end)

  it("puts the space behind where white space is a suffix", function()
    local tokenizer = open {
      pieces = {
        {"<unk>", 0.0, bytes.UNKNOWN}, {"a\u{2581}", -1.0}, {"a", -2.0},
        {"\u{2581}", -3.0}
      },
      trainer = {[3] = 1, [24] = true}
    }
    assert.equal("a\u{2581}a\u{2581}", tokenizer:normalize " a  a ")
    assert.same({1, 1}, tokenizer:encode "a a")
    assert.same({}, tokenizer:encode " ")
  end)
end)

describe("a text stream", function()
  local fallback

  setup(function()
    fallback = assert(core.tokenizer(
      files.data .. "hf.test_sentencepiece_with_bytefallback.model"))
  end)

  local function feed(tokenizer, ids, options)
    local stream, parts = tokenizer:stream(options), {}
    for i, id in ipairs(ids) do parts[i] = stream(id) end
    parts[#ids + 1] = stream()
    return parts
  end

  it("hands out whole characters only", function()
    local ids = fallback:encode "\u{1F600}"
    -- "<0xF0>" and its three followers, after the prefix
    assert.same({"", "", "", "", "\u{1F600}", ""}, feed(fallback, ids))
  end)

  it("repairs bytes that are no character, as decode does", function()
    local function byte(n) return fallback:id(("<0x%02X>"):format(n)) end
    local a = fallback:id "a"
    local cases = {
      {byte(0xE4), byte(0xBD)}, {byte(0xE4), a}, {byte(0xFF), byte(0x41)},
      {byte(0xED), byte(0xA0), byte(0x80)}, {byte(0xF0), byte(0x9F), 1, a},
      {byte(0xC3), byte(0xC3), byte(0xA4)}
    }
    local expected = {  -- sentencepiece 0.2.3, decode of the same ids
      "\u{FFFD}\u{FFFD}", "\u{FFFD}a", "\u{FFFD}A",
      "\u{FFFD}\u{FFFD}\u{FFFD}", "\u{FFFD}\u{FFFD}a", "\u{FFFD}\u{E4}"
    }
    for i, ids in ipairs(cases) do
      assert.equal(expected[i], fallback:decode(ids))
      assert.equal(expected[i], table.concat(feed(fallback, ids)))
    end
  end)

  it("eats the leading space and keeps the others", function()
    local spm = assert(core.tokenizer(DE_EN))
    local tom = spm:id "\u{2581}Tom"
    assert.same({"Tom", " Tom", ""}, feed(spm, {tom, tom}))
  end)

  it("holds white space back until more follows, where it is stripped",
     function()
    assert.same({"", "a", "", "", "  b", "", ""},
                feed(small, {3, 4, 3, 3, 5, 3}))
  end)

  it("begins anew after its end", function()
    local stream = small:stream()
    for _ = 1, 3 do
      assert.equal("a", stream(4))
      assert.equal("", stream(3))
      assert.equal("", stream(nil))
    end
  end)

  it("shows special tokens when asked", function()
    assert.equal("a</s> b",
                 table.concat(feed(small, {4, 0, 5}, {special = true})))
    assert.equal("ab", table.concat(feed(small, {4, 0, 5})))
  end)

  it("outlives every other reference to its tokenizer", function()
    local stream = assert(core.tokenizer(directory)):stream()
    collectgarbage()
    collectgarbage()
    assert.equal("a", stream(4))
  end)
end)

describe("a tokenizer in a GGUF file", function()
  local path = os.tmpname()

  teardown(function() os.remove(path) end)

  local function open(keys)
    table.insert(keys, 1, {"general.architecture", "string", "marian"})
    return core.tokenizer(files.write(path, bytes.gguf(keys)))
  end

  local function marian_keys()
    local tokens = {}
    for piece, id in pairs(VOCAB) do tokens[id + 1] = piece end
    return {
      {"tokenizer.ggml.model", "string", "marian"},
      {"tokenizer.ggml.tokens", "string[]", tokens},
      {"tokenizer.ggml.eos_token_id", "u32", 0},
      {"tokenizer.ggml.unknown_token_id", "u32", 1},
      {"tokenizer.ggml.padding_token_id", "u32", 11},
      {"decant.tokenizer.source_spm", "u8[]", bytes.spm(SMALL)}
    }
  end

  it("is the same as that of the Marian directory", function()
    local tokenizer = assert(open(marian_keys()))
    local text = ">>fr<< a</s>b \u{E4}\u{20AC} a<unk>"
    for _, options in ipairs {{}, {special = true}, {eos = false}} do
      assert.same(small:encode(text, options),
                  tokenizer:encode(text, options))
    end
    assert.equal(11, tokenizer.pad)
    assert.equal("ab", tokenizer:decode {11, 4, 5, 0})
  end)

  it("fails with file and key when a part is missing or wrong", function()
    local function fails(index, replacement, expected)
      local keys = marian_keys()
      table.remove(keys, index)
      if replacement then table.insert(keys, index, replacement) end
      local tokenizer, message = open(keys)
      assert.is_nil(tokenizer)
      assert.truthy(message:find(path, 1, true), message)
      assert.truthy(message:find(expected, 1, true), message)
    end
    fails(2, nil, "tokenizer.ggml.tokens")
    fails(3, nil, "tokenizer.ggml.eos_token_id")
    fails(3, {"tokenizer.ggml.eos_token_id", "u32", 12},
          "tokenizer.ggml.eos_token_id")
    fails(6, nil, "source.spm")
    fails(6, {"decant.tokenizer.source_spm", "u8[]", "nonsense"},
          "source.spm")
    fails(1, {"tokenizer.ggml.model", "string", "bert"},
          "tokenizer.ggml.model is \"bert\"")
    fails(1, {"tokenizer.ggml.model", "string", "none"}, "no tokenizer")
  end)

  it("may be a SentencePiece model spread over keys", function()
    local tokens, scores, types = {}, {}, {}
    for i, piece in ipairs(SMALL.pieces) do
      tokens[i], scores[i], types[i] = piece[1], piece[2], piece[3] or 1
    end
    local tokenizer = assert(open {
      {"tokenizer.ggml.model", "string", "t5"},
      {"tokenizer.ggml.tokens", "string[]", tokens},
      {"tokenizer.ggml.scores", "f32[]", scores},
      {"tokenizer.ggml.token_type", "i32[]", types},
      {"tokenizer.ggml.eos_token_id", "u32", 2},
      {"tokenizer.ggml.precompiled_charsmap", "u8[]", bytes.charsmap "b"}
    })
    assert.same({4, 5, 5, 0, 2}, tokenizer:encode "ab\1\u{E4}")
    assert.equal("abb", tokenizer:decode {4, 5, 5, 2})
    assert.equal(2, tokenizer.eos)
  end)
end)

describe("loading a tokenizer", function()
  local function fails(path, expected)
    local tokenizer, message = core.tokenizer(path)
    assert.is_nil(tokenizer)
    assert.truthy(message:find(expected, 1, true), message)
  end

  it("fails with a message that names the file", function()
    fails("/nonexistent.model", "/nonexistent.model: ")
    fails(files.data, "no tokenizer.json, no tokenizer.model")
    fails("Makefile", "Makefile: not a protobuf message")
  end)

  it("names the file of a Marian directory that is missing or wrong",
     function()
    local function with(changes, expected)
      local contents = {
        ["source.spm"] = bytes.spm(SMALL), ["vocab.json"] = json.encode(VOCAB)
      }
      for name, text in pairs(changes) do contents[name] = text or nil end
      local place = files.fill(files.directory(), contents)
      fails(place, place)
      fails(place, expected)
      files.remove(place)
    end
    with({["vocab.json"] = false}, "vocab.json")
    with({["source.spm"] = false}, "source.spm")
    with({["source.spm"] = false, ["tokenizer.json"] = "{}"},
         "tokenizer.json: has no \"model\"")
    with({["target.spm"] = "nonsense"}, "target.spm")
    with({["target_vocab.json"] = "{}"}, "separate vocabularies")
    with({["vocab.json"] = "[]"}, "vocab.json")
    with({["vocab.json"] = '{"</s>":0}'}, "vocab.json: has no <unk>")
    with({["vocab.json"] = '{"<unk>":0}'}, "vocab.json: has no </s>")
    with({["vocab.json"] = '{"</s>":0,"<unk>":2}'}, "id 2 of \"<unk>\"")
    with({["vocab.json"] = '{"</s>":0,"<unk>":1,"a":1}'}, "id 1 is that of")
    with({["vocab.json"] = '{"</s>":0,"<unk>":1,"a":2,"a":3}'}, "both \"a\"")
    with({["vocab.json"] = '{"</s>":0,"<unk>":1,"":2}'}, "piece 2 is empty")
    with({["vocab.json"] = '{"</s>":0,"<unk>":-1}'}, "vocab.json")
    with({["vocab.json"] = '{"</s>":0,"<unk>":1} x'}, "vocab.json")
  end)
end)
