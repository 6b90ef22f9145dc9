-- The tokenizers against the libraries: every open golden
-- (../shared/data/tokenizers/golden/README.md says what made them).

local core = require "decant.core"
local files = require "spec.support.tokenizer_files"

-- Runs `check` over the goldens of one kind; it returns what is wrong, or nil.
-- All must be right, and there must be `expected` of them.
local function all_match(lines, kind, expected, check)
  local n, wrong = 0, {}
  for _, line in ipairs(lines) do
    if line.kind == kind then
      n = n + 1
      local what = check(line)
      if what then
        wrong[#wrong + 1] = (line.name or line.from) .. ": " .. what
      end
    end
  end
  assert.equal("", table.concat(wrong, "\n", 1, math.min(#wrong, 5)))
  assert.equal(expected, n)
end

local function show(value)
  return type(value) == "table" and table.concat(value, " ") or value
end

-- The first of the fields that differs.
local function difference(line, got)
  for _, field in ipairs {"norm", "ids", "pieces", "ids_full", "split",
                           "decode", "decode_raw", "decode_skip"} do
    local want, have = line[field], got[field]
    if want and show(want) ~= show(have) then
      return ("%s is [%s], expected [%s]"):format(field, show(have),
                                                  show(want))
    end
  end
end

-- What is wrong with the text of the second half of `ids` as that which goes
-- on behind the first half; nil if nothing is.
local function continued(tokenizer, ids)
  local middle, shown = #ids // 2, {special = true}
  local stream, parts = tokenizer:stream(shown), {}
  for i = 1, middle do parts[i] = stream(ids[i]) end
  local head = table.move(ids, 1, middle, 1, {})
  parts[#parts + 1] = tokenizer:decode(
    table.move(ids, middle + 1, #ids, 1, {}), {special = true, after = head})
  return difference({decode = tokenizer:decode(ids, shown)},
                    {decode = table.concat(parts)})
end

local function describe_spm(name, file, counts)
  describe("of " .. name, function()
    local tokenizer, lines

    setup(function()
      tokenizer = assert(core.tokenizer(files.data .. file))
      lines = files.golden(name)
    end)

    local function encoded(text)
      local ids = tokenizer:encode(text)
      return {
        norm = tokenizer:normalize(text), ids = ids,
        pieces = tokenizer:pieces(text), decode = tokenizer:decode(ids)
      }
    end

    it("gives the norm, ids, pieces and decoded text of each text", function()
      all_match(lines, "text", counts.text, function(line)
        return difference(line, encoded(line.text))
      end)
    end)

    it("goes on behind the beginning of a text", function()
      all_match(lines, "text", counts.text, function(line)
        return continued(tokenizer, line.ids)
      end)
    end)

    it("gives them for bytes that are not UTF-8", function()
      all_match(lines, "bytes", counts.bytes, function(line)
        return difference(line, encoded(files.unhex(line.hex)))
      end)
    end)

    it("gives the piece of each id and what it decodes to alone", function()
      all_match(lines, "ids", counts.ids, function(line)
        for i, piece in ipairs(line.pieces) do
          local id = line.from + i - 1
          if tokenizer:piece(id) ~= piece then
            return ("piece %d is %q"):format(id, tokenizer:piece(id))
          end
          local text = tokenizer:decode({id})
          if text ~= line.decode[i] then
            return ("id %d decodes to %q, expected %q"):format(
              id, text, line.decode[i])
          end
        end
      end)
    end)
  end)
end

local function describe_marian(name, spm, counts)
  describe("of " .. name, function()
    local tokenizer, lines, directory

    setup(function()
      directory = files.fill(files.directory(), {
        ["source.spm"] = files.read(files.data .. spm.source),
        ["target.spm"] = files.read(files.data .. spm.target),
        ["vocab.json"] = files.read(files.data .. spm.vocab)
      })
      tokenizer = assert(core.tokenizer(directory))
      lines = files.golden(name)
    end)

    teardown(function() files.remove(directory) end)

    it("gives the ids, pieces and decoded texts of each text", function()
      all_match(lines, "text", counts.text, function(line)
        local options = {special = true, side = line.side}
        local ids = tokenizer:encode(line.text, options)
        return difference(line, {
          ids = ids, pieces = tokenizer:pieces(line.text, options),
          decode = tokenizer:decode(ids),
          decode_raw = tokenizer:decode(ids, {special = true})
        })
      end)
    end)

    it("gives the piece of each id", function()
      all_match(lines, "ids", counts.ids, function(line)
        for i, piece in ipairs(line.pieces) do
          local id = line.from + i - 1
          if tokenizer:piece(id) ~= piece or tokenizer:id(piece) ~= id then
            return ("piece %d is %q"):format(id, tokenizer:piece(id))
          end
        end
      end)
    end)

    it("goes on behind the beginning of a text", function()
      all_match(lines, "text", counts.text, function(line)
        return continued(tokenizer, line.ids)
      end)
    end)

    it("streams each text as decode gives it, in whole characters", function()
      all_match(lines, "text", counts.text, function(line)
        local stream, parts = tokenizer:stream(), {}
        for _, id in ipairs(line.ids) do
          parts[#parts + 1] = stream(id)
          if not utf8.len(parts[#parts]) then return "part of a character" end
        end
        parts[#parts + 1] = stream()
        return difference({decode = line.decode},
                          {decode = table.concat(parts)})
      end)
    end)
  end)
end

-- Byte-level BPE. The library always parses special tokens, and decodes with
-- and without them; `ids` are without the template, `ids_full` with it.
local function describe_byte_bpe(name, counts)
  describe("of " .. name, function()
    local tokenizer, lines
    local plain = {special = true, bos = false, eos = false}

    setup(function()
      tokenizer = assert(core.tokenizer(files.data .. name ..
                                        ".tokenizer.json"))
      lines = files.golden(name)
    end)

    local function written(words)  -- in the alphabet of bytes
      local out = {}
      for i, word in ipairs(words) do out[i] = files.alphabet(word) end
      return out
    end

    local function compared(line, text)
      local ids = tokenizer:encode(text, plain)
      return difference(line, {
        ids = ids, pieces = tokenizer:pieces(text, plain),
        ids_full = tokenizer:encode(text, {special = true}),
        split = written(tokenizer:split(text)),
        decode = tokenizer:decode(ids, {special = true}),
        decode_skip = tokenizer:decode(ids)
      })
    end

    it("gives the ids, pieces, words and decoded text of each text",
       function()
      all_match(lines, "text", counts.text, function(line)
        return compared(line, line.text)
      end)
    end)

    it("gives them for bytes that are not UTF-8", function()
      all_match(lines, "bytes", counts.bytes, function(line)
        assert.equal(line.lossy, tokenizer:normalize(files.unhex(line.hex)))
        return compared(line, files.unhex(line.hex))
      end)
    end)

    it("gives the piece of each id and what it decodes to alone", function()
      all_match(lines, "ids", counts.ids, function(line)
        for i, piece in ipairs(line.pieces) do
          local id = line.from + i - 1
          local text = tokenizer:decode({id}, {special = true})
          if tokenizer:piece(id) ~= piece or text ~= line.decode[i] then
            return ("id %d: %q, %q"):format(id, tokenizer:piece(id), text)
          end
        end
      end)
    end)

    it("goes on behind the beginning of a text", function()
      all_match(lines, "text", counts.text, function(line)
        return continued(tokenizer, line.ids)
      end)
    end)

    it("streams each text as decode gives it, in whole characters",
       function()
      all_match(lines, "text", counts.text, function(line)
        local stream, parts = tokenizer:stream {special = true}, {}
        for _, id in ipairs(line.ids) do
          parts[#parts + 1] = stream(id)
          if not utf8.len(parts[#parts]) then return "part of a character" end
        end
        parts[#parts + 1] = stream()
        return difference({decode = line.decode},
                          {decode = table.concat(parts)})
      end)
    end)
  end)
end

describe("the open goldens", function()
  describe_spm("hf.spiece", "hf.spiece.model",
               {text = 961, bytes = 19, ids = 59})
  describe_spm("opus-mt-en-mg.source", "opus-mt-en-mg.source.spm",
               {text = 961, bytes = 19, ids = 63})
  describe_spm("de-en", "de-en.model", {text = 961, bytes = 19, ids = 16})
  describe_spm("spm-llama", "spm-llama.model",
               {text = 961, bytes = 19, ids = 4})
  describe_byte_bpe("gpt2", {text = 961, bytes = 19, ids = 99})
  describe_byte_bpe("bbpe-llama3", {text = 961, bytes = 19, ids = 8})
  describe_marian("opus-mt-en-mg.marian", {
    source = "opus-mt-en-mg.source.spm", target = "opus-mt-en-mg.target.spm",
    vocab = "opus-mt-en-mg.vocab.json"
  }, {text = 1922, ids = 107})
  describe_marian("de-en.marian", {
    source = "de-en.model", target = "de-en.model", vocab = "de-en.vocab.json"
  }, {text = 961, ids = 16})
end)
