-- tokenizer_json.lua: small tokenizer.json files as Lua trees, one a kind. Run
-- as a program it prints them, for wants_json.py.

local json = require "dkjson"

local M = {trees = {}}

function M.added(content, id, flags)
  local token = {
    id = id, content = content, single_word = false, lstrip = false,
    rstrip = false, normalized = false, special = false
  }
  for name, value in pairs(flags or {}) do token[name] = value end
  return token
end

local added = M.added

local function list(...)
  return setmetatable({...}, {__jsontype = "array"})
end

local function vocab(pieces)
  local ids = {}
  for i, piece in ipairs(pieces) do ids[piece] = i - 1 end
  return ids
end

function M.trees.byte_level()
  return {
    added_tokens = {added("<s>", 12, {special = true}),
                    added("</s>", 13, {special = true})},
    pre_tokenizer = {type = "ByteLevel", add_prefix_space = false,
                     trim_offsets = true, use_regex = true},
    decoder = {type = "ByteLevel", add_prefix_space = true,
               trim_offsets = true, use_regex = true},
    model = {
      type = "BPE",
      vocab = vocab {"t", "h", "e", "a", "\u{120}", "\u{C3}", "\u{A4}", "th",
                     "at", "hat", "\u{120}t", "\u{C3}\u{A4}"},
      merges = {"a t", "t h", "h at", "\u{120} t", "\u{C3} \u{A4}"}
    }
  }
end

-- Every flag of an added token.
function M.trees.added()
  local tree = M.trees.byte_level()
  tree.model.vocab = vocab {"a", "b", "\u{120}", "<", ">", "aa"}
  tree.model.merges = {"a a"}
  tree.added_tokens = {
    added("<stop>", 6, {special = true}), added("<user>", 7),
    added("<l>", 8, {lstrip = true}), added("<r>", 9, {rstrip = true}),
    added("ab", 10, {single_word = true}), added("<late>", 11,
                                                 {normalized = true}),
    added("<user><user>", 12), added("b<late", 13, {normalized = true})
  }
  return tree
end

-- BPE over characters with byte fallback, as llama's.
function M.trees.llama()
  local pieces = {"<unk>", "<s>", "</s>"}
  for byte = 0, 255 do pieces[#pieces + 1] = ("<0x%02X>"):format(byte) end
  for _, piece in ipairs {"\u{2581}", "a", "b", "\u{2581}a", "ab",
                          "\u{2581}ab"} do
    pieces[#pieces + 1] = piece
  end
  return {
    added_tokens = {added("<unk>", 0, {special = true}),
                    added("<s>", 1, {special = true}),
                    added("</s>", 2, {special = true})},
    normalizer = {type = "Sequence", normalizers = {
      {type = "Prepend", prepend = "\u{2581}"},
      {type = "Replace", pattern = {String = " "}, content = "\u{2581}"}
    }},
    post_processor = {
      type = "TemplateProcessing",
      single = {{SpecialToken = {id = "<s>", type_id = 0}},
                {Sequence = {id = "A", type_id = 0}}},
      pair = list(),
      special_tokens = {["<s>"] = {id = "<s>", ids = {1}, tokens = {"<s>"}}}
    },
    decoder = {type = "Sequence", decoders = {
      {type = "Replace", pattern = {String = "\u{2581}"}, content = " "},
      {type = "ByteFallback"}, {type = "Fuse"},
      {type = "Strip", content = " ", start = 1, stop = 0}
    }},
    model = {
      type = "BPE", vocab = vocab(pieces), unk_token = "<unk>",
      fuse_unk = true, byte_fallback = true,
      merges = {"a b", "\u{2581} a", "\u{2581} ab", "\u{2581}a b"}
    }
  }
end

-- The newer way to write the same prefix: once, at the beginning.
function M.trees.metaspace()
  local tree = M.trees.llama()
  tree.normalizer = nil
  tree.pre_tokenizer = {type = "Metaspace", replacement = "\u{2581}",
                        prepend_scheme = "first", split = false}
  return tree
end

function M.trees.unigram()
  return {
    added_tokens = {added("<unk>", 0, {special = true}),
                    added("</s>", 1, {special = true})},
    normalizer = {type = "Replace", pattern = {Regex = " {2,}"},
                  content = " "},
    pre_tokenizer = {type = "Metaspace", replacement = "\u{2581}",
                     prepend_scheme = "always", split = true},
    post_processor = {
      type = "TemplateProcessing",
      single = {{Sequence = {id = "A", type_id = 0}},
                {SpecialToken = {id = "</s>", type_id = 0}}},
      pair = list(),
      special_tokens = {["</s>"] = {id = "</s>", ids = {1},
                                    tokens = {"</s>"}}}
    },
    decoder = {type = "Metaspace", replacement = "\u{2581}",
               prepend_scheme = "always", split = true},
    model = {
      type = "Unigram", unk_id = 0,
      vocab = {{"<unk>", 0}, {"</s>", 0}, {"\u{2581}", -3.5},
               {"\u{2581}a", -2.25}, {"b", -2.5}, {"ab", -4e0},
               {"ba", -30125E-4}, {"\u{2581}ab", -4.75}}
    }
  }
end

if arg and arg[0]:find "tokenizer_json.lua$" then
  local out = {}
  for name, make in pairs(M.trees) do out[name] = make() end
  print(json.encode(out))
end

return M
