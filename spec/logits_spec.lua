-- Logits: one row of scores keyed by token id from 0 (DESIGN.md, 2.3), and
-- the beam step over several rows.

local core = require "decant.core"

local inf = math.huge

local function logs(p)
  local row = {}
  for i, x in ipairs(p) do row[i] = math.log(x) end
  return core.logits(row)
end

local function allowed(logits)
  local ids = {}
  for id = 0, #logits - 1 do
    if logits[id] > -inf then ids[#ids + 1] = id end
  end
  return ids
end

describe("logits", function()
  -- The vocabulary of examples/02_logits.lua.
  local function example()
    return core.logits {-10, -8, -5, -2, 3.5, 2.1, 3.8, 1.5}
  end

  it("are read and written by token id, from 0", function()
    local logits = example()
    assert.equal(8, #logits)
    assert.equal(-10, logits[0])
    assert.equal(1.5, logits[7])
    logits[0] = 4
    assert.equal(4, logits[0])
    assert.equal(0, logits:argmax())
  end)

  it("name the range for an id outside of it", function()
    local logits = example()
    local says = "token id %s is out of range, must be from 0 to 7"
    for _, id in ipairs {-1, 8, 2^31, 0.5} do
      local text = says:format(tostring(id))
      assert.has_error(function() return logits[id] end, text)
      assert.has_error(function() logits[id] = 1 end, text)
    end
    assert.has_error(function() logits.x = 1 end)
    assert.has_error(function() logits[0] = "1" end)
    assert.has_error(function() logits:probability(8) end)
  end)

  it("give the most probable token and its probability", function()
    local logits = example()
    assert.equal(6, logits:argmax())
    assert.near(0.4934, logits:probability(6), 5e-5)
  end)

  it("give the log-probability that log_softmax would write", function()
    local logits = core.logits{0.5, -120, 3, -math.huge}
    local all = logits:clone():log_softmax()
    for id = 0, 3 do assert.equal(all[id], logits:log_probability(id)) end
    assert.has_error(function() logits:log_probability(4) end)
  end)

  it("list the best, best first, with probability and logit", function()
    local top = example():top(3)
    assert.equal(3, #top)
    assert.same({6, 4, 5}, {top[1].id, top[2].id, top[3].id})
    assert.near(3.8, top[1].logit, 1e-6)
    assert.near(0.4934, top[1].prob, 5e-5)
    assert.near(0.3655, top[2].prob, 5e-5)
    assert.equal(8, #example():top(99))
    assert.equal(2, #example():suppress {0, 1, 2, 3, 4, 5}:top(5))
  end)

  it("keep what top-k and top-p of the introduction keep", function()
    -- dog .40, The .35, runs .15, cat .08, eos .02
    local p = {.40, .35, .15, .08, .02}
    assert.same({0, 1, 2}, allowed(logs(p):top_k(3)))
    assert.same({0, 1}, allowed(logs(p):top_p(0.75)))
    assert.same({3, 4}, allowed(logs {.02, .08, .15, .35, .40}:top_p(0.75)))
  end)

  it("are edited in place by methods that can be chained", function()
    local logits = core.logits {1, 2, 3, 4}
    assert.equal(logits, logits:temperature(0.5):suppress {3}
                 :bias {[0] = 1, [1] = -inf}:softmax())
    local e = {math.exp(3), math.exp(6)}
    assert.near(e[1] / (e[1] + e[2]), logits[0], 1e-6)
    assert.equal(0, logits[1])
    assert.near(e[2] / (e[1] + e[2]), logits[2], 1e-6)
    assert.equal(0, logits[3])
    assert.same({1}, allowed(core.logits {1, 2, 3}:keep {1}))
    assert.same({0}, allowed(logs {.9, .06, .04}:min_p(0.5)))
    assert.same({1, 2, 3}, allowed(logs {.4, .2, .2, .2}:typical(0.5)))
    local row = core.logits {1, -1, 3}:repetition_penalty(2, {0, 1, 0})
    assert.same({[0] = 0.5, -2, 3}, row:totable())
    assert.near(-0.4076059, core.logits {1, 2, 3}:log_softmax()[2], 1e-6)
  end)

  it("give ties to the lower id", function()
    local flat = {}
    for i = 1, 600 do flat[i] = 1 end
    local logits = core.logits(flat)
    assert.equal(0, logits:argmax())
    local ids = {}
    for i, entry in ipairs(logits:top(300)) do ids[i] = entry.id end
    for i = 1, 300 do assert.equal(i - 1, ids[i]) end
    local kept = allowed(logits:clone():top_p(0.5))
    assert.equal(300, #kept)
    assert.equal(299, kept[300])
    assert.same({0, 1}, allowed(core.logits {0, 0, 0, 0}:top_p(0, 2)))
  end)

  it("survive a temperature near 0 as the greedy choice", function()
    local logits = core.logits {1, 88, 87.5, -inf}:temperature(2e-38)
    assert.equal(1, logits:argmax())
    assert.equal(1, (logits:sample(0.999)))
  end)

  it("keep a million-to-one tail out of the nucleus at any p", function()
    local row = {10}
    for i = 2, 32000 do row[i] = -10 + i % 7 * 1e-3 end
    assert.same({0}, allowed(core.logits(row):top_p(1e-9)))
    assert.same({0}, allowed(core.logits(row):top_p(0)))
    assert.equal(32000, core.logits(row):top_p(1):allowed())
  end)

  it("raise instead of choosing when nothing is allowed", function()
    local text = "no token is allowed: every logit is -inf"
    for _, method in ipairs {"argmax", "softmax", "log_softmax"} do
      assert.has_error(function()
        local row = core.logits {-inf, -inf}
        row[method](row)
      end, text)
    end
    assert.has_error(function() core.logits {-inf}:sample(0.5) end, text)
    assert.has_error(function() core.logits {-inf}:top(1) end, text)
    assert.has_error(function() core.logits {-inf}:probability(0) end, text)
  end)

  it("raise on a NaN and say where it is", function()
    local text = "the logit of id 2 is NaN"
    for _, method in ipairs {"argmax", "softmax", "log_softmax", "sample",
                             "top", "probability"} do
      assert.has_error(function()
        local row = core.logits {1, 2, 0 / 0, 0 / 0}
        row[method](row, method == "sample" and 0.5 or 1)
      end, text)
    end
  end)

  it("take the first +inf as certain", function()
    local logits = core.logits {1, inf, 5, inf}
    assert.equal(1, logits:argmax())
    assert.equal(1, (logits:sample(0.9)))
    assert.equal(1, logits:probability(1))
  end)

  it("are sampled by cumulative probability in id order", function()
    local p = {.40, .35, .15, .08, .02}
    for _, case in ipairs {{0, 0}, {.399, 0}, {.401, 1}, {.749, 1}, {.751, 2},
                           {.91, 3}, {.981, 4}, {1 - 2^-53, 4}} do
      local id, probability = logs(p):sample(case[1])
      assert.equal(case[2], id)
      assert.near(p[id + 1], probability, 1e-6)
    end
  end)

  it("never sample what is banned", function()
    local logits = core.logits {-inf, 0, -inf, 0, -inf}
    assert.equal(1, (logits:sample(0)))
    assert.equal(3, (logits:sample(1 - 2^-53)))
    local rng = core.rng(7)
    for _ = 1, 500 do
      local id = logits:sample(rng)
      assert.is_true(id == 1 or id == 3)
    end
  end)

  it("are sampled in proportion to the probabilities", function()
    local p, count, rng = {.40, .35, .15, .08, .02}, {}, core.rng(1)
    local logits, n, chi = logs(p), 20000, 0
    for _ = 1, n do
      local id = logits:sample(rng)
      count[id + 1] = (count[id + 1] or 0) + 1
    end
    for i = 1, 5 do chi = chi + (count[i] - n * p[i])^2 / (n * p[i]) end
    assert.is_true(chi < 18.5)  -- 0.1 % of chi squared with 4 degrees
  end)

  it("check their arguments", function()
    local logits = example()
    for _, call in ipairs {
      function() core.logits {} end,
      function() core.logits {1, "2"} end,
      function() core.logits(5) end,
      function() logits:temperature(0) end,
      function() logits:temperature(-1) end,
      function() logits:temperature(0 / 0) end,
      function() logits:temperature(inf) end,
      function() logits:top_k(0) end,
      function() logits:top_p(1.1) end,
      function() logits:top_p(0 / 0) end,
      function() logits:min_p(-1) end,
      function() logits:typical(1) end,
      function() logits:suppress {8} end,
      function() logits:suppress {1, nil, 3} end,
      function() logits:keep {-1} end,
      function() logits:bias {[8] = 1} end,
      function() logits:bias {[1] = 0 / 0} end,
      function() logits:repetition_penalty(0, {1}) end,
      function() logits:sample() end,
      function() logits:sample(1) end,
      function() logits:top(0) end,
    } do
      assert.has_error(call)
    end
    assert.same(example():totable(), logits:totable())
  end)

  it("are cloned, printed and turned into a table and back", function()
    local logits = example()
    local copy = logits:clone()
    copy[0] = 99
    assert.equal(-10, logits[0])
    assert.same(logits:totable(), core.logits(logits:totable()):totable())
    assert.equal("decant.Logits (8 tokens, best 6 with 3.8)",
                 (tostring(logits):gsub("3%.79999%d*", "3.8")))
    assert.equal("decant.Logits (1 tokens, no token is allowed: every logit "
                 .. "is -inf)", tostring(core.logits {-inf}))
  end)

  it("are one block that the collector sees", function()
    collectgarbage()
    local row = {}
    for i = 1, 32000 do row[i] = 0 end
    local before = collectgarbage "count"
    local logits = core.logits(row)
    local grown = collectgarbage "count" - before
    assert.is_true(grown > 120 and grown < 140)
    assert.equal(32000, #logits)
  end)
end)

describe("the beam step", function()
  -- Every candidate, sorted by score, row and id.
  local function by_sorting(rows, scores, n)
    local all = {}
    for r, logits in ipairs(rows) do
      for id = 0, #logits - 1 do
        local score = logits[id] + scores[r]
        if score > -inf then
          all[#all + 1] = {row = r, id = id, score = score}
        end
      end
    end
    table.sort(all, function(a, b)
      if a.score ~= b.score then return a.score > b.score end
      if a.row ~= b.row then return a.row < b.row end
      return a.id < b.id
    end)
    return table.move(all, 1, n, 1, {})
  end

  local function random_rows(rng, n, vocab, steps)
    local rows, scores = {}, {}
    for r = 1, n do
      local row = {}
      for i = 1, vocab do
        local x = math.floor(rng:uniform() * steps) / steps - 1
        row[i] = rng:uniform() < 0.05 and -inf or x
      end
      rows[r] = core.logits(row)
      scores[r] = math.floor(rng:uniform() * 4) / 4
    end
    return rows, scores
  end

  it("finds what sorting finds, ties included", function()
    local rng = core.rng(3)
    for _, case in ipairs {{1, 5, 3}, {4, 300, 8}, {3, 1000, 40},
                           {5, 7, 35}, {2, 600, 1200}} do
      local rows, scores = random_rows(rng, case[1], case[2], 50)
      local found = core.beam_candidates(rows, scores, case[3])
      assert.same(by_sorting(rows, scores, case[3]), found)
      for i, score in ipairs(scores) do scores[i] = {score = score} end
      assert.same(found, core.beam_candidates(rows, scores, case[3]))
    end
  end)

  it("leaves dead beams and banned tokens out", function()
    local rows = {core.logits {0, -inf}, core.logits {5, 5}}
    assert.same({{row = 1, id = 0, score = -1}},
                core.beam_candidates(rows, {-1, -inf}, 4))
  end)

  it("leaves a dead beam out also where its logits are inf", function()
    local rows = {core.logits {1, inf, 2}, core.logits {1, 2, 3}}
    assert.same({{row = 2, id = 2, score = 3}, {row = 2, id = 1, score = 2},
                 {row = 2, id = 0, score = 1}},
                core.beam_candidates(rows, {-inf, 0}, 5))
    local first = {}
    for i = 1, 60 do
      local drawn = core.beam_sample(rows, {-inf, 0}, 5, core.rng(i))
      assert.equal(3, #drawn)
      for _, c in ipairs(drawn) do assert.equal(2, c.row) end
      first[drawn[1].id] = true
    end
    assert.same({[0] = true, true, true}, first)
  end)

  it("raises when nothing is left, on a NaN, and on misfits", function()
    local row = core.logits {0, 1}
    local none = core.logits {-inf, -inf}
    for _, call in ipairs {
      function() core.beam_candidates({none, none}, {0, 0}, 2) end,
      function() core.beam_sample({none, none}, {0, 0}, 2, core.rng(1)) end,
      function() core.beam_candidates({core.logits {0, 0 / 0}}, {0}, 1) end,
      function() core.beam_candidates({row}, {0 / 0}, 1) end,
      function() core.beam_candidates({row}, {0, 0}, 1) end,
      function() core.beam_candidates({row, core.logits {1}}, {0, 0}, 1) end,
      function() core.beam_candidates({row, {}}, {0, 0}, 1) end,
      function() core.beam_candidates({}, {}, 1) end,
      function() core.beam_candidates({row}, {0}, 0) end,
      function() core.beam_sample({row}, {0}, 1) end,
    } do
      assert.has_error(call)
    end
  end)

  it("draws without replacement, and only what is allowed", function()
    local rows = {core.logits {0, -inf, 1}, core.logits {2, 0, -inf}}
    local rng = core.rng(5)
    for _ = 1, 50 do
      local seen = {}
      local drawn = core.beam_sample(rows, {0, -1}, 6, rng)
      assert.equal(4, #drawn)
      for _, c in ipairs(drawn) do
        local key = c.row .. " " .. c.id
        assert.is_nil(seen[key])
        seen[key] = true
        assert.equal(rows[c.row][c.id] + ({0, -1})[c.row], c.score)
        assert.is_true(c.score > -inf)
      end
    end
  end)

  it("draws the first and the second with the right odds", function()
    -- weights 1, 2 | 3, 4: P(first = a), P(second = b | first = a)
    local rows = {logs {1, 2}, logs {3, 4}}
    local first, second, n = {}, {}, 20000
    local rng = core.rng(11)
    for _ = 1, n do
      local c = core.beam_sample(rows, {0, 0}, 2, rng)
      local a, b = c[1].row * 2 + c[1].id - 1, c[2].row * 2 + c[2].id - 1
      first[a] = (first[a] or 0) + 1
      if a == 4 then second[b] = (second[b] or 0) + 1 end
    end
    for w = 1, 4 do assert.near(w / 10, first[w] / n, 0.012) end
    for w = 1, 3 do assert.near(w / 6, second[w] / first[4], 0.02) end
  end)

  it("draws by the Rng's row and position alone", function()
    local rows = {core.logits {0, 1, 2, 3}, core.logits {3, 2, 1, 0}}
    local a = core.beam_sample(rows, {0, 0}, 3, core.rng(9):row(4))
    local b = core.beam_sample(rows, {0, 0}, 3, core.rng(9):row(4))
    local c = core.beam_sample(rows, {0, 0}, 3, core.rng(9):row(5):at(77))
    assert.same(a, b)
    assert.are_not.same(a, c)
  end)
end)
