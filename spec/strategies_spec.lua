-- Strategies over scripted sessions and over the toy Markov model whose
-- results under transformers 5.23 are in ../shared/reference/generate.md, 4.2
-- (the letters are its lines; generated part only, scores to 1e-5).

local beams = require "decant.beams"
local core = require "decant.core"
local stop = require "decant.stop"
local strategies = require "decant.strategies"
local toy = require "spec.support.toy"

local greedy, sample = strategies.greedy, strategies.sample

-- What the lines leave open: prompt {1}, end at 2 or after 10 tokens in all.
local function search(options)
  local prompt, eos = options.prompt or {1}, options.eos or {2}
  local longest = (options.max_length or 10) - #prompt
  local session, engine = toy.session()
  local found = strategies.beam(session, prompt, {
    num_beams = options.beams or 3, length_penalty = options.penalty or 1.0,
    early_stopping = options.early or false, eos_token_id = eos,
    num_return_sequences = options.returns or options.beams or 3,
    max_new_tokens = longest, do_sample = options.do_sample,
    rng = options.seed and core.rng(options.seed),
    stop = stop.any{stop.eos(eos), stop.length(longest)},
    process = options.process, emit = options.emit,
  })
  return found, engine
end

local texts, assert_scores = toy.texts, toy.assert_scores


describe("greedy", function()
  it("feeds the whole prompt once, then one token at a time", function()
    local session = toy.scripted {7, 8, 9}
    local ids, reason = greedy(session, {1, 5}, {stop = stop.length(3)})
    assert.same({7, 8, 9}, ids)
    assert.same("length", reason)
    assert.same({{1, 5}, {7}, {8}}, session.asked)
  end)

  it("emits every token before it asks whether to stop", function()
    local said = {}
    greedy(toy.scripted {7, 8, 9}, {1}, {
      emit = function(id) said[#said + 1] = id end,
      stop = function(ids)
        said[#said + 1] = "?"
        return #ids == 2 and "stop"
      end,
    })
    assert.same({7, "?", 8, "?"}, said)
  end)

  it("shows processors the new tokens and takes the best that they leave",
     function()
       local seen = {}
       local ids = greedy(toy.scripted {7, 8}, {1}, {
         stop = stop.length(2),
         process = function(logits, row)
           seen[#seen + 1] = table.concat(row, " ")
           logits:suppress{7}
         end,
       })
       assert.same({0, 8}, ids)
       assert.same({"", "0"}, seen)
     end)

  it("needs no options: it ends at eos_token_id", function()
    local ids, reason = greedy(toy.scripted {7, 2, 9}, {1}, {eos_token_id = 2})
    assert.same({7, 2}, ids)
    assert.equal("eos", reason)
    assert.equal(100, #greedy(toy.scripted {7}, {1}))
  end)

  it("gives line A of the toy model", function()
    assert.same({4, 2}, greedy(toy.session(), {1}, {eos_token_id = 2}))
    assert.same({4, 2}, greedy(toy.session(), {3}, {eos_token_id = 2}))
  end)
end)


describe("sample", function()
  local function draw(seed, row)
    local ids = sample(toy.session(), {1}, {
      stop = stop.length(9), rng = core.rng(seed):row(row or 0)})
    return table.concat(ids, " ")
  end

  it("draws what the seed says", function()
    assert.equal(draw(1), draw(1))
    assert.not_equal(draw(1), draw(2))
    assert.not_equal(draw(1), draw(1, 1))
  end)

  it("feeds the prompt once, then each drawn token", function()
    local session = toy.scripted {7, 8, 9}
    local ids = sample(session, {1, 5}, {stop = stop.length(3)})
    assert.same({7, 8, 9}, ids)
    assert.same({{1, 5}, {7}, {8}}, session.asked)
  end)

  it("draws each token as often as its probability says", function()
    local rng, count = core.rng(3), {}
    local opts = {stop = stop.length(1), rng = rng}
    for _ = 1, 4000 do
      local id = sample(toy.session(), {5}, opts)[1]
      count[id] = (count[id] or 0) + 1
    end
    local exact = core.logits(toy.T[5]):softmax()
    for id = 2, 5 do
      assert.near(exact[id], count[id] / 4000, 4 * 0.5 / 4000 ^ 0.5)
    end
  end)
end)


-- letter, options, results, scores, forward passes (where the text says them)
local lines = {
  {"B", {penalty = 2, early = true}, "3 4 2 | 4 2 | 2",
   {-.333389, -.481915, -1.494184}, 3},
  {"C", {penalty = 2}, "5 3 3 3 4 2 | 5 3 3 4 4 2 | 5 3 4 4 4 2",
   {-.156588, -.158273, -.159957}, 6},
  {"D", {penalty = 2, early = "never"},
   "5 3 3 3 4 4 4 4 2 | 5 3 3 4 4 4 4 4 2 | 5 3 4 4 4 4 4 4 2",
   {-.111575, -.112324, -.113073}, 9},
  {"E true", {penalty = 0, early = true}, "2 | 4 2 | 3 4 2",
   {-1.494184, -1.927661, -3.000505}, 3},
  {"E false", {penalty = 0}, "2 | 4 2 | 3 4 2",
   {-1.494184, -1.927661, -3.000505}, 4},
  {"E never", {penalty = 0, early = "never"}, "2 | 4 2 | 3 4 2",
   {-1.494184, -1.927661, -3.000505}, 4},
  {"F true", {penalty = .6, early = true}, "4 2 | 2 | 3 4 2",
   {-1.271782, -1.494184, -1.552107}, 3},
  {"F false", {penalty = .6}, "4 2 | 2 | 5 3 4 2",
   {-1.271782, -1.494184, -1.519761}, 4},
  {"F never", {penalty = .6, early = "never"}, "4 2 | 2 | 5 3 4 2",
   {-1.271782, -1.494184, -1.519761}, 6},
  {"G true", {early = true}, "4 2 | 3 4 2 | 2",
   {-.963830, -1.000168, -1.494184}, 3},
  {"G false", {}, "5 3 4 2 | 5 3 3 4 2 | 5 3 4 4 2",
   {-.872873, -.912868, -.924994}, 5},
  {"G never", {early = "never"}, "5 3 4 2 | 5 3 3 4 2 | 5 3 4 4 2",
   {-.872873, -.912868, -.924994}, 9},
  {"H", {penalty = -1}, "2 | 4 2 | 3 4 2", {-1.494184, -3.855321, -9.001516}},
  {"I (two eos, nine candidates of six tokens)", {eos = {2, 4}},
   "5 3 4 | 5 3 3 4 | 5 3 3 3 4", {-.919339, -.957716, -.980741}, 5},
  {"J (no eos)", {eos = {}, max_length = 5, returns = 2},
   "4 2 3 4 | 5 3 4 2", {-.806533, -.872873}},
  {"O row 0", {beams = 2, returns = 1, max_length = 8}, "5 3 4 2", {-.872873}},
  {"O row 1", {beams = 2, returns = 1, max_length = 8, prompt = {5}},
   "3 4 2", {-.699103}, 4},
  {"P (the length leaves out the prompt)", {prompt = {1, 3, 4}, returns = 2},
   "2 | 4 2", {-.733476, -.933476}},
}

describe("beam", function()
  for _, line in ipairs(lines) do
    it("gives line " .. line[1] .. " of the toy model", function()
      local found, engine = search(line[2])
      assert.equal(line[3], texts(found))
      assert_scores(line[4], found)
      if line[5] then assert.equal(line[5], engine.passes) end
    end)
  end

  it("gives the third row of line J, equal in score to another", function()
    local third = search{eos = {}, max_length = 5}[3]
    local ids = table.concat(third.ids, " ")
    assert.is_true(ids == "4 2 3 3" or ids == "2 3 4 2")
    assert.near(-.881533, third.score, 1.1e-6)
  end)

  it("runs and finishes as the trace of line S says", function()
    local go_on, finish, running, slots = beams.go_on, beams.finish, {}, {}
    local function scores(list)
      local text = {}
      for i, item in ipairs(list) do
        text[i] = item.score < -1e8 and "-" or ("%.5f"):format(item.score)
      end
      return table.concat(text, " ")
    end
    function beams.go_on(...)
      local list = go_on(...)
      running[#running + 1] = scores(list)
      return list
    end
    function beams.finish(...)
      local list = finish(...)
      slots[#slots + 1] = scores(list)
      return list
    end
    search{beams = 2, max_length = 6}
    beams.go_on, beams.finish = go_on, finish
    assert.same({"-1.19418 -1.39418", "-1.98517 -2.32766",
                 "-2.75802 -3.05802", "-3.83086 -3.89149", "- -"}, running)
    assert.same({"- -", "-0.96383 -", "-0.96383 -", "-0.87287 -0.96383",
                 "-0.87287 -0.91287"}, slots)
  end)

  it("returns the best hypothesis unless more are asked for", function()
    assert.equal("5 3 4 2", texts(search{returns = 1}))
  end)

  it("emits the best hypothesis at the end", function()
    local said = {}
    local found = search{emit = function(id) said[#said + 1] = id end}
    assert.same(found[1].ids, said)
  end)

  it("says of each hypothesis why it ended", function()
    local found = search{beams = 2, max_length = 4, early = "never"}
    for _, hypothesis in ipairs(found) do
      local ended = hypothesis.ids[#hypothesis.ids] == 2
      assert.equal(ended and "eos" or "length", hypothesis.finish)
    end
  end)

  it("goes on where fewer tokens are allowed than there are beams", function()
    local path = {3, 4, 2}
    local found = search{returns = 1, process = function(logits, ids)
      logits:keep{path[#ids + 1]}
    end}
    assert.equal("3 4 2", texts(found))
    assert_scores({-1.000168}, found)
  end)

  it("raises when every token is banned", function()
    assert.error_matches(function()
      search{process = function(logits) logits:keep{} end}
    end, "no token is allowed")
  end)

  it("draws its candidates when sampling, as the seed says", function()
    local function drawn(seed)
      return texts(search{do_sample = true, seed = seed})
    end
    assert.equal(drawn(1), drawn(1))
    assert.not_equal(drawn(1), drawn(2))
  end)

  it("asks for all beams in one pass", function()
    local _, engine = search{early = "never"}
    assert.same({1, 3, 3, 3, 3, 3, 3, 3, 3}, engine.rows)
  end)
end)


describe("decant.strategies", function()
  it("lists the bundled ones and takes others", function()
    strategies.mine = function() end
    local names = {}
    for name, f in pairs(strategies) do
      names[#names + 1] = name
      assert.equal("function", type(f))
    end
    strategies.mine = nil
    assert.same({"alternatives", "beam", "best_of_n", "constrained_beam",
                 "contrastive", "diverse_beam", "dola", "greedy", "mine",
                 "minimum_bayes_risk", "sample", "speculative",
                 "stochastic_beam"}, names)
    assert.is_nil(strategies.unknown)
  end)
end)
