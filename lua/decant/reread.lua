-- decant.reread: a row of which the ids are known goes through the decoder once
-- more, for what nobody noted when they were decided: many positions a pass.
-- The bits are those of the search, as they depend on no chunking, so nothing
-- has to be kept in it.
--
--   reread.open(model, source, prompt, want) -> Reader
--   reader:read(ids, visit)
--       calls visit(i, logits, attention) for i up to #ids, in order:
--       logits     the scores that ids[i] was chosen from, if want.every
--       attention  what was read of the source meanwhile, if want.attention
--       Of another row it begins where that one left the rows read before: at
--       the first id that is another one.
--   reader:close()  also __close

local session = require "decant.session"

-- Positions at once: each may be a row of the vocabulary's size.
local POSITIONS <const> = 32

local attention <const> = {attention = true}

local Reader = {}
Reader.__index = Reader


-- What the first id was chosen from: the prompt is read.
local function begin(self)
  local prompt, want = self.prompt, self.want
  local logits, extra = self.timeline:feed(prompt,
                                           want.attention and attention)
  self.first = {logits, extra and extra.attention[#prompt]}
end


-- How many ids of the last row stay: this one begins with them, and the one
-- behind them is still to be visited.
local function keep(self, ids)
  local known, n = self.known, 0
  while n < #ids and known[n + 1] == ids[n + 1] do n = n + 1 end
  n = math.max(math.min(n, #ids - 1) - 1, 0)
  self.timeline:truncate(#self.prompt + n)
  for i = #known, n + 1, -1 do known[i] = nil end
  return n
end


-- Feeds ids[from .. to], and visits what is behind each of them.
local function feed(self, ids, from, to, visit)
  local fed = table.move(ids, from, to, 1, {})
  local _, extra = self.timeline:feed(fed, self.want)
  table.move(fed, 1, #fed, from, self.known)
  for at = 1, #fed do
    visit(from + at, extra.every and extra.every[at],
          extra.attention and extra.attention[at])
  end
end


function Reader:read(ids, visit)
  if not self.first then begin(self) end
  local kept = keep(self, ids)
  if kept == 0 then visit(1, table.unpack(self.first, 1, 2)) end
  for from = kept + 1, #ids - 1, POSITIONS do
    feed(self, ids, from, math.min(from + POSITIONS, #ids) - 1, visit)
  end
end


function Reader:close()
  self.timeline:close()
end

Reader.__close = Reader.close


local function open(model, source, prompt, want)
  return setmetatable({
    timeline = session.on(model, source), prompt = prompt, want = want,
    known = {},  -- the ids behind the prompt that were fed
  }, Reader)
end

return {open = open}
