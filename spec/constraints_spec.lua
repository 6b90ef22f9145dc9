-- decant.constraints: how far a row is in the phrases that it must hold. The
-- rules are transformers' (generate.md, sections 3.6 and 4.1 number 50).

local constraints = require "decant.constraints"

local function after(words, ids)
  local state = constraints.start(words)
  for _, id in ipairs(ids) do state = constraints.add(state, id) end
  return state
end


describe("constraints", function()
  it("walk through a phrase token by token", function()
    local words = {{1, 2, 3}}
    assert.same({1}, constraints.advance(after(words, {})))
    assert.same({2}, constraints.advance(after(words, {1})))
    assert.same({3}, constraints.advance(after(words, {9, 1, 2})))
    assert.is_false(after(words, {1, 2}).completed)
    assert.is_true(after(words, {1, 2, 3}).completed)
    assert.same({}, constraints.advance(after(words, {1, 2, 3, 7})))
  end)

  it("begin a phrase anew where the row leaves it", function()
    local words = {{1, 2, 3}}
    assert.same({1}, constraints.advance(after(words, {1, 2, 4})))
    assert.is_false(after(words, {1, 2, 4, 3}).completed)
    assert.is_true(after(words, {1, 2, 4, 1, 2, 3}).completed)
    -- the token that leaves a phrase begins none
    assert.same({1}, constraints.advance(after(words, {1, 1})))
  end)

  it("are content with one phrase of a set", function()
    local words = {{{1, 2, 3}, {1, 2, 4, 5}, {1, 2, 5}}}
    assert.same({3, 4, 5}, constraints.advance(after(words, {1, 2})))
    assert.is_true(after(words, {1, 2, 4, 5}).completed)
    assert.is_true(after(words, {1, 2, 5}).completed)
    assert.is_false(after(words, {1, 2, 4}).completed)
  end)

  it("take several phrases in any order, one at a time", function()
    local words = {{1, 2}, {3}}
    assert.same({1, 3}, constraints.advance(after(words, {})))
    assert.same({3}, constraints.advance(after(words, {1, 2})))
    assert.same({2}, constraints.advance(after(words, {1})))
    assert.is_true(after(words, {3, 1, 2}).completed)
    assert.is_false(after(words, {1, 3, 2}).completed)
    -- what was begun and left comes behind what was not
    assert.same({3, 1}, constraints.advance(after(words, {1, 9})))
  end)

  it("count how many tokens are in place", function()
    local words = {{1, 2, 3}, {4}}
    local function bank(ids) return constraints.bank(after(words, ids)) end
    assert.same({0, 1, 2, 3, 3, 6},
                {bank{}, bank{1}, bank{1, 2}, bank{1, 2, 3}, bank{4},
                 bank{1, 2, 3, 4}})
  end)

  it("leave a state as it is when they go on from it", function()
    local state = after({{1, 2}, {3}}, {1})
    constraints.add(state, 9)
    constraints.add(state, 2)
    assert.same({2}, constraints.advance(state))
  end)

  it("say what can never be met", function()
    local function wrong(words, env) return constraints.wrong(words, env) end
    assert.matches("entry 1: a phrase of the set begins another",
                   wrong({{{1, 2}, {1, 2, 3, 4}}}, {}))
    assert.matches("entry 1: a phrase of the set begins another",
                   wrong({{{1, 2, 3, 4}, {1, 2}}}, {}))
    assert.matches("entry 1: a phrase of the set begins another",
                   wrong({{{1, 2}, {1, 2}}}, {}))
    assert.matches("entry 2 has the id 7, which ends the row",
                   wrong({{1}, {3, 7}}, {eos = {7}}))
    assert.matches("has the id 10, must be from 0 to 9",
                   wrong({{10}}, {vocab = 10}))
    assert.matches("which suppress_tokens bans",
                   wrong({{3}}, {suppressed = {3}}))
    assert.matches("which bad_words_ids bans",
                   wrong({{3}}, {bad_words = {{1, 3}, {3}}}))
    assert.matches("the phrases have 5 tokens, and a row has room for 4",
                   wrong({{1, 2, 3}, {{4, 5}, {6, 7, 8}}}, {longest = 4}))
    assert.is_nil(wrong({{1, 2, 3}, {{4}, {6, 7, 8}}},
                        {longest = 4, eos = {9}, bad_words = {{1, 2}}}))
  end)
end)
