-- spm.lua: a SentencePiece file as a draft.
--
--   spm.file(path, size)          -> draft   tokenizer.model, spiece.model: its
--                                            ids are the model's
--   spm.fairseq(dir, path, size)  -> draft   M2M-100: the ids are those of
--                                            vocab.json, and the languages
--                                            follow behind them
--
-- SentencePiece's user-defined symbols become normal tokens of a unigram model,
-- as llama.cpp has them: their scores, 0, beat all others, and GGUF's
-- user-defined tokens are another thing (added tokens, taken out of a text
-- before it is normalised). In BPE no merges would lead to them; there they are
-- taken out like that.

local core = require "decant.core"
local drafts = require "decant.convert.vocabulary.draft"
local failure = require "decant.convert.fail"
local files = require "decant.convert.files"
local pieces_of = require "decant.convert.vocabulary.pieces"
local fail = failure.fail
local types = drafts.types

local models = {unigram = "t5", bpe = "llama"}

local function read(path)
  local spm, message = core.sentencepiece(files.read(path))
  if not spm then fail("%s: %s", path, message) end
  if not models[spm.type] then
    fail("%s: is a SentencePiece model of type %s, supported are unigram and "
         .. "bpe", path, spm.type)
  end
  if spm.whitespace_suffix or not spm.escape_whitespaces then
    fail("%s: treat_whitespace_as_suffix and escape_whitespaces = false are "
         .. "not supported", path)
  end
  return spm
end

local function kind_of(spm, i)
  local kind, unigram = spm.kinds[i], spm.type == "unigram"
  return kind == types.user and unigram and types.normal or kind
end

local function new_draft(spm, size, path)
  local draft = drafts.new(models[spm.type], size, path)
  draft:set("tokenizer.ggml.add_space_prefix", "bool", spm.add_dummy_prefix)
  draft:set("tokenizer.ggml.remove_extra_whitespaces", "bool",
            spm.remove_extra_whitespaces)
  if spm.byte_fallback and spm.type == "unigram" then
    draft:set_byte_fallback()
  end
  if spm.charsmap ~= "" then
    draft:set("tokenizer.ggml.precompiled_charsmap", "u8[]", spm.charsmap)
  end
  return draft
end

local spms = {}

function spms.file(path, size)
  local spm = read(path)
  local draft = new_draft(spm, size, path)
  for i, text in ipairs(spm.pieces) do
    draft:put(i - 1, text, spm.scores[i], kind_of(spm, i))
  end
  draft.known = {bos = spm.bos, eos = spm.eos, unk = spm.unk, pad = spm.pad}
  return draft
end

-- special_tokens_map.json lists them in the order of their ids.
local function add_languages(dir, draft, first)
  local path = dir .. "/special_tokens_map.json"
  local map = files.kind(path) and files.object(path) or {}
  local list = map.additional_special_tokens
  if files.type(list) ~= "array" then return end
  for i, token in ipairs(list) do
    if files.type(token) == "object" then token = token.content end
    draft:add(first + i - 1, token, true)
  end
end

function spms.fairseq(dir, path, size)
  local spm, vocab_path = read(path), dir .. "/vocab.json"
  local draft, place = new_draft(spm, size, path), {}
  for i, text in ipairs(spm.pieces) do place[text] = i end
  local pieces, _, n = pieces_of(vocab_path, files.object(vocab_path), size)
  for id, text in pairs(pieces) do
    local i = place[text]  -- only <pad> and the like are not in the .model
    draft:put(id, text, i and spm.scores[i],
              i and kind_of(spm, i) or types.control)
  end
  add_languages(dir, draft, n)
  return draft
end

return spms
