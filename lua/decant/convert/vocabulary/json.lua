-- json.lua: a tokenizer.json (the Python package tokenizers) as a draft. Three
-- kinds of it:
--
--   BPE over bytes               tokenizer.ggml.model "gpt2": tokens, merges
--   BPE over characters, with U+2581 for spaces (Llama 2, Gemma, NLLB)
--                                "llama": a token's score is its place in the
--                                list of merges, which gives SentencePiece's
--                                order
--   Unigram                      "t5": scores and a table of characters
--
--   json_draft(path, json, size) -> draft

local drafts = require "decant.convert.vocabulary.draft"
local failure = require "decant.convert.fail"
local files = require "decant.convert.files"
local pieces_of = require "decant.convert.vocabulary.pieces"
local pretokenizer = require "decant.convert.vocabulary.pretokenizer"
local fail, shown = failure.fail, failure.shown
local types = drafts.types

-- All steps of a normalizer or pre-tokenizer that are of a type.
local function steps_of(part, type, found)
  found = found or {}
  if files.type(part) ~= "object" then return found end
  for _, inner in ipairs(part.normalizers or part.pretokenizers or {}) do
    steps_of(inner, type, found)
  end
  if part.type == type then found[#found + 1] = part end
  return found
end

-- {"a b", ...}: older files write a merge as one text, newer ones as a pair.
local function merge_list(path, merges)
  if files.type(merges) ~= "array" then
    fail("%s: model.merges is %s, must be a list", path, files.type(merges))
  end
  local list = {}
  for i, merge in ipairs(merges) do
    if files.type(merge) == "array" and #merge == 2
       and type(merge[1]) == "string" and type(merge[2]) == "string" then
      merge = merge[1] .. " " .. merge[2]
    end
    if type(merge) ~= "string" or not merge:find "^[^ ]+ [^ ]+$" then
      fail("%s: merge %d is %s, must be two texts", path, i, shown(merge))
    end
    list[i] = merge
  end
  return list
end

-- Both halves of a merge, and what it makes, are tokens.
local function check_merges(draft, path, merges)
  for i, merge in ipairs(merges) do
    local left, right = merge:match "^(.-) (.*)$"
    for _, text in ipairs {left, right, left .. right} do
      if not draft:id_of(text) then
        fail("%s: merge %d (%s) refers to %s, which is no token", path, i,
             shown(merge), shown(text))
      end
    end
  end
end

local function byte_bpe(path, json, size)
  local draft = drafts.new("gpt2", size, path)
  draft.pre = pretokenizer(path, json)
  for id, text in pairs(pieces_of(path, json.model.vocab, size, true)) do
    draft:put(id, text)
  end
  draft.merges = merge_list(path, json.model.merges)
  check_merges(draft, path, draft.merges)
  if #steps_of(json.normalizer, "NFC") > 0 then
    draft:set("decant.tokenizer.nfc", "bool", true)
  end
  for _, step in ipairs(steps_of(json.pre_tokenizer, "ByteLevel")) do
    if step.add_prefix_space == true then
      draft:set("tokenizer.ggml.add_space_prefix", "bool", true)
    end
  end
  return draft
end

-- Whether a space is put in front of a text.
local function has_prefix(json)
  for _, part in ipairs {json.normalizer, json.pre_tokenizer} do
    if #steps_of(part, "Prepend") > 0 then return true end
    local step = steps_of(part, "Metaspace")[1]
    if step then
      return step.add_prefix_space ~= false and step.prepend_scheme ~= "never"
    end
  end
  return false
end

-- Whether runs of spaces become one.
local function squeezes(json)
  for _, step in ipairs(steps_of(json.normalizer, "Replace")) do
    local pattern = files.type(step.pattern) == "object" and step.pattern.Regex
    if pattern == " {2,}" then return true end
  end
  return #steps_of(json.pre_tokenizer, "WhitespaceSplit") > 0
end

local ALPHABET <const> = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         .. "abcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(path, text)
  local values = {}
  for i = 1, #ALPHABET do values[ALPHABET:byte(i)] = i - 1 end
  local out, bits, n = {}, 0, 0
  for i = 1, #text:gsub("=+$", "") do
    local value = values[text:byte(i)]
    if not value then
      fail("%s: precompiled_charsmap is no base64 (byte %d)", path, i)
    end
    bits, n = (bits << 6 | value) & 0xffffff, n + 6
    if n >= 8 then
      n = n - 8
      out[#out + 1] = string.char(bits >> n & 0xff)
    end
  end
  return table.concat(out)
end

local function set_normalizer(draft, path, json)
  draft:set("tokenizer.ggml.add_space_prefix", "bool", has_prefix(json))
  draft:set("tokenizer.ggml.remove_extra_whitespaces", "bool", squeezes(json))
  local table_ = steps_of(json.normalizer, "Precompiled")[1]
  if table_ and type(table_.precompiled_charsmap) == "string" then
    draft:set("tokenizer.ggml.precompiled_charsmap", "u8[]",
              base64(path, table_.precompiled_charsmap))
  end
end

local function type_of(text, is_unknown, byte_fallback)
  if is_unknown then return types.unknown end
  if byte_fallback and text:find "^<0x%x%x>$" then return types.byte end
  return types.normal
end

local function character_bpe(path, json, size)
  local draft, model = drafts.new("llama", size, path), json.model
  local ranks, merges = {}, merge_list(path, model.merges)
  for i, merge in ipairs(merges) do
    local text = merge:gsub(" ", "", 1)
    ranks[text] = ranks[text] or -i
  end
  for id, text in pairs(pieces_of(path, model.vocab, size, true)) do
    draft:put(id, text, ranks[text],
              type_of(text, text == model.unk_token, model.byte_fallback))
  end
  check_merges(draft, path, merges)
  set_normalizer(draft, path, json)
  return draft
end

local function unigram(path, json, size)
  local draft, model = drafts.new("t5", size, path), json.model
  if files.type(model.vocab) ~= "array" then
    fail("%s: model.vocab is %s, must be a list", path, files.type(model.vocab))
  end
  for i, row in ipairs(model.vocab) do
    if files.type(row) ~= "array" or type(row[2]) ~= "number" then
      fail("%s: entry %d of model.vocab must be a text and a score", path, i)
    end
    draft:put(i - 1, row[1], row[2],
              type_of(row[1], model.unk_id == i - 1, model.byte_fallback))
  end
  if model.byte_fallback == true then draft:set_byte_fallback() end
  set_normalizer(draft, path, json)
  return draft
end

return function(path, json, size)
  local model = json.model
  if files.type(model) ~= "object" then
    fail("%s: model is %s, must be an object", path, files.type(model))
  end
  if model.type == "Unigram" or files.type(model.vocab) == "array" then
    return unigram(path, json, size)
  end
  if (model.type ~= nil and model.type ~= "BPE")
     or files.type(model.vocab) ~= "object" then
    fail("%s: model.type = %s is not supported, only BPE and Unigram", path,
         shown(model.type))
  end
  local over_bytes = #steps_of(json.pre_tokenizer, "ByteLevel") > 0
  return (over_bytes and byte_bpe or character_bpe)(path, json, size)
end
