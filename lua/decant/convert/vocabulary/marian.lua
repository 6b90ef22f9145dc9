-- marian.lua: the tokenizer of OPUS-MT, three files: source.spm and target.spm
-- cut text into pieces, and vocab.json gives the pieces their ids (the order
-- inside the .spm files means nothing). The .spm files are embedded byte for
-- byte; target.spm only if it differs.
--
--   marian(dir, size) -> list of {key, kind, value}
--
-- Rule for a vocab.json that is smaller than the embedding table (padded for
-- speed): ids from its size on are named <unused:ID>. No text becomes one.

local failure = require "decant.convert.fail"
local files = require "decant.convert.files"
local pieces_of = require "decant.convert.vocabulary.pieces"
local fail, shown = failure.fail, failure.shown

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

return function(dir, size)
  for _, name in ipairs {"source.spm", "target.spm", "vocab.json"} do
    if not files.kind(dir .. "/" .. name) then
      fail("%s: %s is missing (Marian's tokenizer is source.spm, target.spm "
           .. "and vocab.json)", dir, name)
    end
  end
  local path = dir .. "/vocab.json"
  local config = tokenizer_config(dir)
  local pieces, vocab, n = pieces_of(path, files.object(path), size)
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
