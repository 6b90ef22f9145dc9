-- vocabulary.lua: the tokenizer files of a directory, as they travel in the
-- GGUF.
--
--   read(dir, vocab_size, wanted) -> list of {key, kind, value}
--
-- Marian keeps three: source.spm and target.spm cut text into pieces, and
-- vocab.json gives the pieces their ids (the order inside the .spm files means
-- nothing). The .spm files are embedded byte for byte; target.spm only if it
-- differs. A directory without tokenizer files gives a model that works on
-- ids: tokenizer.ggml.model = "none", and so does wanted = false.
--
-- Rule for a vocab.json that is smaller than the embedding table (padded for
-- speed): ids from its size on are named <unused:ID>. No text becomes one.

local failure = require "decant.convert.fail"
local files = require "decant.convert.files"
local fail, shown = failure.fail, failure.shown

-- Tokenizers of other kinds, which would be lost without a word.
local FOREIGN = {"tokenizer.json", "merges.txt", "sentencepiece.bpe.model",
                 "spiece.model", "tokenizer.model", "vocab.txt",
                 "target_vocab.json"}

local MAX_PIECE = 1024  -- bytes, as many as the tokenizer takes

local NONE = {{"tokenizer.ggml.model", "string", "none"}}

local function check_entry(path, piece, id, size)
  if type(piece) ~= "string" or not utf8.len(piece) or piece:find "%z" then
    fail("%s: piece %s is no valid UTF-8 text", path, shown(piece))
  end
  if #piece == 0 or #piece > MAX_PIECE then
    fail("%s: piece %s has %d bytes, must have from 1 to %d", path,
         shown(piece), #piece, MAX_PIECE)
  end
  if math.type(id) ~= "integer" or id < 0 or id >= size then
    fail("%s: piece %s has id %s; ids are integers from 0 to %d (vocab_size "
         .. "less one)", path, shown(piece), shown(id), size - 1)
  end
end

-- The pieces by id (from 0), without holes or duplicates.
local function pieces_of(path, size)
  local vocab = files.object(path)
  local pieces, n = {}, 0
  for piece, id in pairs(vocab) do
    check_entry(path, piece, id, size)
    local other = pieces[id]
    if other then
      if piece < other then piece, other = other, piece end
      fail("%s: id %d belongs to %s and to %s", path, id, shown(other),
           shown(piece))
    end
    pieces[id] = piece
    n = n + 1
  end
  for id = 0, n - 1 do
    if not pieces[id] then
      fail("%s: has %d pieces but none with id %d", path, n, id)
    end
  end
  return pieces, vocab, n
end

-- The pieces as the GGUF lists them: tokens[1] has id 0, filled to `size`.
local function token_list(path, pieces, vocab, n, size)
  local tokens = {}
  for id = 0, size - 1 do
    local piece = pieces[id] or ("<unused:%d>"):format(id)
    if id >= n and vocab[piece] then
      fail("%s: piece %s is what an unused id is called here", path,
           shown(piece))
    end
    tokens[id + 1] = piece
  end
  return tokens
end

-- tokenizer_config.json may rename the special pieces, and may say that the
-- two languages have a vocabulary each.
local function tokenizer_config(dir)
  local path = dir .. "/tokenizer_config.json"
  if not files.kind(path) then return {} end
  local config = files.object(path)
  if config.separate_vocabs == true then
    fail("%s: separate_vocabs = true: a vocabulary for each language is not "
         .. "supported", path)
  end
  return config
end

-- The id of a special piece: </s>, <unk>, <pad> or what config calls it.
local function special_id(path, vocab, config, name, default)
  local piece = config[name]
  if files.type(piece) == "object" then piece = piece.content end
  if type(piece) ~= "string" then piece = default end
  local id = vocab[piece]
  if not id then
    fail("%s: has no piece %s (the %s)", path, shown(piece), name)
  end
  return id
end

local function marian(dir, size)
  local path = dir .. "/vocab.json"
  local config = tokenizer_config(dir)
  local pieces, vocab, n = pieces_of(path, size)
  local source = files.read(dir .. "/source.spm")
  local target = files.read(dir .. "/target.spm")
  local function special(name, default)
    return special_id(path, vocab, config, name, default)
  end
  local keys = {
    {"tokenizer.ggml.model", "string", "marian"},
    {"tokenizer.ggml.tokens", "string[]",
     token_list(path, pieces, vocab, n, size)},
    {"tokenizer.ggml.eos_token_id", "u32", special("eos_token", "</s>")},
    {"tokenizer.ggml.unknown_token_id", "u32", special("unk_token", "<unk>")},
    {"tokenizer.ggml.padding_token_id", "u32", special("pad_token", "<pad>")},
    {"decant.tokenizer.source_spm", "u8[]", source},
  }
  if target ~= source then
    keys[#keys + 1] = {"decant.tokenizer.target_spm", "u8[]", target}
  end
  return keys
end

-- "marian", nil (no tokenizer), or a failure that names what is half there or
-- of a kind that is not known yet.
local function kind_of(dir)
  local has = function(name) return files.kind(dir .. "/" .. name) end
  local spm = has "source.spm" or has "target.spm"
  if spm then
    for _, name in ipairs {"source.spm", "target.spm", "vocab.json"} do
      if not has(name) then
        fail("%s: %s is missing (Marian's tokenizer is source.spm, target.spm "
             .. "and vocab.json)", dir, name)
      end
    end
    return "marian"
  end
  for _, name in ipairs(FOREIGN) do
    if has(name) then
      fail("%s: the tokenizer in %s is of a kind that convert does not know; "
           .. "tokenizer = false makes a model that works on ids", dir, name)
    end
  end
  if has "vocab.json" then
    fail("%s: vocab.json is there but source.spm is missing; "
         .. "tokenizer = false makes a model that works on ids", dir)
  end
end

local function read(dir, size, wanted)
  if wanted == false or kind_of(dir) == nil then return NONE end
  return marian(dir, size)
end

return read
