-- decant.queue: inputs that come one by one, each with its own config and
-- strategy, and share the model's passes while they run. generate is a queue
-- that gets all its rows at once.
--
--   local queue <close> = model:queue{rows = 16, threads = nil}
--   queue:push(input [, config]) -> ticket (1, 2, ...)
--   queue:step()      -> true while there is something left to run. One round:
--                        what waits and fits is started (its source encoded
--                        together with those that come next), then one pass
--   queue:take()      -> ticket, results: the next that has finished, or nil
--   queue:results()   for ticket, results in queue:results() do ... end: takes,
--                        and steps where there is nothing to take, until all
--                        is done
--   queue:cancel(ticket) -> true if it had not finished
--   queue:close()     also __close: ends what runs
--   #queue            inputs that have not finished
--
-- results are what generate returns for this input and config alone, bit for
-- bit. An input that fails gets results without entries, with results.error.

local call_module = require "decant.call"
local core = require "decant.core"
local inputs = require "decant.inputs"
local lists = require "decant.lists"
local scheduler = require "decant.scheduler"
local show = require "decant.show"
local types = require "decant.config.types"

local Queue = {}
Queue.__index = Queue


-- ---- what waits ----

-- The task that is to be started next, past those that need no running.
local function next_task(self)
  local waiting = self.waiting
  while true do
    local task = waiting[self.first]
    if not task or not task.results and not task.call.over then return task end
    waiting[self.first] = nil
    self.first = self.first + 1
  end
end


-- The sources that the next tasks need: as many as may live.
local function sources_ahead(self)
  local items, seen, width, at = {}, {}, 0, self.first
  repeat
    local task = self.waiting[at]
    if not task then break end
    width, at = width + task.width, at + 1
    local item = task.item
    if not item.encoded and not task.call.over and not seen[item] then
      seen[item], items[#items + 1] = true, item
    end
  until width >= self.limit
  return items
end


-- Encodes the next sources, packed; where that fails, the first one alone, so
-- that only the input that is at fault fails.
local function encode_some(self)
  local items = sources_ahead(self)
  local fine, failure = pcall(inputs.encode, self.model, items)
  if not fine and #items > 1 then
    items = {items[1]}
    fine, failure = pcall(inputs.encode, self.model, items)
  end
  for _, item in ipairs(items) do item.encoded = fine end
  return fine, failure
end


-- ---- the end of a call ----

-- The call has its results; nothing of it runs any more.
local function deliver(self, call, results)
  call.over = true
  self.calls[call.ticket] = nil
  self.unfinished = self.unfinished - 1
  self.last = self.last + 1
  self.finished[self.last] = {call.ticket, results}
end


-- Ends all tasks of a call that are not done.
local function stop_tasks(self, call)
  call.over = true
  for _, task in ipairs(call.tasks) do
    if task.job and task.job.alive then self.pool:drop(task.job) end
    if not task.results then task:give_up() end
  end
end


local function fail(self, call, failure)
  if self.strict then error(failure, 0) end
  stop_tasks(self, call)
  deliver(self, call, call:failed(failure))
end


-- One task of the call is done.
local function count_done(self, call)
  call.open = call.open - 1
  if call.open == 0 then deliver(self, call, call:results()) end
end


local function start(self, task)
  local call = task.call
  local function ended(_, fine, failure)
    if call.over then return end
    if fine then count_done(self, call) else fail(self, call, failure) end
  end
  call:begin()
  task.job = self.pool:start(task:body(), task.width, ended)
end


-- Starts what fits. One that is wider than all rows runs alone.
local function admit(self)
  local pool = self.pool
  while true do
    local task = next_task(self)
    pool.last = self.strict and not task
    if not task or pool.width > 0
       and pool.width + task.width > self.limit then return end
    local fine, failure = true, nil
    if not self.model.core then
      fine, failure = false, self.name .. ": the model was closed while it ran"
    elseif not task.item.encoded then
      fine, failure = encode_some(self)
    end
    if fine then
      self.waiting[self.first] = nil
      self.first = self.first + 1
      start(self, task)
    else
      fail(self, task.call, failure)
    end
  end
end


-- ---- the methods ----

local function check_open(self, method)
  if not self.pool then
    error(("queue:%s: the queue is closed"):format(method), 3)
  end
end


-- Takes a call's tasks up, in the order of `tasks`.
function Queue:add(call, tasks)
  self.tickets = self.tickets + 1
  call.ticket = self.tickets
  self.calls[call.ticket] = call
  self.unfinished = self.unfinished + 1
  call.open = 0
  for _, task in ipairs(tasks) do
    if not task.results then
      call.open = call.open + 1
      self.waiting[self.end_] = task
      self.end_ = self.end_ + 1
    end
  end
  if call.open == 0 then deliver(self, call, call:results()) end
end


-- What is wrong with the config of one input among others.
local function wrong_in_queue(config)
  for name, option in pairs{threads = "threads", batch_size = "rows"} do
    if rawget(config, name) then
      return ("%s is a matter of the whole queue: give %s to model:queue")
             :format(name, option)
    end
  end
end


function Queue:push(input, config)
  check_open(self, "push")
  if inputs.is_list(input) then
    error("queue:push takes one input, not a list: push each", 2)
  end
  local ticket = self.tickets + 1
  local call = call_module.new(self.model, input, config, {
    level = 2, index = ticket, wrong = wrong_in_queue})
  self:add(call, call.tasks)
  return ticket
end


function Queue:step()
  check_open(self, "step")
  if self.stepping then
    error("queue:step: a step of this queue is running", 2)
  end
  local _ <close> = self.guard
  self.stepping = true
  if self.threads then
    self.before = core.threads()
    core.threads(self.threads)
  end
  local pool = self.pool
  admit(self)
  pool:round()
  return pool.width > 0 or next_task(self) ~= nil
end


function Queue:take()
  local entry = self.finished[self.taken + 1]
  if not entry then return nil end
  self.taken = self.taken + 1
  self.finished[self.taken] = nil
  return entry[1], entry[2]
end


function Queue:results()
  return function()
    local ticket, results = self:take()
    while not ticket and self.unfinished > 0 do
      self:step()
      ticket, results = self:take()
    end
    return ticket, results
  end
end


-- What was decided so far is the result, with finish = "cancelled".
function Queue:cancel(ticket)
  check_open(self, "cancel")
  local call = self.calls[ticket]
  if not call then
    if math.type(ticket) ~= "integer" or ticket < 1
       or ticket > self.tickets then
      error(("queue:cancel: %s is no ticket of this queue"):format(
            show(ticket)), 2)
    end
    return false
  end
  stop_tasks(self, call)
  deliver(self, call, call:results())
  return true
end


function Queue:close()
  local pool = self.pool
  if not pool then return end
  self.pool, self.waiting, self.unfinished = nil, {}, 0
  for _, call in pairs(self.calls) do call.over = true end
  pool:close()
end

Queue.__close = Queue.close


function Queue:__len() return self.unfinished end


-- What ends every step, however it ends.
local function guard(self)
  return setmetatable({}, {__close = function()
    self.stepping = false
    if self.threads then core.threads(self.before) end
  end})
end


-- `rows`: how many live at once. `strict`: the first failure is raised, and
-- nothing is added after the first step.
local function new(model, rows, threads, name, strict)
  local self = setmetatable({
    model = model, limit = rows, threads = threads, name = name,
    strict = strict, pool = scheduler.new(),
    waiting = {}, first = 1, end_ = 1,         -- tasks, first .. end_ - 1
    finished = {}, taken = 0, last = 0,        -- {ticket, results}
    calls = {}, tickets = 0, unfinished = 0,
  }, Queue)
  self.guard = guard(self)
  return self
end


-- options.rows and options.threads are what the fields `batch_size` and
-- `threads` of a config are to a list.
local function check_count(options, name, field)
  local value = options[name]
  if value == nil then return nil end
  local fine, rule = types[field](value)
  if not fine then
    error(("model:queue: %s is %s, %s"):format(name, show(value), rule), 4)
  end
  return math.tointeger(value)
end


-- model:queue{rows = 16, threads = nil}
local function open(model, options)
  options = lists.options(options, "model:queue", {"rows", "threads"})
  return new(model, check_count(options, "rows", "batch_size") or 16,
             check_count(options, "threads", "threads"), "model:queue")
end

return {new = new, open = open}
