-- The GGUF reader. Files are made with the writer, or byte by byte here where
-- the writer would refuse; the models are those of ../shared/models (made by
-- llama.cpp's tools; see its README.md).

local core = require "decant.core"
local tempdir = require "spec.support.tempdir"

local models = "../shared/models/"

-- A minimal file: header, packed keys and tensor descriptions, data.
local function gguf(keys, tensors, data, version)
  local header = "GGUF" .. ("<I4I8I8"):pack(version or 3, #tensors, #keys)
  header = header .. table.concat(keys) .. table.concat(tensors)
  return header .. ("\0"):rep(-#header % 32) .. (data or "")
end

local function text_key(key, value)
  return ("<s8I4s8"):pack(key, 8, value)
end

local architecture = text_key("general.architecture", "test")

local function tensor_info(name, dims, type, offset)
  local packed = ("<s8I4"):pack(name, #dims)
  for _, n in ipairs(dims) do packed = packed .. ("<I8"):pack(n) end
  return packed .. ("<I4I8"):pack(type, offset)
end

describe("the GGUF reader", function()
  local dir
  setup(function() dir = tempdir.new() end)
  teardown(function() dir:remove() end)

  local function open(bytes, opts)
    return core.gguf(dir:write("x.gguf", bytes), opts)
  end

  it("opens the models and vocabularies of others", function()
    local n = 0
    local pipe = io.popen("ls " .. models .. "zoo/*.gguf " .. models ..
      "stories260K/*.gguf ../shared/data/vocab/*.gguf 2>/dev/null")
    for path in pipe:lines() do
      for _, mmap in ipairs {true, false} do
        local g = assert(core.gguf(path, {mmap = mmap}))
        assert.is_string(g:get "general.architecture")
        g:close()
      end
      n = n + 1
    end
    pipe:close()
    if n == 0 then pending "no models here" end
    assert.is_true(n == 0 or n >= 18)
  end)

  it("reads keys, arrays and tensors of a model", function()
    local g = core.gguf(models .. "stories260K/stories260K.gguf")
    if not g then return pending "no models here" end
    assert.equal(3, g:version())
    assert.equal("llama", g:get "general.architecture")
    assert.equal(128, g:get "llama.context_length")
    assert.equal("u32", g:type "llama.context_length")
    assert.equal("string[]", g:type "tokenizer.ggml.tokens")
    assert.equal(512, #g:get "tokenizer.ggml.tokens")
    assert.equal("<unk>", g:get "tokenizer.ggml.tokens"[1])
    assert.equal(2, g:get "tokenizer.ggml.token_type"[1])
    assert.equal(19, #g:keys())
    assert.equal("tokenizer.ggml.tokens", g:keys()[1])
    local tensors = g:tensors()
    assert.equal(48, #tensors)
    for _, t in ipairs(tensors) do
      if t.name == "token_embd.weight" then
        assert.same({name = t.name, type = "f32", shape = {512, 64},
                     bytes = 512 * 64 * 4}, t)
        assert.equal(t.bytes, #g:bytes(t.name))
      end
    end
    g:close()
  end)

  it("gives the same bytes mapped and read", function()
    local path = models .. "stories260K/stories260K.gguf"
    local a, b = core.gguf(path), core.gguf(path, {mmap = false})
    if not a then return pending "no models here" end
    for _, t in ipairs(a:tensors()) do
      assert.is_true(a:bytes(t.name) == b:bytes(t.name))
    end
    a:close()
    b:close()
  end)

  it("reads version 2", function()
    local g = assert(open(gguf({architecture}, {}, "", 2)))
    assert.equal(2, g:version())
  end)

  it("has nil for what is not there", function()
    local g = assert(open(gguf({architecture}, {})))
    assert.is_nil(g:get "nothing")
    assert.is_nil(g:type "nothing")
    assert.is_nil(g:bytes "nothing")
    assert.same({}, g:tensors())
  end)

  it("gives values of every kind", function()
    local function scalar(key, kind, format, x)
      return ("<s8I4" .. format):pack(key, kind, x)
    end
    local g = assert(open(gguf({
      architecture, scalar("u8", 0, "I1", 255), scalar("i8", 1, "i1", -128),
      scalar("u16", 2, "I2", 65535), scalar("i16", 3, "i2", -32768),
      scalar("u32", 4, "I4", 4294967295), scalar("i32", 5, "i4", -5),
      scalar("f32", 6, "f", 0.1), scalar("bool", 7, "I1", 1),
      scalar("u64", 10, "i8", -1), scalar("i64", 11, "i8", math.mininteger),
      scalar("f64", 12, "d", 0.1),
      ("<s8I4I4I8i2i2"):pack("list", 9, 3, 2, -7, 7),
      ("<s8I4I4I8s8s8s8"):pack("texts", 9, 8, 3, "a", "", "c\0d"),
      ("<s8I4I4I8I1I1"):pack("bools", 9, 7, 2, 1, 0),
      ("<s8I4I4I8I1I1"):pack("bytes", 9, 0, 2, 65, 66),
      ("<s8I4I4I8"):pack("none", 9, 4, 0),
    }, {})))
    local got = {}
    for _, key in ipairs(g:keys()) do got[key] = g:get(key) end
    assert.same({
      ["general.architecture"] = "test", u8 = 255, i8 = -128, u16 = 65535,
      i16 = -32768, u32 = 4294967295, i32 = -5,
      f32 = (("<f"):unpack(("<f"):pack(0.1))), bool = true, u64 = 2.0^64,
      i64 = math.mininteger, f64 = 0.1, list = {-7, 7},
      texts = {"a", "", "c\0d"}, bools = {true, false}, bytes = "AB",
      none = {},
    }, got)
    assert.equal("i16[]", g:type "list")
  end)

  it("accepts a last tensor with and without its padding", function()
    local info = tensor_info("a", {3}, 0, 0)
    local data = ("<fff"):pack(1, 2, 3)
    assert.is_truthy(open(gguf({architecture}, {info}, data)))
    assert.is_truthy(open(gguf({architecture}, {info}, data .. ("\0"):rep(20))))
    local g, message = open(gguf({architecture}, {info},
                                 data .. ("\0"):rep(21)))
    assert.is_nil(g)
    assert.matches("x%.gguf: 21 bytes follow the last tensor, must be none",
                   message)
  end)

  it("names file, field, value and rule", function()
    for rule, bytes in pairs {
      ["key 'k': value type 77, must be from 0 to 12"] =
        gguf({architecture, ("<s8I4"):pack("k", 77)}, {}),
      ["tensor 'a.weight': offset 129 is not a multiple of the alignment 32"] =
        gguf({architecture}, {tensor_info("a.weight", {1}, 0, 129)}),
      ["key 'test.rope.freq_base': is NaN, must be a number from 1e-06 to " ..
       "1e+30"] =
        gguf({architecture,
              ("<s8I4d"):pack("test.rope.freq_base", 12, 0/0)}, {}),
      ["key 'general.architecture': is '', must be a name of 1 to 64 bytes"] =
        gguf({text_key("general.architecture", "")}, {}),
      ["header: says 9 keys, but only 8 bytes are left"] =
        "GGUF" .. ("<I4I8I8I8"):pack(3, 0, 9, 0),
    } do
      local g, message = open(bytes)
      assert.is_nil(g)
      assert.equal(dir:file "x.gguf" .. ": " .. rule, message)
    end
  end)

  it("refuses a structure that does not hold", function()
    local one = ("<f"):pack(1) .. ("\0"):rep(28)
    for rule, bytes in pairs {
      ["key number 1: a text of 9 bytes, but only 8 are left"] =
        "GGUF" .. ("<I4I8I8I8I8"):pack(3, 0, 1, 9, 0),
      ["key 'k': an array of type 9, must be of scalars or strings"] =
        gguf({architecture, ("<s8I4I4I8"):pack("k", 9, 9, 0)}, {}),
      ["key 'k': element number 2: a text of 5 bytes, but only 4 are left"] =
        "GGUF" .. ("<I4I8I8s8I4I4I8s8I8I4"):pack(3, 0, 1, "k", 9, 8, 2, "",
                                                 5, 0),
      ["key 'general.alignment': is 8192, must be a power of two from 8 to " ..
       "4096"] =
        gguf({architecture, ("<s8I4I4"):pack("general.alignment", 4, 8192)},
             {}),
      ["tensor 'b': offset 0, must be 32, where the tensor before it ends"] =
        gguf({architecture}, {tensor_info("a", {1}, 0, 0),
                              tensor_info("b", {1}, 0, 0)}, one:rep(2)),
      ["tensor 'b': offset 64, must be 32, where the tensor before it ends"] =
        gguf({architecture}, {tensor_info("a", {1}, 0, 0),
                              tensor_info("b", {1}, 0, 64)}, one:rep(3)),
    } do
      local g, message = open(bytes)
      assert.is_nil(g)
      assert.equal(dir:file "x.gguf" .. ": " .. rule, message)
    end
  end)

  it("refuses values of well-known keys that make no sense", function()
    local function array(key, kind, format, ...)
      return ("<s8I4I4I8"):pack(key, 9, kind, select("#", ...)) ..
        ("<" .. format:rep(select("#", ...))):pack(...)
    end
    local function u32(key, n) return ("<s8I4I4"):pack(key, 4, n) end
    local tokens = array("tokenizer.ggml.tokens", 8, "s8", "a", "b", "<0x0A>")
    local types = "tokenizer.ggml.token_type"
    local map = "tokenizer.ggml.precompiled_charsmap"
    for _, case in ipairs {
      {"token_type': element 0 is 6, must be another type: the token is not " ..
       "<0xHH>", tokens, array(types, 5, "i4", 6, 1, 1)},
      {"token_type': element 2 is 7, must be from 0 to 6",
       tokens, array(types, 5, "i4", 1, 1, 7)},
      {"tokens': element 0 is '<0x0G>', must be a byte, two hexadecimal " ..
       "digits", array("tokenizer.ggml.tokens", 8, "s8", "<0x0G>")},
      {"tokens': token 0 has 65537 bytes, must have at most 65536",
       array("tokenizer.ggml.tokens", 8, "s8", ("x"):rep(65537))},
      {"merges': element 1 is 'b c', must be of tokens that the vocabulary " ..
       "has", tokens, array("tokenizer.ggml.merges", 8, "s8", "a b", "b c")},
      {"merges': element 0 is 'c b'", tokens,
       array("tokenizer.ggml.merges", 8, "s8", "c b")},
      {"charsmap': has 3 bytes", array(map, 0, "I1", 0, 0, 0)},
      {"charsmap': says 8 bytes of table", array(map, 0, "I1", 8, 0, 0, 0, 0,
                                                 0, 0, 0)},
      {"charsmap': says 3 bytes of table", array(map, 0, "I1", 3, 0, 0, 0, 0,
                                                 0, 0, 0)},
      {"suppress_tokens': element 1 is 3, must be from 0 to 2", tokens,
       array("tokenizer.ggml.suppress_tokens", 5, "i4", 2, 3)},
      {"scores': goes with tokenizer.ggml.tokens, which is missing",
       array("tokenizer.ggml.scores", 6, "f", 0)},
      {"scores': element 0 is inf, must be a finite number", tokens,
       array("tokenizer.ggml.scores", 6, "f", 1/0, 0, 0)},
      {"test.decoder_start_token_id': is 3, must be an integer from 0 to 2",
       tokens, u32("test.decoder_start_token_id", 3)},
      {"pad_token_id': is 7, must be an integer from 0 to 6",
       u32("test.vocab_size", 7), u32("tokenizer.ggml.pad_token_id", 7)},
      {"decant.decoder.attention.head_count': is 3, must be a divisor of " ..
       "embedding_length (8)", u32("test.embedding_length", 8),
       u32("decant.decoder.attention.head_count", 3)},
      {"head_count_kv': is 3, must be a divisor of head_count (4)",
       u32("test.attention.head_count", 4),
       u32("test.attention.head_count_kv", 3)},
      {"rope.dimension_count': is 6, must be at most the width of a head (4)",
       u32("test.embedding_length", 8), u32("test.attention.head_count", 2),
       u32("test.rope.dimension_count", 6)},
      {"split.no': is 2, must be less than split.count (2)",
       u32("split.no", 2), u32("split.count", 2)},
      {"add_bos_token': is of type u32, must be bool",
       u32("tokenizer.ggml.add_bos_token", 1)},
      {"decant.activation': is of type u32, must be string",
       u32("decant.activation", 1)},
      {"test.block_count': is of type u32[], must be an integer",
       array("test.block_count", 4, "I4", 1)},
    } do
      local g, message = open(gguf({architecture, table.unpack(case, 2)}, {}))
      assert.is_nil(g)
      assert.is_truthy(message:find(case[1], 1, true), message)
    end
  end)

  it("takes -1 for a special token that there is not", function()
    local none = ("<s8I4I4"):pack("tokenizer.ggml.padding_token_id", 4,
                                  0xFFFFFFFF)
    local minus = ("<s8I4i4"):pack("tokenizer.ggml.eos_token_id", 5, -1)
    assert.is_truthy(open(gguf({architecture, none, minus}, {})))
  end)

  it("keeps messages to one line of UTF-8, whatever the file says", function()
    local _, message = open(gguf({architecture, text_key(
      "general.architecture2", "x"), ("<s8I4I1"):pack(("ä"):rep(60), 7, 9)},
      {}))
    assert.is_truthy(utf8.len(message))
    _, message = open(gguf({text_key("general.architecture", "a\nb\xff")}, {}))
    assert.matches("is 'a%?b%?', must be a name", message)
  end)

  it("refuses layers that are not one value for each", function()
    local function heads(n)
      return gguf({architecture, ("<s8I4I4"):pack("test.block_count", 4, 2),
        ("<s8I4I4I8"):pack("test.attention.head_count", 9, 4, n) ..
        ("<I4"):rep(n):pack(table.unpack({4, 2, 8}, 1, n))}, {})
    end
    assert.is_truthy(open(heads(2)))
    local g, message = open(heads(3))
    assert.is_nil(g)
    assert.matches("has 3 elements, must have block_count %(2%)", message)
  end)

  it("refuses many names that were made to collide", function()
    -- FNV-1a, folded and multiplied as in src/base/string.h and
    -- src/format/names.c: 600 names whose search begins at one slot.
    local mask, keys, i = 2047, {architecture}, 0
    local wanted
    while #keys <= 600 do
      local name = ("%07d"):format(i)
      i = i + 1
      local h = -3750763034362895579
      for k = 1, #name do h = (h ~ name:byte(k)) * 1099511628211 end
      h = (h ~ (h >> 32)) * -7046029254386353131
      h = (h ~ (h >> 29)) & mask
      wanted = wanted or h
      if h == wanted then keys[#keys + 1] = ("<s8I4I1"):pack(name, 0, 1) end
    end
    local g, message = open(gguf(keys, {}))
    assert.is_nil(g)
    assert.matches("made to collide", message)
  end)

  it("says what is wrong with the path", function()
    for path, rule in pairs {
      ["no such file"] = "No such file or directory",
      ["/"] = "is a directory, a file is needed",
      ["/dev/null"] = "is not a regular file",
    } do
      local g, message = core.gguf(path)
      assert.is_nil(g)
      assert.equal(path .. ": " .. rule, message)
    end
    assert.has_error(function() core.gguf("a\0b") end,
      "bad argument #1 to 'gguf' (a path holds no NUL byte)")
    assert.has_error(function() core.gguf {} end)
    assert.has_error(function() core.gguf("x", 1) end)
  end)

  it("is closed once and for all", function()
    local g = assert(open(gguf({architecture}, {})))
    g:close()
    g:close()
    for _, method in ipairs {"keys", "tensors", "path", "version"} do
      assert.has_error(function() g[method](g) end, "the GGUF file is closed")
    end
    local kept
    do
      local h <close> = assert(open(gguf({architecture}, {})))
      kept = h
    end
    assert.has_error(function() kept:keys() end, "the GGUF file is closed")
  end)

  it("leaves no memory behind", function()
    collectgarbage()
    local before = core.memory()
    for _ = 1, 10 do
      local g = assert(open(gguf({architecture}, {}), {mmap = false}))
      g:close()
      open(gguf({architecture, architecture}, {}))
    end
    collectgarbage()
    assert.equal(before, core.memory())
  end)
end)
