-- decant.scheduler: many rows, one forward pass a round.
--
-- A strategy is written for one input. A pool runs one coroutine per row;
-- where a session inside it wants scores, the coroutine notes its request and
-- yields. When every live coroutine has asked (or ended), the requests of all
-- of them go through the model together and each coroutine goes on with its
-- own answer. Rows join and leave between rounds.
--
--   scheduler.new()                -> Pool
--   pool:start(body, width, ended) -> job. Runs body() to its first request.
--                                     ended(job, fine, failure) is called once,
--                                     when it returns (true), raises (false and
--                                     what) or is dropped (nil)
--   pool:round()                      one pass for all that was asked
--   pool:drop(job)                    ends it now; the sessions that it holds
--                                     in to-be-closed variables are closed
--   pool:close()                      drops all
--   pool.width                        of the jobs that have not ended
--   scheduler.run(next_job, limit)    runs the functions that next_job() gives
--                                     (nil: no more), at most `limit` at once,
--                                     to their ends; raises the first failure
--
-- What a reader would get wrong: a yield without a request comes from user
-- code (a processor, on_token) and belongs to the host: it passes through, and
-- what the host resumes with comes back. A host may so leave in the middle of
-- a round, even for good: then the next round begins with what was left.

local scheduler = {}

-- The jobs by their coroutines; calls made elsewhere compute at once.
local scheduled = setmetatable({}, {__mode = "k"})

local NO_HOST <const> =
  "a processor, callback or strategy yielded, but decant was not " ..
  "called inside a coroutine: nobody is there to resume it"
local LEFT <const> =
  "the coroutine that ran this step was closed while user code had yielded"


-- One pass over a list of {cache, rows, want}; returns one answer each. In a
-- job it is asked of the job's pool, whose rounds may themselves be run in a
-- job of another one: then the rows of both share the pass.
local function pass(engine, requests)
  local job = scheduled[coroutine.running()]
  if not job or not coroutine.isyieldable() then
    return engine.forward(requests)
  end
  job.engine, job.requests = engine, requests
  local answers, failure = coroutine.yield()
  if answers == nil then error(failure, 0) end
  return answers
end


-- Appends rows[i] to timeline i of `cache` and returns one Logits (or false)
-- a timeline; `want` asks for more (session.lua). Requests of one engine may
-- share a pass.
function scheduler.forward(engine, cache, rows, want)
  return pass(engine, {{cache, rows, want}})[1]
end


-- Hands what user code yielded to the host, and returns the host's answer.
function scheduler.pass_through(...)
  if not coroutine.isyieldable() then error(NO_HOST, 0) end
  return coroutine.yield(...)
end


-- ---- one job ----

-- Ends a job whose coroutine has returned, raised or is suspended.
local function finish(pool, job, fine, failure)
  if job.done then return end
  job.done, job.engine, job.answers = true, nil, nil
  pool.width = pool.width - job.width
  if not fine then coroutine.close(job.co) end
  job.ended(job, fine, failure)
end


-- Takes what resuming job.co returned, until the job asks for scores or ends.
local function settle(pool, job, fine, ...)
  if job.done then return end
  if not fine then return finish(pool, job, false, (...)) end
  if coroutine.status(job.co) == "dead" then return finish(pool, job, true) end
  if job.dropped then return finish(pool, job) end
  if job.engine then return end
  if not coroutine.isyieldable() then
    return finish(pool, job, false, NO_HOST)
  end
  return settle(pool, job, coroutine.resume(job.co, coroutine.yield(...)))
end


-- Goes on with one job. While user code has yielded to the host, job.inside
-- is true.
local function advance(pool, job)
  local answers, failure = job.answers, job.failure
  job.answers, job.failure, job.inside = nil, nil, true
  settle(pool, job, coroutine.resume(job.co, answers, failure))
  job.inside = false
end


-- ---- one round ----

-- A pass that failed, job by job: so the one that is at fault fails alone. (A
-- pass fails before it has changed anything.) Timelines that two jobs want to
-- go on with at once are not given to the second.
local function compute_singly(asking, failure)
  local seen = {}
  for _, job in ipairs(asking) do
    local fine, answers = #asking > 1, failure
    for _, request in ipairs(job.requests) do
      fine = fine and not seen[request[1]]
      seen[request[1]] = true
    end
    if fine then fine, answers = pcall(pass, job.engine, job.requests) end
    if fine then job.answers = answers else job.failure = answers end
  end
end


-- The requests of some jobs in one list. A single job's stay as they are, for
-- this is done at every token.
local function gather(asking)
  if #asking == 1 then return asking[1].requests end
  local requests = {}
  for _, job in ipairs(asking) do
    table.move(job.requests, 1, #job.requests, #requests + 1, requests)
  end
  return requests
end


-- Hands the answers of a pass out, to each job as many as it has requests.
local function hand_out(asking, answers)
  if #asking == 1 then
    asking[1].answers = answers
    return
  end
  local at = 0
  for i = 1, #asking do
    local job = asking[i]
    local n = #job.requests
    job.answers = table.move(answers, at + 1, at + n, 1, {})
    at = at + n
  end
end


-- One pass for all jobs that ask `engine`; true if some ask another one.
local function compute(pool, engine)
  local asking, others = {}, false
  for _, job in ipairs(pool.live) do
    if job.engine == engine then
      asking[#asking + 1] = job
    elseif job.engine then
      others = true
    end
  end
  local fine, answers = pcall(pass, engine, gather(asking))
  if fine then
    hand_out(asking, answers)
  else
    compute_singly(asking, answers)
  end
  for _, job in ipairs(asking) do job.answered, job.engine = true, nil end
  return others
end


-- Asks the engines (nearly always there is one).
local function compute_all(pool)
  local again
  repeat
    again = false
    for _, job in ipairs(pool.live) do
      if job.engine then
        again = compute(pool, job.engine)
        break
      end
    end
  until not again
end


local function forget_ended(live)
  local kept = 0
  for i = 1, #live do
    local job = live[i]
    live[i] = nil
    if not job.done then
      kept = kept + 1
      live[kept] = job
    end
  end
end


-- ---- the pool ----

local Pool = {}
Pool.__index = Pool


function Pool:start(body, width, ended)
  local job = {co = coroutine.create(body), width = width, ended = ended}
  scheduled[job.co] = job
  self.live[#self.live + 1] = job
  self.width = self.width + width
  advance(self, job)
  if job.done then forget_ended(self.live) end
  return job
end


function Pool:round()
  local live = self.live
  for _, job in ipairs(live) do
    if job.inside then finish(self, job, false, LEFT) end
  end
  compute_all(self)
  for i = 1, #live do
    local job = live[i]
    if job.answered and not job.done then
      job.answered = false
      advance(self, job)
    end
  end
  forget_ended(live)
end


function Pool:drop(job)
  job.dropped = true
  if coroutine.status(job.co) == "suspended" then finish(self, job) end
end


function Pool:close()
  for _, job in ipairs(self.live) do
    if not job.done then self:drop(job) end
  end
end


function scheduler.new()
  return setmetatable({live = {}, width = 0}, Pool)
end


Pool.__close = Pool.close

local function raise(_, fine, failure)
  if fine == false then error(failure, 0) end
end

function scheduler.run(next_job, limit)
  local pool <close> = scheduler.new()
  local body = next_job()
  while body or pool.width > 0 do
    while body and pool.width < limit do
      pool:start(body, 1, raise)
      body = next_job()
    end
    pool:round()
  end
end

return scheduler
