-- decant.session: timelines with their KV cache (DESIGN, section 2.5).
--
--   session:feed(id | ids)   -> Logits       one timeline: append, then score
--                                            the next position
--   session:forward(rows)    -> {Logits,...} rows[i]: ids to append to
--                                            timeline i; {} leaves it alone
--                                            and answers false
--   session:reorder(parents) timeline i goes on from timeline parents[i];
--                            they may multiply or vanish; copies no cache
--   session:truncate(n)      keep the first n positions of every timeline
--   session:fork()           -> a session that goes on from here
--   session:length([row])    positions so far     #session   timelines
--   session:reset()  session:close()  also __close
--
-- What a reader would get wrong: inside a list of inputs `feed` and `forward`
-- do not compute; they hand their rows to the scheduler (scheduler.lua), which
-- answers when the rows of all inputs went through the model together.

local scheduler = require "decant.scheduler"

local Session = {}
Session.__index = Session


local function fail(message, ...)
  error(message:format(...), 3)
end


local function cache_of(self, method)
  if not self.cache then
    error(("session:%s: the session is closed"):format(method), 3)
  end
  return self.cache
end


-- Raises, at the caller's caller, when `ids` is not a list of token ids that
-- timeline `row` has room for.
local function check_ids(self, method, row, ids)
  local vocab, context = self.limits.vocab, self.limits.context
  if type(ids) ~= "table" then
    error(("session:%s: row %d is a %s, a list of token ids is wanted")
          :format(method, row, type(ids)), 3)
  end
  for i = 1, #ids do
    local id = ids[i]
    if math.type(id) ~= "integer" or id < 0 or (vocab and id >= vocab) then
      error(("session:%s: row %d, id %d is %s; a token id is an integer " ..
             "from 0 to %s"):format(method, row, i, tostring(id),
             vocab and tostring(vocab - 1) or "the vocabulary's end"), 3)
    end
  end
  if context and #ids > 0 then
    local length = self.cache:length(row) + #ids
    if length > context then
      error(("session:%s: row %d would hold %d positions; the context of " ..
             "the model has %d"):format(method, row, length, context), 3)
    end
  end
end


function Session:feed(ids)
  local cache = cache_of(self, "feed")
  if type(ids) ~= "table" then ids = {ids} end
  if #cache ~= 1 then
    fail("session:feed: the session has %d rows; use forward", #cache)
  elseif #ids == 0 then
    fail "session:feed: there are no ids, so no position to score"
  end
  check_ids(self, "feed", 1, ids)
  return scheduler.forward(self.engine, cache, {ids})[1]
end


function Session:forward(rows)
  local cache = cache_of(self, "forward")
  if type(rows) ~= "table" or #rows ~= #cache then
    fail("session:forward: a list of %d rows is wanted, one for each " ..
         "timeline; got %s", #cache,
         type(rows) == "table" and #rows or type(rows))
  end
  for i = 1, #rows do check_ids(self, "forward", i, rows[i]) end
  return scheduler.forward(self.engine, cache, rows)
end


function Session:reorder(parents)
  local cache = cache_of(self, "reorder")
  if type(parents) ~= "table" or #parents == 0 then
    fail "session:reorder: a list of at least one parent row is wanted"
  end
  for i = 1, #parents do
    local parent = parents[i]
    if math.type(parent) ~= "integer" or parent < 1 or parent > #cache then
      fail("session:reorder: parent %d is %s; rows are numbered 1 to %d", i,
           tostring(parent), #cache)
    end
  end
  cache:reorder(parents)
  return self
end


function Session:truncate(n)
  local cache = cache_of(self, "truncate")
  if math.type(n) ~= "integer" or n < 0 then
    fail("session:truncate: %s is not a length", tostring(n))
  end
  cache:truncate(n)
  return self
end


function Session:length(row)
  local cache = cache_of(self, "length")
  row = row or 1
  if math.type(row) ~= "integer" or row < 1 or row > #cache then
    fail("session:length: row %s; rows are numbered 1 to %d", tostring(row),
         #cache)
  end
  return cache:length(row)
end


local new

function Session:fork()
  return new(cache_of(self, "fork"):fork(), self.engine, self.limits,
             self.model)
end


function Session:reset()
  cache_of(self, "reset"):reset()
  return self
end


-- Idempotent; also what leaving the scope of a <close> variable does.
function Session:close()
  local cache = self.cache
  self.cache = nil
  if cache then cache:close() end
end

Session.__close = Session.close


function Session:__len()
  return #cache_of(self, "__len")
end


function Session:__tostring()
  if not self.cache then return "decant session (closed)" end
  return ("decant session (%d row%s, %d position%s)"):format(
    #self.cache, #self.cache == 1 and "" or "s",
    self:length(), self:length() == 1 and "" or "s")
end


-- `cache`: the core's Rows, or whatever behaves so. `engine.forward` computes.
-- `limits`: {vocab =, context =}, both optional. `model` is only held, so that
-- it lives as long as its sessions.
function new(cache, engine, limits, model)
  return setmetatable({cache = cache, engine = engine, limits = limits or {},
                       model = model}, Session)
end

return {new = new}
