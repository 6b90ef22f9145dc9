-- How decant.convert reads the tokenizers of Hugging Face directories: real
-- ones of ../shared/data, and small ones written here.

local core = require "decant.core"
local dkjson = require "dkjson"
local failure = require "decant.convert.fail"
local hf = require "spec.support.hf"
local tokenizer_files = require "spec.support.tokenizer_files"
local vocabulary = require "decant.convert.vocabulary"

local DATA = "../shared/data/"

-- A directory with these files: texts, or values that become JSON.
local function directory(contents)
  local dir = hf.temp()
  for name, content in pairs(contents) do
    if type(content) ~= "string" then content = dkjson.encode(content) end
    hf.write(dir .. "/" .. name, content)
  end
  return dir
end

local function read(contents, size, config)
  return failure.catch(vocabulary, directory(contents), config or {}, size)
end

-- {key = value}, notes
local function keys_of(contents, size, config)
  local list, notes = read(contents, size, config)
  assert(list, notes)
  local keys = {}
  for _, row in ipairs(list) do
    local name = row[1]:gsub("^tokenizer%.ggml%.", "")
    assert.is_nil(keys[name], name)
    keys[name] = row[3]
  end
  return keys, notes
end

local function refused(contents, size, part)
  local list, message = read(contents, size)
  assert.is_nil(list)
  assert.truthy(message:find(part, 1, true), message)
end

describe("byte-level BPE", function()
  after_each(hf.clean)

  it("comes out of GPT-2's tokenizer.json as from llama.cpp", function()
    local keys = keys_of({
      ["tokenizer.json"] = hf.read(DATA .. "tokenizers/gpt2.tokenizer.json"),
    }, 50257, {bos_token_id = 50256, eos_token_id = 50256})
    local theirs <close> = assert(core.gguf(DATA
                                            .. "vocab/ggml-vocab-gpt-2.gguf"))
    local count = 0
    for _, key in ipairs(theirs:keys()) do
      local name = key:match "^tokenizer%.ggml%.(.*)"
      if name then
        assert.same(theirs:get(key), keys[name], key)
        count = count + 1
      end
    end
    assert.equal(7, count)
    assert.is_false(keys.add_bos_token)
  end)

  it("of Llama 3 has its pre-tokenizer, bos and added tokens", function()
    local from = DATA .. "tokenizers/bbpe-llama3.tokenizer"
    local keys = keys_of({
      ["tokenizer.json"] = hf.read(from .. ".json"),
      ["tokenizer_config.json"] = hf.read(from .. "_config.json"),
    }, 4003)
    assert.equal("llama-bpe", keys.pre)
    assert.equal(". Ċ", keys.merges[1])
    assert.same({0, 1, 3997, true, false},
                {keys.bos_token_id, keys.eos_token_id, keys.padding_token_id,
                 keys.add_bos_token, keys.add_eos_token})
    assert.same({"<|begin_of_text|>", 3}, {keys.tokens[1], keys.token_type[1]})
    assert.same({"!", 1}, {keys.tokens[3], keys.token_type[3]})
    -- <tag/> is no special token; [PAD4000] fills the table up
    assert.same({"<tag/>", 4}, {keys.tokens[3999], keys.token_type[3999]})
    assert.same({"[PAD4000]", 5}, {keys.tokens[4001], keys.token_type[4001]})
    assert.equal(4003, #keys.tokens)
    assert.is_nil(keys.scores)
  end)

  local function tiny(pre_tokenizer, more)
    local json = {
      pre_tokenizer = pre_tokenizer,
      model = {type = "BPE", vocab = {a = 0, b = 1, ab = 2},
               merges = {"a b"}},
    }
    for key, value in pairs(more or {}) do json[key] = value end
    return {["tokenizer.json"] = json}
  end

  local function split(regex)
    return {type = "Split", pattern = {Regex = regex}, behavior = "Isolated"}
  end

  local function sequence(...)
    return {type = "Sequence", pretokenizers = {...}}
  end

  local BYTES = {type = "ByteLevel", use_regex = false}
  local WORDS = [[[^\r\n\p{L}\p{N}]?\p{L}+|]]
  local REST = [[| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+]]
  local CONTRACTIONS = [[(?i:'s|'t|'re|'ve|'m|'ll|'d)|]]
  local pres = {
    ["gpt-2"] = {type = "ByteLevel"},
    ["smollm"] = sequence({type = "Digits", individual_digits = true},
                          {type = "ByteLevel", use_regex = true}),
    ["qwen2"] = sequence(split(CONTRACTIONS .. WORDS .. [[\p{N}]] .. REST),
                         BYTES),
    ["smaug-bpe"] = sequence(split(CONTRACTIONS .. WORDS .. [[\p{N}{1,3}]]
                                   .. REST), BYTES),
    ["falcon"] = sequence({type = "Punctuation", behavior = "Contiguous"},
                          {type = "ByteLevel"},
                          {type = "Digits", individual_digits = false},
                          split "[0-9][0-9][0-9]"),
  }
  for name, pre in pairs(pres) do
    it("knows the pre-tokenizer " .. name, function()
      assert.equal(name, keys_of(tiny(pre), 3).pre)
    end)
  end

  it("is refused with a pattern that is not known", function()
    refused(tiny(sequence(split "[xyz]+", BYTES)), 3,
            'the pre-tokenizer\'s pattern "[xyz]+" is not one that decant')
    refused(tiny(sequence({type = "Magic"}, BYTES)), 3,
            'the pre-tokenizer has a step of type "Magic"')
    refused(tiny(sequence({type = "Digits"}, BYTES)), 3,
            "the pre-tokenizer (digits-together) is not one that decant knows")
  end)

  it("takes merges in both forms", function()
    local json = tiny {type = "ByteLevel"}
    assert.same({"a b"}, keys_of(json, 3).merges)
    json["tokenizer.json"].model.merges = {{"a", "b"}}
    assert.same({"a b"}, keys_of(json, 3).merges)
    json["tokenizer.json"].model.merges = {"a b", "ab"}
    refused(json, 3, 'merge 2 is "ab", must be two texts')
    json["tokenizer.json"].model.merges = {"a b", "b a"}
    refused(json, 3, 'merge 2 ("b a") refers to "ba", which is no token')
  end)

  it("is refused where ids are doubled, missing or too large", function()
    local json = tiny {type = "ByteLevel"}
    local vocab = json["tokenizer.json"].model.vocab
    refused(json, 2, 'piece "ab" has id "2"')
    vocab.b = 0
    refused(json, 3, 'id 0 belongs to "a" and to "b"')
  end)

  it("with RoBERTa's processor adds bos and eos", function()
    local keys = keys_of(tiny({type = "ByteLevel"}, {
      post_processor = {type = "RobertaProcessing", sep = {"b", 1},
                        cls = {"a", 0}},
    }), 3, {bos_token_id = 0, eos_token_id = 1})
    assert.same({true, true}, {keys.add_bos_token, keys.add_eos_token})
  end)

  it("leaves out added tokens that the embeddings lack", function()
    local keys, notes = keys_of(tiny({type = "ByteLevel"}, {
      added_tokens = {{id = 3, content = "<pad>", special = true}},
    }), 3)
    assert.equal(3, #keys.tokens)
    assert.truthy(notes[1]:find('"<pad>" has an id above vocab_size', 1, true))
  end)
end)

describe("a SentencePiece file", function()
  after_each(hf.clean)

  it("of kind bpe becomes llama, with the flags of its kind", function()
    local keys = keys_of({
      ["tokenizer.model"] = hf.read(DATA .. "tokenizers/spm-llama.model"),
    }, 2002)
    assert.equal("llama", keys.model)
    assert.same({"<unk>", 2, 0.0}, {keys.tokens[1], keys.token_type[1],
                                    keys.scores[1]})
    assert.same({"<s>", 3}, {keys.tokens[2], keys.token_type[2]})
    assert.same({"<0x00>", 6}, {keys.tokens[4], keys.token_type[4]})
    assert.equal(5, keys.token_type[2002])
    assert.same({1, 2, 0, true, false, true},
                {keys.bos_token_id, keys.eos_token_id, keys.unknown_token_id,
                 keys.add_bos_token, keys.add_eos_token,
                 keys.add_space_prefix})
    assert.is_nil(keys.precompiled_charsmap)
  end)

  it("of kind unigram becomes t5, with its table of characters", function()
    local keys = keys_of({
      ["spiece.model"] = hf.read(DATA .. "tokenizers/hf.spiece.model"),
    }, 30000, {eos_token_id = 3})
    assert.equal("t5", keys.model)
    assert.equal(30000, #keys.scores)
    assert.is_true(#keys.precompiled_charsmap > 200000)
    assert.same({1, 0, false, true},
                {keys.unknown_token_id, keys.padding_token_id,
                 keys.add_bos_token, keys.add_eos_token})
    assert.is_true(keys.remove_extra_whitespaces)
  end)

  it("takes added tokens from the files beside it", function()
    local keys = keys_of({
      ["tokenizer.model"] = hf.read(DATA .. "tokenizers/spm-llama.model"),
      ["added_tokens.json"] = {["<pad>"] = 2000, ["<one>"] = 2001},
      ["tokenizer_config.json"] = {
        pad_token = "<pad>", add_eos_token = true,
        added_tokens_decoder = {
          ["0"] = {content = "<unk>", special = true},
          ["2000"] = {content = "<pad>", special = true},
          ["2002"] = {content = "<two>", special = false},
        },
      },
    }, 2003)
    assert.equal(2, keys.token_type[1])  -- <unk> stays what it is
    assert.same({"<pad>", "<one>", "<two>"},
                {table.unpack(keys.tokens, 2001, 2003)})
    assert.same({3, 4, 4}, {table.unpack(keys.token_type, 2001, 2003)})
    assert.same({2000, true}, {keys.padding_token_id, keys.add_eos_token})
  end)

  it("is refused when it is none", function()
    refused({["tokenizer.model"] = "hello"}, 10, "tokenizer.model: ")
  end)

  it("of fairseq has the ids of vocab.json, and languages behind", function()
    local model = hf.read(DATA .. "tokenizers/spm-llama.model")
    local spm = assert(core.sentencepiece(model))
    local keys = keys_of({
      ["sentencepiece.bpe.model"] = model,
      ["vocab.json"] = {["<s>"] = 0, ["<pad>"] = 1, ["</s>"] = 2,
                        ["<unk>"] = 3, [spm.pieces[301]] = 4,
                        [spm.pieces[300]] = 5},
      ["special_tokens_map.json"] = {
        bos_token = "<s>", eos_token = "</s>", pad_token = "<pad>",
        unk_token = "<unk>",
        additional_special_tokens = {"__af__", "__am__"},
      },
    }, 10)
    assert.same({spm.pieces[301], spm.pieces[300], "__af__", "__am__"},
                {table.unpack(keys.tokens, 5, 8)})
    assert.same({3, 3, 3, 2, 1, 1, 3, 3, 5, 5}, keys.token_type)
    assert.equal(spm.scores[301], keys.scores[5])
    assert.same({0, 2, 1, 3}, {keys.bos_token_id, keys.eos_token_id,
                               keys.padding_token_id, keys.unknown_token_id})
  end)
end)

describe("tokenizer.json of a SentencePiece model", function()
  after_each(hf.clean)

  it("of kind BPE becomes llama, scores from the merges", function()
    local keys = keys_of({["tokenizer.json"] = {
      normalizer = {type = "Sequence", normalizers = {
        {type = "Prepend", prepend = "▁"},
        {type = "Replace", pattern = {String = " "}, content = "▁"}}},
      post_processor = {type = "TemplateProcessing", single = {
        {SpecialToken = {id = "<s>"}}, {Sequence = {id = "A"}}}},
      added_tokens = {{id = 0, content = "<unk>", special = true},
                      {id = 1, content = "<s>", special = true}},
      model = {type = "BPE", unk_token = "<unk>", byte_fallback = true,
               vocab = {["<unk>"] = 0, ["<s>"] = 1, ["<0x41>"] = 2,
                        ["▁"] = 3, a = 4, b = 5, ab = 6, ["▁ab"] = 7,
                        ["▁a"] = 8},
               merges = {"a b", "▁ ab", "▁a b"}},
    }}, 9, {bos_token_id = 1})
    assert.equal("llama", keys.model)
    assert.same({2, 3, 6, 1, 1, 1, 1, 1, 1}, keys.token_type)
    assert.same({-1, -2}, {keys.scores[7], keys.scores[8]})
    assert.is_true(keys.scores[5] < -1e6)
    assert.same({true, true, false, false},
                {keys.add_space_prefix, keys.add_bos_token, keys.add_eos_token,
                 keys.remove_extra_whitespaces})
  end)

  it("of kind Unigram becomes t5", function()
    local keys = keys_of({["tokenizer.json"] = {
      normalizer = {type = "Sequence", normalizers = {
        {type = "Precompiled", precompiled_charsmap = "AAECA/8="},
        {type = "Replace", pattern = {Regex = " {2,}"}, content = "▁"}}},
      pre_tokenizer = {type = "Metaspace", replacement = "▁",
                       prepend_scheme = "always"},
      post_processor = {type = "TemplateProcessing", single = {
        {Sequence = {id = "A"}}, {SpecialToken = {id = "</s>"}}}},
      added_tokens = {{id = 0, content = "<pad>", special = true},
                      {id = 1, content = "</s>", special = true}},
      model = {type = "Unigram", unk_id = 2, vocab = {
        {"<pad>", 0.0}, {"</s>", 0.0}, {"<unk>", 0.0}, {"▁", -2.5},
        {"a", -3.25}}},
    }, ["tokenizer_config.json"] = {eos_token = {content = "</s>"},
                                    pad_token = "<pad>"}}, 5)
    assert.equal("t5", keys.model)
    assert.same({3, 3, 2, 1, 1}, keys.token_type)
    assert.same({0.0, 0.0, 0.0, -2.5, -3.25}, keys.scores)
    assert.equal("\0\1\2\3\255", keys.precompiled_charsmap)
    assert.same({1, 0, false, true, true, true},
                {keys.eos_token_id, keys.padding_token_id, keys.add_bos_token,
                 keys.add_eos_token, keys.add_space_prefix,
                 keys.remove_extra_whitespaces})
  end)

  it("has the languages of NLLB as tokens, and no bos", function()
    local keys = keys_of({["tokenizer.json"] = {
      pre_tokenizer = {type = "Metaspace", prepend_scheme = "always"},
      post_processor = {type = "TemplateProcessing", single = {
        {SpecialToken = {id = "eng_Latn"}}, {Sequence = {id = "A"}},
        {SpecialToken = {id = "</s>"}}}},
      added_tokens = {{id = 4, content = "eng_Latn", special = true}},
      model = {type = "BPE", unk_token = "<unk>", merges = {},
               vocab = {["<s>"] = 0, ["</s>"] = 1, ["<unk>"] = 2, a = 3}},
    }, ["tokenizer_config.json"] = {bos_token = "<s>", eos_token = "</s>"}},
    5)
    assert.same({"eng_Latn", 3}, {keys.tokens[5], keys.token_type[5]})
    assert.same({false, true}, {keys.add_bos_token, keys.add_eos_token})
  end)

  for _, case in ipairs {
    {"{}", "model is nil, must be an object"},
    {{model = {type = "WordPiece", vocab = {a = 0}}},
     'model.type = "WordPiece" is not supported'},
    {{model = {type = "Unigram", vocab = {{"a"}}}},
     "entry 1 of model.vocab must be a text and a score"},
    {{model = {type = "BPE", vocab = {a = 0}, merges = 3}},
     "model.merges is number, must be a list"},
    {{model = {type = "BPE", vocab = {a = 0}, merges = {}},
      normalizer = {type = "Precompiled", precompiled_charsmap = "?"}},
     "precompiled_charsmap is no base64 (byte 1)"},
    {{model = {type = "BPE", vocab = {a = 0}, merges = {}},
      added_tokens = {{content = "x"}}}, "entry 1 of added_tokens has no id"},
    {{model = {type = "BPE", vocab = {a = 0}, merges = {}},
      added_tokens = {{id = 1, content = "a"}}},
     'token "a" has the ids 0 and 1'},
    {{model = {type = "BPE", vocab = {["[PAD1]"] = 0}, merges = {},
               unk_token = "[PAD1]"}},
     'token "[PAD1]" is what an unused id is called here'},
    {{model = {type = "BPE", vocab = {a = 0}, merges = {}}},
     "has 0 tokens for what is unknown, must have one"},
  } do
    it("is refused: " .. case[2], function()
      refused({["tokenizer.json"] = case[1]}, 2, case[2])
    end)
  end
end)

describe("chat templates", function()
  after_each(hf.clean)

  local MODEL = {model = {type = "BPE", vocab = {a = 0}, merges = {},
                          unk_token = "a"}}

  it("are taken from tokenizer_config.json", function()
    local keys = keys_of({["tokenizer.json"] = MODEL,
                          ["tokenizer_config.json"] = {
                            chat_template = "{{ x }}"}}, 1)
    assert.equal("{{ x }}", keys["tokenizer.chat_template"])
  end)

  it("are taken from a file of their own first", function()
    local keys = keys_of({["tokenizer.json"] = MODEL,
                          ["chat_template.jinja"] = "{{ y }}",
                          ["tokenizer_config.json"] = {
                            chat_template = "{{ x }}"}}, 1)
    assert.equal("{{ y }}", keys["tokenizer.chat_template"])
  end)

  it("may be several", function()
    local keys = keys_of({["tokenizer.json"] = MODEL,
                          ["tokenizer_config.json"] = {chat_template = {
                            {name = "default", template = "d"},
                            {name = "rag", template = "r"}}}}, 1)
    assert.equal("d", keys["tokenizer.chat_template"])
    assert.equal("r", keys["tokenizer.chat_template.rag"])
    assert.same({"rag"}, keys["tokenizer.chat_templates"])
  end)

  it("of 10 MB are refused", function()
    refused({["tokenizer.json"] = MODEL,
             ["chat_template.jinja"] = ("x"):rep(10000000)}, 1,
            "chat_template.jinja: the chat template has 10000000 bytes")
  end)
end)

-- The whole way: files, keys, GGUF, tokenizer, ids; against what the libraries
-- give (../shared/data/tokenizers/golden).
describe("a converted tokenizer gives the ids of the library for", function()
  after_each(hf.clean)

  local function file(name)
    return hf.read(tokenizer_files.data .. name)
  end

  local function tokenizer_of(contents, size, config)
    local path = hf.temp() .. "/t.gguf"
    local writer <close> = assert(core.gguf_writer(path))
    writer:set("general.architecture", "string", "llama")
    for _, row in ipairs(assert(read(contents, size, config))) do
      writer:set(table.unpack(row))
    end
    assert(writer:finish())
    return assert(core.tokenizer(path))
  end

  local function check(name, special, ...)
    local tokenizer = tokenizer_of(...)
    local count, wrong = 0, {}
    for _, line in ipairs(tokenizer_files.golden(name)) do
      if line.kind == "text" then
        local ids = tokenizer:encode(line.text, {bos = false, eos = false,
                                                 special = special})
        count = count + 1
        if table.concat(ids, " ") ~= table.concat(line.ids, " ")
           or tokenizer:decode(ids, {special = true}) ~= line.decode then
          wrong[#wrong + 1] = line.name
        end
      end
    end
    assert.same({}, wrong)
    assert.is_true(count > 900)
  end

  it("GPT-2's tokenizer.json", function()
    check("gpt2", true, {["tokenizer.json"] = file "gpt2.tokenizer.json"},
          50257)
  end)

  it("a tokenizer.json like Llama 3's", function()
    check("bbpe-llama3", true, {
      ["tokenizer.json"] = file "bbpe-llama3.tokenizer.json",
      ["tokenizer_config.json"] = file "bbpe-llama3.tokenizer_config.json",
    }, 4000)
  end)

  it("a tokenizer.model like Llama 2's", function()
    check("spm-llama", false, {["tokenizer.model"] = file "spm-llama.model"},
          2000)
  end)

  it("spiece.model of kind unigram", function()
    check("hf.spiece", false, {["spiece.model"] = file "hf.spiece.model"},
          30000)
  end)

  -- A tokenizer.json of a .model, as the library's converter makes it.
  local function json_of(model, normalizer, spm, more)
    model.vocab = model.vocab or {}
    local json = {model = model, normalizer = normalizer, added_tokens = {},
                  pre_tokenizer = {type = "Metaspace", replacement = "▁",
                                   prepend_scheme = "always"}}
    for i, kind in ipairs(spm.kinds) do
      if kind == 3 then
        json.added_tokens[#json.added_tokens + 1] =
          {id = i - 1, content = spm.pieces[i], special = true}
      end
    end
    for key, value in pairs(more) do json[key] = value end
    return {["tokenizer.json"] = json}
  end

  -- Every way to join two pieces to a third, the best first.
  local function merges_of(spm)
    local score, merges = {}, {}
    for i, piece in ipairs(spm.pieces) do
      if spm.kinds[i] == 1 then score[piece] = spm.scores[i] end
    end
    for piece in pairs(score) do
      for at in utf8.codes(piece) do
        local left, right = piece:sub(1, at - 1), piece:sub(at)
        if score[left] and score[right] then
          merges[#merges + 1] = {left, right, score[piece]}
        end
      end
    end
    table.sort(merges, function(a, b)
      if a[3] ~= b[3] then return a[3] > b[3] end
      return a[1] < b[1]
    end)
    for _, merge in ipairs(merges) do merge[3] = nil end
    return merges
  end

  it("a tokenizer.json like Llama 2's", function()
    local spm = assert(core.sentencepiece(file "spm-llama.model"))
    local vocab = {}
    for i, piece in ipairs(spm.pieces) do vocab[piece] = i - 1 end
    check("spm-llama", false, json_of(
      {type = "BPE", vocab = vocab, merges = merges_of(spm),
       unk_token = "<unk>", byte_fallback = true},
      {type = "Sequence", normalizers = {{type = "Prepend", prepend = "▁"}}},
      spm, {pre_tokenizer = false}), 2000)
  end)

  local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                   .. "0123456789+/"

  local function base64(bytes)
    local padding = -#bytes % 3
    bytes = bytes .. ("\0"):rep(padding)
    return (bytes:gsub("...", function(three)
      local n = string.unpack(">I3", three)
      local four = ""
      for shift = 18, 0, -6 do
        local at = (n >> shift & 63) + 1
        four = four .. ALPHABET:sub(at, at)
      end
      return four
    end):gsub(("."):rep(padding) .. "$", ("="):rep(padding)))
  end

  it("a tokenizer.json of kind Unigram", function()
    local spm = assert(core.sentencepiece(file "de-en.model"))
    local vocab = {}
    for i, piece in ipairs(spm.pieces) do vocab[i] = {piece, spm.scores[i]} end
    check("de-en", false, json_of(
      {type = "Unigram", vocab = vocab, unk_id = spm.unk},
      {type = "Sequence", normalizers = {
        {type = "Precompiled", precompiled_charsmap = base64(spm.charsmap)},
        {type = "Replace", pattern = {Regex = " {2,}"}, content = " "}}},
      spm, {}), 8000)
  end)
end)

-- What llama.cpp's keys have no word for travels under decant's own.
describe("the ids from a GGUF and from the file that it was made of", function()
  after_each(hf.clean)

  local function in_gguf(contents, size)
    local path = hf.temp() .. "/vocabulary.gguf"
    local writer <close> = assert(core.gguf_writer(path))
    writer:set("general.architecture", "string", "llama")
    for _, row in ipairs(assert(read(contents, size))) do
      writer:set(table.unpack(row))
    end
    assert(writer:begin())
    assert(writer:finish())
    return assert(core.tokenizer(path))
  end

  local function agree(json, size, expected)
    local contents = {["tokenizer.json"] = json}
    local file <close> = assert(core.tokenizer(directory(contents)
                                               .. "/tokenizer.json"))
    local gguf <close> = in_gguf(contents, size)
    for text, ids in pairs(expected) do
      local plain = {bos = false, eos = false}
      assert.same(ids, file:encode(text, plain), text)
      assert.same(ids, gguf:encode(text, plain), text)
    end
  end

  local function bytes_of(first)
    local vocab = {a = 0, ["Ã"] = 1, ["©"] = 2, ["Ì"] = 3, ["ģ"] = 4, e = 5,
                   ["Ġ"] = 6}
    return {type = "BPE", vocab = vocab, merges = first}
  end

  it("are equal where text is composed first", function()
    agree({normalizer = {type = "NFC"}, model = bytes_of {},
           pre_tokenizer = {type = "ByteLevel", add_prefix_space = false}}, 7,
          {["e\u{301}a"] = {1, 2, 0}, ["\u{e9}"] = {1, 2}, ["e a"] = {5, 6, 0}})
  end)

  it("are equal where a text gets a space in front", function()
    agree({pre_tokenizer = {type = "ByteLevel", add_prefix_space = true},
           model = bytes_of {}}, 7,
          {a = {6, 0}, [" a"] = {6, 0}, [""] = {}})
  end)

  it("are equal where unigram spells what it does not know", function()
    local vocab = {{"<unk>", 0.0}, {"a", -1.0}}
    for byte = 0, 255 do
      vocab[#vocab + 1] = {("<0x%02X>"):format(byte), -9.0}
    end
    agree({pre_tokenizer = {type = "Metaspace", prepend_scheme = "never"},
           model = {type = "Unigram", unk_id = 0, byte_fallback = true,
                           vocab = vocab}}, 258,
          {a = {1}, ["a\u{e9}"] = {1, 2 + 0xc3, 2 + 0xa9}})
  end)
end)
