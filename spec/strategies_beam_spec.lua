-- Beam searches: streaming, coverage, groups, phrases and draws without
-- replacement; over the toy model of reference/generate.md (4.2) and the tiny
-- models of the zoo. Plain beam search: strategies_spec.lua; whole results of
-- the reference: parity_spec.lua, strategies_parity_spec.lua.

local beams = require "decant.beams"
local core = require "decant.core"
local decant = require "decant"
local fixtures = require "spec.support.fixtures"
local stop = require "decant.stop"
local strategies = require "decant.strategies"
local toy = require "spec.support.toy"

local function options(given)
  local longest = given.max_new_tokens or 9
  local opts = {
    length_penalty = 1.0, early_stopping = false, eos_token_id = {2},
    max_new_tokens = longest, pad_token_id = 0,
    stop = stop.any{stop.eos{2}, stop.length(longest)},
  }
  for name, value in pairs(given) do opts[name] = value end
  return opts
end

local texts, assert_scores = toy.texts, toy.assert_scores


-- log-probability of a row of the toy model that begins behind 1
local function log_probability(ids)
  local sum, last = 0, 1
  for _, id in ipairs(ids) do
    sum = sum + core.logits(toy.T[last]):log_softmax()[id]
    last = id
  end
  return sum
end


describe("beams that stream", function()
  -- What was emitted, and after how many passes.
  local function listen(engine)
    local said, passes = {}, {}
    return function(id)
      said[#said + 1] = id
      passes[#passes + 1] = engine.passes
    end, said, passes
  end

  it("say a token as soon as all rows that may win have it", function()
    local session, engine = toy.session()
    local emit, said, passes = listen(engine)
    local found = strategies.beam(session, {1}, options{
      num_beams = 2, emit = emit, early_stopping = "never",
      process = function(logits, ids)
        if #ids < 3 then logits:keep{3 + #ids % 2} end
      end,
    })
    assert.same(found[1].ids, said)
    assert.same({1, 2, 3}, {passes[1], passes[2], passes[3]})
    assert.is_true(engine.passes > 3)
  end)

  it("hold back what rows do not share", function()
    local session, engine = toy.session()
    local emit, said, passes = listen(engine)
    local found = strategies.beam(session, {1}, options{
      num_beams = 3, emit = emit})
    assert.same(found[1].ids, said)
    assert.is_true(passes[1] > 1)
  end)

  it("wait for no row that is out of the race", function()
    local session, engine = toy.session()
    local emit, said, passes = listen(engine)
    -- 4 5 stops in the second step, the worse 3 3 3 in the third, where it
    -- leaves a dead beam beside 4 4 4
    local found = strategies.beam(session, {1}, options{
      num_beams = 2, emit = emit, early_stopping = false,
      process = function(logits, ids)
        if #ids == 0 then return logits:keep{3, 4} end
        logits:keep(ids[1] == 3 and {3} or #ids == 1 and {4, 5} or {4})
        logits:bias{[3] = -2}
      end,
      stop = function(ids)
        return (ids[2] == 5 or ids[3] == 3) and "stop"
               or #ids == 6 and "length"
      end,
    })
    assert.same(found[1].ids, said)
    assert.equal(4, said[1])
    assert.equal(3, passes[1])
  end)

  it("never say what the winner has not", function()
    local model = assert(decant.load(fixtures.gguf("marian", "f32")))
    for _, config in ipairs {
      {num_beams = 4}, {num_beams = 3, early_stopping = false},
      {num_beams = 4, early_stopping = "never", length_penalty = 2},
      {num_beams = 4, do_sample = true, seed = 1},
      {num_beams = 4, num_beam_groups = 2, diversity_penalty = 0.5},
      {num_beams = 4, force_words_ids = {{23}, {34, 87}}},
      {num_beams = 4, do_sample = true, strategy = "stochastic_beam"},
      {best_of = 3, do_sample = true, seed = 2},
      {return_alternatives = true, num_return_sequences = 3},
    } do
      for source = 1, 6 do
        local said = {}
        config.max_new_tokens = 12
        config.on_token = function(id) said[#said + 1] = id end
        local ids = model:generate({source * 7, 5, 9, source}, config)[1].ids
        assert.same(table.move(ids, 2, #ids, 1, {}), said)
      end
    end
    model:close()
  end)

  it("stop when on_token says so", function()
    local model = toy.model()
    local results = model:generate({1, 3}, {
      num_beams = 2, max_new_tokens = 8, early_stopping = "never",
      processors = {function(logits) logits:keep{3} end},
      on_token = function() return false end,
    })
    assert.equal("cancelled", results[1].finish)
    assert.is_true(#results[1].ids < 4)
    assert.equal(0, model.core.open_rows)
  end)
end)


describe("beams with a coverage penalty", function()
  -- The row looks at position 1 after a 3, else at position 2.
  local function search(penalty)
    local session = toy.session{kind = "seq2seq", attention = function(line)
      return line[#line] == 3 and {1, 0} or {0.1, 0.2}
    end}
    return strategies.beam(session, {1}, options{
      num_beams = 3, coverage_penalty = penalty, early_stopping = "never",
      num_return_sequences = 3})
  end

  it("add penalty * sum of log(min(attention, 1)) to each score", function()
    for _, h in ipairs(search(0.5)) do
      local sum = {0.1, 0.2}  -- what the prompt's last position looks at
      for i = 1, #h.ids - 1 do
        local a = h.ids[i] == 3 and {1, 0} or {0.1, 0.2}
        sum = {sum[1] + a[1], sum[2] + a[2]}
      end
      local penalty = math.log(math.min(sum[1], 1)) +
                      math.log(math.min(sum[2], 1))
      assert.near(log_probability(h.ids) / #h.ids + 0.5 * penalty, h.score,
                  1e-5)
    end
  end)

  it("prefer a row that looks at all of the source", function()
    assert.equal("5 3 4 2", texts{search(nil)[1]})
    local longer = search(3)[1].ids
    assert.is_true(#longer > 4)
  end)

  it("read the attention of a real model", function()
    local model = assert(decant.load(fixtures.gguf("bart", "f32")))
    local config = {num_beams = 3, num_return_sequences = 3,
                    max_new_tokens = 8}
    local plain = model:generate({9, 17, 25, 33, 2}, config)
    config.coverage_penalty = 1
    local lowest = 0
    local covered = model:generate({9, 17, 25, 33, 2}, config)
    for _, result in ipairs(covered) do
      local session <close> = model:session{source = {9, 17, 25, 33, 2}}
      local fed = table.move(result.ids, 1, #result.ids - 1, 1, {})
      local _, extras = session:feed(fed, {attention = true})
      local penalty = 0
      for j = 1, 5 do
        local sum = 0
        for i = 1, #fed do sum = sum + extras.attention[i][j] end
        penalty = penalty + math.log(math.min(sum, 1))
      end
      for _, other in ipairs(plain) do
        if table.concat(other.ids, " ") == table.concat(result.ids, " ") then
          assert.near(other.score + penalty, result.score, 1e-5)
        end
      end
      lowest = math.min(lowest, penalty)
    end
    assert.is_true(lowest < 0)
    model:close()
  end)
end)


describe("diverse beams", function()
  local function search(given)
    local session, engine = toy.session()
    given.num_beams, given.num_beam_groups = 4, given.groups or 2
    given.diversity_penalty = given.penalty or 0.5
    given.num_return_sequences = given.returns or 4
    given.max_new_tokens = 7
    return strategies.diverse_beam(session, {1}, options(given)), engine
  end

  it("give line R of the toy model", function()
    local found = search{}
    assert.equal("5 3 4 2 | 5 3 3 4 2 | 3 4 2 | 4 2", texts(found))
    assert_scores({-.872873, -.912868, -1.166835, -1.213830}, found)
  end)

  it("share a forward pass among all groups", function()
    local _, engine = search{}
    assert.equal(1, engine.rows[1])
    assert.equal(4, engine.rows[2])
  end)

  it("give every end token as the first one, as the reference does", function()
    local found = search{eos_token_id = {2, 4},
                         stop = stop.any{stop.eos{2, 4}, stop.length(7)}}
    local ended = 0
    for _, h in ipairs(found) do
      assert.falsy(texts{h}:find("4", 1, true))
      if h.finish == "eos" then
        assert.equal(2, h.ids[#h.ids])
        ended = ended + 1
      end
    end
    assert.is_true(ended > 1)
  end)

  it("differ where the penalty is high", function()
    local found = search{groups = 4, penalty = 100, process = function(row)
      row:suppress{2}
    end}
    local first = {}
    for _, h in ipairs(found) do
      assert.is_nil(first[h.ids[1]])
      first[h.ids[1]] = true
    end
  end)

  it("pay for each time, also where that is beyond an integer", function()
    local found = search{groups = 4, penalty = 5 << 60, process = function(row)
      row:keep{3, 4}
    end}
    local times = {[3] = 0, [4] = 0}
    for _, h in ipairs(found) do times[h.ids[1]] = times[h.ids[1]] + 1 end
    assert.same({[3] = 2, [4] = 2}, times)
  end)
end)


describe("constrained beams", function()
  local function search(words, given)
    local session = toy.session()
    given = given or {}
    given.num_beams, given.force_words_ids = given.num_beams or 3, words
    return strategies.constrained_beam(session, {1}, options(given))
  end

  it("hold each phrase", function()
    for _, h in ipairs(search({{4, 4}}, {num_return_sequences = 3})) do
      assert.truthy(texts{h}:find("4 4", 1, true))
    end
    assert.falsy(texts(search{}):find("4 4", 1, true))
    local both = texts(search{{5}, {4, 4}})
    assert.truthy(both:find("5", 1, true) and both:find("4 4", 1, true))
  end)

  it("stop only where they hold everything", function()
    local function ends_at(id)
      return function(ids)
        return ids[#ids] == id and "stop" or #ids == 9 and "length"
      end
    end
    -- 3 ends a row, so of {3} and {4, 4} it must come last; it is so improbable
    -- that only its phrase brings it up
    local found = search({{3}, {4, 4}}, {
      num_return_sequences = 3, stop = ends_at(3), eos_token_id = {},
      early_stopping = true,
      process = function(logits) logits:bias{[3] = -9} end})
    assert.equal(3, #found)
    for _, h in ipairs(found) do
      assert.matches("^[^3]*4 4[^3]* 3$", texts{h})
      assert.equal("stop", h.finish)
    end
  end)

  it("hold one phrase of a set", function()
    local text = texts(search{{{5, 5}, {4, 4}}})
    assert.truthy(text:find("5 5", 1, true) or text:find("4 4", 1, true))
  end)

  it("are plain beams of the old rules without phrases", function()
    local found = search({}, {length_penalty = 2, early_stopping = true,
                              num_return_sequences = 3})
    assert.equal("3 4 2 | 4 2 | 2", texts(found))  -- line Q = line B
    assert_scores({-.333389, -.481915, -1.494184}, found)
    found = search({}, {length_penalty = 2, num_return_sequences = 3})
    assert.equal("5 3 3 3 4 4 4 4 2 | 5 3 3 4 4 4 4 4 2 | 5 3 4 4 4 4 4 4 2",
                 texts(found))
  end)

  it("return what there is where only the end is allowed", function()
    local found = search({{5, 4}}, {process = function(logits)
      logits:keep{2}
    end})
    assert.equal("2", texts(found))
  end)

  it("refuse phrases that have no room, before they feed anything", function()
    local session, engine = toy.session()
    assert.error_matches(function()
      strategies.constrained_beam(session, {1}, options{
        force_words_ids = {{3, 4, 5}}, max_new_tokens = 2})
    end, "the phrases have 3 tokens, and a row has room for 2")
    assert.equal(0, engine.passes)
  end)
end)


describe("stochastic beams", function()
  local function draw(seed, width, length)
    return strategies.stochastic_beam(toy.session(), {1}, options{
      num_beams = width, num_return_sequences = width, eos_token_id = {},
      stop = stop.length(length), rng = core.rng(seed), length_penalty = 0})
  end

  it("draw rows that differ, with their log-probabilities", function()
    for seed = 1, 20 do
      local found, seen = draw(seed, 5, 3), {}
      assert.equal(5, #found)
      for _, h in ipairs(found) do
        assert.is_nil(seen[texts{h}])
        seen[texts{h}] = true
        assert.near(log_probability(h.ids), h.score, 1e-5)
      end
    end
  end)

  it("draw without replacement, each pair as often as it should", function()
    local n, count = 4000, {}
    for seed = 1, n do
      local key = texts(draw(seed, 2, 2))
      count[key] = (count[key] or 0) + 1
    end
    local tested = 0
    for key, times in pairs(count) do
      local a, b = key:match "^(%d %d) | (%d %d)$"
      local p, q
      for i, row in ipairs{a, b} do
        local ids = {}
        for id in row:gmatch "%d" do ids[#ids + 1] = math.tointeger(id) end
        if i == 1 then p = math.exp(log_probability(ids))
        else q = math.exp(log_probability(ids)) end
      end
      local exact = p * q / (1 - p)
      if exact * n > 20 then
        tested = tested + 1
        assert.near(exact, times / n, 4 * (exact * (1 - exact) / n) ^ 0.5)
      end
    end
    assert.is_true(tested > 30)
  end)

  it("make keys below the one before, as Gumbel variables are", function()
    local draws = require("decant.gumbel").draws
    local logits = core.logits{0, 0, 0, 0, 0, 0}:log_softmax()
    for _, key in ipairs{-4, -1, 0, 3} do
      -- the median of what weighs 5/6, given that it is below `key`
      local location, below, n = 1.5 + math.log(5 / 6), 0, 3000
      local median = location - math.log(math.exp(location - key) +
                                         math.log(2))
      for seed = 1, n do
        local list = draws(logits, 2, 1.5, key, core.rng(seed))
        assert.equal(key, list[1].key)
        assert.is_true(list[2].key < key)
        if list[2].key < median then below = below + 1 end
      end
      assert.near(0.5, below / n, 4 * 0.5 / n ^ 0.5)
    end
  end)

  it("begin with the row that would win alone", function()
    for seed = 1, 10 do
      local said = {}
      local found = strategies.stochastic_beam(toy.session(), {1}, options{
        num_beams = 3, rng = core.rng(seed),
        emit = function(id) said[#said + 1] = id end})
      assert.same(found[1].ids, said)
    end
  end)
end)


describe("the ids of beams", function()
  it("are copied for all children but one", function()
    local parent = {ids = {1, 2}, score = 0, row = 1}
    local function child(id)
      return {parent = parent, row = 1, id = id, score = 0}
    end
    local list = beams.become{child(7), child(8), child(9)}
    assert.same({{1, 2, 7}, {1, 2, 8}, {1, 2, 9}},
                {list[1].ids, list[2].ids, list[3].ids})
    assert.equal(parent.ids, list[3].ids)
  end)
end)
