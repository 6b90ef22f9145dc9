-- decant.session: timelines with their KV cache (DESIGN, section 2.5).
--
--   session:feed(id | ids)   -> Logits       one timeline: append, then score
--                                            the next position
--   session:forward(rows)    -> {Logits,...} rows[i]: id or ids to append to
--                                            timeline i; {} leaves it alone
--                                            and answers false
--       Both take a second argument `want` for more than the next scores, and
--       then return a second value, a table (forward: one a timeline, or false)
--       of what was wanted:
--         every = true       every: the Logits after each fed position
--         hidden = true      hidden: Tensor [fed, d_model], the decoder's last
--                            states, as the output matrix reads them
--         layers = {0, 2}    layers: list of Logits, what the output matrix
--                            makes of the states that go into these layers
--                            (0: the embeddings), at the last fed position
--         attention = true   attention: Tensor [fed, source length], the mean
--                            over the heads and layers of cross-attention
--       A third argument, `into`: scores of an earlier step that are not needed
--       any more, to be written over (feed: a Logits; forward: a list of them,
--       false where there is none). What a processor in Lua was shown, and may
--       have kept, stays; then, as without `into`, the scores are new ones.
--   session:reorder(parents) timeline i goes on from timeline parents[i];
--                            they may multiply or vanish; copies no cache
--   session:truncate(n)      keep the first n positions of every timeline
--   session:fork()           -> a session that goes on from here
--   session:length([row])    positions so far     #session   timelines
--   session:save(path)       -> true | nil, message; model:restore(path)
--   session:reset()  session:close()  also __close
--
-- What a reader would get wrong: inside a list of inputs `feed` and `forward`
-- do not compute; they hand their rows to the scheduler (scheduler.lua), which
-- answers when the rows of all inputs went through the model together. Where
-- nobody else is there, one token more a row, the case of nearly every call, is
-- a call of the core (step.c), which refuses what is not that.

local lists = require "decant.lists"
local objects = require "decant.processors.objects"
local scheduler = require "decant.scheduler"
local show = require "decant.show"

local math_type = math.type

local Session = {}
Session.__index = Session


local function fail(message, ...)
  error(message:format(...), 3)
end


local function closed(method)
  error(("session:%s: the session is closed"):format(method), 3)
end


local function wrong_id(self, method, row, i, id)
  local vocab = self.limits.vocab
  error(("session:%s: row %d, id %d is %s; a token id is an integer from 0 " ..
         "to %s"):format(method, row, i, show(id),
         vocab and tostring(vocab - 1) or "the vocabulary's end"), 4)
end


-- Raises, at the caller's caller, when `ids` is not a list of token ids that
-- timeline `row` has room for.
local function check_ids(self, method, row, ids)
  if type(ids) ~= "table" then
    error(("session:%s: row %d is a %s, a list of token ids is wanted")
          :format(method, row, type(ids)), 3)
  end
  local vocab, n = self.vocab, #ids
  for i = 1, n do
    local id = ids[i]
    if math_type(id) ~= "integer" or id < 0 or id >= vocab then
      wrong_id(self, method, row, i, id)
    end
  end
  local length = n > 0 and self.cache:length(row) + n or 0
  if length > self.context then
    error(("session:%s: row %d would hold %d positions; the context of " ..
           "the model has %d"):format(method, row, length, self.context), 3)
  end
end


-- ---- what is wanted beside the next scores ----

local flags = {every = true, hidden = true, attention = true}

local function n_layers(self)
  return self.limits.decoder_layers or self.limits.layers
end

local function is_layer(self, layer)
  local n = n_layers(self)
  return math.type(layer) == "integer" and layer >= 0 and (not n or layer < n)
end

-- Raises, at the caller's caller, when `want` is no such table; returns it as
-- it lies there, or nil where there is none.
local function check_want(self, method, want)
  local function wrong(message, ...)
    error(("session:%s: "):format(method) .. message:format(...), 4)
  end
  if want == nil then return nil end
  if type(want) ~= "table" then
    wrong("what is wanted is a %s, must be a table", type(want))
  end
  want = lists.raw(want)
  for name, value in next, want do
    if name == "layers" then
      if type(value) ~= "table" then
        wrong("want.layers is a %s, must be a list", type(value))
      end
      for i = 1, rawlen(value) do
        local layer = rawget(value, i)
        if not is_layer(self, layer) then
          wrong("want.layers: %s is no layer; they are numbered 0 to %s",
                show(layer), (n_layers(self) or 0) - 1)
        end
      end
    elseif not flags[name] then
      wrong("want.%s is not known; known: every, hidden, layers, attention",
            type(name) == "string" and name:sub(1, 60) or show(name))
    end
  end
  if want.attention and self.limits.kind == "causal" then
    wrong "want.attention: a causal model has no cross-attention"
  end
  return want
end


-- Raises, at the caller's caller, unless the rows of `into` (one, or a list of
-- `n`) can be written over.
local function check_into(self, method, into, n)
  for i = 1, n do
    local row = into
    if type(into) == "table" then row = rawget(into, i) end
    if row and not (objects.is_logits(row) and #row == self.vocab) then
      error(("session:%s: what is to be written over is no Logits of this " ..
             "model, but %s"):format(method, show(row)), 3)
    end
  end
end


function Session:feed(ids, want, into)
  local cache = self.cache or closed "feed"
  local step = want == nil and scheduler.sharing == 0 and self.step
  local logits = step and step(cache, ids, into)
  if logits then return logits end
  ids = lists.raw(type(ids) == "table" and ids or {ids})
  if #cache ~= 1 then
    fail("session:feed: the session has %d rows; use forward", #cache)
  elseif #ids == 0 then
    fail "session:feed: there are no ids, so no position to score"
  end
  check_ids(self, "feed", 1, ids)
  want = check_want(self, "feed", want)
  if into then check_into(self, "feed", into, 1) end
  local answer = scheduler.forward(self.engine, cache, {ids}, want, into)
  return answer[1], want and answer.extras and answer.extras[1]
end


-- The rows as lists, where some are single ids, all as they lie there.
local function lists_of(rows)
  local all = {}
  for i = 1, rawlen(rows) do
    local ids = rawget(rows, i)
    all[i] = math_type(ids) and {ids} or lists.raw(ids)
  end
  return all
end


function Session:forward(rows, want, into)
  local cache = self.cache or closed "forward"
  local step = want == nil and scheduler.sharing == 0 and self.step_all
  local answer = step and step(cache, rows, into)
  if answer then return answer end
  local n = type(rows) == "table" and rawlen(rows)
  if n ~= #cache then
    fail("session:forward: a list of %d rows is wanted, one for each " ..
         "timeline; got %s", #cache, n or type(rows))
  end
  rows = lists_of(rows)
  for i = 1, #rows do check_ids(self, "forward", i, rows[i]) end
  want = check_want(self, "forward", want)
  if into then check_into(self, "forward", into, n) end
  answer = scheduler.forward(self.engine, cache, rows, want, into)
  return answer, answer.extras
end


function Session:reorder(parents)
  local cache = self.cache or closed "reorder"
  if type(parents) ~= "table" or rawlen(parents) == 0 then
    fail "session:reorder: a list of at least one parent row is wanted"
  end
  parents = lists.raw(parents)
  local n = #cache
  for i = 1, #parents do
    local parent = parents[i]
    if math_type(parent) ~= "integer" or parent < 1 or parent > n then
      fail("session:reorder: parent %d is %s; rows are numbered 1 to %d", i,
           show(parent), n)
    end
  end
  cache:reorder(parents)
  return self
end


function Session:truncate(n)
  local cache = self.cache or closed "truncate"
  if math.type(n) ~= "integer" or n < 0 then
    fail("session:truncate: %s is not a length", show(n))
  end
  cache:truncate(n)
  return self
end


function Session:length(row)
  local cache = self.cache or closed "length"
  row = row or 1
  if math.type(row) ~= "integer" or row < 1 or row > #cache then
    fail("session:length: row %s; rows are numbered 1 to %d", show(row),
         #cache)
  end
  return cache:length(row)
end


local new

function Session:fork()
  return new((self.cache or closed "fork"):fork(), self.engine, self.limits,
             self.model)
end


-- Keeps all rows in a file, which model:restore opens again.
function Session:save(path)
  return (self.cache or closed "save"):save(path)
end


function Session:reset()
  (self.cache or closed "reset"):reset()
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
  return #(self.cache or closed "__len")
end


function Session:__tostring()
  if not self.cache then return "decant session (closed)" end
  return ("decant session (%d row%s, %d position%s)"):format(
    #self.cache, #self.cache == 1 and "" or "s",
    self:length(), self:length() == 1 and "" or "s")
end


-- `cache`: the core's Rows, or whatever behaves so. `engine.forward` computes;
-- engine.step and engine.step_all, if it has them, what they are for.
-- `limits`: {vocab =, context =}, both optional. `model` is only held, so that
-- it lives as long as its sessions.
function new(cache, engine, limits, model)
  limits = limits or {}
  return setmetatable({
    cache = cache, engine = engine, limits = limits, model = model,
    step = engine.step, step_all = engine.step_all,
    vocab = limits.vocab or math.huge, context = limits.context or math.huge,
  }, Session)
end

-- A timeline (or `rows` of them) of a model, on a source if it reads one.
local function on(model, source, rows)
  local handle = model.core or error("the model was closed while it ran", 0)
  return new(handle:rows(rows or 1, source), model.engine, model.config, model)
end

return {new = new, on = on}
