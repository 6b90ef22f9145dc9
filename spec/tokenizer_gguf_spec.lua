-- Tokenizers in GGUF files: the vocabularies and token ids of llama.cpp's own
-- tests (../shared/data/vocab), and small files of our own.

local core = require "decant.core"
local files = require "spec.support.tokenizer_files"

local VOCAB = "../shared/data/vocab/ggml-vocab-"

-- The texts of a .inp file and the ids of its .out file, side by side.
local function cases(name)
  local texts, ids = {}, {}
  local whole = files.read(VOCAB .. name .. ".gguf.inp")
  for text in whole:gmatch "(.-)\n__ggml_vocab_test__\n" do
    texts[#texts + 1] = text
  end
  for line in io.lines(VOCAB .. name .. ".gguf.out") do
    local list = {}
    for id in line:gmatch "%d+" do list[#list + 1] = math.tointeger(id) end
    ids[#ids + 1] = list
  end
  assert.equal(#texts, #ids)
  return texts, ids
end

describe("llama.cpp's test vocabulary", function()
  for name, count in pairs {["gpt-2"] = 46, ["llama-spm"] = 46} do
    it(name .. " gives the ids of all its texts, and the texts back",
       function()
      local tokenizer <close> = assert(core.tokenizer(VOCAB .. name ..
                                                      ".gguf"))
      local texts, ids = cases(name)
      assert.equal(count, #texts)
      for i, text in ipairs(texts) do
        assert.same(ids[i], tokenizer:encode(text, {bos = false}), text)
        assert.equal(text, tokenizer:decode(ids[i]))
      end
    end)
  end
end)
