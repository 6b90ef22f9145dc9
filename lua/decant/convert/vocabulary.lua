-- vocabulary.lua: the tokenizer files of a directory, as they travel in the
-- GGUF: the keys of llama.cpp, where it has the kind.
--
--   read(dir, config, size, wanted) -> list of {key, kind, value}, notes
--
-- Which files there are decides:
--
--   source.spm, target.spm, vocab.json     Marian (vocabulary/marian.lua)
--   tokenizer.model or spiece.model        SentencePiece (vocabulary/spm.lua)
--   tokenizer.json                         (vocabulary/json.lua)
--   sentencepiece.bpe.model, vocab.json    M2M-100 (vocabulary/spm.lua)
--   none of them, or wanted = false        "none": the model works on ids
--
-- Where both of the second and the third are there, the SentencePiece file says
-- what the model is and tokenizer.json which tokens were added.

local failure = require "decant.convert.fail"
local files = require "decant.convert.files"
local from_json = require "decant.convert.vocabulary.json"
local from_spm = require "decant.convert.vocabulary.spm"
local marian = require "decant.convert.vocabulary.marian"
local set_special = require "decant.convert.vocabulary.special"
local fail = failure.fail

-- Files of a tokenizer that do not say all of it, and would be lost without a
-- word.
local FOREIGN = {"merges.txt", "vocab.json", "sentencepiece.bpe.model",
                 "vocab.txt", "target_vocab.json"}

local NONE = {{"tokenizer.ggml.model", "string", "none"}}

local function check_foreign(dir)
  for _, name in ipairs(FOREIGN) do
    if files.kind(dir .. "/" .. name) then
      fail("%s: the tokenizer in %s is of a kind that convert does not know; "
           .. "save it as tokenizer.json, or take tokenizer = false for a "
           .. "model that works on ids", dir, name)
    end
  end
end

local function read(dir, config, size, wanted)
  if wanted == false then return NONE, {} end
  local function there(name)
    local path = dir .. "/" .. name
    return files.kind(path) and path
  end
  if there "source.spm" or there "target.spm" then
    return marian(dir, size), {}
  end
  local spm = there "tokenizer.model" or there "spiece.model"
  local fairseq = there "sentencepiece.bpe.model"
  local path = there "tokenizer.json"
  local json = path and files.object(path)
  local draft
  if spm then
    draft = from_spm.file(spm, size)
  elseif path then
    draft = from_json(path, json, size)
  elseif fairseq and there "vocab.json" then
    draft = from_spm.fairseq(dir, fairseq, size)
  else
    check_foreign(dir)
    return NONE, {}
  end
  set_special(dir, draft, json, config)
  return draft:keys()
end

return read
