-- decant.unknowns: what stands in the text for an unknown token of a row, with
-- replace_unknowns (as in CTranslate2): the token of the source that was read
-- most when it was chosen.
--
--   unknowns.new(call, item)   -> Unknowns, or nil where nobody asks for it
--   unknowns:at(ids, i)        -> what stands for ids[i]: itself, an id of the
--                                 source or, where that is unknown to the
--                                 model too, {text}
--   unknowns:all(ids, from)    -> the list of ids[from] to the last, each so
--   unknowns:close()           also __close
--
-- ids are the new tokens of any row of this input: of each beam its own. What
-- was read for one depends on the tokens in front of it alone. So no strategy
-- has to keep anything: where an unknown token turns up, and only there, what
-- stands in front is read once more (reread.lua), and the answer is remembered
-- under it: in a tree of the rows, for a beam shares its beginning with others.
--
-- What a reader would get wrong: several runs on one input (best_of) ask in
-- turns, each while the other waits for its scores. So who comes while the
-- reader is busy gets one of his own.

local reread = require "decant.reread"

local Unknowns = {}
Unknowns.__index = Unknowns

local attention <const> = {attention = true}


-- The node behind ids[1 .. n]: of the ids that follow there, the nodes; and
-- `shown`, what stands there for an unknown one, once that is found.
local function node_behind(self, ids, n)
  local node = self.tree
  for i = 1, n do
    local id = ids[i]
    node[id] = node[id] or {}
    node = node[id]
  end
  return node
end


-- Whether there is nothing to show of a source's id: a special token, or the
-- language that Marian's models are told in front of a text.
local function is_mark(tokenizer, id)
  return tokenizer:decode{id} ~= tokenizer:decode({id}, {special = true})
         or tokenizer:piece(id):find "^>>.+<<$"
end


-- For each source position that is read what it may give; false: nothing.
local function pieces_of(item, tokenizer)
  local unk, mask, list = tokenizer.unk, item.mask, {}
  local surfaces = item.text and tokenizer:surfaces(item.text)
  for i, id in ipairs(item.ids) do
    if not mask or mask[i] == 1 then
      local piece = id
      if id == unk then
        piece = surfaces and {surfaces[i]} or id
      elseif is_mark(tokenizer, id) then
        piece = false
      end
      list[#list + 1] = piece
    end
  end
  return list
end


-- The piece with the greatest weight, of equal ones the first.
local function most_read(weights, pieces)
  local best, most = nil, 0
  for i, weight in ipairs(weights) do
    if pieces[i] and weight > most then best, most = pieces[i], weight end
  end
  return best
end


local function open(self)
  return reread.open(self.model, self.item.source, self.item.prompt, attention)
end


-- Finds what stands for the unknown tokens among ids[1 .. n].
local function look(self, ids, n)
  local item, unk = self.item, self.unk
  item.pieces = item.pieces or pieces_of(item, self.model.tokenizer)
  local own <close> = self.busy and open(self) or nil
  if not own then
    self.busy, self.reader = true, self.reader or open(self)
  end
  local reader = own or self.reader
  reader:read(table.move(ids, 1, n, 1, {}), function(i, _, read)
    if ids[i] == unk then
      node_behind(self, ids, i - 1).shown =
        most_read(read:totable(), item.pieces) or unk
    end
  end)
  if not own then self.busy = false end
end


-- What the model wrote stays where it was closed meanwhile.
function Unknowns:at(ids, i)
  if ids[i] ~= self.unk then return ids[i] end
  local node = node_behind(self, ids, i - 1)
  if not node.shown and self.model.core then look(self, ids, i) end
  return node.shown or self.unk
end


-- What is read for the last one has all in front of it, so one walk finds them.
function Unknowns:all(ids, from)
  local unk, last = self.unk, #ids
  local list = table.move(ids, from, last, 1, {})
  while last >= from and ids[last] ~= unk do last = last - 1 end
  if last < from then return list end
  self:at(ids, last)
  local node = node_behind(self, ids, from - 1)
  for i = from, last do
    if ids[i] == unk then list[i - from + 1] = node.shown or unk end
    node = node[ids[i]]
  end
  return list
end


-- It may be asked again, and is then to be closed again.
function Unknowns:close()
  local reader = self.reader
  self.reader, self.busy = nil, false
  if reader then reader:close() end
end

Unknowns.__close = Unknowns.close


local function new(call, item)
  local tokenizer = call.model.tokenizer
  local unk = tokenizer and tokenizer.unk
  if not call.config.replace_unknowns or not unk or not item.ids then
    return nil
  end
  return setmetatable({model = call.model, item = item, unk = unk, tree = {}},
                      Unknowns)
end

return {new = new}
