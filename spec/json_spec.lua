-- The JSON reader of the core (src/format/json.c), through a small program
-- that is built here: it reads one value of a stated kind.

local tempdir = require "spec.support.tempdir"

local sanitize = (os.getenv "DECANT_BUILD" or ""):find "asan"
                 and "-fsanitize=address,undefined " or ""

describe("the JSON reader", function()
  local dir, tool

  setup(function()
    dir = tempdir.new()
    tool = dir:file "json_tool"
    assert(os.execute("LD_PRELOAD= cc -std=c11 -D_GNU_SOURCE -g " .. sanitize ..
      "-Isrc -o " .. tool .. " spec/support/json_tool.c src/format/json.c " ..
      "src/base/fail.c src/base/utf8.c"))
  end)
  teardown(function() dir:remove() end)

  local function read(what, text)
    local input = dir:write("input", text)
    local pipe = assert(io.popen(
      "LD_PRELOAD= " .. tool .. " " .. what .. " <" .. input))
    local out = pipe:read "a"
    assert(pipe:close(), "the tool crashed")
    return (out:gsub("\n$", ""))
  end

  it("passes over every kind of value", function()
    for _, text in ipairs {
      "{}", "[]", "null", "true", "false", '""', "0", "-0", "12", "-1.5e+10",
      "1E5", '{"a":[1,{"b":null},[]],"c":"d"}', " [ 1 , 2 ]\r\n\t",
      '"\u{10FFFF}\u{7F}"', ("["):rep(64) .. ("]"):rep(64),
    } do
      assert.equal("ok", read("skip", text), text)
    end
  end)

  it("refuses what JSON is not", function()
    for _, text in ipairs {
      "", " ", "{", "}", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]",
      "{,}", '{"a"}', '{"a":}', '{"a":1,}', '{"a" 1}', "{a:1}", "{1:2}",
      "[1}", '{"a":1]', "nul", "True", "NaN", "Infinity", "-", "+1", ".5",
      "1.", "1e", "1e+", "01", "-01", "0x1", "1 2", "[] []", "// x\n1",
      "/**/1", "'a'", '"', '"a', '"\\', '"\\"', '"\\x"', '"\\u12"',
      '"\\u12G4"', '"a\nb"', '"\t"', '"\0"', "\239\187\1911", "1\0",
    } do
      assert.is_truthy(read("skip", text):find("error: byte ", 1, true), text)
    end
  end)

  it("stops at 64 levels, however deep the text is", function()
    assert.equal("error: byte 64: nested more than 64 deep",
                 read("skip", ("["):rep(65)))
    assert.equal("error: byte 64: nested more than 64 deep",
                 read("skip", ("["):rep(1000000)))
    assert.matches("nested more", read("skip", ('{"a":'):rep(100000)))
  end)

  it("unescapes strings to UTF-8", function()
    assert.equal('"\\/\b\f\n\r\t|8',
                 read("string", [["\"\\\/\b\f\n\r\t"]]))
    assert.equal("aä€𝄞|10",
                 read("string", [["\u0061\u00e4\u20AC\uD834\uDD1E"]]))
    assert.equal("▁Hund|7 plain", read("string", '"▁Hund"'))
    assert.equal("|0 plain", read("string", '""'))
  end)

  it("says when a string has a NUL in it", function()
    assert.equal("a\0b|3 nul", read("string", [["a\u0000b"]]))
  end)

  it("refuses lone surrogates", function()
    for _, text in ipairs {
      [["\ud800"]], [["\udc00"]], [["\ud800x"]], [["\ud800\n"]],
      [["\ud800\ud800"]], [["\ud834\u0041"]], [["\ud834]],
    } do
      assert.matches("^error: byte 1: expected \\u and the four hex digits",
                     read("string", text))
    end
  end)

  it("refuses what is no UTF-8", function()
    for _, bytes in ipairs {
      "\x80", "\xC3", "\xC0\xAF", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF",
      "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5", "\xFF",
      "\xE2\x82", "\xC3\x28",
    } do
      assert.matches("^error: byte 2: expected valid UTF%-8",
                     read("string", '"a' .. bytes .. '"'))
    end
  end)

  it("caps the length of a string when it is told to", function()
    assert.equal("abc|3 plain", read("string 3", '"abc"'))
    assert.equal("error: byte 1: a string of more than 3 bytes",
                 read("string 3", '"abcd"'))
  end)

  it("reads integers exactly and refuses any other number", function()
    assert.equal("0", read("uint", "0"))
    assert.equal("18446744073709551615", read("uint", "18446744073709551615"))
    assert.equal("-9223372036854775808", read("int", "-9223372036854775808"))
    assert.equal("9223372036854775807", read("int", " 9223372036854775807 "))
    assert.equal("0", read("int", "-0"))
    for _, text in ipairs {
      "18446744073709551616", "99999999999999999999999", "-1", "1.0", "1e3",
      "00", "01", '"1"', "", "x", ("1"):rep(100000),
    } do
      assert.matches("^error: byte 0.*: expected a whole number",
                     read("uint", text))
    end
    for _, text in ipairs {
      "9223372036854775808", "-9223372036854775809", "- 1", "-", "1.5", "-01",
      "--1",
    } do
      assert.matches("^error: byte %d+.*: expected a whole number of 64 bits",
                     read("int", text))
    end
  end)

  it("reads numbers to the double that they mean", function()
    for _, text in ipairs {
      "0", "-0.0", "1", "-2.5", "3.4012436866760254", "-11.512925148010254",
      "1e22", "1E-5", "-4e0", "30125E-4", "0.1", "123456789012345678901234567",
      "2.2250738585072014e-308", "1e308", "5e-324", "0e999", "1e-400",
      "0.000000000000000000000000000000000123"
    } do
      assert.equal(tonumber(text) + 0.0, tonumber(read("number", text)), text)
    end
    for _, text in ipairs {"1e309", "-1e999", "x", "\"1\"", ".5", "1.", "1e",
                           ("1"):rep(64)} do
      assert.equal("error: ", read("number", text):sub(1, 7), text)
    end
  end)

  it("reads true and false", function()
    assert.equal("1", read("bool", "true"))
    assert.equal("0", read("bool", " false"))
    assert.equal("error: byte 0: expected true or false", read("bool", "1"))
  end)

  it("goes through objects and arrays", function()
    assert.equal("a|1 plain\n1\nb\"|2\n-2",
                 read("object", '{"a":1, "b\\"" : -2 }'))
    assert.equal("1\n2\n3", read("array", "[1,2 ,3]"))
    assert.equal("error: byte 0: expected '{'", read("object", "[1]"))
    assert.equal("1\nerror: byte 3: expected ',' or ']'",
                 read("array", "[1 2]"))
    assert.equal("error: byte 4: expected ':'", read("object", '{"a"1}'))
  end)
end)
