-- Strategies of one row at a time and those that choose among several:
-- contrastive, DoLa, best of n, minimum Bayes risk, alternatives. Speculative
-- decoding: strategies_speculative_spec.lua; whole results of the reference:
-- strategies_parity_spec.lua.

local core = require "decant.core"
local decant = require "decant"
local fixtures = require "spec.support.fixtures"
local stop = require "decant.stop"
local strategies = require "decant.strategies"
local toy = require "spec.support.toy"

local words = toy.texts


describe("contrastive search", function()
  -- generate.md, 4.1, number 51: context (1, 0), (0, 1); candidates 3 with
  -- state (1, 0) and p .7, 4 with (.6, .8) and p .3.
  local states = {[1] = {1, 0}, [2] = {0, 1}, [3] = {1, 0}, [4] = {.6, .8}}

  local function first(alpha, passes)
    local session, engine = toy.session{
      hidden = function(line) return states[line[#line]] end,
      scores = function()
        return {-99, -99, -99, math.log(.7), math.log(.3), -99}
      end,
    }
    local ids = strategies.contrastive(session, {1, 2}, {
      penalty_alpha = alpha, top_k = 2, stop = stop.length(1)})
    if passes then assert.same(passes, engine.rows) end
    return ids[1]
  end

  it("takes the probable token while the penalty is low", function()
    assert.equal(3, first(.6))
    assert.equal(4, first(.8))
  end)

  it("asks for all candidates in one pass", function() first(.6, {1, 2}) end)

  it("takes every token for the context of the next", function()
    local session = toy.session{
      hidden = function(line) return states[line[#line]] end,
      scores = function()
        return {-99, -99, -99, math.log(.5), math.log(.5), -99}
      end,
    }
    -- 4 is less like (1, 0); then each has been said
    local ids = strategies.contrastive(session, {1}, {
      penalty_alpha = .9, top_k = 2, stop = stop.length(3)})
    assert.same({4, 3, 3}, ids)
    assert.equal(1, #session)
  end)

  it("has room for a context of any length", function()
    local session = toy.session{hidden = function(line)
      return states[line[#line] % 4 + 1]
    end}
    local prompt = {}
    for i = 1, 150 do prompt[i] = i % 5 + 1 end
    local ids = strategies.contrastive(session, prompt, {
      penalty_alpha = .5, top_k = 2, stop = stop.length(200)})
    assert.equal(200, #ids)
  end)
end)


describe("DoLa", function()
  local function logits(list) return core.logits(list):log_softmax() end

  it("subtracts the early layer and takes out what is improbable", function()
    -- generate.md, 4.1, number 52 (there -inf in place of -1e5)
    local final, base = logits{2, 1, 0, -3}, logits{1, 1, 1, 1}
    assert.near(.0609263, core.divergence(final, base), 1e-7)
    assert.near(.000245916, core.divergence(final, logits{2, 1, 0, -2}), 1e-8)
    core.contrast(final, base, 0.1)
    for id, expected in pairs{[0] = .974216, -.025784, -1.025784} do
      assert.near(expected, final[id], 1e-6)
    end
    assert.near(-1e5 - 5.414, final[3], .01)
  end)

  it("goes on with what is out where processors ban the rest", function()
    local session = toy.session{
      scores = function() return {9, 1, 0, 3, 2, 4} end,
      early = function() return {0, 0, 0, 9, 0, 0} end,
    }
    assert.same({5, 5}, strategies.dola(session, {1}, {
      dola_layers = {0}, stop = stop.length(2),
      process = function(row) row:suppress{0} end,
    }))
  end)

  it("raises for rows of different lengths", function()
    assert.error_matches(function()
      core.divergence(logits{1, 2}, logits{1, 2, 3})
    end, "different lengths")
    assert.error_matches(function()
      core.contrast(logits{1, 2}, logits{1, 2}, 0)
    end, "must be above 0")
  end)

  it("contrasts with the layer that is farthest from the last", function()
    local early = {[0] = {2, 1, 0, -3, 0, 0}, {0, 9, 0, 0, 0, 0}}
    local session = toy.session{
      scores = function() return {2, 1.5, 1, -3, 0, 0} end,
      early = function(_, layer) return early[layer] end,
    }
    local seen
    strategies.dola(session, {1}, {
      dola_layers = {0, 1}, stop = stop.length(1),
      process = function(row) seen = row:clone() end,
    })
    local expected = logits{2, 1.5, 1, -3, 0, 0}
    core.contrast(expected, logits(early[1]), 0.1)
    assert.same(expected:totable(), seen:totable())
  end)

  it("asks for the layers that its name says", function()
    local function layers(name, n, tied)
      local asked
      local session = {feed = function(_, _, want)
        asked = want.layers
        local early = {}
        for i = 1, #asked do early[i] = core.logits{1, 0} end
        return core.logits{1, 2}, {layers = early}
      end}
      strategies.dola(session, {1}, {
        dola_layers = name, stop = stop.length(1),
        model = {config = {decoder_layers = n, tied_embeddings = tied}}})
      return asked
    end
    assert.same({0}, layers("low", 2, false))
    assert.same({0, 2}, layers("low", 8, false))
    assert.same({2}, layers("low", 8, true))
    assert.same({2}, layers("low", 4, true))
    assert.same({1}, layers("low", 2, true))
    assert.same({4, 6}, layers("high", 8, true))
    assert.same({1}, layers("high", 2, false))
    assert.same({2, 4, 6, 8, 10, 12, 14, 16, 18}, layers("low", 48, true))
    assert.equal(28, layers("high", 48, true)[1])
    assert.equal(10, #layers("high", 48, true))
  end)
end)


describe("a choice among several", function()
  local function sampled(given)
    local config = {do_sample = true, seed = 7, max_new_tokens = 5, best_of = 6}
    for name, value in pairs(given) do config[name] = value end
    return toy.model():generate({1}, config)
  end

  it("begins with what the inner strategy gives alone", function()
    local alone = sampled{best_of = false}
    assert.equal(words(alone), words(sampled{best_of = 1}))
  end)

  it("reads a long prompt once", function()
    local model, longest = toy.model(), 0
    local forward = model.engine.forward
    function model.engine.forward(requests)
      local fed = 0
      for _, request in ipairs(requests) do
        for _, ids in ipairs(request[2]) do fed = fed + #ids end
      end
      longest = math.max(longest, fed)
      return forward(requests)
    end
    local config = {do_sample = true, seed = 7, max_new_tokens = 5}
    local prompt = {1, 3, 4, 3, 4, 3, 4, 5, 5, 4}
    local alone = model:generate(prompt, config)
    config.best_of, longest = 3, 0
    model:generate(prompt, config)
    assert.equal(9, longest)
    config.best_of = 1
    assert.equal(words(alone), words(model:generate(prompt, config)))
  end)

  it("is the best by mean log-probability", function()
    local all = sampled{num_return_sequences = 6}
    assert.equal(6, #all)
    for i = 2, 6 do assert.is_true(all[i - 1].score >= all[i].score) end
    assert.equal(words{all[1]}, words(sampled{}))
    local sum, last = 0, 1
    for _, id in ipairs(all[1].ids) do
      sum = sum + core.logits(toy.T[last]):log_softmax()[id]
      last = id
    end
    assert.near(sum / #all[1].ids, all[1].score, 1e-5)
  end)

  it("is the best by a reward, where there is one", function()
    local function reward(text)
      return -select(2, text:gsub("4", "")) - #text / 100
    end
    local found = sampled{reward = reward, num_return_sequences = 6}
    for i, result in ipairs(found) do
      assert.equal(reward(words{result}), result.score)
      assert.is_true(i == 1 or found[i - 1].score >= result.score)
    end
    assert.not_equal(words{found[1]}, words(sampled{}))
  end)

  it("asks for a reward where the inner strategy tells no score", function()
    local function silent(session, prompt, opts)
      opts.process(session:feed(prompt), {})
      return {2}
    end
    assert.error_matches(function() sampled{inner_strategy = silent} end,
                         "tells no score: give a reward")
    local found = sampled{inner_strategy = silent, reward = function(_, result)
      return #result.ids
    end}
    assert.equal(1, found[1].score)
    assert.error_matches(function()
      sampled{inner_strategy = function() end}
    end, "the inner_strategy returned a nil")
  end)

  it("gives every run processors with a state of its own", function()
    local seen = {}
    local function counter()
      local calls = 0
      return setmetatable({}, {
        __call = function(_, _, ids)
          calls = calls + 1
          seen[#seen + 1] = calls == #ids
        end,
        __fresh = counter,
      })
    end
    sampled{processors = {counter()}, eos_token_id = false}
    assert.equal(30, #seen)
    for i = 1, 30 do assert.is_true(seen[i]) end
  end)

  it("shares forward passes", function()
    local model = toy.model()
    model:generate({1}, {do_sample = true, seed = 7, max_new_tokens = 5,
                         best_of = 6})
    assert.is_true(model.engine.passes <= 5)
    assert.equal(0, model.core.open_rows)
  end)

  it("shares them with the other inputs of a list", function()
    local model = toy.model()
    local config = {do_sample = true, seed = 7, max_new_tokens = 5,
                    eos_token_id = false, best_of = 6}
    local together = model:generate({{1}, {3}, {5}}, config)
    assert.same({18, 18, 18, 18, 18}, model.engine.rows)
    config.batch_size = 6
    local one_by_one = model:generate({{1}, {3}, {5}}, config)
    for i = 1, 3 do
      assert.same(one_by_one[i].ids, together[i].ids)
      assert.equal(one_by_one[i].score, together[i].score)
    end
  end)

  it("goes around any strategy", function()
    local found = sampled{inner_strategy = "beam", num_beams = 3}
    assert.is_true(#found[1].ids > 0)
    local n = 0
    found = sampled{inner_strategy = function(session, prompt, opts)
      n = n + 1
      local mine = n
      session:feed(prompt)
      assert.equal(5, opts.max_new_tokens)
      return {3, 2}, "eos", -mine
    end}
    assert.equal(6, n)
    assert.equal(-1, found[1].score)
    for returned, said in pairs {
      [{-1}] = "what the inner_strategy returned: id 1 is %-1",
      [{{ids = {9.5}}}] = "what the inner_strategy returned: id 1 is 9.5",
      [{{}}] = "the inner_strategy returned a hypothesis without ids",
    } do
      assert.error_matches(function()
        sampled{inner_strategy = function(session, prompt)
          session:feed(prompt)
          return returned, "eos", 0
        end}
      end, said)
    end
    assert.error_matches(function()
      sampled{reward = function() return "much" end}
    end, 'reward returned "much"; it returns a number')
    assert.error_matches(function()
      sampled{utility = function() return 0 / 0 end}
    end, "utility returned")
    assert.error_matches(function() sampled{inner_strategy = "beams"} end,
                         "inner_strategy \"beams\" is not known")
  end)

  it("lets a processor of the caller yield to the host", function()
    local ticks = 0
    local co = coroutine.wrap(function()
      sampled{processors = {function() coroutine.yield "tick" end}}
      return "ended"
    end)
    repeat
      local said = co()
      if said == "tick" then ticks = ticks + 1 end
    until said == "ended"
    assert.is_true(ticks > 6)
  end)

  it("is the one that is most like the others (minimum Bayes risk)", function()
    local seen = {}
    local all = sampled{utility = function(a, b)
      seen[a] = (seen[a] or 0) + 1
      return a == b and 1 or 0
    end, num_return_sequences = 6}
    local most = 0
    for _, n in pairs(seen) do most = math.max(most, n) end
    assert.equal(most, seen[words{all[1]}])
    assert.near((most / 5 - 1) / 5, all[1].score, 1e-12)
    local text = sampled{strategy = "minimum_bayes_risk"}
    assert.equal(words(text), words(sampled{utility = "chrf"}))
    assert.is_true(#sampled{utility = "bleu"} == 1)
  end)
end)


describe("alternatives", function()
  local function generate(given)
    local config = {return_alternatives = true, num_return_sequences = 3,
                    max_new_tokens = 8}
    for name, value in pairs(given) do config[name] = value end
    return toy.model():generate({1}, config)
  end

  it("begin with the most probable tokens and go on greedily", function()
    local found = generate{}
    assert.equal("4 2 | 5 3 4 2 | 2", words(found))
    local sum, last = 0, 1
    for _, id in ipairs(found[2].ids) do
      sum = sum + core.logits(toy.T[last]):log_softmax()[id]
      last = id
    end
    assert.near(sum, found[2].score, 1e-5)
    assert.equal("eos", found[3].finish)
  end)

  it("leave out what is improbable, but for the best", function()
    assert.equal("4 2", words(generate{min_alternative_expansion_prob = 0.9}))
    local p = core.logits(toy.T[1]):softmax()
    assert.equal(2, #generate{min_alternative_expansion_prob = p[5]})
  end)

  it("may be drawn, each with draws of its own", function()
    local found = generate{do_sample = true, seed = 3,
                           num_return_sequences = 4, eos_token_id = false}
    local first, rest = {}, {}
    for _, result in ipairs(found) do
      assert.is_nil(first[result.ids[1]])
      first[result.ids[1]] = true
      rest[table.concat(result.ids, " ", 2)] = true
    end
    local n = 0
    for _ in pairs(rest) do n = n + 1 end
    assert.is_true(n > 1)
  end)

  it("run in a list as alone", function()
    local model = toy.model()
    local config = {return_alternatives = true, num_return_sequences = 3,
                    max_new_tokens = 8}
    local both = model:generate({{1}, {3}}, config)
    assert.equal(6, #both)
    assert.equal(words(model:generate({3}, config)),
                 words(table.move(both, 4, 6, 1, {})))
  end)
end)


describe("every strategy", function()
  local configs = {
    beam = {num_beams = 3}, sampled_beam = {num_beams = 3, do_sample = true},
    diverse_beam = {strategy = "diverse_beam"},
    constrained_beam = {num_beams = 3, force_words_ids = {{11}, {{5, 6}, {7}}}},
    stochastic_beam = {strategy = "stochastic_beam"},
    contrastive = {penalty_alpha = 0.6, top_k = 4},
    dola = {dola_layers = "high"},
    lookup = {prompt_lookup_num_tokens = 3},
    best_of = {best_of = 3, do_sample = true},
    bayes = {best_of = 3, do_sample = true, utility = "chrf"},
    alternatives = {return_alternatives = true},
  }
  local sources = {{5, 6, 7, 2}, {40, 41, 2}, {9, 9, 9, 9, 9, 12, 2}}

  for name, config in pairs(configs) do
    it("gives a list what it gives each input alone: " .. name, function()
      local model <close> = assert(decant.load(fixtures.gguf("bart", "q8_0")))
      config.max_new_tokens, config.seed = 10, 11
      local together = model:generate(sources, config)
      assert.equal(3, #together)
      if not config.do_sample and not config.strategy then
        for i, source in ipairs(sources) do
          local alone = model:generate(source, config)[1]
          assert.same(alone.ids, together[i].ids)
          assert.equal(alone.score, together[i].score)
        end
      end
      config.batch_size = 1
      local one_by_one = model:generate(sources, config)
      config.batch_size = nil
      for i = 1, 3 do
        assert.same(one_by_one[i].ids, together[i].ids)
        assert.equal(one_by_one[i].score, together[i].score)
      end
    end)
  end
end)


describe("called by hand, every strategy", function()
  it("runs without options, and leaves the session usable", function()
    local model <close> = assert(decant.load(fixtures.gguf("bart", "f32")))
    local start = model.config.decoder_start
    for name, strategy in pairs(strategies) do
      local session <close> = model:session{source = {5, 6, 7, 2}}
      local opts = {eos_token_id = 2, max_new_tokens = 6, model = model}
      local ids = strategy(session, {start}, opts)
      if type(ids[1]) == "table" then ids = ids[1].ids end
      assert.is_true(#ids > 0 and #ids <= 6, name)
      session:reset()
      assert.equal(0, session:length())
      assert.is_true(session:feed(start):argmax() >= 0)
    end
  end)
end)


describe("a config that a model cannot follow", function()
  local function refuses(config, message)
    local model = toy.model()
    assert.error_matches(function() model:generate({1}, config) end, message)
    assert.equal(0, model.core.open_rows)
    assert.equal(0, model.engine.passes)
    assert.equal("4 2", words(model:generate({1}, {max_new_tokens = 4})))
  end

  it("is refused before the first step, and the model goes on", function()
    refuses({num_beams = 2, force_words_ids = {{6}}},
            "entry 1 has the id 6, must be from 0 to 5")
    refuses({num_beams = 2, force_words_ids = {{3, 2}}},
            "entry 1 has the id 2, which ends the row")
    refuses({num_beams = 2, force_words_ids = {{3}}, suppress_tokens = {3}},
            "the id 3, which suppress_tokens bans")
    refuses({num_beams = 2, force_words_ids = {{3, 4}, {5}},
             max_new_tokens = 2}, "have 3 tokens, and a row has room for 2")
    refuses({num_beams = 2, coverage_penalty = 1},
            "coverage_penalty: a causal model has no cross%-attention")
    refuses({num_beams = 2, force_words_ids = {{1, nil, 2}}},
            "must be a list of lists of token ids")
  end)

  it("is refused for layers that are not there", function()
    local model <close> = assert(decant.load(fixtures.gguf("bart", "f32")))
    assert.error_matches(function()
      model:generate({5, 2}, {dola_layers = {0, 2}})
    end, "dola_layers has 2; early exits are numbered 0 to 1")
  end)
end)
