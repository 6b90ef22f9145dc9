-- The GGUF writer: what it writes the reader gives back, and what the reader
-- would refuse it does not write.

local core = require "decant.core"
local tempdir = require "spec.support.tempdir"

local function safetensors(header, data)
  return ("<s8"):pack(header) .. data
end

describe("the GGUF writer", function()
  local dir, path
  before_each(function()
    dir = tempdir.new()
    path = dir:file "out.gguf"
  end)
  after_each(function()
    collectgarbage()
    dir:remove()
  end)

  local function writer(architecture)
    return assert(core.gguf_writer(path))
      :set("general.architecture", "string", architecture or "test")
  end

  local function source(header, data)
    return assert(core.safetensors(dir:write("in.safetensors",
                                             safetensors(header, data))))
  end

  -- One tensor of `type` made from `data`; the file's bytes of it.
  local function convert(type, shape, dtype, data, rows)
    local s = source(('{"x":{"dtype":"%s","shape":[%s],"data_offsets":[0,%d]}}')
      :format(dtype, table.concat(rows or shape, ","), #data), data)
    local w = writer():tensor("x", type, shape, {safetensors = s, name = "x"})
    local ok, message = w:finish()
    s:close()
    if not ok then return nil, message end
    local g <close> = assert(core.gguf(path))
    return g:bytes "x"
  end

  it("gives back values of every kind", function()
    local values = {
      {"a", "u8", 255}, {"b", "i8", -128}, {"c", "u16", 65535},
      {"d", "i16", -32768}, {"e", "u32", 4294967295}, {"f", "i32", -5},
      {"g", "f32", 0.5}, {"h", "bool", true}, {"i", "bool", false},
      {"j", "string", "Läuft"}, {"k", "u64", math.maxinteger},
      {"l", "i64", math.mininteger}, {"m", "f64", 0.1}, {"n", "string", ""},
      {"o", "u8[]", "raw\0bytes"}, {"p", "i8[]", {-1, 1}},
      {"q", "u16[]", {1, 65535}}, {"r", "i16[]", {-2}}, {"s", "u32[]", {}},
      {"t", "i32[]", {1, -1, 2147483647}}, {"u", "f32[]", {1, -0.25, 1e30}},
      {"v", "bool[]", {true, false, true}},
      {"w", "string[]", {"<unk>", "", "\255\0x"}}, {"x", "u64[]", {0}},
      {"y", "i64[]", {-1}}, {"z", "f64[]", {0.1, 1e300}},
      {"a.b_c.ü", "f32", 3},
    }
    local w = writer()
    for _, v in ipairs(values) do w:set(v[1], v[2], v[3]) end
    assert.is_true(w:finish())
    local g = assert(core.gguf(path))
    for i, v in ipairs(values) do
      assert.equal(v[1], g:keys()[i + 1])
      assert.equal(v[2], g:type(v[1]))
      local got = g:get(v[1])
      if v[2] == "f32[]" then
        assert.same({1, -0.25, (("<f"):unpack(("<f"):pack(1e30)))}, got)
      else
        assert.same(v[3], got)
      end
    end
    g:close()
  end)

  it("takes bytes of a table as it takes a string", function()
    assert.is_true(writer():set("a", "u8[]", {1, 2, 255}):finish())
    local g <close> = assert(core.gguf(path))
    assert.equal("\1\2\255", g:get "a")
  end)

  it("writes raw tensors byte for byte, in order and aligned", function()
    local f32 = ("<ffffff"):pack(1, 2, 3, 4, 5, 6)
    local f16, q8 = ("\0\60"):rep(5), ("0\1"):rep(17 * 2)
    local w = writer():set("general.alignment", "u32", 64)
    w:tensor("a", "f32", {2, 3}, f32):tensor("b", "f16", {5}, f16)
    w:tensor("c", "q8_0", {2, 32}, q8):tensor("d.weight", "f32", {1}, "abcd")
    assert.is_true(w:begin())
    local steps = {}
    for done, total in function() return w:next() end do
      steps[#steps + 1] = {done, total}
    end
    assert.is_true(w:finish())
    local total = #tempdir.read(path)
    assert.same({{total - 256, total}, {total - 192, total},
                 {total - 64, total}, {total, total}}, steps)
    local g <close> = assert(core.gguf(path))
    assert.same({
      {name = "a", type = "f32", shape = {2, 3}, bytes = 24},
      {name = "b", type = "f16", shape = {5}, bytes = 10},
      {name = "c", type = "q8_0", shape = {2, 32}, bytes = 68},
      {name = "d.weight", type = "f32", shape = {1}, bytes = 4},
    }, g:tensors())
    assert.equal(f32, g:bytes "a")
    assert.equal(f16, g:bytes "b")
    assert.equal(q8, g:bytes "c")
    assert.equal("abcd", g:bytes "d.weight")
  end)

  it("converts f32, f16 and bf16 to f32 and f16", function()
    local f32 = ("<ffff"):pack(1, -2, 0.5, 65504)
    local f16 = "\x00\x3C\x00\xC0\x00\x38\xFF\x7B"
    assert.equal(f16, convert("f16", {2, 2}, "F32", f32))
    assert.equal(f32, convert("f32", {2, 2}, "F16", f16))
    assert.equal(f32, convert("f32", {4}, "F32", f32))
    local bf16 = "\x80\x3F\x00\xC0\x00\x3F"
    assert.equal(f32:sub(1, 12), convert("f32", {3}, "BF16", bf16))
    assert.equal(f16:sub(1, 6), convert("f16", {3}, "BF16", bf16))
  end)

  it("quantises to q8_0: d = largest / 127, halves away from zero", function()
    -- 127 * 2^-3 is the largest: d = 0.125 = half 0x3000, q = x / d.
    local x, q = {}, {}
    for i = 1, 32 do
      x[i] = (i - 16) * 0.125
      q[i] = i - 16
    end
    x[1], q[1] = -127 * 0.125, -127
    x[2], q[2] = 0.0625 * 3, 2
    x[3], q[3] = -0.0625 * 3, -2
    local row = ("f"):rep(32)
    local data = ("<" .. row):pack(table.unpack(x))
    local block = "\x00\x30" .. ("i1"):rep(32):pack(table.unpack(q))
    assert.equal(block:rep(3), convert("q8_0", {3, 32}, "F32", data:rep(3)))
  end)

  it("takes rows of a tensor, and dimensions arranged anew", function()
    local data = ("<ffffffff"):pack(0, 0, 1, 2, 3, 4, 5, 6)
    local s = source('{"p":{"dtype":"F32","shape":[4,2],' ..
                     '"data_offsets":[0,32]}}', data)
    local w = writer()
    w:tensor("cut", "f32", {2, 2}, {safetensors = s, name = "p", first = 2,
                                    last = 3})
    w:tensor("flat", "f32", {8}, {safetensors = s, name = "p"})
    assert.is_true(w:finish())
    s:close()
    local g <close> = assert(core.gguf(path))
    assert.equal(data:sub(9, 24), g:bytes "cut")
    assert.equal(data, g:bytes "flat")
    assert.same({2, 2}, g:tensors()[1].shape)
  end)

  it("converts more than one block of rows", function()
    local n = 3000
    local bytes = convert("f16", {n, 500}, "F32",
                          ("<f"):pack(1):rep(n * 500))
    assert.is_true(bytes == ("\x00\x3C"):rep(n * 500))
  end)

  it("refuses numbers that the type cannot hold", function()
    local inf, nan = ("<f"):pack(1/0), ("<f"):pack(0/0)
    local one, big = ("<f"):pack(1), ("<f"):pack(65520)
    for _, case in ipairs {
      {"f16", {2, 2}, "F32", one:rep(3) .. nan,
       "tensor 'x': row 2: column 2 is not a finite number"},
      {"f16", {1, 2}, "F32", inf .. one,
       "tensor 'x': row 1: column 1 is not a finite number"},
      {"f16", {1, 2}, "F32", one .. big,
       "tensor 'x': row 1: column 2 is too large for the type"},
      {"q8_0", {32}, "F32", one:rep(31) .. ("<f"):pack(1e7),
       "tensor 'x': row 1: column 32 is too large for the type"},
      {"f32", {2}, "F16", "\x00\x7C\x00\x00",
       "tensor 'x': row 1: column 1 is not a finite number"},
    } do
      local bytes, message = convert(table.unpack(case, 1, 4))
      assert.is_nil(bytes)
      assert.equal(path .. ": " .. case[5], message)
      assert.is_nil(tempdir.read(path))
    end
  end)

  it("leaves nothing before finish, and the old file whole", function()
    dir:write("out.gguf", "old")
    local w = writer():tensor("a", "f32", {1}, "abcd")
    assert.is_true(w:begin())
    w:next()
    assert.equal("old", tempdir.read(path))
    assert.equal(2, #dir:list())
    assert.is_true(w:finish())
    assert.equal("GGUF", tempdir.read(path):sub(1, 4))
    assert.same({"out.gguf"}, dir:list())
  end)

  it("removes its temporary file when aborted, closed or dropped", function()
    local w = writer()
    assert.equal(1, #dir:list())
    w:abort()
    w:abort()
    assert.same({}, dir:list())
    do
      local closed <close> = writer()
      assert.is_truthy(closed)
    end
    assert.same({}, dir:list())
    do
      local dropped = writer()
      assert.is_truthy(dropped)
    end
    assert.equal(1, #dir:list())
    collectgarbage()
    assert.same({}, dir:list())
  end)

  it("leaves no memory behind", function()
    collectgarbage()
    local before = core.memory()
    local w = writer():set("a", "string[]", {"x", "y"})
    pcall(w.set, w, "a", "u8", 1)
    w:tensor("t", "f32", {1}, "abcd"):abort()
    w = writer():set("tokenizer.ggml.scores", "f32[]", {1})
    assert.is_nil(w:finish())
    w:abort()
    assert.equal(before, core.memory())
  end)

  it("says where it cannot write", function()
    local w, message = core.gguf_writer(dir:file "no/such/folder.gguf")
    assert.is_nil(w)
    assert.equal(dir:file "no/such/folder.gguf" .. ": cannot create a file " ..
                 "beside it: No such file or directory", message)
    w, message = core.gguf_writer(dir.path)
    assert.is_nil(w)
    assert.equal(dir.path .. ": is there and no regular file", message)
  end)

  it("reports a full disk and leaves nothing", function()
    -- A limit on the size of files stands in for the disk.
    local script = dir:write("full.lua", ([[
      package.cpath = %q
      local core = require "decant.core"
      local w = assert(core.gguf_writer(%q))
      w:set("general.architecture", "string", "test")
      w:tensor("a", "f32", {1048576}, ("abcd"):rep(1048576))
      io.write(tostring(select(2, w:finish())), "\n")
      io.write(tostring(select(2, w:finish())), "\n")
      w:abort()]]):format(package.cpath, path))
    local lua = "lua5.4"
    for i = 0, -10, -1 do lua = arg and arg[i] or lua end
    local pipe = assert(io.popen("trap '' XFSZ; ulimit -f 100; " .. lua ..
                                 " " .. script .. " 2>&1"))
    local out = pipe:read "a"
    pipe:close()
    os.remove(script)
    assert.equal(path .. ": tensor 'a': cannot write: File too large\n" ..
                 path .. ": the writer failed before\n", out)
    assert.same({}, dir:list())
  end)

  it("raises what is the caller's mistake", function()
    local s = source('{"i":{"dtype":"U16","shape":[2],"data_offsets":[0,4]},' ..
      '"x":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}', ("a"):rep(12))
    local from = {safetensors = s, name = "x"}
    local w = writer():tensor("taken", "f32", {1}, "abcd")
    for _, case in ipairs {
      {"appears twice", "set", "general.architecture", "u32", 1},
      {"a name of 0 bytes, must have 1 to 65535", "set", "", "u32", 1},
      {"no UTF-8", "set", "\255", "u32", 1},
      {"control characters", "set", "a\nb", "u32", 1},
      {"'u128' is no kind of value", "set", "k", "u128", 1},
      {"'array' is no kind of value", "set", "k", "array", {}},
      {"256 is no u8", "set", "k", "u8", 256},
      {"-1 is no u32", "set", "k", "u32", -1},
      {"1.5 is no i32", "set", "k", "i32", 1.5},
      {"\"1\" is no i32", "set", "k", "i32", "1"},
      {"1 is no bool", "set", "k", "bool", 1},
      {"1e+39 is no f32", "set", "k", "f32", 1e39},
      {"1 is no string", "set", "k", "string", 1},
      {"nil is no string", "set", "k", "string"},
      {"table expected", "set", "k", "u32[]", 1},
      {'"x" is no u32', "set", "k", "u32[]", {1, "x"}},
      {"7 is no string", "set", "k", "string[]", {"a", 7}},
      {"appears twice", "tensor", "taken", "f32", {1}, "abcd"},
      {"a name of 64 bytes, must have 1 to 63", "tensor", ("n"):rep(64), "f32",
       {1}, "abcd"},
      {"'f31' is no type of tensors", "tensor", "t", "f31", {1}, "abcd"},
      {"1 to 4 dimensions", "tensor", "t", "f32", {}, "abcd"},
      {"1 to 4 dimensions", "tensor", "t", "f32", {1, 1, 1, 1, 1}, "abcd"},
      {"integers from 1", "tensor", "t", "f32", {0}, ""},
      {"integers from 1", "tensor", "t", "f32", {1.5}, "abcd"},
      {"must have 8", "tensor", "t", "f32", {2}, "abcd"},
      {"multiply to more", "tensor", "t", "f32", {2^40 | 0, 2^40 | 0}, "abcd"},
      {"blocks of 32", "tensor", "t", "q8_0", {2, 33}, "abcd"},
      {"no tensor 'y' in the file", "tensor", "t", "f32", {2},
       {safetensors = s, name = "y"}},
      {"dtype is U16", "tensor", "t", "f32", {2}, {safetensors = s,
                                                   name = "i"}},
      {"must have 12", "tensor", "t", "f32", {3}, from},
      {"cannot be made i32", "tensor", "t", "i32", {2}, from},
      {"first must be from 1 to 2", "tensor", "t", "f32", {1},
       {safetensors = s, name = "x", first = 3}},
      {"first must not be above last", "tensor", "t", "f32", {1},
       {safetensors = s, name = "x", first = 2, last = 1}},
      {"an open file expected", "tensor", "t", "f32", {1}, {name = "x"}},
      {"table expected", "tensor", "t", "f32", {1}},
    } do
      local ok, message = pcall(w[case[2]], w, table.unpack(case, 3, 7))
      assert.is_false(ok)
      assert.is_truthy(message:find(case[1], 1, true), message)
    end
    assert.is_true(w:finish())  -- none of them did harm
    s:close()
  end)

  it("writes nothing that the reader would refuse", function()
    for rule, set in pairs {
      ["key 'general.alignment': is 3, must be a power of two"] =
        function(w) w:set("general.alignment", "u32", 3) end,
      ["key 'general.alignment': is of type i32, must be u32"] =
        function(w) w:set("general.alignment", "i32", 32) end,
      ["key 'tokenizer.ggml.tokens': token 1 'a': appears twice"] =
        function(w) w:set("tokenizer.ggml.tokens", "string[]", {"a", "a"}) end,
      ["key 'test.context_length': is 0, must be an integer from 1"] =
        function(w) w:set("test.context_length", "u32", 0) end,
      ["key 'test.attention.layer_norm_epsilon': is NaN, must be"] =
        function(w)
          w:set("test.attention.layer_norm_epsilon", "f32", 0/0)
        end,
      ["key 'k': its text holds a NUL or is no UTF-8"] =
        function(w) w:set("k", "string", "\255") end,
    } do
      local w = writer()
      set(w)
      local ok, message = w:finish()
      assert.is_nil(ok)
      assert.equal(path .. ": " .. rule, message:sub(1, #path + 2 + #rule))
      w:abort()
    end
    local w = assert(core.gguf_writer(path))
    local ok, message = w:begin()
    assert.is_nil(ok)
    assert.equal(path .. ": key 'general.architecture' is missing", message)
    assert.is_nil((w:finish()))
    w:abort()
  end)

  it("takes no more keys or tensors after the header", function()
    local w = writer()
    assert.is_true(w:begin())
    assert.is_true(w:begin())
    assert.has_error(function() w:set("a", "u8", 1) end)
    assert.has_error(function() w:tensor("a", "f32", {1}, "abcd") end)
    assert.is_nil(w:next())
    assert.is_true(w:finish())
    assert.has_error(function() w:finish() end, "the GGUF writer is closed")
    assert.has_error(function() w:set("a", "u8", 1) end)
  end)

  it("raises when a source was closed before it was written", function()
    local s = source('{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
                     "abcd")
    local w = writer():tensor("x", "f32", {1}, {safetensors = s, name = "x"})
    s:close()
    assert.has_error(function() w:finish() end,
                     "the safetensors file is closed")
    w:abort()
  end)

  it("keeps its sources alive", function()
    local w = writer()
    w:tensor("x", "f32", {1}, {name = "x", safetensors = source(
      '{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', "abcd")})
    w:tensor("y", "f32", {2}, table.concat {"ef", "gh", "ij", "kl"})
    collectgarbage()
    collectgarbage()
    assert.is_true(w:finish())
    local g <close> = assert(core.gguf(path))
    assert.equal("abcd", g:bytes "x")
    assert.equal("efghijkl", g:bytes "y")
  end)
end)
