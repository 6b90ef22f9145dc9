-- Tokenizer files that somebody broke: nil and a message, or a tokenizer that
-- works; never a crash (make asan runs this too).

local core = require "decant.core"
local json = require "dkjson"
local bytes = require "spec.support.tokenizer_bytes"
local files = require "spec.support.tokenizer_files"

local TEXTS = {
  "", "ab ba", "\1\1a\1b", "\0\xFF\xC3", "@@ <s></s>\u{2581}\u{20AC}b b"
}

-- All kinds of pieces, and a character table.
local function model()
  return {
    pieces = {
      {"<unk>", 0.0, bytes.UNKNOWN}, {"</s>", 0.0, bytes.CONTROL},
      {"\u{2581}", -3.0}, {"\u{2581}a", -2.0}, {"b", -2.5}, {"ba", -2.25},
      {"@@", 0.0, bytes.USER}, {"\u{20AC}", -9.0, bytes.UNUSED},
      {"<0x41>", 0.0, bytes.BYTE}
    },
    trainer = {[3] = 1, [44] = " ? "},
    normalizer = {[2] = bytes.charsmap "ab", [3] = true, [4] = true}
  }
end

local path = os.tmpname()
teardown(function() os.remove(path) end)

-- Everything that a tokenizer does; the results do not matter here.
local function exercise(tokenizer)
  local all = {}
  for id = 0, #tokenizer - 1 do
    all[#all + 1] = id
    if tokenizer:id(tokenizer:piece(id)) ~= id then error "another id" end
  end
  for _, text in ipairs(TEXTS) do
    tokenizer:normalize(text)
    tokenizer:pieces(text)
    tokenizer:decode(tokenizer:encode(text))
    tokenizer:encode(text, {special = true})
  end
  tokenizer:decode(all)
  tokenizer:decode(all, {special = true})
end

local function opens(content)
  return files.opens(path, content, exercise)
end

local function fails(content, expected)
  local ok, message = opens(content)
  assert.is_false(ok)
  assert.truthy(message:find(expected, 1, true), message)
end

describe("a broken SentencePiece file", function()
  it("is whole before it is broken", function()
    assert.is_true(opens(bytes.spm(model())))
    local tokenizer = core.tokenizer(path)
    assert.same({3, 4, 4, 0, 3, 4}, tokenizer:encode "\1b\2 \1")
    assert.same({3, 6, 5}, tokenizer:encode "a@@ba")
    assert.equal(" ?  ? ", tokenizer:decode {0, 1, 0})
    assert.equal("A\u{20AC}", tokenizer:decode {8, 7})
  end)

  it("may be cut off at any byte", function()
    local whole = bytes.spm(model())
    for size = 0, #whole - 1 do opens(whole:sub(1, size)) end
  end)

  it("may have any bit flipped", function()
    local whole = bytes.spm(model())
    local opened = 0
    for at = 1, #whole do
      for bit = 0, 7 do
        local byte = string.char(whole:byte(at) ~ 1 << bit)
        if opens(whole:sub(1, at - 1) .. byte .. whole:sub(at + 1)) then
          opened = opened + 1
        end
      end
    end
    assert.is_true(opened > 100)  -- a letter of a piece is only a letter
  end)

  it("may have any byte set to 0, 127, 128 or 255", function()
    local whole = bytes.spm(model())
    for at = 1, #whole do
      for _, byte in ipairs {"\0", "\x7F", "\x80", "\xFF"} do
        opens(whole:sub(1, at - 1) .. byte .. whole:sub(at + 1))
      end
    end
  end)

  local function with(change)
    local m = model()
    change(m)
    return bytes.spm(m)
  end

  local function piece(...)
    local new = {...}
    return with(function(m) m.pieces[#m.pieces + 1] = new end)
  end

  it("fails with the piece and the rule", function()
    fails("", "has no pieces")
    fails(piece("", -1.0), "piece 9 is empty")
    fails(piece("b", -1.0), "pieces 4 and 9 are both \"b\"")
    fails(piece("c", 0 / 0), "piece 9 (\"c\") has a score that is no finite")
    fails(piece("c", 1 / 0), "piece 9 (\"c\")")
    fails(piece("c", -1.0, 7), "piece 9: type is none of 1 to 6")
    fails(piece("c", -1.0, 0), "piece 9: type is none of 1 to 6")
    fails(piece("c", 5), "piece 9: score has wire type 0, must be 5")
    fails(piece(5), "piece 9: piece has wire type 0, must be 2")
    fails(piece(("c"):rep(1025), -1.0), "piece 9 has 1025 bytes")
    fails(piece("<0xGG>", 0.0, bytes.BYTE), "1 byte pieces are not of")
    fails(piece("d", 0.0, bytes.UNKNOWN), "pieces 0 and 9 are both of the")
    fails(with(function(m) m.pieces[1][3] = nil end),
          "no piece is of the unknown type")
    fails(with(function(m) m.trainer[35] = true end),
          "no byte piece <0x00>")
    fails(with(function(m) m.trainer[3] = 3 end), "model_type 3")
    fails(with(function(m) m.trainer[3] = 77 end), "model_type 77")
  end)

  it("fails with the byte where the structure breaks", function()
    fails("\x0A\x05ab", "a field is longer than what is left at byte 2")
    fails("\x0A", "a number is cut off at byte 1")
    fails("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", "longer than what")
    fails(("\xFF"):rep(11), "a number is longer than ten bytes")
    fails("\x00\x00", "field number 0")
    fails("\x0B\x00", "unknown wire type")
    fails("\x0D\x00\x00", "a fixed number is cut off")
    fails("\x08\x01", "pieces has wire type 0, must be 2")
  end)

  local function table_of(blob)
    return with(function(m) m.normalizer[2] = blob end)
  end

  it("fails when its character table does not hold", function()
    local good = bytes.charsmap "ab"
    assert.is_true(opens(table_of ""))
    assert.is_true(opens(table_of(good)))
    fails(table_of "\1\0", "precompiled_charsmap: 2 bytes")
    fails(table_of(("<I4"):pack(0)), "a trie of 0 bytes")
    fails(table_of(("<I4"):pack(4)), "a trie of 4 bytes")
    fails(table_of(("<I4"):pack(0xFFFFFFFC) .. good), "4294967292 bytes")
    fails(table_of(("<I4"):pack(3) .. "abc"), "a multiple of 4")
    fails(table_of(good:sub(1, -2)), "no replacement")  -- its end is missing
    fails(table_of(bytes.charsmap(("x"):rep(256))), "at most 255 bytes")
    assert.is_true(opens(table_of(bytes.charsmap(("x"):rep(255)))))
  end)

  it("may hold any trie: every bit of one flipped", function()
    local good = bytes.charsmap "ab"
    for at = 1, #good do
      for bit = 0, 7 do
        local byte = string.char(good:byte(at) ~ 1 << bit)
        opens(table_of(good:sub(1, at - 1) .. byte .. good:sub(at + 1)))
      end
    end
  end)

  it("may hold a trie that runs in circles", function()
    -- unit 1 is reached by \1 and is its own child by \0 and so on: no key
    -- ever ends, and the walk stays bounded
    local circle = ("<I4I4I4"):pack(8, 0 << 10, 1) .. "\0"
    assert.is_true(opens(table_of(circle)))
    local tokenizer = core.tokenizer(path)
    tokenizer:encode(("\1"):rep(2^18))
  end)

  it("keeps pieces of arbitrary bytes", function()
    assert.is_true(opens(piece("\xFF\0\x80", -1.0)))
    assert.is_true(opens(piece("\0", -1.0)))
    local tokenizer = core.tokenizer(path)
    assert.equal("\0", tokenizer:piece(9))
    assert.same({2, 9, 9}, tokenizer:encode "\0\0")
    assert.equal("\0\0", tokenizer:decode {9, 9})
  end)

  it("streams whole characters though the pieces hold halves", function()
    local halves = with(function(m)
      m.pieces[#m.pieces + 1] = {"\xE2\x82", -1.0}
      m.pieces[#m.pieces + 1] = {"\xAC", -1.0}
    end)
    assert.is_true(opens(halves))
    local tokenizer = core.tokenizer(path)
    local stream = tokenizer:stream()
    assert.same({"", "\u{20AC}", "", "\xE2\x82"},
                {stream(9), stream(10), stream(9), stream()})
    assert.equal("\u{20AC}\xE2\x82", tokenizer:decode {9, 10, 9})
  end)

  it("leaves no memory behind", function()
    collectgarbage()
    local before = core.memory()
    local whole = bytes.spm(model())
    for size = 0, #whole do
      core.tokenizer(files.write(path, whole:sub(1, size)))
    end
    collectgarbage()
    assert.equal(before, core.memory())
  end)
end)

describe("a broken Marian directory", function()
  local directory

  setup(function()
    directory = files.fill(files.directory(),
                           {["source.spm"] = bytes.spm(model())})
  end)

  teardown(function() files.remove(directory) end)

  it("may have its vocab.json cut off anywhere, or any bit flipped",
     function()
    local vocab = json.encode({
      ["</s>"] = 0, ["<unk>"] = 1, ["<pad>"] = 2, ["\u{2581}a"] = 3, b = 4,
      ["<0x41>"] = 5, [">>x<<"] = 6
    })
    local function try(text)
      files.write(directory .. "/vocab.json", text)
      local tokenizer, message = core.tokenizer(directory)
      if tokenizer then return exercise(tokenizer) end
      if not message:find(directory, 1, true) then error(message) end
    end
    try(vocab)
    for at = 1, #vocab do
      try(vocab:sub(1, at - 1))
      for bit = 0, 7 do
        local byte = string.char(vocab:byte(at) ~ 1 << bit)
        try(vocab:sub(1, at - 1) .. byte .. vocab:sub(at + 1))
      end
    end
  end)
end)
