-- decant.reread: a row of which the ids are known goes through the decoder once
-- more, for what nobody noted when they were decided: many positions a pass.
-- The bits are those of the search, as they depend on no chunking, so nothing
-- has to be kept in it.
--
--   reread.open(model, source, prompt, want) -> Reader
--   reader:read(ids, visit)
--       calls visit(i, logits, attention) for i = 1 .. #ids:
--       logits     the scores that ids[i] was chosen from, if want.every
--       attention  what was read of the source meanwhile, if want.attention
--       Of a further row it leaves out what it has in common with the last one.
--   reader:close()  also __close

local session = require "decant.session"

-- Positions at once: each may be a row of the vocabulary's size.
local POSITIONS <const> = 32

local attention <const> = {attention = true}

local Reader = {}
Reader.__index = Reader


-- How many ids of the last row stay fed: all that this one has too but the last
-- of them, as what is chosen behind it is another token now.
local function keep(self, ids)
  local known, n = self.known, 0
  while n < #ids and known[n + 1] == ids[n + 1] do n = n + 1 end
  n = math.max(n - 1, 0)
  for i = #known, n + 1, -1 do known[i] = nil end
  return n
end


-- Feeds the prompt, and visits what is behind it.
local function begin(self, visit)
  local prompt, want = self.prompt, self.want.attention and attention
  local logits, extra = self.timeline:reset():feed(prompt, want)
  visit(1, logits, extra and extra.attention[#prompt])
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
  local kept = keep(self, ids)
  if kept == 0 then
    begin(self, visit)
  else
    self.timeline:truncate(#self.prompt + kept)
  end
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
