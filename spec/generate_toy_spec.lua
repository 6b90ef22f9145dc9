-- model:generate and what stands on it, over a pure Lua core
-- (spec/support/toy.lua): the toy Markov model of reference/generate.md, 4.2,
-- and a model that copies its source. The letters are the lines of 4.2.

local core = require "decant.core"
local toy = require "spec.support.toy"

local function texts(results)
  local list = {}
  for i, result in ipairs(results) do
    list[i] = table.concat(result.ids, " ")
  end
  return table.concat(list, " | ")
end

local function generate(config, input, options)
  local model = toy.model(options)
  config.max_length = config.max_length or 10
  config.min_length = config.min_length or 0
  local results = model:generate(input or {1}, config)
  assert.equal(0, model.core.open_rows)
  return results, model
end


-- A seq2seq model that says its source again, id by id. Start token 1, end 0;
-- texts are bytes.
local function copier(options)
  options = options or {}
  local base = {
    kind = "seq2seq", vocab = 256, decoder_start = 1, tokenizer = toy.tokenizer,
    generation = {pad_token_id = 3, eos_token_id = 0, bos_token_id = 1,
                  max_length = 200, min_length = 0},
    scores = function(line, source)
      local scores = {}
      for id = 1, 256 do scores[id] = 0 end
      scores[(source[#line] or 0) + 1] = 30
      return scores
    end,
  }
  for key, value in pairs(options) do base[key] = value end
  return toy.model(base)
end


describe("generate on the toy model", function()
  local lines = {
    {"A", {}, "4 2"},
    {"A, min_length", {min_length = 5}, "4 4 4 4 2"},
    {"A, no_repeat", {eos_token_id = false, no_repeat_ngram_size = 2},
     "4 2 3 4 4 3 3 5 3"},
    {"A, bad words", {bad_words_ids = {{4, 2}}}, "4 4 4 4 4 4 4 4 4"},
    {"G", {num_beams = 3, num_return_sequences = 3, early_stopping = true},
     "4 2 | 3 4 2 | 2", {-.963830, -1.000168, -1.494184}},
    {"K", {num_beams = 3, num_return_sequences = 2, min_length = 6,
           early_stopping = false},
     "5 3 3 3 4 2 | 5 3 3 4 4 2", {-.939531, -.949636}},
    {"L", {num_beams = 3, num_return_sequences = 3, max_length = 5,
           forced_bos_token_id = 5, forced_eos_token_id = 2,
           early_stopping = false},
     "5 3 4 2 | 5 3 3 2 | 5 2", {-.340958, -.415958, -.595494}},
    {"M", {num_beams = 3, num_return_sequences = 2, repetition_penalty = 1.3,
           early_stopping = false},
     "5 3 4 2 | 4 2", {-.872873, -.963830}},
    {"N", {num_beams = 3, num_return_sequences = 2,
           bad_words_ids = {{5, 3}}, early_stopping = false},
     "4 2 | 3 4 2", {-.963830, -1.000168}},
  }
  for _, line in ipairs(lines) do
    it("gives line " .. line[1], function()
      local results = generate(line[2])
      assert.equal(line[3], texts(results))
      for i, score in ipairs(line[4] or {}) do
        assert.near(score, results[i].score, 1.1e-6)
      end
    end)
  end

  it("gives both rows of line A and of line O, filled with pad 0", function()
    assert.equal("4 2 | 4 2", texts(generate({}, {{1}, {3}})))
    local results = generate({num_beams = 2, max_length = 8,
                              early_stopping = false}, {{1}, {5}})
    assert.equal("5 3 4 2 | 3 4 2", texts(results))
    assert.near(-.872873, results[1].score, 1.1e-6)
    assert.near(-.699103, results[2].score, 1.1e-6)
  end)

  it("says why each row ended", function()
    local results = generate({max_length = 3}, {{1}, {1, 1}})
    assert.same({"eos", "length"}, {results[1].finish, results[2].finish})
  end)

  it("sums the log-probabilities of the tokens", function()
    local result = generate({})[1]
    local expected = math.log(core.logits(toy.T[1]):softmax()[4])
                     + math.log(core.logits(toy.T[4]):softmax()[2])
    assert.near(expected, result.score, 1e-6)
  end)

  it("runs a list in as many passes as its longest row", function()
    local _, model = generate({}, {{1}, {2}, {3}, {4}, {5}})
    local longest = 0
    for id = 1, 5 do
      local _, alone = generate({}, {id})
      longest = math.max(longest, alone.engine.passes)
    end
    assert.equal(longest, model.engine.passes)
    assert.equal(5, model.engine.rows[1])
  end)

  it("gives the same with a small batch as with a large one", function()
    local inputs = {}
    for i = 1, 40 do inputs[i] = {1 + i % 5} end
    local config = {do_sample = true, seed = 7}
    local all = generate(config, inputs)
    config.batch_size = 3
    local few, model = generate(config, inputs)
    assert.equal(texts(all), texts(few))
    for _, rows in ipairs(model.engine.rows) do assert.is_true(rows <= 3) end
  end)

  it("keys draws by seed and row", function()
    local config = {do_sample = true, seed = 5, num_return_sequences = 4}
    local once = generate(config)
    assert.equal(4, #once)
    assert.not_equal(texts{once[1], once[2]}, texts{once[3], once[4]})
    assert.equal(texts(once), texts(generate(config)))
    local second = generate({do_sample = true, seed = 5}, {{5}, {1}})[2]
    assert.same(once[2].ids, second.ids)
    config.seed = 6
    assert.not_equal(texts(once), texts(generate(config)))
  end)

  it("draws anew without a seed, and says which it used", function()
    local config = {do_sample = true, num_return_sequences = 8}
    local first = generate(config)
    local other = texts(generate{do_sample = true, num_return_sequences = 8})
    assert.not_equal(texts(first), other)
    config.seed = first.seed
    assert.equal(texts(first), texts(generate(config)))
  end)

  it("counts max_new_tokens from the prompt on", function()
    local config = {max_new_tokens = 3, eos_token_id = false}
    assert.equal(3, #generate(config, {1, 3, 4})[1].ids)
  end)

  it("ends at the model's context", function()
    local config = {max_length = 50, eos_token_id = false}
    local result = generate(config, {1, 3}, {context = 8})[1]
    assert.equal(6, #result.ids)
    assert.equal("length", result.finish)
  end)

  it("has nothing to do for an empty list", function()
    assert.equal(0, #generate({}, {}))
  end)
end)


describe("strategies and processors of the caller", function()
  it("run by function or by name", function()
    local function first_two(session, prompt, opts)
      local logits = opts.process(session:feed(prompt), {})
      local id = logits:argmax()
      opts.emit(id)
      return {id}
    end
    local result = generate({strategy = first_two})[1]
    assert.same({4}, result.ids)
    assert.equal("stop", result.finish)
    assert.near(math.log(core.logits(toy.T[1]):softmax()[4]), result.score,
                1e-6)
    assert.equal("3 4 2 | 4 2 | 2", texts(generate{
      strategy = "beam", num_beams = 3, num_return_sequences = 3,
      length_penalty = 2.0, early_stopping = true}))
  end)

  it("imply what the strategy's name means", function()
    local engine = select(2, generate{strategy = "beam"}).engine
    assert.equal(4, engine.rows[2])
    assert.not_equal(texts(generate{strategy = "sample", seed = 3}),
                     texts(generate{strategy = "sample", seed = 4}))
    local results = generate{strategy = "greedy", generation = nil}
    assert.equal("4 2", texts(results))
  end)

  it("may give any number of results for each input", function()
    local model = copier()
    local config = {strategy = function(_, _, opts)
      local found = {}
      for i = 1, opts.encoder_ids[1] - 96 do found[i] = {ids = {96 + i}} end
      return found
    end}
    assert.equal(6, #model:generate({"c", "a", "b"}, config))
    assert.same({"a", "a", "a"}, model:translate({"c", "a", "b"}, config))
    assert.equal(2, model:generate({"c", "a", "b"}, config)[4].input)
  end)

  it("raise when the name is unknown", function()
    assert.error_matches(function() generate{strategy = "beams"} end,
      'strategy "beams" is not known; known: alternatives, beam, best_of_n')
  end)

  it("name what a strategy returned instead of ids", function()
    assert.error_matches(function()
      generate{strategy = function() end}
    end, "returned nil; it returns the list of its new ids")
    assert.error_matches(function()
      generate{strategy = function() return {1, 77} end}
    end, "id 2 is 77")
  end)

  it("raise the caller's own value, close all sessions, and leave the model "
     .. "usable", function()
       local model, failure = toy.model(), {"mine"}
       for _, config in ipairs{
         {strategy = function() error(failure) end},
         {processors = {function() error(failure) end}},
         {on_token = function() error(failure) end},
       } do
         local ok, err = pcall(model.generate, model, {{1}, {3}}, config)
         assert.is_false(ok)
         assert.equal(failure, err)
         assert.equal(0, model.core.open_rows)
       end
       assert.equal("4 2", texts(model:generate({1}, {max_length = 10})))
     end)

  it("raise when a processor bans every token", function()
    for _, config in ipairs{{}, {do_sample = true}, {num_beams = 3}} do
      config.processors = {function(logits) logits:keep{} end}
      assert.error_matches(function() generate(config) end,
                           "no token is allowed")
    end
  end)

  it("raise when a processor makes a NaN", function()
    for _, config in ipairs{{}, {do_sample = true}, {num_beams = 3}} do
      config.processors = {function(logits) logits[3] = 0 / 0 end}
      assert.error_matches(function() generate(config) end, "[Nn][Aa][Nn]")
    end
  end)

  it("see the whole row, and yield to the host", function()
    local seen = {}
    local host = coroutine.wrap(function()
      return generate({processors = {function(_, ids)
        seen[#seen + 1] = table.concat(ids, " ")
        seen[#seen + 1] = coroutine.yield("tick", #ids)
      end}}, {1, 3})
    end)
    assert.same({"tick", 2}, {host()})
    assert.same({"tick", 3}, {host "a"})
    assert.equal("4 2", texts(host "b"))
    assert.same({"1 3", "a", "1 3 4", "b"}, seen)
  end)

  it("may run other models from inside", function()
    local other = toy.model()
    local results = generate({strategy = function(session, prompt, opts)
      local draft = other:generate({{3}, {1}}, {max_length = 10})
      session:feed(prompt)
      opts.stop(draft[1].ids)
      return draft[1].ids
    end}, {{1}, {5}})
    assert.equal("4 2 | 4 2", texts(results))
  end)
end)


describe("on_token", function()
  it("sees every token with its piece and its input", function()
    local model, said = copier(), {}
    model:generate({"ab", "c"}, {on_token = function(id, piece, index)
      said[#said + 1] = index .. piece .. id
    end})
    table.sort(said)
    assert.same({"10", "1a97", "1b98", "20", "2c99"},
                {said[1], said[2], said[3], said[4], said[5]})
    assert.equal(5, #said)
  end)

  it("cancels the row by returning false", function()
    local results = copier():generate({"abc", "xyz"}, {
      on_token = function(id) return id ~= 98 end})
    assert.same({"ab", "cancelled"}, {results[1].text, results[1].finish})
    assert.same({"xyz", "eos"}, {results[2].text, results[2].finish})
  end)
end)


describe("generate on a seq2seq model", function()
  it("takes texts, ids and lists of them", function()
    local model = copier()
    local result = model:generate("hello")[1]
    assert.equal("hello", result.text)
    assert.same({1, 104, 101, 108, 108, 111, 0}, result.ids)
    assert.equal("eos", result.finish)
    assert.equal("hi", model:generate({104, 105, 0})[1].text)
    local list = model:generate{"one", "three", "", "two"}
    assert.equal(4, #list)
    for i, text in ipairs{"one", "three", "", "two"} do
      assert.equal(text, list[i].text)
    end
    assert.equal("b", model:generate{{97, 0}, {98, 0}}[2].text)
  end)

  it("encodes a list in one packed call", function()
    local model = copier()
    model:generate{"one", "three", "two"}
    assert.equal(1, #model.core.encoded)
    assert.equal(3, #model.core.encoded[1].lists)
    table.sort(model.core.sourced)
    assert.same({4, 4, 6}, model.core.sourced)  -- none of the filling
  end)

  it("encodes as many sources at once as may live, longest first", function()
    local model = copier()
    model:generate({"a", "abc", "ab", "abcde", "abcd"}, {batch_size = 2})
    assert.equal(3, #model.core.encoded)
    assert.same({6, 5, 4, 3, 2}, model.core.sourced)
  end)

  it("leaves an empty text alone", function()
    local model = copier()
    local result = model:generate("")[1]
    assert.same({text = "", ids = {1}, score = 0.0, finish = "eos",
                 input = 1}, result)
    assert.equal(0, model.engine.passes)
    assert.equal("", model:translate "")
  end)

  it("gives num_return_sequences results for an empty text too", function()
    for _, config in ipairs{{num_beams = 2}, {do_sample = true, seed = 1}} do
      config.num_return_sequences = 2
      local inputs, results = {}, copier():generate({"a", "", "b"}, config)
      for i, result in ipairs(results) do inputs[i] = result.input end
      assert.same({1, 1, 2, 2, 3, 3}, inputs)
      assert.same({"a", "", "b"}, copier():translate({"a", "", "b"}, config))
    end
  end)

  it("begins with a forced prefix, and with the start token once", function()
    for _, prefix in ipairs{{97}, {1, 97}} do
      local result = copier():generate("abc", {decoder_input_ids = prefix})[1]
      assert.same({1, 97, 98, 99, 0}, result.ids)
      assert.equal("abc", result.text)
    end
  end)

  it("cuts the text before a stop string", function()
    local result = copier():generate("one. two.", {stop_strings = {". "}})[1]
    assert.same({"one", "stop"}, {result.text, result.finish})
    assert.equal(32, result.ids[#result.ids])
  end)

  it("looks for stop strings behind a forced prefix", function()
    local config = {stop_strings = ". ", decoder_input_ids = {("one. ")
                                                             :byte(1, -1)}}
    local model, parts = copier(), {}
    assert.equal("one. two", model:generate("one. two. x", config)[1].text)
    for piece in model:stream("one. two. x", config) do
      parts[#parts + 1] = piece
    end
    assert.equal("one. two", table.concat(parts))
  end)

  it("takes an encoder output, of one source or of several", function()
    local model = copier()
    local output = model:encode{"abc", "de"}
    assert.equal("abc", model:generate(output[1])[1].text)
    local results = model:generate(output, {
      source_mask = {{1, 1, 1, 1}, {1, 1, 1, 0}}})
    assert.same({"abc", "de"}, {results[1].text, results[2].text})
  end)

  it("leaves masked positions of its ids out", function()
    local model = copier()
    local result = model:generate({97, 3, 98, 0}, {source_mask = {1, 0, 1, 1}})
    assert.equal("ab", result[1].text)
    assert.error_matches(function()
      model:generate({97, 0}, {source_mask = {1}})
    end, "row 1 has 1 positions, the input has 2")
    assert.error_matches(function()
      model:generate({97, 0}, {source_mask = {1, 2}})
    end, "source_mask is {1, 2}")
    assert.error_matches(function() model:encode({97, 0}, {1}) end,
                         "row 1 has 1 positions, the input has 2")
  end)

  it("gives its ids as a Tensor, filled with pad_token_id", function()
    local results = copier():generate{"ab", "c"}
    assert.same({{1, 97, 98, 0}, {1, 99, 0, 3}}, results:tensor():totable())
  end)

  it("names length and limit of an input that is too long", function()
    local model = copier{context = 5}
    assert.error_matches(function() model:generate{"abc", "abcdefg"} end,
      "input 2 has 8 tokens; the context of the model holds 5")
    assert.error_matches(function() model:generate{97, 98, 300} end,
                         "input 1: id 3 is 300")
  end)

  it("raises where there is no room for a new token", function()
    assert.error_matches(function()
      copier():generate("abc", {max_length = 1})
    end, "the row begins with 1 tokens already, and max_length is 1")
  end)

  it("raises on inputs of the wrong type", function()
    local model = copier()
    assert.error_matches(function() model:generate(5) end,
                         "the input is a number")
    assert.error_matches(function() model:generate{"a", {1}} end,
                         "input 2 is a table")
    assert.error_matches(function()
      toy.model{kind = "seq2seq"}:generate "a"
    end, "no tokenizer")
  end)

  it("names a wrong field, at the caller's line", function()
    local model = copier()
    for _, method in ipairs{"generate", "translate", "stream"} do
      for rule, config in pairs{
        ["unknown field 'num_beam', did you mean 'num_beams'"] = {num_beam = 4},
        ["a table of fields expected, got number"] = 5,
        ["batch_size is 0, must be an integer from 1"] = {batch_size = 0},
      } do
        local ok, message = pcall(function()
          local texts_ = model[method](model, "a", config)
          return texts_
        end)
        assert.is_false(ok)
        assert.matches(rule, message)
        assert.matches("^spec/generate_toy_spec.lua", message)
      end
    end
  end)

  it("takes a config object", function()
    local config = require("decant.config"){max_new_tokens = 2.0}
    assert.equal("ab", copier():generate("abcd", config)[1].text)
    assert.equal("ab", copier():translate("abcd", config))
  end)

  it("refuses more sequences than the strategy has", function()
    local model = copier()
    assert.has_error(function()
      model:generate("a", {num_return_sequences = 2})
    end)
    assert.has_error(function()
      model:generate("a", {num_return_sequences = 3, num_beams = 2})
    end)
  end)
end)


describe("stream", function()
  local function collect(model, input, config)
    local list = {}
    for piece, id in model:stream(input, config) do
      list[#list + 1] = piece .. ":" .. tostring(id)
    end
    return list
  end

  it("gives whole characters, one token at a time", function()
    local model = copier()
    assert.same({"a:97", ":195", "ä:164", "b:98", ":0"},
                collect(model, "aäb"))
    assert.equal(0, model.core.open_rows)
  end)

  it("computes one step a round and frees all when the loop is left", function()
    local model, rounds = copier(), 0
    for _ in model:stream "abcdef" do
      rounds = rounds + 1
      assert.equal(rounds, model.engine.passes)
      if rounds == 3 then break end
    end
    assert.equal(0, model.core.open_rows)
  end)

  it("adds up to the text, without a stop string", function()
    local config = {stop_strings = {"STOP", "top"}}
    local parts = {}
    for piece in copier():stream("my ST to STOP it", config) do
      parts[#parts + 1] = piece
    end
    assert.equal("my ST to ", table.concat(parts))
    parts = {}
    for piece in copier():stream("it is ST", config) do
      parts[#parts + 1] = piece
    end
    assert.equal("it is ST", table.concat(parts))
  end)

  it("lets processors yield to the host, not to the loop", function()
    local host = coroutine.wrap(function()
      local parts = {}
      for piece in copier():stream("ab", {processors = {
        function() parts[#parts + 1] = coroutine.yield "tick" end}}) do
        parts[#parts + 1] = piece
      end
      return table.concat(parts, ",")
    end)
    assert.equal("tick", host())
    assert.equal("tick", host "x")
    assert.equal("tick", host "y")
    assert.equal("x,a,y,b,z,", host "z")
  end)

  it("gives the pieces of a beam search at its end", function()
    local said = collect(copier(), "ab", {num_beams = 2,
                                          early_stopping = false})
    assert.same({"a:97", "b:98", ":0"}, said)
  end)

  it("raises what the caller's code raises and ends there", function()
    local model = copier()
    local next_piece = model:stream("ab", {processors = {
      function() error({"mine"}) end}})
    local ok, err = pcall(next_piece)
    assert.is_false(ok)
    assert.same({"mine"}, err)
    assert.is_nil(next_piece())
    assert.equal(0, model.core.open_rows)
  end)

  it("takes one input", function()
    local model = copier()
    for _, input in ipairs{{"a", "b"}, model:encode{"a", "b"}} do
      assert.error_matches(function() model:stream(input) end,
                           "one input, not a list")
    end
  end)
end)


describe("translate", function()
  it("gives a text for a text and a list for a list", function()
    local model = copier()
    assert.equal("Guten Tag.", model:translate "Guten Tag.")
    assert.same({"a", "", "b"}, model:translate{"a", "", "b"})
    assert.same({}, model:translate{})
  end)

  it("loses nothing of a text that is longer than the context", function()
    local model = copier{context = 24}
    local text = "One. Two, three and four! The fifth sentence is long, " ..
                 "much too long for it. Yes?\nLast line"
    assert.equal((text:gsub("\n", " ")), model:translate(text))
    assert.same({"A. B.", (text:gsub("\n", " "))},
                model:translate{"A. B.", text})
    for _, word in ipairs{("äö"):rep(40), "a" .. ("漢字"):rep(33)} do
      assert.equal(word, (model:translate(word):gsub(" ", "")))
      assert.is_truthy(utf8.len(model:translate(word)))
    end
  end)

  it("halves what is no UTF-8, too", function()
    local model, bytes = copier{context = 24}, ("\x80"):rep(3000)
    assert.equal(bytes, (model:translate(bytes):gsub(" ", "")))
    assert.is_true(#model.core.sourced <= 256)
  end)

  it("keeps a text that fits in one piece", function()
    local model = copier{context = 24}
    model:translate "One. Two.\nThree. Four."
    assert.equal(1, #model.core.encoded[1].lists)
  end)

  it("raises on a causal model and on what is no text", function()
    assert.error_matches(function() toy.model():translate "a" end,
                         "needs an encoder%-decoder model")
    assert.error_matches(function() copier():translate{"a", 5} end,
                         "text 2 is a number")
  end)
end)


describe("score", function()
  it("sums the log-probabilities of the given tokens", function()
    local total, each = toy.model():score({1, 4, 2})
    local four = math.log(core.logits(toy.T[1]):softmax()[4])
    local two = math.log(core.logits(toy.T[4]):softmax()[2])
    assert.near(four + two, total, 1e-6)
    assert.equal(2, #each)
    assert.near(two, each[2], 1e-6)
    assert.near(total, toy.model():score({4, 2}, {3, 1}), 1e-6)
  end)

  it("is the score of what generate gives", function()
    local model = copier()
    for _, text in ipairs{"ab", ""} do
      local total, each = model:score(text, "ab")
      assert.equal(#text + 1, #each)
      local same = text == "ab" and model:generate("ab")[1].score or -30
      assert.near(same, total, 1e-6)
    end
    assert.equal(model:score("ab", "ab"), model:score({1, 97, 98, 0}, "ab"))
  end)

  it("takes lists", function()
    local model, targets, sources = copier(), {}, {}
    for i = 1, 40 do
      targets[i], sources[i] = ("x"):rep(i % 3 + 1), ("x"):rep(i % 5 + 1)
    end
    local totals, tokens = model:score(targets, sources)
    for i = 1, 40 do
      local total, each = model:score(targets[i], sources[i])
      assert.near(total, totals[i], 1e-6)
      assert.equal(#each, #tokens[i])
    end
    assert.error_matches(function() model:score({"a"}, {"a", "b"}) end,
                         "1 targets, 2 sources")
  end)

  it("takes a target without tokens, alone and in a list", function()
    local total, each = copier():score({}, "a")
    assert.same({0, {}}, {total, each})
    local totals, tokens = copier():score({{}, "a"}, {"a", "a"})
    assert.equal(0, totals[1])
    assert.same({{}, 2}, {tokens[1], #tokens[2]})
    assert.same({}, (copier():score({}, {})))
  end)

  it("says what is wrong with its arguments", function()
    for message, arguments in pairs{
      ["needs a source"] = {"a"},
      ["the target is a nil; a text, ids or a list"] = {},
      ["the source is a boolean"] = {"a", false},
      ["a list of targets wants a list of sources"] = {{"a", "b"}, "ab"},
      ["a list of sources wants a list of targets"] = {"a", {"a", "b"}},
      ["source 2 has no tokens"] = {{"a", "b"}, {"a", {}}},
      ["source 1 has 65 tokens; the context of the model holds 64"] =
        {"a", ("b"):rep(64)},
      ["target 2 needs 66 positions; the context of the model holds 64"] =
        {{"a", ("b"):rep(65)}, {"a", "a"}},
    } do
      local model = copier()
      model.config.context = 64
      assert.error_matches(function()
        model:score(arguments[1], arguments[2])
      end, message, 1, true)
    end
  end)
end)


describe("a model", function()
  it("decodes ids by teacher forcing, on one source or one each", function()
    local model = copier()
    local output = model:encode{"ab", "xy"}
    local logits = model:decode({{1, 97}, {1, 120}}, output)
    assert.same({2, 2, 256}, logits:shape())
    assert.equal(97, logits[1][1]:argmax() - 1)
    assert.equal(121, logits[2][2]:argmax() - 1)
    assert.same({1, 1, 256}, model:decode({1}, output[1]):shape())
    assert.error_matches(function() model:decode({{1}, {1}, {1}}, output) end,
                         "3 rows of ids, but 2 encoder outputs")
    assert.error_matches(function() model:decode{1} end,
                         "needs an encoder output")
    assert.error_matches(function() model:encode(5) end, "got a number")
    assert.error_matches(function() model:decode({256}, output[1]) end,
                         "id 1 is 256")
  end)

  it("opens sessions on an encoder output, a text or ids", function()
    local model = copier()
    for _, source in ipairs{model:encode "ab", "ab"} do
      local session <close> = model:session{source = source}
      assert.equal(97, session:feed(1):argmax())
    end
    assert.equal(3, #model:session{source = {97, 0}, rows = 3})
    assert.error_matches(function() model:session{} end, "needs a source")
    assert.error_matches(function()
      model:session{source = model:encode{"a", "b"}}
    end, "one source, not on 2")
    assert.error_matches(function()
      model:session{source = "a", rows = 0}
    end, "rows is 0")
  end)

  it("completes text only if it is causal", function()
    assert.error_matches(function() copier():complete "a" end,
                         "needs a causal model; this one is seq2seq")
  end)

  it("cannot be used after close, which may come twice", function()
    local model = copier()
    model:close()
    model:close()
    for _, method in ipairs{"generate", "translate", "stream", "session",
                            "encode", "decode", "score"} do
      assert.error_matches(function() model[method](model, "a") end,
                           "model:" .. method .. ": the model is closed")
    end
  end)

  it("says so when it is closed while it generates", function()
    local model = copier()
    assert.error_matches(function()
      model:generate({"a", "b"}, {batch_size = 1, on_token = function()
        model:close()
      end})
    end, "the model was closed while it ran")
  end)

  it("closes at the end of its scope", function()
    local handle
    do
      local model <close> = copier()
      handle = model.core
    end
    assert.is_true(handle.closed)
  end)
end)
