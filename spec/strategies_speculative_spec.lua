-- Speculative decoding: nobody can see in a result that there was a draft.
-- Results of the reference: strategies_parity_spec.lua.

local core = require "decant.core"
local decant = require "decant"
local fixtures = require "spec.support.fixtures"
local tiny = require "spec.support.tiny"
local toy = require "spec.support.toy"

local words = toy.texts


describe("speculative decoding", function()
  -- The scores depend on the whole row: what is left of a wrong guess shows.
  local function scores(line)
    local row = table.move(toy.T[line[#line]], 1, 6, 1, {})
    local place = #line
    for i, id in ipairs(line) do place = place + i * id end
    row[place % 6 + 1] = row[place % 6 + 1] + 0.9
    return row
  end

  local function target() return toy.model{scores = scores} end

  -- A draft, the plain toy model, is right now and then.
  local drafts = {
    ["a model"] = function() return {assistant_model = toy.model(),
      assistant_confidence_threshold = 0} end,
    ["the prompt"] = function() return {prompt_lookup_num_tokens = 4} end,
  }

  local function with(given, more)
    local config = {max_new_tokens = 12, eos_token_id = false}
    for name, value in pairs(given) do config[name] = value end
    for name, value in pairs(more or {}) do config[name] = value end
    return config
  end

  for name, make in pairs(drafts) do
    it("gives the greedy tokens, whatever " .. name .. " guesses", function()
      local model = target()
      for _, processors in ipairs {
        {}, {decant.processors.no_repeat_ngram(2)},
        {decant.processors.repetition_penalty(1.5)},
      } do
        for start = 0, 5 do
          local plain = with{processors = processors}
          local drafted = with(make(), plain)
          assert.equal(words(model:generate({1, start}, plain)),
                       words(model:generate({1, start}, drafted)))
        end
      end
    end)

    it("draws what sampling draws, whatever " .. name .. " guesses",
       function()
         local model = target()
         for seed = 1, 40 do
           local plain = with{do_sample = true, seed = seed, top_k = 4,
                              num_return_sequences = 2}
           local drafted = with(make(), plain)
           assert.equal(words(model:generate({{1, 3, 1}, {5}}, plain)),
                        words(model:generate({{1, 3, 1}, {5}}, drafted)))
         end
       end)

    it("keeps the distribution (" .. name .. ")", function()
      local model, n, count = target(), 3000, {}
      local config = with(make(), {do_sample = true, seed = 5,
                                   max_new_tokens = 3,
                                   num_return_sequences = n})
      for _, result in ipairs(model:generate({1, 4}, config)) do
        local key = words{result}
        count[key] = (count[key] or 0) + 1
      end
      local tested = 0
      for key, times in pairs(count) do
        local exact, line = 1, {1, 4}
        for id in key:gmatch "%d" do
          id = math.tointeger(id)
          exact = exact * core.logits(scores(line)):probability(id)
          line[#line + 1] = id
        end
        if exact * n > 30 then
          tested = tested + 1
          assert.near(exact, times / n, 4 * (exact * (1 - exact) / n) ^ 0.5)
        end
      end
      assert.is_true(tested > 15)
    end)
  end

  it("takes fewer passes than tokens where the draft is right", function()
    local model = toy.model()
    local config = with{assistant_model = toy.model(), num_assistant_tokens = 3,
                        assistant_confidence_threshold = 0}
    model:generate({1}, config)
    assert.equal(3, model.engine.passes)  -- 4 tokens each
    config.do_sample, config.seed, model.engine.passes = true, 5, 0
    model:generate({1}, config)
    assert.equal(3, model.engine.passes)
  end)

  it("stops a draft that is not sure", function()
    local model, draft = toy.model(), toy.model()
    model:generate({1}, with{assistant_model = draft, num_assistant_tokens = 3,
                             assistant_confidence_threshold = 1})
    assert.equal(6, model.engine.passes)  -- one guess each
  end)

  it("ends in the middle of a block, at the end token or at a text", function()
    local model = toy.model()
    local config = with({assistant_model = toy.model()}, {eos_token_id = 2})
    assert.equal("4 2", words(model:generate({1}, config)))
    local texts = toy.model{tokenizer = toy.tokenizer, vocab = 128,
      scores = function(line)
        local row = {}
        for i = 1, 128 do row[i] = i - 2 == line[#line] and 9 or 0 end
        return row
      end}
    local result = texts:generate({97}, {assistant_model = texts,
      max_new_tokens = 20, stop_strings = "fg", eos_token_id = false})[1]
    assert.equal("stop", result.finish)
    assert.equal("bcde", result.text)
  end)

  it("shows a processor each token once", function()
    local model, seen = toy.model(), {}
    local config = with({assistant_model = toy.model{scores = scores}}, {
      processors = {function(_, ids) seen[#seen + 1] = #ids end}})
    model:generate({1}, config)
    assert.same({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, seen)
  end)

  it("shows the draft what was decided, and none of its wrong guesses",
     function()
       local decided, wrong, calls = {}, 0, 0
       local draft = toy.model{scores = function(line)
         calls = calls + 1
         for i, id in ipairs(decided) do
           if line[i + 1] ~= id then wrong = wrong + 1 end
         end
         return toy.T[line[#line]]
       end}
       target():generate({1}, with{
         assistant_model = draft, assistant_confidence_threshold = 0,
         num_assistant_tokens = 3,
         on_token = function(id) decided[#decided + 1] = id end})
       assert.equal(0, wrong)
       assert.is_true(calls > 6)
     end)

  it("takes guesses back from a sliding window", function()
    local models = {}
    for i, name in ipairs{"phi3", "starcoder2"} do
      local path = fixtures.folder() .. "/speculative-" .. name .. ".gguf"
      tiny.write(path, name, function(model)
        tiny.set(model, name .. ".context_length", 300)
      end)
      models[i] = assert(decant.load(path, {tokenizer = false}))
    end
    for start = 1, 3 do
      local plain = {max_new_tokens = 150, eos_token_id = false,
                     do_sample = start == 3, seed = start}
      local drafted = with({assistant_model = models[2],
                            num_assistant_tokens = 90,
                            assistant_confidence_threshold = 0}, plain)
      assert.equal(words(models[1]:generate({start, 9}, plain)),
                   words(models[1]:generate({start, 9}, drafted)))
    end
    for _, model in ipairs(models) do model:close() end
  end)

  it("follows a draft with a shorter context as far as it goes", function()
    local model = toy.model()
    local config = with{assistant_model = toy.model{context = 5}}
    assert.equal(words(model:generate({1}, with{})),
                 words(model:generate({1}, config)))
  end)

  it("looks for the longest match, first in the row, then in the source",
     function()
       local lookup = require("decant.drafts").lookup
       local function guess(row, given, limit)
         return lookup(row, given)({}, limit or 9)
       end
       -- generate.md, 4.1, number 42
       local opts = {prompt_lookup_num_tokens = 4, max_matching_ngram_size = 2}
       assert.same({3, 9, 1, 2}, guess({5, 1, 2, 3, 9, 1, 2, 7, 1, 2}, opts))
       assert.same({}, guess({1, 2, 3}, opts))
       assert.same({7}, guess({7, 7, 7}, opts))
       assert.same({3}, guess({5, 1, 2, 3, 9, 1, 2}, opts, 1))
       assert.same({}, guess({5, 1, 2, 3, 9, 1, 2}, opts, 0))
       opts.encoder_ids = {8, 9, 4, 4}
       assert.same({4, 4}, guess({1, 9}, opts))
     end)

  it("refuses a draft of another vocabulary, and leaks nothing", function()
    local model = toy.model()
    local function refuses(draft, message)
      assert.error_matches(function()
        model:generate({1}, with{assistant_model = draft})
      end, message)
      assert.equal(0, model.core.open_rows)
      assert.equal(0, model.engine.passes)
    end
    refuses(toy.model{vocab = 7}, "assistant_model has a vocabulary of 7 " ..
            "tokens, and this model of 6")
    refuses(toy.model{kind = "seq2seq"}, "assistant_model is a seq2seq model")
    local closed = toy.model()
    closed:close()
    refuses(closed, "assistant_model the model is closed")
    local function named(names)
      return setmetatable({piece = function(_, id) return names[id + 1] end},
                          {__len = function() return #names end})
    end
    local ours = toy.model{tokenizer = named{"a", "b"}}
    assert.error_matches(function()
      ours:generate({1}, with{
        assistant_model = toy.model{tokenizer = named{"a", "c"}}})
    end, "assistant_model has another vocabulary")
  end)

  it("closes the draft's session when something raises", function()
    local model, draft = toy.model(), toy.model()
    local calls = 0
    assert.error_matches(function()
      model:generate({1}, with{assistant_model = draft, processors = {function()
        calls = calls + 1
        if calls == 3 then error("enough", 0) end
      end}})
    end, "^enough$")
    assert.equal(0, model.core.open_rows)
    assert.equal(0, draft.core.open_rows)
  end)
end)
