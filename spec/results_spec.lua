-- What results tell, why rows end, what listeners hear: generate's frame.

local decant = require "decant"
local fixtures = require "spec.support.fixtures"
local toy = require "spec.support.toy"

-- A causal model that spells `text`, byte by byte, then ends (id 0).
local function speller(text)
  return toy.model{
    vocab = 256, tokenizer = toy.tokenizer,
    generation = {eos_token_id = 0, pad_token_id = 3, bos_token_id = 1,
                  max_new_tokens = 300, min_length = 0},
    scores = function(line)
      local scores = {}
      for id = 1, 256 do scores[id] = 0 end
      scores[(text:byte(#line) or 0) + 1] = 30
      return scores
    end}
end

local function run(text, config)
  return speller(text):generate({1}, config)[1]
end


describe("a row ends", function()
  it("at any of several end tokens", function()
    local result = run("abc", {eos_token_id = {120, 98}})
    assert.same({97, 98}, result.ids)
    assert.equal("eos", result.finish)
  end)

  it("where a criterion of the caller says so, with its reason", function()
    local seen = {}
    local result = run("abcdef", {stopping_criteria = function(ids)
      seen[#seen + 1] = #ids
      return #ids == 3
    end})
    assert.same({"abc", "stop"}, {result.text, result.finish})
    assert.same({1, 2, 3}, seen)
    result = run("abcdef", {stopping_criteria = {
      function() end, function(ids) return ids[#ids] == 98 and "bee" end}})
    assert.same({"ab", "bee"}, {result.text, result.finish})
  end)

  it("with a text that holds no stop string, whatever it ended at", function()
    local result = run("abcd", {stop_strings = {"cd"}, eos_token_id = 100})
    assert.same({"ab", "eos"}, {result.text, result.finish})
    result = run("abcd", {stop_strings = {"cd"}, on_token = function(id)
      return id ~= 100
    end})
    assert.same({"ab", "cancelled"}, {result.text, result.finish})
    local seen
    run("abcd", {stop_strings = "cd", do_sample = true, best_of = 2,
                 reward = function(text) seen = text return #text end})
    assert.equal("ab", seen)
  end)

  it("at no space that the text of its first word has not", function()
    local model <close> = assert(decant.load "de-en")
    local result = model:generate("Der Hund.", {stop_strings = {" The", " "}})
    assert.same({"The", "stop"}, {result[1].text, result[1].finish})
    assert.equal(3, #result[1].ids)
  end)

  it("with beams, too", function()
    local result = run("abcdef", {num_beams = 2, stopping_criteria = {
      function(ids) return #ids == 2 and "two" end}})
    assert.same({"ab", "two"}, {result.text, result.finish})
  end)

  it("when time is up, after the step that runs", function()
    local result = run(("a"):rep(300), {max_time = 1e-9})
    assert.same({"a", "time"}, {result.text, result.finish})
  end)

  it("looks back no further the longer it is", function()
    local model, longest, whole = speller(("xy"):rep(100)), 0, 0
    local tokenizer = setmetatable({decode = function(_, ids)
      longest = math.max(longest, #ids)
      return toy.tokenizer:decode(ids)
    end, stream = function()
      whole = whole + 1
      return toy.tokenizer:stream()
    end}, {__index = toy.tokenizer})
    model.tokenizer = tokenizer
    local result = model:generate({1}, {stop_strings = {"xx", "stop"}})[1]
    assert.equal("eos", result.finish)
    assert.equal(5, longest)
    assert.equal(6, whole)  -- while the row is that short, and for its result
  end)
end)


describe("listeners", function()
  it("get held back text as soon as it can be no stop string", function()
    local said = {}
    local result = run("a<e>b<en", {stop_strings = {"<end>"},
      on_token = function(id, piece)
        said[#said + 1] = piece .. ":" .. tostring(id)
      end})
    assert.equal("a<e>b<en", result.text)
    assert.same({"a:97", ":60", ":101", "<e>:62", "b:98", ":60", ":101",
                 ":110", ":0", "<en:nil"}, said)
  end)

  it("hear what a strategy has decided before it ends", function()
    local function two_at_a_time(session, prompt, opts)
      local ids, logits = {}, session:feed(prompt)
      repeat
        for _ = 1, 2 do
          local id = logits:argmax()
          ids[#ids + 1] = id
          logits = session:feed(id)
        end
        opts.emit(ids[#ids - 1])
        opts.emit(ids[#ids])
      until opts.stop(ids)
      return ids
    end
    local model, passes = speller "abcde", {}
    for piece in model:stream({1}, {strategy = two_at_a_time}) do
      passes[#passes + 1] = piece .. model.engine.passes
    end
    assert.same({"a3", "b3", "c5", "d5", "e7", "7"}, passes)
  end)

  it("may cancel a beam search", function()
    local result = run("abcdef", {num_beams = 2, on_token = function()
      return false
    end})
    assert.equal("cancelled", result.finish)
  end)
end)


describe("results", function()
  local model, ids
  setup(function()
    model = assert(decant.load(fixtures.gguf("marian", "f32")))
    ids = fixtures.golden("marian")[1].input_ids[1]
  end)
  teardown(function() model:close() end)

  local function total(list)
    local sum = 0
    for _, x in ipairs(list) do sum = sum + x end
    return sum
  end

  it("tell no log-probabilities unless they are asked for", function()
    local result = model:generate(ids, {max_new_tokens = 4})[1]
    assert.is_nil(result.logprobs)
    assert.is_nil(result.top_logprobs)
    assert.is_nil(result.cross_attentions)
  end)

  it("add up to the score, drawn or best", function()
    for _, config in ipairs{{}, {do_sample = true, seed = 2, top_k = 7}} do
      config.max_new_tokens, config.logprobs = 9, true
      local result = model:generate(ids, config)[1]
      assert.equal(#result.ids - 1, #result.logprobs)
      assert.equal(result.score, total(result.logprobs))
    end
  end)

  it("add up to the score of every beam, before the length counts", function()
    local results = model:generate(ids, {
      num_beams = 4, num_return_sequences = 3, length_penalty = 2.0,
      repetition_penalty = 1.3, max_new_tokens = 40, logprobs = true})
    assert.equal(3, #results)
    for _, result in ipairs(results) do
      local n = #result.logprobs
      assert.equal(#result.ids - 1, n)
      assert.near(result.score, total(result.logprobs) / n ^ 2.0,
                  1e-6 * math.abs(result.score))
    end
  end)

  it("add up to the score of what other strategies choose among", function()
    for name, config in pairs{
      drawn = {strategy = "stochastic_beam", num_beams = 3, temperature = 1.5,
               top_k = 9, num_return_sequences = 3, seed = 4},
      inner = {best_of = 3, inner_strategy = "stochastic_beam", num_beams = 2,
               do_sample = true, repetition_penalty = 1.4, seed = 4},
      contrasted = {best_of = 2, inner_strategy = "dola", do_sample = true,
                    dola_layers = {0}, seed = 4},
      lists = {best_of = 4, do_sample = true, num_return_sequences = 2,
               seed = 4},
    } do
      config.max_new_tokens, config.top_logprobs = 9, 2
      for _, result in ipairs(model:generate(ids, config)) do
        local n = #result.logprobs
        assert.same({#result.ids - 1, n}, {n, #result.top_logprobs}, name)
        assert.near(result.score, total(result.logprobs) / n, 1e-6, name)
      end
    end
  end)

  it("tell of an input without tokens that there are none", function()
    local result = model:generate({{}}, {top_logprobs = 2})[1]
    assert.same({0, {}, {}},
                {result.score, result.logprobs, result.top_logprobs})
  end)

  it("list the alternatives of every step, the best first", function()
    for _, config in ipairs{{}, {num_beams = 2},
                            {do_sample = true, seed = 2}} do
      config.max_new_tokens, config.top_logprobs = 5, 3
      config.forced_eos_token_id = false
      local result = model:generate(ids, config)[1]
      assert.equal(#result.logprobs, #result.top_logprobs)
      for i, list in ipairs(result.top_logprobs) do
        assert.equal(3, #list)
        assert.is_true(list[1].logprob >= list[3].logprob)
        for _, entry in ipairs(list) do
          if entry.id == result.ids[i + 1] then
            assert.equal(result.logprobs[i], entry.logprob)
          end
        end
      end
    end
  end)

  it("are the same for a strategy of the caller that emits nothing", function()
    local function silent(session, prompt, opts)
      local row, logits = {}, session:feed(prompt)
      repeat
        row[#row + 1] = opts.process(logits, row):argmax()
        local reason = opts.stop(row)
        if not reason then logits = session:feed(row[#row]) end
      until reason
      return row
    end
    local config = {max_new_tokens = 40, top_logprobs = 2, min_length = 9,
                    repetition_penalty = 1.5}
    local greedy = model:generate(ids, config)[1]
    config.strategy = silent
    local own = model:generate(ids, config)[1]
    assert.same(greedy.ids, own.ids)
    assert.same(greedy.logprobs, own.logprobs)
    assert.same(greedy.top_logprobs, own.top_logprobs)
  end)

  it("show what of the source each token was read from", function()
    for _, beams in ipairs{1, 3} do
      local result = model:generate(ids, {
        num_beams = beams, max_new_tokens = 40, output_attentions = true})[1]
      local rows = result.cross_attentions
      assert.same({#result.ids - 1, #ids}, rows:shape())
      local session <close> = model:session{source = ids}
      for i = 1, #result.ids - 1 do
        local _, extra = session:feed(result.ids[i], {attention = true})
        assert.same(extra.attention[1]:totable(), rows[i]:totable())
        assert.near(1, total(rows[i]:totable()), 1e-5)
      end
    end
  end)

  it("name what a model has no use for", function()
    local causal = toy.model()
    for name, value in pairs{output_attentions = true, source_mask = {1},
                             decoder_input_ids = {1},
                             decoder_start_token_id = 1} do
      assert.error_matches(function()
        causal:generate({1}, {[name] = value})
      end, name .. " has no effect on a causal model")
    end
    assert.error_matches(function()
      causal:generate({1}, {stop_strings = "a"})
    end, "stop_strings needs a tokenizer")
  end)

  it("score what was generated with the same bits, alone or in a list",
     function()
    local inputs, targets = {}, {}
    for i = 1, 20 do
      inputs[i] = table.move(ids, 1 + i % 4, #ids, 1, {})
      targets[i] = model:generate(inputs[i], {
        max_new_tokens = 3 + i * 2, min_length = 0, bad_words_ids = false,
        forced_eos_token_id = false, logprobs = true})[1]
    end
    local rows = {}
    for i, target in ipairs(targets) do rows[i] = target.ids end
    local totals, each = model:score(rows, inputs)
    local sum, count = 0, 0
    for i, target in ipairs(targets) do
      assert.equal(target.score, totals[i])
      assert.same(target.logprobs, each[i])
      assert.equal(totals[i], (model:score(rows[i], inputs[i])))
      sum, count = sum + totals[i], count + #each[i]
    end
    assert.near(math.exp(-sum / count), model:perplexity(rows, inputs), 1e-9)
    assert.near(math.exp(-totals[1] / #each[1]),
                model:perplexity(rows[1], inputs[1]), 1e-9)
    assert.error_matches(function() toy.model():perplexity{1} end,
                         "no token to score")
  end)
end)


describe("draws", function()
  it("depend on seed, row and position, and on nothing else", function()
    local model <close> = assert(decant.load(fixtures.gguf("marian", "f32")))
    local source = fixtures.golden("marian")[1].input_ids[1]
    local config = {do_sample = true, seed = 11, max_new_tokens = 12}
    local alone = model:generate(source, config)[1].ids
    config.num_return_sequences = 5
    local five = model:generate(source, config)
    assert.same(alone, five[1].ids)
    config.batch_size = 2
    for i, result in ipairs(model:generate(source, config)) do
      assert.same(five[i].ids, result.ids)
    end
    local queue <close> = model:queue{rows = 3}
    for _ = 1, 4 do
      queue:push(source, {do_sample = true, seed = 11, max_new_tokens = 12})
    end
    for _, results in queue:results() do
      assert.same(alone, results[1].ids)
    end
  end)
end)
