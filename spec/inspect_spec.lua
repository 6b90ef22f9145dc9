-- What inspect says about model files. The sizes expected here are counted
-- from the shapes of ../shared/models, not by the code under test.

local core = require "decant.core"
local conversion = require "spec.support.conversion"
local hf = require "spec.support.hf"
local inspect = require "decant.inspect"
local tiny = require "spec.support.tiny"
local contains, converted = conversion.contains, conversion.converted

local function inspected(path, opts)
  local text, facts = inspect(path, opts)
  assert(text, facts)
  return text, facts
end

describe("inspecting a GGUF", function()
  after_each(hf.clean)

  it("gives architecture, sizes, tokenizer and defaults", function()
    local _, path = converted(hf.copy "bart", {type = "f16"})
    local _, facts = inspected(path)
    assert.equal("gguf", facts.format)
    assert.equal(3, facts.version)
    assert.equal(#hf.read(path), facts.file_bytes)
    assert.equal("bart", facts.architecture)
    assert.equal("bart", facts.name)
    assert.equal("seq2seq", facts.kind)
    assert.same({layers = 2, decoder_layers = 2, d_model = 32, heads = 4,
                 decoder_heads = 4, feed_forward = 80,
                 decoder_feed_forward = 64, context = 64, vocabulary = 80},
                facts.sizes)
    assert.same({model = "none", pieces = 0, special = {}}, facts.tokenizer)
    assert.same({bos_token_id = 0, decoder_start_token_id = 2,
                 eos_token_id = 2, pad_token_id = 1}, facts.generation)
  end)

  it("counts tensors and bytes of each type", function()
    local _, path = converted(hf.copy "bart", {type = "f16"})
    local _, facts = inspected(path)
    -- matrices: 1 table of 80 x 32, 24 of 32 x 32, 4 of 80 x 32 (encoder),
    -- 4 of 64 x 32 (decoder); f32: 2 position tables of 64 x 32, 4 embedding
    -- norms, output bias of 80, 24 biases and 20 norm vectors of 32,
    -- 2 + 2 biases of 80 + 32 and 2 + 2 of 64 + 32
    local halves = (80 + 24 * 32 + 4 * 80 + 4 * 64) * 32 * 2
    local floats = (2 * 64 * 32 + 4 * 32 + 80 + 24 * 32 + 20 * 32
                    + 2 * (80 + 32) + 2 * (64 + 32)) * 4
    assert.same({{type = "f16", count = 33, bytes = halves},
                 {type = "f32", count = 2 + 4 + 1 + 24 + 20 + 8,
                  bytes = floats}}, facts.types)
    assert.equal(halves + floats, facts.weight_bytes)
    assert.is_nil(facts.packed_bytes)  -- nothing is quantised
  end)

  it("counts the cache for the context asked for", function()
    local _, path = converted(hf.copy "marian")
    local _, facts = inspected(path)
    -- keys and values, 2 layers, 32 numbers of 4 bytes a position
    assert.same({context = 64, type = "f32", row = 2 * 2 * 32 * 4 * 64,
                 source = 2 * 2 * 32 * 4 * 64}, facts.cache)
    local text
    text, facts = inspected(path, {context = 1000})
    assert.same({context = 1000, type = "f32", row = 512000, source = 512000},
                facts.cache)
    contains(text, "cache 500.0 KiB a row at 1000 positions")
    contains(text, "and 500.0 KiB a source of 1000 positions")
    _, facts = inspected(path, {context = 1000, cache_type = "f16"})
    assert.same({context = 1000, type = "f16", row = 256000, source = 256000},
                facts.cache)
  end)

  it("says all of it in lines", function()
    local _, path = converted(hf.copy "marian", {type = "q8_0"})
    local text = inspected(path)
    contains(text, "GGUF v3")
    contains(text, "architecture  marian (seq2seq)\n")
    contains(text, "layers        2 + 2\n")
    contains(text, "width         32, heads 4 + 4, feed-forward 64 + 64\n")
    contains(text, "vocabulary    90\n")
    contains(text, "context       64\n")
    contains(text, "tokenizer     none (works on ids)\n")
    contains(text, "q8_0   33 tensors")
    contains(text, "bad_words_ids = 1 89\n")
    assert.equal("\n", text:sub(-1))
    for line in text:gmatch "[^\n]+" do
      if not line:find(path, 1, true) then assert.is_true(#line <= 80) end
    end
  end)

  it("knows decoder-only models", function()
    -- stories260K: 5 layers, d 64, 8 heads on 4 key-value heads of 8
    local _, facts = inspected "../shared/models/stories260K/stories260K.gguf"
    assert.equal("llama", facts.architecture)
    assert.equal("causal", facts.kind)
    assert.same({model = "llama", pieces = 512,
                 special = {bos = 1, eos = 2, unknown = 0}}, facts.tokenizer)
    assert.equal(2 * 5 * 4 * 8 * facts.sizes.context * 4, facts.cache.row)
    assert.is_nil(facts.cache.source)
  end)

  it("counts of windowed layers what their window keeps", function()
    -- 4 layers, every second one sees all; keys and values of 2 heads of 8
    local path = tiny.write(hf.temp() .. "/gemma2.gguf", "gemma2")
    local text, facts = inspected(path, {context = 4000})
    local held = facts.cache.held
    local position = 2 * 2 * 8 * 4
    assert.equal(2, facts.cache.windowed)
    assert.equal(position * (2 * 4000 + 2 * held), facts.cache.row)
    contains(text, ("(sliding windows: 2 layers keep %d of them)"):format(held))
    local _, short = inspected(path, {context = 50})
    assert.equal(position * 4 * 50, short.cache.row)
    -- a long row holds so much, and at most so much
    local model <close> = assert(core.load(tiny.write(path, "gemma2",
      function(m) tiny.set(m, "gemma2.context_length", 400) end)))
    local rows, most = model:rows(1), 0
    for i = 1, 300 do
      core.forward {{rows, {{i % 64}}}}
      most = math.max(most, select(2, core.blocks(model)))
    end
    assert.equal(held, 16 * most)
  end)

  it("says which file is damaged and how", function()
    local _, path = converted(hf.copy "marian")
    local bytes = hf.read(path)
    hf.write(path, bytes:sub(1, 1000))
    local text, message = inspect(path)
    assert.is_nil(text)
    contains(message, path)
  end)
end)

describe("inspecting safetensors", function()
  after_each(hf.clean)

  it("lists tensors, types and metadata", function()
    local path = hf.MODELS .. "/marian/model.safetensors"
    local text, facts = inspected(path)
    local want = hf.tensors(path)
    assert.equal("safetensors", facts.format)
    assert.equal(#hf.read(path), facts.file_bytes)
    assert.same({format = "pt"}, facts.metadata)
    assert.equal(1, #facts.types)
    assert.equal("F32", facts.types[1].type)
    for _, t in ipairs(facts.tensors) do
      assert.same({want[t.name].shape, #want[t.name].data},
                  {t.shape, t.bytes})
      want[t.name] = nil
    end
    assert.is_nil(next(want))
    contains(text, "metadata      format = pt\n")
    contains(text, "model.shared.weight F32 [90, 32], 11.2 KiB\n")
  end)

  it("takes an index, and the directory of one", function()
    local dir = hf.temp()
    hf.save(dir .. "/a.safetensors", {a = hf.ramp({3, 2}, 1)})
    hf.save(dir .. "/b.safetensors", {b = hf.ramp({5}, 1)})
    local index = dir .. "/model.safetensors.index.json"
    hf.write(index, [[{"weight_map": {"a": "a.safetensors",
                                      "b": "b.safetensors"}}]])
    for _, path in ipairs {index, dir} do
      local text, facts = inspected(path)
      assert.equal(2, facts.files)
      assert.same({{type = "F32", count = 2, bytes = 44}}, facts.types)
      contains(text, "safetensors, 2 files")
    end
  end)

  it("shows names on one line, whatever is in them", function()
    local path = hf.temp() .. "/x.safetensors"
    hf.save(path, {["a\nb\27[31m"] = hf.ramp({1}, 1)})
    local text, message = inspect(path)
    contains(text or message, "a?b?[31m")
  end)
end)

describe("inspecting what is no model", function()
  after_each(hf.clean)

  local cases = {
    {"nothing", function() end, "No such file"},
    {"an empty file", function(path) hf.write(path, "") end,
     "is neither a GGUF nor a .safetensors nor an .index.json"},
    {"a text", function(path) hf.write(path, "hello\n") end,
     "is neither a GGUF nor a .safetensors nor an .index.json"},
    {"an empty folder", function(path) hf.shell("mkdir '%s'", path) end,
     "neither model.safetensors nor"},
    {"a FIFO", function(path) hf.shell("mkfifo '%s'", path) end,
     "is not a regular file"},
  }

  for _, case in ipairs(cases) do
    it("gives nil and the reason: " .. case[1], function()
      local path = hf.temp() .. "/x"
      case[2](path)
      local text, message = inspect(path)
      assert.is_nil(text)
      contains(message, path)
      contains(message, case[3])
    end)
  end

  it("raises for what is no path or no context", function()
    assert.error_matches(function() inspect(7) end, "path is number")
    assert.error_matches(function() inspect("x", {context = 0}) end,
                         "context = 0, must be an integer from 1")
    assert.error_matches(function() inspect("x", {cache_type = "f64"}) end,
                         "cache_type = f64, must be 'f32' or 'f16'")
  end)
end)
