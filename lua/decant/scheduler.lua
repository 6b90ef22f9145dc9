-- decant.scheduler: many inputs, one forward pass a round.
--
-- A strategy is written for one input. The scheduler runs one coroutine per
-- input; where a session inside it wants scores, the coroutine yields a
-- request. When every live coroutine has asked (or ended), the rows of all of
-- them go through the model together and each coroutine goes on with its own.
-- Inputs join and leave between rounds.
--
-- What a reader would get wrong: only requests are marked. Any other
-- coroutine.yield comes from user code (a processor, on_token) and belongs to
-- the host: it passes through, and what the host resumes with comes back.

local scheduler = {}

local REQUEST = setmetatable({}, {__name = "decant.request"})

-- The coroutines that a scheduler runs now; calls made elsewhere compute at
-- once.
local scheduled = setmetatable({}, {__mode = "k"})


-- Appends rows[i] to timeline i of `cache` and returns one Logits (or false)
-- a timeline. `engine.forward` takes a list of {cache, rows, want} and returns
-- one such answer each; requests of one engine may share a pass.
function scheduler.forward(engine, cache, rows, want)
  local co = coroutine.running()
  if scheduled[co] and coroutine.isyieldable() then
    return coroutine.yield(REQUEST, engine, cache, rows, want)
  end
  return engine.forward({{cache, rows, want}})[1]
end


-- Hands what user code yielded to the host, and returns the host's answer.
function scheduler.pass_through(...)
  if not coroutine.isyieldable() then
    error("a processor, callback or strategy yielded, but decant was not " ..
          "called inside a coroutine: nobody is there to resume it", 0)
  end
  return coroutine.yield(...)
end


-- Takes what resuming job.co returned, until the job asks for scores or ends.
local function settle(job, ok, tag, ...)
  if not ok then error(tag, 0) end
  if coroutine.status(job.co) == "dead" then
    job.ended = true
  elseif tag == REQUEST then
    job.engine, job.cache, job.rows, job.want = ...
  else
    return settle(job, coroutine.resume(job.co,
                                        scheduler.pass_through(tag, ...)))
  end
end


-- One forward pass for each engine that is asked (nearly always one).
local function compute(live)
  local groups, order = {}, {}
  for _, job in ipairs(live) do
    local group = groups[job.engine]
    if not group then
      group = {requests = {}, jobs = {}}
      groups[job.engine], order[#order + 1] = group, job.engine
    end
    table.insert(group.jobs, job)
    table.insert(group.requests, {job.cache, job.rows, job.want})
  end
  for _, engine in ipairs(order) do
    local group = groups[engine]
    local answers = engine.forward(group.requests)
    for i, job in ipairs(group.jobs) do job.answer = answers[i] end
  end
end


-- Goes on with one job until it asks for scores or ends.
local function advance(job)
  local answer = job.answer
  job.answer = nil
  settle(job, coroutine.resume(job.co, answer))
end


-- Starts jobs until `limit` are live or there are no more.
local function admit(live, next_job, limit)
  while #live < limit do
    local body = next_job()
    if not body then return end
    local job = {co = coroutine.create(body)}
    scheduled[job.co] = true
    live[#live + 1] = job
    advance(job)
    if job.ended then live[#live] = nil end
  end
end


local function forget_ended(live)
  local kept = 0
  for i = 1, #live do
    local job = live[i]
    live[i] = nil
    if not job.ended then
      kept = kept + 1
      live[kept] = job
    end
  end
end


-- Runs the functions that `next_job` hands out (nil: no more) in coroutines,
-- at most `limit` at once, until all have ended. An error in one ends all:
-- every coroutine is closed, and with it the sessions that it holds in
-- to-be-closed variables; then the error goes on as it was.
function scheduler.run(next_job, limit)
  local live = {}
  local _ <close> = setmetatable({}, {__close = function()
    for _, job in ipairs(live) do coroutine.close(job.co) end
  end})
  admit(live, next_job, limit)
  while #live > 0 do
    compute(live)
    for _, job in ipairs(live) do advance(job) end
    forget_ended(live)
    admit(live, next_job, limit)
  end
end

return scheduler
