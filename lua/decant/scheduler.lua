-- decant.scheduler: many rows, one forward pass a round.
--
-- A strategy is written for one input. A pool runs one coroutine per row;
-- where a session inside it wants scores, the coroutine notes its request and
-- yields. When every live coroutine has asked (or ended), the requests of all
-- of them go through the model together and each coroutine goes on with its
-- own answer. Rows join and leave between rounds. The last one of a pool that
-- nobody joins any more has nobody to wait for: it computes at once.
--
--   scheduler.new()                -> Pool
--   pool:start(body, width, ended) -> job. Runs body() to its first request.
--                                     ended(job, fine, failure) is called once,
--                                     when it returns (true), raises (false and
--                                     what) or is dropped (nil)
--   job.alive                         until then
--   pool:round()                      one pass for all that was asked
--   pool:drop(job)                    ends it now; the sessions that it holds
--                                     in to-be-closed variables are closed
--   pool:close()                      drops all
--   pool.width                        of the jobs that have not ended
--   pool.last = true                  nobody joins any more
--   scheduler.sharing                 how many jobs wait for each other's rows;
--                                     0: who wants scores need not ask here
--   scheduler.run(next_job, limit)    runs the functions that next_job() gives
--                                     (nil: no more), at most `limit` at once,
--                                     to their ends; raises the first failure
--
-- What a reader would get wrong: a yield without a request comes from user
-- code (a processor, on_token) and belongs to the host: it passes through, and
-- what the host resumes with comes back. A host may so leave in the middle of
-- a round, even for good: then the next round begins with what was left.

local running, isyieldable = coroutine.running, coroutine.isyieldable
local resume, yield = coroutine.resume, coroutine.yield

local scheduler = {sharing = 0}

-- The jobs by their coroutines; calls made elsewhere compute at once.
local scheduled = setmetatable({}, {__mode = "k"})

local NO_HOST <const> =
  "a processor, callback or strategy yielded, but decant was not " ..
  "called inside a coroutine: nobody is there to resume it"
local BROKEN <const> =
  "an error that a hook of the host raised broke off the step that it was in"
local LEFT <const> =
  "the coroutine that ran this step was closed while user code had yielded"


-- The job whose coroutine this is, if it can be left here (not in a finaliser).
local function current_job()
  local job = scheduled[running()]
  return job and isyieldable() and job
end


-- One pass over a list of requests {cache, rows, want, into}: one answer each,
-- or nil and the failure of a pass that has changed nothing. In a job it is
-- asked of the job's pool, whose rounds may themselves be run in a job of
-- another one: then the rows of both share the pass.
--
-- What is raised instead comes from a hook (Ctrl-C, a host's limit of time) and
-- is nobody's failure here: it ends the round.
local function pass(job, engine, requests)
  if not job or job.alone then return engine.forward(requests) end
  job.engine, job.requests = engine, requests
  return yield()
end


-- Appends rows[i] to timeline i of `cache` and returns one Logits (or false)
-- a timeline; `want` asks for more, `into` is written over (session.lua).
-- Requests of one engine may share a pass.
--
-- A job has one request at a time, so it fills the same table at every token.
function scheduler.forward(engine, cache, rows, want, into)
  local job = current_job()
  local requests = job and job.own or {{}}
  local request = requests[1]
  request[1], request[2], request[3], request[4] = cache, rows, want, into
  local answers, failure = pass(job, engine, requests)
  if not answers then error(failure, 0) end
  return answers[1]
end


-- Hands what user code yielded to the host, and returns the host's answer.
function scheduler.pass_through(...)
  if not coroutine.isyieldable() then error(NO_HOST, 0) end
  return coroutine.yield(...)
end


-- ---- one job ----

-- From here on the job does not wait for others.
local function part(job)
  if job.alone then return end
  job.alone = true
  scheduler.sharing = scheduler.sharing - 1
end


-- Ends a job whose coroutine has returned, raised or is suspended.
local function finish(pool, job, fine, failure)
  if not job.alive then return end
  job.alive, job.engine, job.answers = false, nil, nil
  pool.width, pool.ended = pool.width - job.width, true
  part(job)
  if not fine then coroutine.close(job.co) end
  job.ended(job, fine, failure)
end


-- Takes what resuming job.co returned, until the job asks for scores or ends.
local function settle(pool, job, fine, ...)
  if not job.alive then return end
  if not fine then return finish(pool, job, false, (...)) end
  if coroutine.status(job.co) == "dead" then return finish(pool, job, true) end
  if job.dropped then return finish(pool, job) end
  if job.engine then
    pool.asking[#pool.asking + 1] = job
    return
  end
  if not isyieldable() then return finish(pool, job, false, NO_HOST) end
  return settle(pool, job, resume(job.co, yield(...)))
end


-- Goes on with one job, which is pool.inside meanwhile.
local function advance(pool, job)
  local answers, failure = job.answers, job.failure
  job.answers, job.failure, pool.inside = nil, nil, job
  settle(pool, job, resume(job.co, answers, failure))
  pool.inside = nil
end


-- Ends the job in which the host left for good, if there is one; and those
-- whose pass was broken off, for what it has appended is not known.
local function end_left(pool)
  local job, jobs = pool.inside, pool.passing
  pool.inside, pool.passing = nil, nil
  if job then finish(pool, job, false, LEFT) end
  for _, broken in ipairs(jobs or {}) do finish(pool, broken, false, BROKEN) end
end


-- ---- one round ----

-- A pass that failed, job by job: so the one that is at fault fails alone. (A
-- pass fails before it has changed anything.) Timelines that two jobs want to
-- go on with at once are not given to the second.
local function compute_singly(jobs, failure)
  local seen = {}
  for _, job in ipairs(jobs) do
    local alone = #jobs > 1
    for _, request in ipairs(job.requests) do
      alone = alone and not seen[request[1]]
      seen[request[1]] = true
    end
    job.failure = failure
    if alone then
      job.answers, job.failure = pass(current_job(), job.engine, job.requests)
    end
  end
end


-- The requests of some jobs in one list. A single job's stay as they are, for
-- this is done at every token.
local function gather(jobs)
  if #jobs == 1 then return jobs[1].requests end
  local requests = {}
  for _, job in ipairs(jobs) do
    table.move(job.requests, 1, #job.requests, #requests + 1, requests)
  end
  return requests
end


-- Hands the answers of a pass out, to each job as many as it has requests.
local function hand_out(jobs, answers)
  if #jobs == 1 then
    jobs[1].answers = answers
    return
  end
  local at = 0
  for i = 1, #jobs do
    local job = jobs[i]
    local n = #job.requests
    job.answers = table.move(answers, at + 1, at + n, 1, {})
    at = at + n
  end
end


-- Those that ask the same engine as the first: nearly always all of them.
local function of_one_engine(asking)
  local engine, jobs = asking[1].engine, nil
  for i = 2, #asking do
    if asking[i].engine ~= engine then
      jobs = jobs or table.move(asking, 1, i - 1, 1, {})
    elseif jobs then
      jobs[#jobs + 1] = asking[i]
    end
  end
  return jobs or asking
end


-- Keeps of a list the jobs for which a field is set.
local function keep(list, field)
  local kept = 0
  for i = 1, #list do
    local job = list[i]
    list[i] = nil
    if job[field] then
      kept = kept + 1
      list[kept] = job
    end
  end
end


-- One pass for the jobs that ask one engine: they are ready to go on.
local function compute(pool, asking, ready)
  local jobs = of_one_engine(asking)
  pool.passing = jobs
  local answers, failure = pass(current_job(), jobs[1].engine, gather(jobs))
  if answers then
    hand_out(jobs, answers)
  else
    compute_singly(jobs, failure)
  end
  pool.passing = nil
  for i = 1, #jobs do
    jobs[i].engine = nil
    ready[#ready + 1] = jobs[i]
  end
  keep(asking, "engine")
end


-- ---- the pool ----

local Pool = {}
Pool.__index = Pool


-- Jobs that have ended leave the lists.
local function forget_ended(pool)
  if not pool.ended then return end
  pool.ended = false
  keep(pool.live, "alive")
  keep(pool.asking, "engine")
end


function Pool:start(body, width, ended)
  end_left(self)
  local job = {co = coroutine.create(body), width = width, ended = ended,
               alive = true, own = {{}}}
  scheduled[job.co] = job
  self.live[#self.live + 1] = job
  self.width = self.width + width
  scheduler.sharing = scheduler.sharing + 1
  advance(self, job)
  forget_ended(self)
  return job
end


function Pool:round()
  local asking, ready = self.asking, self.ready
  end_left(self)
  forget_ended(self)
  while asking[1] do compute(self, asking, ready) end
  if self.last and #self.live == 1 then
    local host = current_job()
    if not host or host.alone then part(self.live[1]) end
  end
  for i = 1, #ready do
    local job = ready[i]
    ready[i] = false  -- so a round that goes on behind one that was left
    if job and job.alive then advance(self, job) end
  end
  for i = #ready, 1, -1 do ready[i] = nil end
  forget_ended(self)
end


function Pool:drop(job)
  job.dropped = true
  if coroutine.status(job.co) == "suspended" then finish(self, job) end
end


function Pool:close()
  for _, job in ipairs(self.live) do
    if job.alive then self:drop(job) end
  end
end


-- live: all jobs; asking: those that wait for scores; ready: those that have
-- them and did not go on yet (false: did).
function scheduler.new()
  return setmetatable({live = {}, asking = {}, ready = {}, width = 0}, Pool)
end


Pool.__close = Pool.close

-- One that a host has left for good: its jobs wait for nobody any more. (What
-- held it may still close it, in a finaliser of its own.)
function Pool:__gc()
  for _, job in ipairs(self.live) do part(job) end
end

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
    pool.last = not body
    pool:round()
  end
end

return scheduler
