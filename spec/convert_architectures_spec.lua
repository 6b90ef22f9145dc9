-- decant.convert on a tiny model of every architecture: config.json as
-- transformers saves it, weights by a formula. What must come out (llama.cpp's
-- names and orders) is in spec/fixtures/checkpoints.jsonl, made by
-- checkpoints.py beside it with the Python packages transformers and gguf; so
-- are the logits of the library.

local core = require "decant.core"
local decant = require "decant"
local convert = require "decant.convert"
local conversion = require "spec.support.conversion"
local hf = require "spec.support.hf"
local tiny = require "spec.support.checkpoints"

-- FNV-1a over 64 bits, as checkpoints.py has it.
local function hash(bytes)
  local h = 0xcbf29ce484222325
  for i = 1, #bytes do h = (h ~ bytes:byte(i)) * 0x100000001b3 end
  return ("%016x"):format(h)
end

local function found_in(gguf)
  local found = {}
  for _, t in ipairs(gguf:tensors()) do
    assert.equal("f32", t.type)
    found[t.name] = {t.shape, hash(gguf:bytes(t.name))}
  end
  return found
end

-- As found_in, of the fixture; its lists are dkjson's.
local function expected_of(case)
  local expected = {}
  for name, t in pairs(case.gguf) do
    expected[name] = {table.move(t[1], 1, #t[1], 1, {}), t[2]}
  end
  return expected
end

describe("converting", function()
  after_each(hf.clean)

  for _, case in ipairs(tiny.cases()) do
    it(case.name .. " gives llama.cpp's names, shapes and order", function()
      local gguf <close> = conversion.converted(tiny.directory(case),
                                                {type = "f32"})
      assert.same(expected_of(case), found_in(gguf))
    end)

    it(case.name .. " reads the config.json of 4.x and 5.x alike", function()
      local _, new = conversion.converted(tiny.directory(case))
      local _, old = conversion.converted(tiny.directory(case, "config_v4"))
      assert.is_true(hf.read(new) == hf.read(old))
    end)
  end
end)

-- The last positions of one pass, as transformers has them in float64.
describe("the logits of", function()
  after_each(hf.clean)

  -- The library takes Phi-3's factors for short texts while the text is short,
  -- decant while the context is.
  local context = {phi3 = 16}

  for _, case in ipairs(tiny.cases()) do
    it(case.name .. " are those of the library", function()
      local _, path = conversion.converted(tiny.directory(case),
                                           {type = "f32"})
      local model <close> = assert(decant.load(path, {
        context = context[case.name]}))
      local seq2seq = model.kind == "seq2seq"
      local ids = seq2seq and case.target or case.prompt
      local source = seq2seq and model:encode {case.prompt} or nil
      local logits = model:decode({ids}, source)[1]
      local worst, largest = 0, 0
      for i, row in ipairs(case.logits) do
        local found = logits[#ids - #case.logits + i]
        for j, x in ipairs(row) do
          worst = math.max(worst, math.abs(found[j] - x))
          largest = math.max(largest, math.abs(x))
        end
      end
      assert.is_true(largest > 1)
      assert.is_true(worst <= 1e-5 * largest, worst / largest)
    end)
  end
end)

describe("positions", function()
  after_each(hf.clean)

  -- numbers that no formula gives, so that one sees where they come from
  local function with_tables(dtype, number)
    local dir = tiny.directory(tiny.case "pegasus")
    hf.edit_tensors(dir, function(tensors)
      for i, side in ipairs {"encoder", "decoder"} do
        tensors["model." .. side .. ".embed_positions.weight"] = {
          dtype = dtype, shape = {64, 32}, data = number(i):rep(64 * 32)}
      end
    end)
    return (conversion.converted(dir, {type = "f32"}))
  end

  it("rounded to 16 bits in a Pegasus are taken from its file", function()
    local gguf <close> = with_tables("BF16", function(i)
      return string.pack("<I2", 0x3f80 + i)
    end)
    assert.equal("learned", gguf:get "decant.positions")
    for i, name in ipairs {"enc", "dec"} do
      assert.is_true(string.pack("<I4", (0x3f80 + i) << 16):rep(64 * 32)
                     == gguf:bytes(name .. ".position_embd.weight"))
    end
  end)

  it("that it has in full are computed again", function()
    local gguf <close> = with_tables("F32", function(i)
      return string.pack("<f", i)
    end)
    assert.equal("sinusoidal", gguf:get "decant.positions")
  end)

  it("of a llama that stretches them when texts are long stay as they are",
     function()
    local case = tiny.case "llama"
    local plain <close> = conversion.converted(tiny.directory(case))
    local dir = tiny.directory(case)
    hf.edit_json(dir .. "/config.json", function(config)
      config.rope_parameters = nil
      config.rope_scaling = {type = "dynamic", factor = 2.0}
    end)
    local stretched <close> = conversion.converted(dir)
    assert.same(conversion.keys_of(plain), conversion.keys_of(stretched))
  end)
end)

describe("the story model", function()
  after_each(hf.clean)

  local DIR = "../shared/models/stories260K"

  -- llama.cpp's own conversion of the same weights. It stores the tied output
  -- once more; we do not.
  it("comes out as from llama.cpp, byte for byte", function()
    local theirs <close> = assert(core.gguf(DIR .. "/stories260K.gguf"))
    local ours <close> = conversion.converted(DIR, {type = "f32"})
    local count = 0
    for _, t in ipairs(theirs:tensors()) do
      local name = t.name == "output.weight" and "token_embd.weight" or t.name
      assert.is_true(theirs:bytes(t.name) == ours:bytes(name), t.name)
      count = count + 1
    end
    assert.equal(#ours:tensors() + 1, count)
  end)

  it("has the keys that llama.cpp gives it", function()
    local theirs <close> = assert(core.gguf(DIR .. "/stories260K.gguf"))
    local ours <close> = conversion.converted(DIR, {type = "f32"})
    for _, key in ipairs(theirs:keys()) do
      -- 512 by config.json, 128 in their file
      if key:find "^llama%." and key ~= "llama.context_length" then
        assert.equal(theirs:get(key), ours:get(key), key)
        assert.equal(theirs:type(key), ours:type(key), key)
      end
    end
  end)
end)

-- What the numbers of a config.json become, by the formulas of the library.
describe("the keys of", function()
  after_each(hf.clean)

  local f32 = function(x) return (string.unpack("<f", string.pack("<f", x))) end

  local function keys_of(name)
    local gguf <close> = conversion.converted(tiny.directory(tiny.case(name)))
    return conversion.keys_of(gguf)
  end

  local function has(name, expected)
    local keys = keys_of(name)
    for key, value in pairs(expected) do
      assert.same({key, value}, {key, keys[key] or "absent"})
    end
  end

  it("llama with linear scaling", function()
    has("llama-linear", {
      ["llama.rope.freq_base"] = {"f32", 5000.0},
      ["llama.rope.scaling.type"] = {"string", "linear"},
      ["llama.rope.scaling.factor"] = {"f32", 2.0},
      ["llama.rope.dimension_count"] = {"u32", 8},
      ["llama.attention.head_count_kv"] = {"u32", 2},
      ["llama.attention.sliding_window"] = "absent",
      ["llama.decoder_start_token_id"] = "absent",
    })
  end)

  it("llama with yarn", function()
    has("llama-yarn", {
      ["llama.rope.scaling.type"] = {"string", "yarn"},
      ["llama.rope.scaling.factor"] = {"f32", 4.0},
      ["llama.rope.scaling.original_context_length"] = {"u32", 16},
      ["llama.rope.scaling.attn_factor"] = "absent",
    })
  end)

  it("mistral, whose layers all have a window", function()
    has("mistral", {
      ["general.architecture"] = {"string", "llama"},
      ["llama.attention.sliding_window"] = {"u32", 4},
      ["llama.attention.sliding_window_pattern"] = "absent",
      ["llama.attention.key_length"] = {"u32", 16},
    })
  end)

  it("qwen2, whose upper layers have one", function()
    has("qwen2", {
      ["qwen2.attention.sliding_window"] = {"u32", 4},
      ["qwen2.attention.sliding_window_pattern"] =
        {"bool[]", {false, true, true}},
    })
  end)

  it("gemma2: caps, scale and windows", function()
    has("gemma2", {
      ["gemma2.attn_logit_softcapping"] = {"f32", 2.0},
      ["gemma2.final_logit_softcapping"] = {"f32", 1.5},
      ["gemma2.attention.scale"] = {"f32", f32(24 ^ -0.5)},
      ["gemma2.attention.sliding_window"] = {"u32", 4},
      ["gemma2.attention.sliding_window_pattern"] = "absent",
      ["decant.activation"] = {"string", "gelu_tanh"},
    })
  end)

  it("gemma3: two bases, and a pattern of its own", function()
    has("gemma3", {
      ["general.architecture"] = {"string", "gemma3"},
      ["gemma3.rope.freq_base"] = {"f32", 1000000.0},
      ["gemma3.rope.freq_base_swa"] = {"f32", 10000.0},
      ["gemma3.rope.scaling.type"] = {"string", "linear"},
      ["gemma3.rope.scaling.factor"] = {"f32", 8.0},
      ["gemma3.attention.sliding_window_pattern"] =
        {"bool[]", {true, true, false}},
      ["gemma3.final_logit_softcapping"] = "absent",
    })
  end)

  it("phi3 with longrope", function()
    has("phi3", {
      ["phi3.rope.scaling.type"] = {"string", "longrope"},
      ["phi3.rope.scaling.original_context_length"] = {"u32", 16},
      -- sqrt(1 + ln(64 / 16) / ln 16)
      ["phi3.rope.scaling.attn_factor"] = {"f32", f32(math.sqrt(1.5))},
    })
  end)

  it("gpt_neox, of whose heads a part turns", function()
    has("gpt_neox", {
      ["general.architecture"] = {"string", "gptneox"},
      ["gptneox.rope.dimension_count"] = {"u32", 4},
      ["gptneox.rope.freq_base"] = {"f32", 5000.0},
      ["gptneox.use_parallel_residual"] = {"bool", true},
      ["decant.activation"] = {"string", "gelu"},
    })
  end)

  -- The logits of both forms are the library's: gelu above, gelu_new in
  -- architectures_spec.lua.
  it("gpt_neox with the GELU that hidden_act names, exact or by tanh",
     function()
    local case, logits = tiny.case "gpt_neox", {}
    for act, form in pairs {gelu = "gelu", gelu_new = "gelu_tanh",
                            gelu_fast = "gelu_tanh"} do
      local dir = tiny.directory(case)
      local text = hf.read(dir .. "/config.json")
      local changed, n = text:gsub('"hidden_act":"gelu"',
                                   ('"hidden_act":"%s"'):format(act))
      assert.equal(1, n)
      hf.write(dir .. "/config.json", changed)
      local gguf <close>, path = conversion.converted(dir, {type = "f32"})
      assert.equal(form, gguf:get "decant.activation")
      local model <close> = assert(decant.load(path))
      logits[act] = model:decode({case.prompt}):totable()
    end
    assert.same(logits.gelu_new, logits.gelu_fast)
    assert.not_same(logits.gelu, logits.gelu_new)
  end)

  it("t5 v1.1", function()
    has("t5-v1_1", {
      ["t5.block_count"] = {"u32", 2},
      ["t5.decoder_block_count"] = {"u32", 3},
      ["t5.attention.key_length"] = {"u32", 12},
      ["t5.attention.relative_buckets_count"] = {"u32", 8},
      ["decant.attention.relative_max_distance"] = {"u32", 20},
      ["t5.decoder_start_token_id"] = {"u32", 0},
      ["decant.activation"] = {"string", "gelu_tanh"},
    })
  end)

  it("m2m_100, which counts positions without pads", function()
    has("m2m_100", {
      ["general.architecture"] = {"string", "m2m100"},
      ["decant.positions"] = {"string", "sinusoidal_skip"},
      ["decant.norm_place"] = {"string", "pre"},
      ["m2m100.embedding_scale"] = {"f32", f32(math.sqrt(32))},
      ["decant.pad_token_id"] = {"u32", 1},
    })
  end)
end)

-- Names without their first part, and weights that nothing reads.
describe("a checkpoint", function()
  after_each(hf.clean)

  local function bytes_of(name, edit)
    local dir = tiny.directory(tiny.case(name))
    hf.edit_tensors(dir, edit)
    local path = conversion.target()
    local _, notes = assert(convert(dir, path))
    return hf.read(path), notes
  end

  for name, prefix in pairs {gpt2 = "transformer.", llama = "model.",
                             gpt_neox = "gpt_neox."} do
    it("of " .. name .. " may lack " .. prefix .. " in front", function()
      local plain = bytes_of(name, function() end)
      assert.is_true(plain == bytes_of(name, function(t)
        local old = {}
        for key in pairs(t) do old[#old + 1] = key end
        for _, key in ipairs(old) do
          if key:sub(1, #prefix) == prefix then
            t[key:sub(#prefix + 1)], t[key] = t[key], nil
          end
        end
      end))
    end)
  end

  it("may have the frequencies that old files kept", function()
    local plain = bytes_of("llama", function() end)
    local old, notes = bytes_of("llama", function(t)
      for layer = 0, 2 do
        local name = "model.layers.%d.self_attn.rotary_emb.inv_freq"
        t[name:format(layer)] = hf.ramp({4}, 1)
      end
    end)
    assert.is_true(plain == old)
    assert.same({"model.layers.0.self_attn.rotary_emb.inv_freq and 2 more "
                 .. "like it are ignored"}, notes)
  end)

  it("of t5 keeps an unscaled output even if it equals the embeddings",
     function()
    local dir = tiny.directory(tiny.case "t5-v1_1")
    hf.edit_tensors(dir, function(t)
      t["lm_head.weight"] = t["shared.weight"]
    end)
    local gguf <close> = conversion.converted(dir, {type = "f32"})
    assert.is_true(gguf:bytes "output.weight"
                   == gguf:bytes "token_embd.weight")
  end)
end)
