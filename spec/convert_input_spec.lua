-- What decant.convert takes from the files of a directory and what it refuses:
-- changed copies of the small models in ../shared/models.

local convert = require "decant.convert"
local hf = require "spec.support.hf"
local conversion = require "spec.support.conversion"
local converted, refusal = conversion.converted, conversion.refusal
local contains, keys_of = conversion.contains, conversion.keys_of
local target = conversion.target

describe("a checkpoint is refused", function()
  after_each(hf.clean)

  local K = "model.decoder.layers.1.encoder_attn.k_proj.weight"
  local cases = {
    {"without a tensor", function(t) t[K] = nil end,
     "tensor " .. K .. " is missing ([32, 32] by config.json)"},
    {"with a tensor of another shape",
     function(t) t[K] = hf.ramp({64, 16}, 1) end,
     "tensor " .. K .. " is [64, 16], config.json makes it [32, 32]"},
    {"with a tensor of another rank",
     function(t) t[K] = hf.ramp({1024}, 1) end,
     "tensor " .. K .. " is [1024], config.json makes it [32, 32]"},
    {"with integers for weights",
     function(t)
       t[K] = {dtype = "I8", shape = {32, 32}, data = ("\1"):rep(1024)}
     end,
     "tensor " .. K .. " is of type I8, supported are F32, F16 and BF16"},
    {"with a tensor of no use",
     function(t) t["model.decoder.layers.2.fc1.bias"] = hf.ramp({64}, 1) end,
     "marian has no use for model.decoder.layers.2.fc1.bias"},
    {"with many tensors of no use",
     function(t)
       for i = 1, 7 do t["x" .. i] = hf.ramp({1}, 1) end
     end, "has no use for x1, x2, x3, x4, x5 and 2 more"},
    {"with a final norm that the graph lacks",
     function(t) t["model.encoder.layer_norm.weight"] = hf.ramp({32}, 1) end,
     "marian has no use for model.encoder.layer_norm.weight"},
    {"with a number that is not finite",
     function(t)
       t[K].data = string.pack("<f", 0 / 0) .. t[K].data:sub(5)
     end, "dec.blk.1.cross_attn_k.weight"},
  }

  for _, case in ipairs(cases) do
    local name, edit, message = table.unpack(case)
    it(name, function()
      local dir = hf.copy "marian"
      hf.edit_tensors(dir, edit)
      contains(refusal(dir), message)
    end)
  end

  it("with fewer layers than config.json says", function()
    local dir = hf.copy "marian"
    hf.edit_json(dir .. "/config.json", function(config)
      config.encoder_layers = 1000
    end)
    contains(refusal(dir),
             "tensor model.encoder.layers.2.self_attn.q_proj.weight is missing")
  end)

  it("when it is no safetensors file", function()
    local dir = hf.copy "marian"
    hf.write(dir .. "/model.safetensors", "hello")
    contains(refusal(dir), "model.safetensors")
  end)

  it("when there is none", function()
    local dir = hf.copy "marian"
    os.remove(dir .. "/model.safetensors")
    contains(refusal(dir), "neither model.safetensors nor")
  end)
end)

describe("config.json", function()
  after_each(hf.clean)

  -- {architecture, key, value, message}
  local cases = {
    {"marian", "model_type", "whisper",
     'model_type = "whisper" is not supported; known are bart, gemma'},
    {"marian", "model_type", nil, "model_type is missing"},
    {"marian", "model_type", 7, "model_type is number"},
    {"marian", "d_model", 0, "d_model = 0, must be an integer from 1"},
    {"marian", "d_model", -32, "d_model = -32, must be an integer from 1"},
    {"marian", "d_model", 32.5, "d_model = 32.5, must be an integer"},
    {"marian", "d_model", 2^40, "must be an integer from 1 to 65536"},
    {"marian", "d_model", "32", 'd_model = "32", must be an integer'},
    {"marian", "d_model", {}, "d_model = "},
    {"marian", "vocab_size", false, "vocab_size = false, must be an integer"},
    {"marian", "d_model", 33, "encoder_attention_heads = 4 does not divide"},
    {"marian", "decoder_attention_heads", 5,
     "decoder_attention_heads = 5 does not divide d_model = 32"},
    {"marian", "activation_function", "tanh",
     'activation_function = "tanh", supported are gelu, gelu_acc'},
    {"marian", "activation_function", 3, "activation_function = 3"},
    {"marian", "scale_embedding", 1, "scale_embedding = 1, must be true or"},
    {"marian", "decoder_vocab_size", 91, "separate vocabularies"},
    {"marian", "share_encoder_decoder_embeddings", false,
     "share_encoder_decoder_embeddings = false is not supported for marian"},
    {"marian", "normalize_before", true, "normalize_before = true is not"},
    {"marian", "normalize_embedding", true, "normalize_embedding = true is"},
    {"marian", "static_position_embeddings", false,
     "static_position_embeddings = false is not supported for marian"},
    {"bart", "static_position_embeddings", true,
     "static_position_embeddings = true is not supported for bart"},
    {"bart", "normalize_embedding", false, "normalize_embedding = false is"},
    {"bart", "add_final_layer_norm", true, "add_final_layer_norm = true is"},
    {"bart", "is_encoder_decoder", false, "is_encoder_decoder = false is"},
    {"bart", "vocab_size", 79, "tensor model.shared.weight is [80, 32], "
                               .. "config.json makes it [79, 32]"},
    {"bart", "max_position_embeddings", 66,
     "tensor model.encoder.embed_positions.weight is [66, 32], config.json "
     .. "makes it [68, 32]"},
  }

  for _, case in ipairs(cases) do
    local model, key, value, message = table.unpack(case, 1, 4)
    it(("is refused: %s with %s = %s"):format(model, key, value), function()
      local dir = hf.copy(model)
      hf.edit_json(dir .. "/config.json", function(config)
        config[key] = value
      end)
      local said = refusal(dir)
      contains(said, message)
      contains(said, dir)
    end)
  end

  local texts = {
    {"empty", "", "is no JSON"}, {"text", "hello", "is no JSON"},
    {"a list", "[]", "an object is needed"},
    {"nested too deep", ("["):rep(1000000), "nested deeper than 64"},
  }

  for _, case in ipairs(texts) do
    it("is refused: " .. case[1], function()
      local dir = hf.copy "marian"
      hf.write(dir .. "/config.json", case[2])
      contains(refusal(dir), "config.json: ")
      contains(refusal(dir), case[3])
    end)
  end

  it("is refused when it has more than 64 MiB", function()
    local dir = hf.copy "marian"
    hf.shell("truncate -s 65M '%s/config.json'", dir)
    contains(refusal(dir), "config.json: has 68157440 bytes")
  end)

  it("is refused when it would block", function()
    local dir = hf.copy "marian"
    hf.shell("rm '%s/config.json' && mkfifo '%s/config.json'", dir, dir)
    contains(refusal(dir), "config.json: is not a regular file")
  end)

  it("must be there", function()
    contains(refusal(hf.temp()), "config.json: No such file")
    contains(refusal(hf.temp() .. "/nowhere"), "is neither a directory nor a")
  end)

  it("names activations as transformers does", function()
    local names = {silu = "swish", relu = "relu", gelu_new = "gelu_tanh",
                   gelu_pytorch_tanh = "gelu_tanh", gelu_python = "gelu"}
    for name, ours in pairs(names) do
      local dir = hf.copy "marian"
      hf.edit_json(dir .. "/config.json", function(config)
        config.activation_function = name
      end)
      local gguf <close> = converted(dir)
      assert.equal(ours, gguf:get "decant.activation")
    end
  end)

  it("gives the name, without the path that it may hold", function()
    local names = {["Helsinki-NLP/opus-mt-de-en"] = "opus-mt-de-en",
                   ["/home/somebody/out/"] = "out", ["."] = "model",
                   [""] = "marian"}
    for path, name in pairs(names) do
      local dir = hf.copy "marian"
      hf.edit_json(dir .. "/config.json", function(config)
        config._name_or_path = path
      end)
      local gguf <close> = converted(dir)
      assert.equal(name, gguf:get "general.name")
    end
  end)
end)

describe("generation defaults", function()
  after_each(hf.clean)

  local function with(json)
    local dir = hf.copy "marian"
    hf.write(dir .. "/generation_config.json", json)
    return dir
  end

  it("keep their kinds", function()
    local gguf <close> = converted(with [=[{
      "num_beams": 6, "length_penalty": 0.5, "early_stopping": "never",
      "do_sample": false, "eos_token_id": [0, 3], "max_length": 512,
      "bad_words_ids": [[89], [1, 2]], "exponential_decay_length_penalty":
      [5, 1.5], "stop_strings": ["a", "b"], "min_length": -1,
      "forced_bos_token_id": null, "suppress_tokens": [], "cache_config": {},
      "transformers_version": "5.23.0", "_from_model_config": true}]=])
    local found = {}
    for key, value in pairs(keys_of(gguf)) do
      local name = key:match "^decant%.generation%.(.*)"
      if name then found[name] = value end
    end
    assert.same({
      num_beams = {"u32", 6}, length_penalty = {"f64", 0.5},
      early_stopping = {"string", "never"}, do_sample = {"bool", false},
      eos_token_id = {"i32[]", {0, 3}}, max_length = {"u32", 512},
      bad_words_ids = {"i32[]", {1, 89, 2, 1, 2}},
      exponential_decay_length_penalty = {"f64[]", {5, 1.5}},
      stop_strings = {"string[]", {"a", "b"}}, min_length = {"i32", -1},
    }, found)
  end)

  it("give the start id before config.json does", function()
    local gguf <close> = converted(with '{"decoder_start_token_id": 7}')
    assert.equal(7, gguf:get "marian.decoder_start_token_id")
    local other <close> = converted(with "{}")
    assert.equal(89, other:get "marian.decoder_start_token_id")
  end)

  it("come from an old config.json, over those of the class", function()
    local dir = hf.copy "marian"
    os.remove(dir .. "/generation_config.json")
    hf.edit_json(dir .. "/config.json", function(config, null)
      config.num_beams, config.max_length = 6, 40
      config.length_penalty = 1.5
      config.bad_words_ids = {{89}}
      config.forced_eos_token_id = null
      config.eos_token_id = nil
    end)
    local gguf <close> = converted(dir)
    assert.equal(6, gguf:get "decant.generation.num_beams")
    assert.equal(40, gguf:get "decant.generation.max_length")
    assert.equal(1.5, gguf:get "decant.generation.length_penalty")
    assert.same({1, 89}, gguf:get "decant.generation.bad_words_ids")
    assert.equal(0, gguf:get "decant.generation.eos_token_id")
    assert.is_nil(gguf:get "decant.generation.forced_eos_token_id")
    assert.is_nil(gguf:get "decant.generation.d_model")
  end)

  local cases = {
    {'{"eos_token_id": 90}', "eos_token_id holds \"90\", a token id is an "
                             .. "integer from 0 to 89"},
    {'{"bad_words_ids": [[1], [-1]]}', "bad_words_ids holds \"-1\""},
    {'{"pad_token_id": "x"}', "pad_token_id holds \"x\""},
    {'{"decoder_start_token_id": 1.5}', "decoder_start_token_id holds"},
    {'{"sequence_bias": [[[1, 2], -3.0]]}', "sequence_bias holds array"},
    {'{"watermarking_config": {"bias": 2}}', "watermarking_config holds"},
    {'{"temperature": 1e999}', "temperature holds number"},
    {'{"temperature": 1e999}', "temperature holds number"},
    {'{"max_length": 99999999999}', "max_length holds number"},
    {'{"a b": 1}', '"a b" is no name of a field'},
    {"[]", "an object is needed"},
  }

  for _, case in ipairs(cases) do
    it("are refused: " .. case[1], function()
      local message = refusal(with(case[1]))
      contains(message, "generation_config.json: ")
      contains(message, case[2])
    end)
  end
end)

describe("the tokenizer", function()
  after_each(hf.clean)

  -- A directory with Marian's three files; the .spm files may hold anything.
  local function with(pieces, edit)
    local dir = hf.copy "marian"
    local vocab = {}
    for id, piece in pairs(pieces) do
      vocab[#vocab + 1] = ('"%s": %d'):format(piece, id)
    end
    hf.write(dir .. "/vocab.json", "{" .. table.concat(vocab, ",") .. "}")
    hf.write(dir .. "/source.spm", "source\0bytes")
    hf.write(dir .. "/target.spm", "target\0bytes")
    if edit then edit(dir) end
    return dir
  end

  local function pieces(n)
    local list = {[0] = "</s>", "<unk>"}
    for id = 2, n - 2 do list[id] = "p" .. id end
    list[n - 1] = "<pad>"
    return list
  end

  it("travels as it is", function()
    local gguf <close> = converted(with(pieces(90)))
    local want = pieces(90)
    local tokens = gguf:get "tokenizer.ggml.tokens"
    assert.equal("marian", gguf:get "tokenizer.ggml.model")
    assert.equal(90, #tokens)
    for id = 0, 89 do assert.equal(want[id], tokens[id + 1]) end
    assert.equal(0, gguf:get "tokenizer.ggml.eos_token_id")
    assert.equal(1, gguf:get "tokenizer.ggml.unknown_token_id")
    assert.equal(89, gguf:get "tokenizer.ggml.padding_token_id")
    assert.equal("source\0bytes", gguf:get "decant.tokenizer.source_spm")
    assert.equal("target\0bytes", gguf:get "decant.tokenizer.target_spm")
  end)

  it("keeps one model where both sides are equal", function()
    local gguf <close> = converted(with(pieces(90), function(dir)
      hf.write(dir .. "/target.spm", "source\0bytes")
    end))
    assert.is_nil(gguf:get "decant.tokenizer.target_spm")
  end)

  it("fills ids that vocab.json does not reach", function()
    local gguf <close> = converted(with(pieces(88)))
    local tokens = gguf:get "tokenizer.ggml.tokens"
    assert.same({90, "<pad>", "<unused:88>", "<unused:89>"},
                {#tokens, tokens[88], tokens[89], tokens[90]})
  end)

  it("finds the special pieces under the names of its config", function()
    local list = pieces(90)
    list[0] = "EOS"
    local gguf <close> = converted(with(list, function(dir)
      hf.write(dir .. "/tokenizer_config.json",
               '{"eos_token": {"content": "EOS"}, "pad_token": "p7"}')
    end))
    assert.equal(0, gguf:get "tokenizer.ggml.eos_token_id")
    assert.equal(7, gguf:get "tokenizer.ggml.padding_token_id")
  end)

  it("stays away when it is not wanted", function()
    local gguf <close> = converted(with(pieces(90)), {tokenizer = false})
    assert.equal("none", gguf:get "tokenizer.ggml.model")
    assert.is_nil(gguf:get "tokenizer.ggml.tokens")
  end)

  local function edited(change)
    local list = pieces(90)
    change(list)
    return with(list)
  end

  it("is refused with a hole in the ids", function()
    contains(refusal(edited(function(list) list[50] = nil end)),
             "vocab.json: has 89 pieces but none with id 50")
  end)

  it("is refused with an id twice", function()
    contains(refusal(with(pieces(90), function(dir)
      hf.edit_json(dir .. "/vocab.json", function(v) v.p9 = 8 end)
    end)), 'vocab.json: id 8 belongs to "p8" and to "p9"')
  end)

  it("is refused with more pieces than the model has ids", function()
    contains(refusal(edited(function(list) list[90] = "more" end)),
             'piece "more" has id "90"; ids are integers from 0 to 89')
  end)

  it("is refused with ids that are no integers", function()
    for _, id in ipairs {"-1", "1.5", '"7"', "null", "[]"} do
      local dir = with(pieces(90))
      hf.write(dir .. "/vocab.json", '{"a": ' .. id .. "}")
      contains(refusal(dir), 'vocab.json: piece "a" has id')
    end
  end)

  it("is refused with a piece that is no text", function()
    local rules = {["\\ud800"] = "is no valid UTF-8 text",
                   ["\\u0000"] = "is no valid UTF-8 text",
                   [""] = "has 0 bytes, must have from 1 to 1024",
                   [("x"):rep(1025)] = "has 1025 bytes, must have from 1"}
    for piece, rule in pairs(rules) do
      local dir = with(pieces(90))
      hf.write(dir .. "/vocab.json", '{"' .. piece .. '": 0}')
      contains(refusal(dir), rule)
    end
  end)

  it("is refused without a special piece", function()
    contains(refusal(edited(function(list) list[1] = "x" end)),
             'vocab.json: has no piece "<unk>" (the unk_token)')
  end)

  it("is refused when a file is missing", function()
    for _, name in ipairs {"source.spm", "target.spm", "vocab.json"} do
      contains(refusal(with(pieces(90), function(dir)
        os.remove(dir .. "/" .. name)
      end)), name .. " is missing")
    end
  end)

  it("is refused when it is of another kind", function()
    local dir = hf.copy "bart"
    hf.write(dir .. "/merges.txt", "")
    contains(refusal(dir), "merges.txt is of a kind that convert does not")
    assert(convert(dir, target(), {tokenizer = false}))
  end)

  it("is refused with a vocabulary for each language", function()
    contains(refusal(with(pieces(90), function(dir)
      hf.write(dir .. "/tokenizer_config.json", '{"separate_vocabs": true}')
    end)), "separate_vocabs = true")
  end)
end)
