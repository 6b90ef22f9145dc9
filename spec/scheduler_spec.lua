-- decant.scheduler: coroutines that share forward passes.

local scheduler = require "decant.scheduler"
local toy = require "spec.support.toy"

-- An engine that answers each row with its ids, and counts.
local function echo_engine()
  local engine = {passes = 0, sizes = {}}
  function engine.forward(requests)
    engine.passes = engine.passes + 1
    engine.sizes[engine.passes] = #requests
    local answers = {}
    for i, request in ipairs(requests) do answers[i] = request[2] end
    return answers
  end
  return engine
end

local function run(bodies, limit)
  local i = 0
  scheduler.run(function()
    i = i + 1
    return bodies[i]
  end, limit)
end

-- A job that asks `n` times and notes that its answers are its own.
local function asker(engine, name, n, done)
  return function()
    for i = 1, n do
      local answer = scheduler.forward(engine, {}, {{name, i}})
      assert(answer[1][1] == name and answer[1][2] == i)
    end
    done[#done + 1] = name
  end
end


describe("the scheduler", function()
  it("takes as many passes as its longest input asks for", function()
    local engine, done, bodies = echo_engine(), {}, {}
    for i, n in ipairs{3, 1, 7, 2, 5} do
      bodies[i] = asker(engine, i, n, done)
    end
    run(bodies, 64)
    assert.equal(7, engine.passes)
    assert.same({5, 4, 3, 2, 2, 1, 1}, engine.sizes)
    assert.same({2, 4, 1, 5, 3}, done)
  end)

  it("keeps no more inputs alive than its limit, and lets them join", function()
    local engine, done, bodies = echo_engine(), {}, {}
    for i, n in ipairs{1, 4, 1, 1, 2} do
      bodies[i] = asker(engine, i, n, done)
    end
    run(bodies, 2)
    assert.same({2, 2, 2, 2, 1}, engine.sizes)
    assert.equal(5, #done)
  end)

  it("runs jobs that ask for nothing", function()
    local count = 0
    local bodies = {}
    for i = 1, 5 do bodies[i] = function() count = count + 1 end end
    run(bodies, 2)
    assert.equal(5, count)
  end)

  it("makes one pass for each engine", function()
    local one, two, done = echo_engine(), echo_engine(), {}
    run({asker(one, 1, 2, done), asker(two, 2, 2, done),
         asker(one, 3, 2, done)}, 8)
    assert.same({2, 2}, one.sizes)
    assert.same({1, 1}, two.sizes)
  end)

  it("computes at once outside of a scheduled coroutine", function()
    local engine = echo_engine()
    assert.same({{5}}, scheduler.forward(engine, {}, {{5}}))
    local co = coroutine.wrap(function()
      return scheduler.forward(engine, {}, {{6}})
    end)
    assert.same({{6}}, co())
    assert.same({1, 1}, engine.sizes)
  end)

  it("computes at once in a coroutine that a job makes for itself", function()
    local engine = echo_engine()
    run({function()
      local inner = coroutine.wrap(function()
        coroutine.yield(scheduler.forward(engine, {}, {{1}}))
      end)
      assert.same({{1}}, inner())
    end}, 1)
    assert.equal(1, engine.passes)
  end)

  it("passes other yields to the host and brings back its answer", function()
    local engine, got = echo_engine(), nil
    local host = coroutine.create(function()
      run({function()
        scheduler.forward(engine, {}, {{1}})
        got = table.pack(coroutine.yield("tick", nil, 3))
        scheduler.forward(engine, {}, {{2}})
      end}, 1)
      return "ended"
    end)
    assert.same({true, "tick", nil, 3, n = 4},
                table.pack(coroutine.resume(host)))
    assert.same({true, "ended", n = 2},
                table.pack(coroutine.resume(host, nil, "answer")))
    assert.same({nil, "answer", n = 2}, got)
  end)

  it("says so when there is no host to yield to", function()
    assert.is_false(coroutine.isyieldable())
    assert.error_matches(function()
      run({function() coroutine.yield(1) end}, 1)
    end, "not called inside a coroutine")
  end)

  it("closes every coroutine when one raises, and raises the same value",
     function()
       local engine, closed, failure = echo_engine(), {}, {"mine"}
       local function body(name, fails)
         return function()
           local _ <close> = setmetatable({}, {__close = function()
             closed[#closed + 1] = name
           end})
           scheduler.forward(engine, {}, {{1}})
           if fails then error(failure) end
           scheduler.forward(engine, {}, {{2}})
         end
       end
       local ok, err = pcall(run, {
         body "a", body("b", true), body "c"}, 8)
       table.sort(closed)
       assert.is_false(ok)
       assert.equal(failure, err)
       assert.same({"a", "b", "c"}, closed)
     end)

  it("closes every coroutine when the host is closed", function()
    local engine, closed = echo_engine(), 0
    local host = coroutine.create(function()
      run({function()
        local _ <close> = setmetatable({}, {__close = function()
          closed = closed + 1
        end})
        scheduler.forward(engine, {}, {{1}})
        coroutine.yield "tick"
      end}, 1)
    end)
    coroutine.resume(host)
    assert.equal(0, closed)
    assert.is_true(coroutine.close(host))
    assert.equal(1, closed)
  end)

  it("runs inside of a job of another one", function()
    local outer, inner, done = echo_engine(), echo_engine(), {}
    run({function()
      scheduler.forward(outer, {}, {{1}})
      run({asker(inner, 1, 3, done), asker(inner, 2, 2, done)}, 8)
      scheduler.forward(outer, {}, {{2}})
    end}, 8)
    assert.equal(2, outer.passes)
    assert.same({2, 2, 1}, inner.sizes)
  end)

  it("shares the passes of one that runs in a job of another", function()
    local engine, done = echo_engine(), {}
    run({asker(engine, 1, 3, done),
         function()
           run({asker(engine, 2, 3, done), asker(engine, 3, 2, done)}, 8)
         end, asker(engine, 4, 1, done)}, 8)
    assert.same({4, 3, 2}, engine.sizes)
    table.sort(done)
    assert.same({1, 2, 3, 4}, done)
  end)

  it("lets the last job run to its end, if nobody joins any more", function()
    for _, last in ipairs{true, false} do
      local engine, done, pool = echo_engine(), {}, scheduler.new()
      for i, n in ipairs{2, 5} do
        pool:start(asker(engine, i, n, done), 1, function() end)
      end
      pool:round()
      pool.last = last
      pool:round()
      assert.equal(2, engine.passes)
      pool:round()
      assert.same(last and {1, 2} or {1}, done)
      assert.equal(last and 5 or 3, engine.passes)
    end
  end)

  it("drops a job and closes what it holds", function()
    local engine, closed, said = echo_engine(), 0, {}
    local pool = scheduler.new()
    local job = pool:start(function()
      local _ <close> = setmetatable({}, {__close = function()
        closed = closed + 1
      end})
      scheduler.forward(engine, {}, {{1}})
    end, 3, function(_, fine) said[#said + 1] = tostring(fine) end)
    assert.equal(3, pool.width)
    pool:drop(job)
    pool:drop(job)
    assert.same({0, 1, "nil"}, {pool.width, closed, table.unpack(said)})
    pool:round()
    assert.equal(0, engine.passes)
  end)

  -- A pool with n jobs that wait for scores.
  local function waiting(n)
    local engine, pool = echo_engine(), scheduler.new()
    for i = 1, n do
      pool:start(asker(engine, i, 2, {}), 1, function() end)
    end
    return pool
  end

  it("counts who shares passes, however a pool ends", function()
    collectgarbage()
    assert.equal(0, scheduler.sharing)
    local pool = waiting(3)
    assert.equal(3, scheduler.sharing)
    pool:drop(pool.live[2])
    assert.equal(2, scheduler.sharing)
    pool:close()
    pool:close()
    assert.equal(0, scheduler.sharing)
    assert.has_error(function()
      local engine = echo_engine()
      run({asker(engine, 1, 3, {}), function() error("no", 0) end}, 2)
    end, "no")
    assert.equal(0, scheduler.sharing)
  end)

  it("counts a pool out once that is collected, and closed then", function()
    local closed = 0
    do
      local holder = setmetatable({}, {__gc = function(self)
        self.pool:close()
        closed = closed + 1
      end})
      holder.pool = waiting(2)
    end
    collectgarbage()
    collectgarbage()
    assert.same({1, 0}, {closed, scheduler.sharing})
  end)

  it("raises a failed pass in the job that is at fault, and only there",
     function()
    local said, pool = {}, scheduler.new()
    local engine = {forward = function(requests)
      local answers = {}
      for i, request in ipairs(requests) do
        if request[2] == "bad" then return nil, "bad rows" end
        answers[i] = {request[2]}
      end
      return answers
    end}
    for i, rows in ipairs{"a", "bad", "c"} do
      pool:start(function()
        local fine, answer = pcall(scheduler.forward, engine, {}, rows)
        said[i] = fine and answer[1] or answer
      end, 1, function() end)
    end
    pool:round()
    assert.same({"a", "bad rows", "c"}, said)
  end)

  it("takes what a hook raises for nobody's failure, and asks nothing twice",
     function()
    local engine, said, pool = echo_engine(), {}, scheduler.new()
    for i = 1, 2 do
      pool:start(function() scheduler.forward(engine, {}, {{i}}) end, 1,
                 function(_, fine, failure) said[i] = failure or fine end)
    end
    debug.sethook(function()
      if debug.getinfo(2, "f").func ~= engine.forward then return end
      debug.sethook()
      error("enough", 0)
    end, "r")
    local fine, message = pcall(pool.round, pool)
    debug.sethook()
    assert.same({false, "enough"}, {fine, message})
    pool:round()
    assert.equal(1, engine.passes)
    assert.matches("broke off", said[1])
    assert.matches("broke off", said[2])
    assert.equal(0, pool.width)
  end)

  it("goes on where a host left that was closed in the middle", function()
    local engine, ends = echo_engine(), {}
    local pool = scheduler.new()
    for i = 1, 3 do
      pool:start(function()
        scheduler.forward(engine, {}, {{i}})
        if i == 2 then coroutine.yield "tick" end
        assert(scheduler.forward(engine, {}, {{i}})[1][1] == i)
      end, 1, function(_, fine, failure) ends[i] = failure or fine end)
    end
    local host = coroutine.create(function() pool:round() end)
    coroutine.resume(host)
    coroutine.close(host)
    pool:start(asker(engine, 4, 1, {}), 1, function(_, fine)
      ends[4] = fine
    end)
    pool:round()
    pool:round()
    assert.same({true, true, true}, {ends[1], ends[3], ends[4]})
    assert.matches("was closed while user code had yielded", ends[2])
    assert.equal(0, pool.width)
  end)

  it("gives each session the scores of its own rows", function()
    local session, engine = toy.session{rows = 2}
    local first
    run({function()
      first = session:forward{{1}, {3, 5}}
    end}, 1)
    assert.equal(1, engine.passes)
    assert.equal(4, first[1]:argmax())
    assert.equal(3, first[2]:argmax())
  end)
end)
