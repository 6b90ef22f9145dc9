-- draft.lua: a vocabulary in the making, from whatever files a directory has,
-- and the keys that it becomes. Names and numbers are llama.cpp's.
--
--   local draft = new_draft(model, size, path)
--     draft:put(id, text, score, type)   a token of the model
--     draft:add(id, text, special)       an added token (tokenizer.json & co.)
--     draft:id_of(text)                  or nil
--     draft:set(key, kind, value)        another key, as it is
--     draft:keys()                       -> list of {key, kind, value}, notes

local failure = require "decant.convert.fail"
local fail, shown = failure.fail, failure.shown

local MAX_PIECE <const> = 1024  -- bytes, as many as the tokenizer takes

-- The score of what no merge makes: below all others.
local LOWEST <const> = -1e9

local types = {normal = 1, unknown = 2, control = 3, user = 4, unused = 5,
               byte = 6}

local Draft = {types = types}
Draft.__index = Draft

function Draft:check(id, text)
  if type(text) ~= "string" or text == "" or #text > MAX_PIECE
     or text:find "%z" then
    fail("%s: token %s has the text %s, must have from 1 to %d bytes and no "
         .. "NUL", self.path, shown(id), shown(text), MAX_PIECE)
  end
  if math.type(id) ~= "integer" or id < 0 then
    fail("%s: token %s has id %s, must be an integer from 0", self.path,
         shown(text), shown(id))
  end
end

function Draft:put(id, text, score, type)
  self:check(id, text)
  if id >= self.size then
    fail("%s: token %s has id %d; ids are below vocab_size = %d", self.path,
         shown(text), id, self.size)
  end
  local other = self.ids[text]
  if other and other ~= id then
    fail("%s: token %s has the ids %d and %d", self.path, shown(text), other,
         id)
  end
  local old = self.tokens[id + 1]
  if old then self.ids[old] = nil end
  self.ids[text] = id
  self.tokens[id + 1] = text
  self.scores[id + 1] = score or LOWEST
  self.token_types[id + 1] = type or types.normal
  self.last = math.max(self.last, id)
end

-- What the model knows as unknown, control or byte stays that. Some old
-- checkpoints list tokens that their embeddings lack: those are left out.
function Draft:add(id, text, special)
  self:check(id, text)
  if id >= self.size then
    self.left_out[#self.left_out + 1] = text
    return
  end
  local old = self.token_types[id + 1]
  if old and old ~= types.normal and self.tokens[id + 1] == text then return end
  self:put(id, text, self.scores[id + 1],
           special and types.control or types.user)
end

function Draft:id_of(text)
  return self.ids[text]
end

function Draft:set(key, kind, value)
  self.more[#self.more + 1] = {key, kind, value}
end

-- llama.cpp's unigram has none, whatever pieces there are.
function Draft:set_byte_fallback()
  self:set("decant.tokenizer.byte_fallback", "bool", true)
end

-- Embedding tables are padded for speed: ids without a token get a name that
-- no text becomes.
function Draft:fill()
  for id = 0, self.size - 1 do
    if not self.tokens[id + 1] then
      local name = ("[PAD%d]"):format(id)
      if self.ids[name] then
        fail("%s: token %s is what an unused id is called here", self.path,
             shown(name))
      end
      self:put(id, name, LOWEST, types.unused)
    end
  end
end

-- SentencePiece's kinds have one token for what they do not know.
function Draft:check_unknown()
  local count = 0
  for _, type in pairs(self.token_types) do
    if type == types.unknown then count = count + 1 end
  end
  if count ~= 1 then
    fail("%s: has %d tokens for what is unknown, must have one", self.path,
         count)
  end
end

function Draft:notes()
  local n = #self.left_out
  if n == 0 then return {} end
  return {("%s: token %s%s has an id above vocab_size and is left out")
          :format(self.path, shown(self.left_out[1]),
                  n > 1 and (" (and %d more)"):format(n - 1) or "")}
end

function Draft:keys()
  if not self.merges then self:check_unknown() end
  self:fill()
  local keys = {{"tokenizer.ggml.model", "string", self.model}}
  local function key(name, kind, value)
    keys[#keys + 1] = {"tokenizer.ggml." .. name, kind, value}
  end
  key("pre", "string", self.pre or "default")
  key("tokens", "string[]", self.tokens)
  if not self.merges then key("scores", "f32[]", self.scores) end
  key("token_type", "i32[]", self.token_types)
  if self.merges then key("merges", "string[]", self.merges) end
  table.move(self.more, 1, #self.more, #keys + 1, keys)
  return keys, self:notes()
end

local function new_draft(model, size, path)
  return setmetatable({
    model = model, size = size, path = path, tokens = {}, scores = {},
    token_types = {}, ids = {}, more = {}, left_out = {}, last = -1,
  }, Draft)
end

return {new = new_draft, types = types}
