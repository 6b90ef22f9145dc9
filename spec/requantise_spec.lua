-- decant.convert from one GGUF to another: keys travel bit for bit, matrices
-- are read exactly and quantised anew.

local convert = require "decant.convert"
local core = require "decant.core"
local conversion = require "spec.support.conversion"
local hf = require "spec.support.hf"
local converted, refusal = conversion.converted, conversion.refusal
local contains, keys_of = conversion.contains, conversion.keys_of

local STORIES = "../shared/models/stories260K/stories260K.gguf"

local function bytes_of(gguf)
  local found = {}
  for _, t in ipairs(gguf:tensors()) do
    found[t.name] = {t.type, t.shape, gguf:bytes(t.name)}
  end
  return found
end

-- A file of our own, written key by key.
local function written(fill)
  local path = hf.temp() .. "/in.gguf"
  local writer <close> = assert(core.gguf_writer(path))
  writer:set("general.architecture", "string", "test")
  fill(writer)
  assert(writer:finish())
  return path
end

local function floats(...)
  return string.pack("<" .. ("f"):rep(select("#", ...)), ...)
end

local function ramp(n)
  local numbers = {}
  for i = 1, n do numbers[i] = string.pack("<f", i - n / 2) end
  return table.concat(numbers)
end

describe("requantising", function()
  after_each(hf.clean)

  it("to f32 gives the same tensors", function()
    local from <close> = assert(core.gguf(STORIES))
    local to <close> = converted(STORIES, {type = "f32"})
    assert.is_true(#from:tensors() > 40)
    assert.same(bytes_of(from), bytes_of(to))
  end)

  it("takes all keys along and says the new type", function()
    local from <close> = assert(core.gguf(STORIES))
    local to <close> = converted(STORIES, {type = "q8_0"})
    local expected = keys_of(from)
    assert.is_table(expected["tokenizer.ggml.tokens"])
    expected["general.file_type"] = {"u32", 7}
    expected["general.quantization_version"] = {"u32", 2}
    assert.same(expected, keys_of(to))
  end)

  it("gives what converting the directory gives", function()
    local dir = hf.copy "llama"
    local _, whole = converted(dir, {type = "f32"})
    local direct <close> = converted(dir, {type = "q8_0"})
    local again <close> = converted(whole, {type = "q8_0"})
    assert.same(bytes_of(direct), bytes_of(again))
    assert.same(keys_of(direct), keys_of(again))
  end)

  it("leaves norms, biases and tables in f32", function()
    local _, whole = converted(hf.copy "gpt2", {type = "f16"})
    local to <close> = converted(whole, {type = "q8_0"})
    local types = {}
    for _, t in ipairs(to:tensors()) do types[t.name] = t.type end
    assert.equal("q8_0", types["token_embd.weight"])
    assert.equal("q8_0", types["blk.1.attn_qkv.weight"])
    assert.equal("f32", types["blk.1.attn_qkv.bias"])
    assert.equal("f32", types["blk.1.ffn_norm.weight"])
    assert.equal("f32", types["position_embd.weight"])
  end)

  it("leaves T5's biases by distance in f32", function()
    local _, whole = converted(hf.copy "t5", {type = "f32"})
    local to <close> = converted(whole, {type = "f16"})
    local types = {}
    for _, t in ipairs(to:tensors()) do types[t.name] = t.type end
    assert.equal("f32", types["enc.blk.0.attn_rel_b.weight"])
    assert.equal("f16", types["enc.blk.0.attn_q.weight"])
  end)

  it("reads blocks exactly", function()
    -- d = 0.5 (3800 in half precision), q = -16 .. 15
    local block = {string.pack("<I2", 0x3800)}
    local expected = {}
    for i = 1, 32 do
      block[i + 1] = string.pack("b", i - 17)
      expected[i] = string.pack("<f", 0.5 * (i - 17))
    end
    local path = written(function(w)
      w:tensor("x.weight", "q8_0", {1, 32}, table.concat(block))
    end)
    local to <close> = converted(path, {type = "f32"})
    assert.is_true(table.concat(expected) == to:bytes "x.weight")
  end)

  it("copies what has the type already, and what is no number type", function()
    local path = written(function(w)
      w:tensor("x.weight", "q8_0", {1, 32}, ("\1"):rep(34))
      w:tensor("ids.weight", "i32", {2, 2}, ("abcd"):rep(4))
    end)
    local to <close> = converted(path, {type = "q8_0"})
    assert.is_true(("\1"):rep(34) == to:bytes "x.weight")
    assert.is_true(("abcd"):rep(4) == to:bytes "ids.weight")
  end)

  it("keeps values of every kind, whatever they are", function()
    local path = written(function(w)
      for kind, value in pairs {
        u8 = 255, i8 = -128, u16 = 65535, i16 = -1, u32 = 4294967295, i32 = -7,
        u64 = math.maxinteger, i64 = math.mininteger, f32 = 0.1, f64 = 0.1,
        bool = true, string = "größer",
      } do
        w:set("k." .. kind, kind, value)
        w:set("list." .. kind, kind .. "[]", {value, value})
        w:set("none." .. kind, kind .. "[]", {})
      end
      w:set("nan", "f32", 0 / 0)
      w:tensor("x.weight", "f32", {2, 1}, floats(1, 2))
    end)
    local from <close> = assert(core.gguf(path))
    local to <close> = converted(path, {type = "f32"})
    local expected, found = keys_of(from), keys_of(to)
    assert.is_true(found.nan[2] ~= found.nan[2])
    found.nan, expected.nan = nil, nil
    expected["general.file_type"] = {"u32", 0}
    expected["general.quantization_version"] = {"u32", 2}
    assert.equal("größer", found["k.string"][2])
    assert.same(expected, found)
  end)

  it("falls back as llama.cpp does where a block divides no row", function()
    local path = written(function(w)
      w:tensor("a.weight", "f32", {2, 48}, ramp(96))
      w:tensor("b.weight", "f32", {2, 96}, ramp(192))
    end)
    for type, fallback in pairs {q8_0 = "q8_0", q4_0 = "q4_0", q4_k = "q5_0",
                                 q5_k = "q5_1", q6_k = "q8_0", bf16 = "bf16"} do
      local to <close> = converted(path, {type = type})
      local found = bytes_of(to)
      assert.equal(type == "bf16" and "bf16" or "f16", found["a.weight"][1])
      assert.equal(fallback, found["b.weight"][1])
    end
  end)

  it("is refused for one part of a model", function()
    local path = written(function(w)
      w:set("split.count", "u16", 3)
      w:tensor("x.weight", "f32", {1, 1}, floats(1))
    end)
    contains(refusal(path), "is one of 3 parts of a model (split.count)")
  end)

  it("is refused for a number that the type cannot hold", function()
    local path = written(function(w)
      w:tensor("x.weight", "f32", {2, 2}, floats(1, 2, 1e6, 2e6))
    end)
    contains(refusal(path, {type = "f16"}),
             "tensor 'x.weight': row 2: column 2 is too large for the type")
  end)

  it("is refused for a file that is no GGUF", function()
    local path = hf.temp() .. "/in.gguf"
    hf.write(path, "hello")
    contains(refusal(path), "in.gguf")
  end)

  it("is refused for a file of another kind", function()
    local path = hf.temp() .. "/in.bin"
    hf.write(path, "hello")
    contains(refusal(path), "is neither a directory nor a .gguf file")
  end)

  it("may have the source as target", function()
    local _, path = converted(hf.copy "llama", {type = "f32"})
    local expected <close> = converted(path, {type = "q8_0"})
    assert(convert(path, path, {type = "q8_0"}))
    local found <close> = assert(core.gguf(path))
    assert.same(bytes_of(expected), bytes_of(found))
  end)
end)

-- The largest error for numbers from -1 to 1, one step: the types without a
-- minimum reach a step less far on one side than on the other.
local STEPS = {f16 = 2 ^ -11, bf16 = 2 ^ -8, q8_0 = 1 / 127, q4_0 = 1 / 8,
               q4_1 = 2 / 15, q5_0 = 1 / 16, q5_1 = 2 / 31, q4_k = 2 / 15,
               q5_k = 2 / 31, q6_k = 1 / 32}

-- ../shared/models/zoo: one model in F32, and what llama.cpp's quantiser made
-- of it. (Its K-quants search for their scales in another way than ours.)
describe("llama.cpp's own blocks come out for", function()
  after_each(hf.clean)

  local ZOO = "../shared/models/zoo/"

  for _, type in ipairs {"F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0",
                         "Q5_1"} do
    it(type, function()
      local theirs <close> = assert(core.gguf(ZOO .. "llama-" .. type
                                              .. ".gguf"))
      local ours <close> = converted(ZOO .. "llama.gguf",
                                     {type = type:lower()})
      for _, t in ipairs(theirs:tensors()) do
        assert.is_true(theirs:bytes(t.name) == ours:bytes(t.name), t.name)
      end
      assert.equal(theirs:get "general.file_type",
                   ours:get "general.file_type")
    end)
  end

  for _, type in ipairs {"q4_k", "q5_k", "q6_k"} do
    it("the types of " .. type .. ", tensor by tensor", function()
      local name = {q4_k = "Q4_K_S", q5_k = "Q5_K_S", q6_k = "Q6_K"}
      local theirs <close> = assert(core.gguf(ZOO .. "llama-" .. name[type]
                                              .. ".gguf"))
      local ours <close> = converted(ZOO .. "llama.gguf", {type = type})
      local types = {}
      for _, t in ipairs(ours:tensors()) do types[t.name] = t.type end
      for _, t in ipairs(theirs:tensors()) do
        assert.equal(t.type, types[t.name])
      end
      assert.equal(theirs:get "general.file_type",
                   ours:get "general.file_type")
    end)
  end

  it("T5 and Llama in F32, round and back", function()
    for _, name in ipairs {"t5", "llama"} do
      local from <close> = assert(core.gguf(ZOO .. name .. ".gguf"))
      local to <close> = converted(ZOO .. name .. ".gguf", {type = "f32"})
      assert.is_true(#from:tensors() > 30)
      for _, t in ipairs(from:tensors()) do
        assert.is_true(from:bytes(t.name) == to:bytes(t.name), t.name)
      end
    end
  end)
end)

describe("weights as", function()
  after_each(hf.clean)

  for type, step in pairs(STEPS) do
    it(type .. " stay within a step", function()
      local path = written(function(w)
        local numbers = {}
        for i = 1, 4 * 256 do
          numbers[i] = string.pack("<f", math.sin(i * i * 0.37))
        end
        w:tensor("x.weight", "f32", {4, 256}, table.concat(numbers))
      end)
      local small <close>, small_path = converted(path, {type = type})
      assert.equal(type, small:tensors()[1].type)
      local back <close> = converted(small_path, {type = "f32"})
      local bytes = back:bytes "x.weight"
      for i = 1, 4 * 256 do
        local x = string.unpack("<f", bytes, 4 * i - 3)
        assert.near(math.sin(i * i * 0.37), x, 1.01 * step)
      end
    end)
  end
end)
