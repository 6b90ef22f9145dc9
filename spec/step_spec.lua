-- core.step and core.step_all: one token more in each row (src/lua/step.c).

local core = require "decant.core"
local decant = require "decant"
local fixtures = require "spec.support.fixtures"

describe("a step of the core", function()
  local model, start
  setup(function()
    model = assert(decant.load(fixtures.gguf("marian", "q8_0")))
    start = model.config.decoder_start
  end)
  teardown(function() model:close() end)

  -- The core's rows of a session, and the session.
  local function rows_of(n)
    local session = model:session{source = {5, 6, 7, 0}, rows = n}
    return session.cache, session
  end

  it("gives the bits of core.forward, and goes on in the same row", function()
    local one, other = rows_of(1), rows_of(1)
    for _, id in ipairs{start, 4, 9} do
      assert.same(core.forward {{other, {{id}}}} [1][1]:totable(),
                  core.step(one, id):totable())
    end
    assert.equal(3, one:length())
  end)

  it("gives those of each row", function()
    local all, other = rows_of(3), rows_of(3)
    local expected = core.forward {{other, {{start}, {4}, {9}}}} [1]
    for i, logits in ipairs(core.step_all(all, {start, 4, 9})) do
      assert.same(expected[i]:totable(), logits:totable())
    end
  end)

  it("writes over what it is given, unless that is held", function()
    local one, all = rows_of(1), rows_of(2)
    local logits = core.step(one, start)
    assert.equal(logits, core.step(one, 4, logits))
    logits:hold()
    assert.are_not.equal(logits, core.step(one, 4, logits))
    local first = core.step(rows_of(1), start)
    local list = core.step_all(all, {start, 4}, {first, logits})
    assert.equal(first, list[1])
    assert.are_not.equal(logits, list[2])
    list = core.step_all(all, {start, 4}, {first, first})
    assert.are_not.equal(list[1], list[2])
    assert.equal(0, select("#", core.step(one, 4, core.logits{1, 2})))
    assert.equal(0, select("#", core.step_all(all, {4, 4}, {first, "x"})))
  end)

  it("leaves alone what is no such step", function()
    local one, two = rows_of(1), rows_of(2)
    for _, ids in ipairs{-1, model.config.vocab, 1.5, "4", {4}, false} do
      assert.is_nil(core.step(one, ids))
    end
    assert.is_nil(core.step(two, 4))
    for _, ids in ipairs{{4}, {4, 4, 4}, {4, {4}}, {4, -1}, {4, 1.5}, {}} do
      assert.is_nil(core.step_all(two, ids))
    end
    assert.is_nil(core.step_all(two, 4))
    assert.same({0, 0, 0}, {one:length(), two:length(1), two:length(2)})
    local many = {}
    for i = 1, 17 do many[i] = 4 end
    assert.is_nil(core.step_all(rows_of(17), many))
  end)

  it("is left to core.forward where the context is full", function()
    local rows, session = rows_of(1)
    for _ = 1, model.config.context do assert(core.step(rows, 4)) end
    assert.is_nil(core.step(rows, 4))
    assert.error_matches(function() session:feed(4) end,
                         "the context of the model has")
  end)

  it("wants open rows", function()
    local rows, session = rows_of(1)
    session:close()
    assert.error_matches(function() core.step(rows, 4) end, "closed")
    assert.error_matches(function() core.step_all(rows, {4}) end, "closed")
    assert.error_matches(function() core.step({}, 4) end, "decant.Rows")
  end)
end)


describe("a session of a model", function()
  it("takes single ids, alone and among others, with the same bits", function()
    local model <close> = assert(decant.load(fixtures.gguf("marian", "q8_0")))
    local found = {}
    local function strategy(session)
      session:feed{4}
      session:reorder{1, 1}
      for i, logits in ipairs(session:forward{5, 6}) do
        found[#found + 1] = logits:totable()
        assert.equal(2, session:length(i))
      end
      return {5}
    end
    model:generate({5, 6, 0}, {strategy = strategy})
    model:generate({{5, 6, 0}, {5, 6, 0}}, {strategy = strategy})
    for i = 3, 6 do assert.same(found[2 - i % 2], found[i]) end
  end)
end)
