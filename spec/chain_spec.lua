-- Chain: built-in and Lua processors in one list, run on a row at each step.

local core = require "decant.core"
local processors = require "decant.processors"

local inf = math.huge

local function row(...) return core.logits {...} end

describe("a chain", function()
  it("mixes built-in processors and functions, in order", function()
    local chain = core.chain {
      processors.bias {[0] = 1},
      function(logits) logits[0] = logits[0] * 10 end,
      processors.bias {[0] = 1},
    }
    local logits = row(1, 0)
    assert.equal(logits, chain(logits, {}))
    assert.equal(21, logits[0])
    assert.equal(3, #chain)
  end)

  it("shows the prompt and the new ids as one row", function()
    local seen
    local chain = core.chain({
      function(_, ids) seen = ids end,
      processors.no_repeat_ngram(1),
    }, {4, 5})
    local logits = chain(row(0, 0, 0, 0, 0, 0), {1, 2})
    assert.same({4, 5, 1, 2}, seen)
    assert.same({[0] = 0, -inf, -inf, 0, -inf, -inf}, logits:totable())
    chain(row(0, 0, 0, 0, 0, 0), {1, 2}, true)
    assert.same({1, 2}, seen)
    chain(row(0, 0, 0, 0, 0, 0))
    assert.same({4, 5}, seen)
  end)

  it("gives each function a list of its own", function()
    local lists = {}
    local function keep(_, ids)
      lists[#lists + 1] = ids
      ids[1] = 99
    end
    local chain = core.chain({keep, keep, processors.no_repeat_ngram(1)}, {0})
    local logits = chain(row(0, 0, 0), {1})
    assert.are_not.equal(lists[1], lists[2])
    assert.same({99, 1}, lists[2])
    assert.same({[0] = -inf, -inf, 0}, logits:totable())
  end)

  it("reads rows that grow and shrink", function()
    local length
    local chain = core.chain({function(_, ids) length = #ids end}, {7})
    for _, n in ipairs {0, 1, 63, 64, 65, 1000, 3} do
      local ids = {}
      for i = 1, n do ids[i] = i end
      chain(row(0), ids)
      assert.equal(n + 1, length)
    end
  end)

  it("is transparent to a yield and reads the row again after it", function()
    local chain
    local steps = {}
    chain = core.chain {
      processors.bias {[0] = 1},
      function(logits, ids)
        steps[#steps + 1] = ids[1]
        local got = coroutine.yield("waiting " .. ids[1])
        logits:bias {[1] = got}
      end,
      processors.no_repeat_ngram(1),
    }
    local function start(id, logits)
      return coroutine.wrap(function()
        return chain(logits, {id})
      end)
    end
    local a, b = row(0, 0, 0, 0), row(0, 0, 0, 0)
    local one, two = start(2, a), start(3, b)
    assert.equal("waiting 2", one())
    assert.equal("waiting 3", two())  -- has put its own row in the buffer
    assert.equal(a, one(5))
    assert.equal(b, two(6))
    assert.same({[0] = 1, 5, -inf, 0}, a:totable())
    assert.same({[0] = 1, 6, 0, -inf}, b:totable())
    assert.same({2, 3}, steps)
  end)

  it("lets a processor call the same chain", function()
    local chain
    local inner = row(0, 0, 0)
    chain = core.chain {
      function(_, ids)
        if ids[1] == 1 then chain(inner, {2, 2, 2}) end
      end,
      processors.no_repeat_ngram(1),
    }
    local outer = chain(row(0, 0, 0), {1})
    assert.same({[0] = 0, -inf, 0}, outer:totable())
    assert.same({[0] = 0, 0, -inf}, inner:totable())
  end)

  it("passes an error on and works afterwards", function()
    local angry = true
    local mistake = {}
    local chain = core.chain {
      processors.bias {[0] = 1},
      function() if angry then error(mistake) end end,
      processors.bias {[0] = 1},
    }
    local fine, said = pcall(chain, row(0), {1})
    assert.is_false(fine)
    assert.equal(mistake, said)
    angry = false
    assert.equal(2, chain(row(0), {1})[0])
  end)

  it("passes on an error raised after a yield", function()
    local chain = core.chain {function()
      coroutine.yield()
      error("late", 0)
    end}
    local co = coroutine.create(function() chain(row(0), {}) end)
    assert.is_true(coroutine.resume(co))
    assert.same({false, "late"}, {coroutine.resume(co)})
  end)

  it("takes nothing or the same logits as a result", function()
    local function returning(value)
      return function() return core.chain {function() return value end}(
        row(1), {}) end
    end
    local chain = core.chain {function(logits) return logits end}
    assert.equal(1, chain(row(1), {})[0])
    for value, shown in pairs {
      [5] = "number", [row(2)] = "userdata", [true] = "boolean",
      x = "string"} do
      assert.has_error(returning(value), "processor 1 returned a " .. shown
        .. ": it must edit the logits in place and return nothing or these "
        .. "logits")
    end
  end)

  it("takes anything callable, other chains too", function()
    local object = setmetatable({}, {__call = function(_, logits, ids)
      logits[0] = #ids
    end})
    local inner = core.chain {processors.bias {[0] = 0.5}}
    assert.equal(2.5, core.chain {object, inner}(row(0), {1, 2})[0])
  end)

  it("bans everything without complaint; the choice then fails", function()
    local logits = core.chain {processors.suppress_tokens {0, 1}}(row(1, 2),
                                                                  {})
    assert.has_error(function() logits:argmax() end,
                     "no token is allowed: every logit is -inf")
  end)

  it("says which processor failed", function()
    local chain = core.chain {processors.top_k(1), processors.top_p(0.5),
                              processors.forced_bos(9)}
    assert.has_error(function() chain(row(1, 2), {1}) end,
                     "processor 3 (forced_bos): id 9 is not in the "
                     .. "vocabulary (0 to 1)")
    assert.has_error(function() chain(row(1, 0 / 0), {}) end,
                     "processor 1 (top_k): the logit of id 1 is NaN")
  end)

  it("keeps a list of its own", function()
    local list = {processors.bias {[0] = 1}}
    local chain = core.chain(list)
    list[1], list[2] = nil, nil
    collectgarbage()
    assert.equal(1, chain(row(0), {})[0])
  end)

  it("checks what it is given", function()
    local chain = core.chain {processors.top_k(1)}
    for _, call in ipairs {
      function() core.chain(5) end,
      function() core.chain {5} end,
      function() core.chain({}, {"a"}) end,
      function() core.chain({}, 5) end,
      function() chain() end,
      function() chain({}, {}) end,
      function() chain(row(1), 5) end,
      function() chain(row(1), {-1}) end,
      function() chain(row(1), {1, "2"}) end,
      function() chain(row(1), {2^40}) end,
    } do
      assert.has_error(call)
    end
  end)

  it("costs no memory for a run of built-in processors", function()
    local chain = core.chain({processors.temperature(0.9),
                              processors.no_repeat_ngram(3),
                              processors.top_k(4), processors.top_p(0.9)},
                             {1, 2})
    local logits, ids = row(1, 2, 3, 4, 5, 6, 7), {1, 2, 3}
    chain(logits, ids)
    collectgarbage()
    collectgarbage "stop"
    local before = collectgarbage "count"
    for _ = 1, 100 do chain(logits, ids) end
    local after = collectgarbage "count"
    collectgarbage "restart"
    assert.equal(before, after)
  end)
end)
