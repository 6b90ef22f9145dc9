-- The safetensors reader. The models are those of ../shared/models (written
-- by Hugging Face's own library; see its README.md).

local core = require "decant.core"
local tempdir = require "spec.support.tempdir"

describe("the safetensors reader", function()
  local dir
  setup(function() dir = tempdir.new() end)
  teardown(function() dir:remove() end)

  local function open(header, data, opts)
    local bytes = ("<s8"):pack(header) .. (data or "")
    return core.safetensors(dir:write("x.safetensors", bytes), opts)
  end

  local function refused(header, data)
    local s, message = open(header, data)
    assert.is_nil(s)
    local prefix = dir:file "x.safetensors" .. ": "
    assert.equal(prefix, message:sub(1, #prefix))
    assert.is_nil(message:find("\n", 1, true))
    return message:sub(#prefix + 1)
  end

  it("opens the models of others", function()
    local n = 0
    local pipe = io.popen("ls ../shared/models/*/model.safetensors " ..
      "../shared/models/hf-zoo/*/model.safetensors 2>/dev/null")
    for path in pipe:lines() do
      for _, mmap in ipairs {true, false} do
        local s = assert(core.safetensors(path, {mmap = mmap}))
        assert.is_true(#s:tensors() > 10)
        s:close()
      end
      n = n + 1
    end
    pipe:close()
    if n == 0 then pending "no models here" end
    assert.is_true(n == 0 or n >= 9)
  end)

  it("lists tensors in the order of the header", function()
    local s = assert(open([[{"__metadata__":{"format":"pt","":"é"},
      "b":{"dtype":"F32","shape":[1,2],"data_offsets":[4,12]},
      "a\u00e9\/":{"shape":[2],"data_offsets":[0,4],"dtype":"BF16"},
      "none":{"dtype":"I64","shape":[3,0],"data_offsets":[12,12]},
      "scalar":{"dtype":"U8","shape":[],"data_offsets":[12,13]}}   ]],
      "ABCDefghijklM"))
    assert.same({
      {name = "b", dtype = "F32", shape = {1, 2}, bytes = 8},
      {name = "aé/", dtype = "BF16", shape = {2}, bytes = 4},
      {name = "none", dtype = "I64", shape = {3, 0}, bytes = 0},
      {name = "scalar", dtype = "U8", shape = {}, bytes = 1},
    }, s:tensors())
    assert.same({format = "pt", [""] = "é"}, s:metadata())
    assert.equal("efghijkl", s:bytes "b")
    assert.equal("ABCD", s:bytes "aé/")
    assert.equal("", s:bytes "none")
    assert.equal("M", s:bytes "scalar")
    assert.is_nil(s:bytes "c")
    s:close()
  end)

  it("says whether two tensors are the same", function()
    local function pair(data)
      return assert(open([[{
        "a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
        "b":{"dtype":"F32","shape":[1,1],"data_offsets":[4,8]},
        "c":{"dtype":"I32","shape":[1],"data_offsets":[8,12]}}]], data))
    end
    local s <close> = pair "ABCDABCDABCD"
    local t <close> = pair "EFGHABCDABCD"
    assert.is_true(s:same("a", s, "b"))
    assert.is_true(s:same("a", t, "b"))
    assert.is_false(s:same("a", t, "a"))
    assert.is_false(s:same("a", s, "c"))  -- other numbers in the same bytes
    assert.has_error(function() s:same("a", t, "x") end)
  end)

  it("knows the types of the format and their sizes", function()
    for dtype, bytes in pairs {
      F64 = 8, F32 = 4, F16 = 2, BF16 = 2, I64 = 8, I32 = 4, I16 = 2, I8 = 1,
      U64 = 8, U32 = 4, U16 = 2, U8 = 1, BOOL = 1, C64 = 8, F8_E5M2 = 1,
      F8_E4M3 = 1, F8_E8M0 = 1, F6_E2M3 = 0.75, F6_E3M2 = 0.75, F4 = 0.5,
    } do
      local size = math.tointeger(bytes * 8)
      local s = assert(open(('{"x":{"dtype":"%s","shape":[2,4],' ..
        '"data_offsets":[0,%d]}}'):format(dtype, size), ("\1"):rep(size)))
      assert.equal(size, s:tensors()[1].bytes)
      s:close()
    end
  end)

  it("opens a file without tensors", function()
    assert.same({}, assert(open "{}"):tensors())
    assert.same({}, assert(open '{"__metadata__":{}}  '):metadata())
  end)

  it("takes metadata longer than names may be", function()
    local text = ("x"):rep(100000)
    local s = assert(open('{"__metadata__":{"log":"' .. text .. '"}}'))
    assert.is_true(s:metadata().log == text)
    s:close()
    assert.equal("header: byte 2: a string of more than 4096 bytes",
                 refused('{"' .. text .. '":{}}'))
  end)

  it("names tensor, field, value and rule", function()
    assert.equal("header: tensor 'a': data_offsets: [0, 8] are not the 4 " ..
      "bytes of its shape and dtype",
      refused('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}',
              "abcdefgh"))
    assert.equal("header: tensor 'a': dtype: 'F31' is not a type of the " ..
      "format", refused('{"a":{"dtype":"F31"}}'))
    assert.equal("header: tensor 'a': shape: more than 8 dimensions",
      refused('{"a":{"shape":[1,1,1,1,1,1,1,1,1]}}'))
    assert.equal("tensor 'b': data_offsets: begins at 4, must begin where " ..
      "the data before it ends (a hole or an overlap of 2 bytes)",
      refused('{"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},' ..
              '"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}',
              "abcdef"))
    assert.equal("1 bytes follow the last tensor, must be none",
                 refused("{}", "a"))
    assert.equal("tensor 'a': element 1 of BOOL is 2, must be 0 or 1",
      refused('{"a":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}}',
              "\1\2"))
    assert.equal("header: tensor 'a': field 'dtype' appears twice",
      refused('{"a":{"dtype":"U8","dtype":"U8","shape":[1],' ..
              '"data_offsets":[0,1]}}', "x"))
    assert.equal("header: tensor 'a': field 'shape' is missing",
      refused('{"a":{"dtype":"U8","data_offsets":[0,1]}}', "x"))
    assert.equal("header: '__metadata__' appears twice",
      refused('{"__metadata__":{},"__metadata__":{}}'))
    assert.equal("header: tensor number 1: its name is empty or holds a NUL",
      refused('{"a\\u0000":{}}'))
    assert.equal("header: tensor 'a': shape: its elements of 4 bits do not " ..
      "fill whole bytes",
      refused('{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}', "x"))
    assert.equal("header: byte 2: expected nothing but spaces behind the '}'",
      refused("{}\n"))
    assert.equal("header: must begin with '{'", refused " {}")
    assert.equal("header: __metadata__: appears twice",
      refused('{"__metadata__":{"a":"","\\u0061":""}}'))
    assert.equal("header: tensor 'a\\n?b': appears twice",
      refused('{"a\\u000a\127b":{"dtype":"U8","shape":[0],' ..
              '"data_offsets":[0,0]},"a\\n\127b":{}}'))
  end)

  it("refuses a header longer than the file", function()
    local s, message = core.safetensors(dir:write("x.safetensors",
                                                  ("<I8"):pack(3) .. "{}"))
    assert.is_nil(s)
    assert.equal(dir:file "x.safetensors" .. ": header length: is 3, must " ..
      "be from 2 to 100000000 and within the file's 10 bytes", message)
  end)

  it("takes at most 32768 tensors", function()
    local function header(n)
      local parts = {}
      for i = 1, n do
        parts[i] = ('"t%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}')
          :format(i)
      end
      return "{" .. table.concat(parts, ",") .. "}"
    end
    local s = assert(open(header(32768)))
    assert.equal(32768, #s:tensors())
    s:close()
    assert.equal("header: more than 32768 tensors", refused(header(32769)))
  end)

  it("says what is wrong with the path", function()
    local s, message = core.safetensors "no such file"
    assert.is_nil(s)
    assert.equal("no such file: No such file or directory", message)
    assert.has_error(function() core.safetensors "a\0" end)
    assert.has_error(function() core.safetensors() end)
  end)

  it("is closed once and for all, and leaves no memory behind", function()
    collectgarbage()
    local before = core.memory()
    local s = assert(open('{"\\u0061":{"dtype":"U8","shape":[1],' ..
      '"data_offsets":[0,1]}}', "x", {mmap = false}))
    assert.equal("x", s:bytes "a")
    s:close()
    s:close()
    assert.equal(before, core.memory())
    assert.has_error(function() s:tensors() end,
                     "the safetensors file is closed")
  end)
end)
