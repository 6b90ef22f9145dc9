-- UTF-8 as the tokenizers see it, through a model that maps nothing: valid
-- characters pass, every other byte becomes U+FFFD.

local core = require "decant.core"
local json = require "dkjson"
local bytes = require "spec.support.tokenizer_bytes"
local files = require "spec.support.tokenizer_files"

local PIECES = {
  {"<unk>", 0.0, bytes.UNKNOWN}, {"</s>", 0.0, bytes.CONTROL}, {"a", -1.0}
}

-- Lua's own strict decoder, one byte at a time where it refuses.
local function repaired(text)
  local out, i = {}, 1
  while i <= #text do
    local ok, code = pcall(utf8.codepoint, text, i)
    out[#out + 1] = ok and utf8.char(code) or "\u{FFFD}"
    i = i + (ok and #utf8.char(code) or 1)
  end
  return table.concat(out)
end

describe("UTF-8", function()
  local path, tokenizer = os.tmpname(), nil

  setup(function()
    local plain = {pieces = PIECES, normalizer = {
      [3] = false, [4] = false, [5] = false  -- no prefix, all spaces kept
    }}
    tokenizer = assert(core.tokenizer(files.write(path, bytes.spm(plain))))
    os.remove(path)
  end)

  it("passes what is valid and repairs the rest: all pairs of bytes",
     function()
    for first = 0, 255 do
      for second = 0, 255 do
        local text = string.char(first, second)
        local got = tokenizer:normalize(text)
        if got ~= repaired(text) then
          assert.equal(repaired(text), got, text)
        end
      end
    end
  end)

  it("does so for three and four bytes at the edges of the ranges",
     function()
    local edges = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0,
                   0xC2, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF}
    for first = 0xC0, 0xFF do
      for _, second in ipairs(edges) do
        for _, third in ipairs(edges) do
          local three = string.char(first, second, third)
          for _, text in ipairs {three, three .. "\x80", three .. "a"} do
            if tokenizer:normalize(text) ~= repaired(text) then
              assert.equal(repaired(text), tokenizer:normalize(text))
            end
          end
        end
      end
    end
  end)

  it("keeps noncharacters and NUL", function()
    local text = "\0\u{FFFE}\u{FFFF}\u{10FFFF}\u{FDD0}\0"
    assert.equal(text, tokenizer:normalize(text))
  end)
end)

describe("the white space that Marian strips", function()
  -- [c for c in range(0x110000) if chr(c).isspace()], Python 3.11
  local SPACES = {
    0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1C, 0x1D, 0x1E, 0x1F, 0x20, 0x85, 0xA0,
    0x1680, 0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007,
    0x2008, 0x2009, 0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000
  }

  it("is that of Python, and no other character of the BMP", function()
    local vocab, by_code, n = {["</s>"] = 0, ["<unk>"] = 1, x = 2}, {}, 3
    for code = 0, 0xFFFF do
      if code ~= 0x78 and code ~= 0x2581 and
         (code < 0xD800 or code > 0xDFFF) then
        vocab[utf8.char(code)], by_code[code], n = n, n, n + 1
      end
    end
    local directory = files.fill(files.directory(), {
      ["source.spm"] = bytes.spm {pieces = PIECES},
      ["vocab.json"] = json.encode(vocab)
    })
    local tokenizer = assert(core.tokenizer(directory))
    files.remove(directory)
    local stripped = {}
    for code = 0, 0xFFFF do
      local id = by_code[code]
      if id then
        local text, front = tokenizer:decode {2, id}, tokenizer:decode {id, 2}
        assert.equal(text == "x", front == "x")
        if text == "x" then stripped[#stripped + 1] = code end
      end
    end
    assert.same(SPACES, stripped)
  end)
end)
