-- decant.session over a pure Lua cache (spec/support/toy.lua).

local toy = require "spec.support.toy"

describe("a session", function()
  it("appends what it is fed and scores the next token", function()
    local session = toy.session()
    assert.equal(4, session:feed{1}:argmax())
    assert.equal(3, session:feed(5):argmax())
    assert.equal(2, session:length())
    assert.equal(1, #session)
  end)

  it("leaves rows alone that get no ids", function()
    local session = toy.session{rows = 3}
    session:forward{{1}, {1}, {1}}
    local answers = session:forward{{5}, {}, {3, 4}}
    assert.equal(3, answers[1]:argmax())
    assert.is_false(answers[2])
    assert.equal(2, answers[3]:argmax())
    assert.same({2, 1, 3},
                {session:length(1), session:length(2), session:length(3)})
  end)

  it("takes an id for a list of one", function()
    local session = toy.session{rows = 3}
    local rows = {1, {}, {1, 5}}
    local answers = session:forward(rows)
    assert.equal(4, answers[1]:argmax())
    assert.equal(3, answers[3]:argmax())
    assert.same({1, {}, {1, 5}}, rows)
    assert.same({1, 0, 2},
                {session:length(1), session:length(2), session:length(3)})
  end)

  it("lets rows multiply and vanish", function()
    local session = toy.session()
    session:feed{1, 3}
    session:reorder{1, 1, 1}
    assert.equal(3, #session)
    session:forward{{2}, {3}, {4, 5}}
    session:reorder{3, 1}
    assert.same({4, 3}, {session:length(1), session:length(2)})
  end)

  it("truncates, forks and resets", function()
    local session = toy.session()
    session:feed{1, 3, 4}
    local fork = session:fork()
    session:truncate(1)
    fork:feed(5)
    assert.same({1, 4}, {session:length(), fork:length()})
    fork:reset()
    assert.same({1, 0}, {session:length(), fork:length()})
  end)

  it("closes once, by hand or at the end of its scope", function()
    local session, _, core = toy.session()
    do
      local inner <close> = session
      inner:feed{1}
    end
    assert.equal(0, core.open_rows)
    session:close()
    assert.equal(0, core.open_rows)
    assert.error_matches(function() session:feed{1} end,
                         "session:feed: the session is closed")
    assert.matches("closed", tostring(session))
  end)

  it("names the row and the id that is out of range", function()
    local session = toy.session{rows = 2}
    assert.error_matches(function() session:forward{{1}, {1, 6}} end,
      "row 2, id 2 is 6; a token id is an integer from 0 to 5")
    assert.error_matches(function() session:forward{{-1}, {}} end,
                         "id 1 is %-1")
    assert.error_matches(function() session:forward{{1.5}, {}} end,
                         "id 1 is 1.5")
    assert.error_matches(function() session:forward{{1}} end,
                         "a list of 2 rows")
    assert.error_matches(function() session:forward{1, "2"} end,
                         "row 2 is a string")
    assert.error_matches(function() session:forward{1, 6} end,
                         "row 2, id 1 is 6")
    assert.equal(0, session:length(1))
  end)

  it("raises where one row is wanted, or ids", function()
    assert.error_matches(function() toy.session{rows = 2}:feed(1) end,
                         "the session has 2 rows; use forward")
    assert.error_matches(function() toy.session():feed{} end, "no ids")
  end)

  it("names length and limit when the context is full", function()
    local session = toy.session{context = 3}
    session:feed{1, 2}
    assert.error_matches(function() session:feed{3, 4} end,
      "row 1 would hold 4 positions; the context of the model has 3")
    session:feed(3)
    assert.equal(3, session:length())
  end)

  it("checks parents, lengths and rows", function()
    local session = toy.session()
    assert.error_matches(function() session:reorder{2} end,
                         "parent 1 is 2; rows are numbered 1 to 1")
    assert.error_matches(function() session:reorder{} end, "at least one")
    assert.error_matches(function() session:truncate(-1) end, "not a length")
    assert.error_matches(function() session:length(2) end, "row 2")
  end)
end)
