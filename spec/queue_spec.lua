-- model:queue: inputs that come one by one, with configs of their own.

local decant = require "decant"
local toy = require "spec.support.toy"

-- A causal model on the Markov chain of reference/generate.md, 4.2.
local function chain(options)
  local model = toy.model(options)
  return model, function(config)
    config = config or {}
    config.max_length, config.min_length = config.max_length or 10, 0
    return config
  end
end

local function text(results)
  local list = {}
  for i, result in ipairs(results) do
    list[i] = table.concat(result.ids, " ") .. " " .. result.finish
  end
  return table.concat(list, " | ")
end

-- A strategy of the caller: of the two best tokens the one with the lower id,
-- looked up one step ahead on rows of its own.
local function look_ahead(session, prompt, opts)
  local ids = {}
  local logits = session:feed(prompt)
  repeat
    local best = opts.process(logits, ids):top(2)
    local fork <close> = session:fork()
    fork:reorder{1, 1}
    local rows = fork:forward{{best[1].id}, {(best[2] or best[1]).id}}
    local first, second = rows[1]:top(1)[1].logit, rows[2]:top(1)[1].logit
    local id = second > first and best[2] and best[2].id or best[1].id
    ids[#ids + 1] = id
    opts.emit(id)
    if opts.stop(ids) then return ids end
    logits = session:feed(id)
  until false
end


describe("a queue", function()
  it("gives the bits of one by one for 200 inputs of all kinds", function()
    local model <close> = assert(decant.load("de-en", {threads = 1}))
    local words = {"Der", "alte", "Mann", "geht", "am", "Meer", "nach", "Haus",
                   "und", "lacht"}
    local inputs, configs = {}, {}
    for i = 1, 200 do
      local sentence = {}
      for j = 1, 1 + i * 7 % 3 do
        sentence[j] = words[(i * 13 + j * j) % #words + 1]
      end
      inputs[i] = table.concat(sentence, " ") .. "."
      configs[i] = ({
        {num_beams = 1},
        {num_beams = 1, do_sample = true, seed = i, top_p = 0.9},
        {num_beams = 2 + i % 3, num_return_sequences = 2},
        {num_beams = 1, strategy = look_ahead},
        {num_beams = 1, do_sample = true, seed = i, num_return_sequences = 2,
         repetition_penalty = 1.3},
        {num_beams = 2, do_sample = true, seed = i},
        {num_beams = 1, no_repeat_ngram_size = 2, stop_strings = {" the"}},
      })[i % 7 + 1]
      configs[i].max_new_tokens = 1 + i % 5
    end
    local queue <close> = model:queue{rows = 16}
    local found, order, pushed = {}, {}, 100
    for i = 1, pushed do queue:push(inputs[i], configs[i]) end
    for ticket, results in queue:results() do
      found[ticket], order[#order + 1] = results, ticket
      if pushed < 200 then
        pushed = pushed + 1
        queue:push(inputs[pushed], configs[pushed])
      end
    end
    assert.equal(200, #order)
    for i = 1, 200 do
      local alone = model:generate(inputs[i], configs[i])
      assert.is_nil(found[i].error)
      assert.equal(alone.seed, found[i].seed)
      assert.equal(#alone, #found[i])
      for j, result in ipairs(alone) do assert.same(result, found[i][j]) end
    end
  end)

  it("gives what has finished and takes more meanwhile", function()
    local model, config = chain()
    local queue = model:queue{rows = 2}
    assert.equal(1, queue:push({1}, config{eos_token_id = false}))
    assert.equal(2, queue:push({1}, config()))
    assert.equal(2, #queue)
    assert.is_nil(queue:take())
    assert.is_true(queue:step())
    queue:step()
    local ticket, results = queue:take()
    assert.equal(2, ticket)
    assert.equal("4 2 eos", text(results))
    assert.equal(3, queue:push({3}, config()))
    while queue:step() do end
    local second = queue:take()
    local third = queue:take()
    assert.same({3, 1}, {second, third})
    assert.is_nil(queue:take())
    assert.is_false(queue:step())
    assert.equal(0, model.core.open_rows)
  end)

  it("makes one pass a step, of at most its rows", function()
    local model, config = chain()
    local queue = model:queue{rows = 5}
    for i = 1, 9 do
      queue:push({1}, config{num_beams = 1 + i % 3})
    end
    queue:push({1}, config{num_beams = 7})
    local steps = 0
    while queue:step() do steps = steps + 1 end
    assert.is_true(model.engine.passes <= steps + 1)
    for _, rows in ipairs(model.engine.rows) do
      assert.is_true(rows <= 5 or rows == 7)
    end
    local count = 0
    for _ in queue:results() do count = count + 1 end
    assert.equal(10, count)
  end)

  it("encodes sources that were pushed together in one call", function()
    local model = toy.model{
      kind = "seq2seq", vocab = 256, decoder_start = 1,
      tokenizer = toy.tokenizer,
      generation = {eos_token_id = 0, max_length = 20, min_length = 0},
      scores = function(line, source)
        local scores = {}
        for id = 1, 256 do scores[id] = 0 end
        scores[(source[#line] or 0) + 1] = 30
        return scores
      end}
    local queue = model:queue{rows = 4}
    for _, word in ipairs{"one", "", "three", "two"} do queue:push(word) end
    local texts = {}
    for ticket, results in queue:results() do
      texts[ticket] = results[1].text
    end
    assert.same({"one", "", "three", "two"}, texts)
    assert.equal(1, #model.core.encoded)
    assert.equal(3, #model.core.encoded[1].lists)
  end)

  it("lets one input fail alone", function()
    local model, config = chain()
    local queue, failure = model:queue(), {"mine"}
    queue:push({1}, config())
    queue:push({1}, config{processors = {function(_, ids)
      if #ids == 2 then error(failure) end
    end}})
    queue:push({1}, config{strategy = function() return 5 end})
    queue:push({1}, config{max_length = 1})
    queue:push({1}, config{num_beams = 2, processors = {function(logits)
      logits:keep{}
    end}})
    queue:push({3}, config{do_sample = true, num_return_sequences = 2,
                           seed = 1, on_token = function() error "heard" end})
    queue:push({3}, config())
    queue:push({3}, config{processors = {function() error(false) end}})
    local found = {}
    for ticket, results in queue:results() do found[ticket] = results end
    assert.equal("false", found[8].error)
    assert.same({"4 2 eos", "4 2 eos"}, {text(found[1]), text(found[7])})
    assert.equal(failure, found[2].error)
    assert.matches("returned number", found[3].error)
    assert.matches("max_length is 1", found[4].error)
    assert.matches("no token is allowed", found[5].error)
    assert.matches("heard", found[6].error)
    for i = 2, 6 do assert.equal(0, #found[i]) end
    assert.equal(0, model.core.open_rows)
  end)

  it("raises what is wrong with an input where it is pushed", function()
    local model, config = chain()
    local queue = model:queue()
    for message, call in pairs{
      ["unknown field 'top_kk'"] = {{1}, {top_kk = 1}},
      ["threads is a matter of the whole queue: give threads to model:queue"]
        = {{1}, {threads = 1}},
      ["give rows to model:queue"] = {{1}, {batch_size = 1}},
    } do
      local fine, said = pcall(function()
        local ticket = queue:push(call[1], call[2])
        return ticket
      end)
      assert.is_false(fine)
      assert.matches(message, said, 1, true)
      assert.matches("^spec/queue_spec.lua", said)
    end
    assert.error_matches(function() queue:push({{1}, {3}}) end,
                         "takes one input, not a list")
    assert.error_matches(function() queue:push({77}) end, "id 1 is 77")
    assert.error_matches(function() queue:push({1}, {strategy = "x"}) end,
                         'strategy "x" is not known')
    assert.equal(1, queue:push({1}, config()))
    assert.error_matches(function() model:queue{row = 1} end,
                         "unknown option 'row', did you mean 'rows'")
    for _, case in ipairs{{"rows", 0}, {"rows", "4"}, {"threads", 65},
                          {"threads", 1.5}} do
      assert.error_matches(function() model:queue{[case[1]] = case[2]} end,
                           case[1] .. " is .+, must be an integer from 1 to")
    end
    assert.error_matches(function() model:queue(5) end, "got a number")
  end)

  it("cancels what runs, what waits, and nothing twice", function()
    local model, config = chain()
    local queue = model:queue{rows = 1}
    local endless = config{eos_token_id = false, no_repeat_ngram_size = 2,
                           logprobs = true}
    for _ = 1, 3 do queue:push({1}, endless) end
    queue:step()
    queue:step()
    assert.is_true(queue:cancel(1))
    assert.equal(0, model.core.open_rows)
    assert.is_true(queue:cancel(3))
    assert.is_false(queue:cancel(3))
    local found = {}
    for ticket, results in queue:results() do found[ticket] = results end
    assert.equal("4 2 cancelled", text(found[1]))
    assert.equal("4 2 3 4 4 3 3 5 3 length", text(found[2]))
    assert.equal(" cancelled", text(found[3]))
    assert.same({0, {}}, {found[3][1].score, found[3][1].logprobs})
    assert.near(math.log(decant.logits(toy.T[1]):softmax()[4])
                + math.log(decant.logits(toy.T[4]):softmax()[2]),
                found[1][1].score, 1e-6)
    assert.error_matches(function() queue:cancel(9) end, "9 is no ticket")
  end)

  it("may be changed from inside: pushed to, cancelled, closed", function()
    local model, config = chain()
    local queue = model:queue{rows = 4}
    local endless = config{eos_token_id = false}
    queue:push({1}, config{on_token = function(_, _, ticket)
      assert.equal(1, ticket)
      if #queue < 3 then queue:push({3}, config()) end
      queue:cancel(1)
      queue:cancel(2)
      assert.error_matches(function() queue:step() end, "is running")
    end})
    queue:push({1}, endless)
    local found = {}
    for ticket, results in queue:results() do found[ticket] = text(results) end
    assert.same({"4 cancelled", " cancelled", "4 2 eos"}, found)
    queue:push({1}, config{on_token = function() queue:close() end})
    queue:push({1}, endless)
    assert.is_false(queue:step() and queue:step())
    assert.equal(0, model.core.open_rows)
    assert.error_matches(function() queue:push{1} end, "the queue is closed")
  end)

  it("frees all when it is closed, and hands out what had finished",
     function()
    local model, config = chain()
    local queue
    do
      local scoped <close> = model:queue()
      queue = scoped
      queue:push({1}, config())
      queue:push({1}, config{eos_token_id = false})
      queue:step()
      queue:step()
    end
    assert.equal(0, model.core.open_rows)
    assert.equal(1, (queue:take()))
    assert.is_nil(queue:results()())
    queue:close()
  end)

  it("lets user code yield to the host of the step", function()
    local model, config = chain()
    local queue, heard = model:queue(), nil
    queue:push({1}, config{processors = {function()
      heard = coroutine.yield "tick"
    end}})
    queue:push({3}, config())
    local host = coroutine.wrap(function()
      while queue:step() do end
      return "done"
    end)
    assert.equal("tick", host())
    assert.equal("tick", host "a")
    assert.equal("done", host "b")
    assert.equal("b", heard)
    local found = {}
    for ticket, results in queue:results() do found[ticket] = text(results) end
    assert.same({"4 2 eos", "4 2 eos"}, found)
    queue:push({1}, config{processors = {function() coroutine.yield() end}})
    local ticket, results = queue:results()()
    assert.equal(3, ticket)
    assert.matches("nobody is there to resume it", results.error)
  end)

  it("fails what waits when its model is closed", function()
    local model, config = chain()
    local queue = model:queue{rows = 1}
    queue:push({1}, config{on_token = function() model:close() end})
    queue:push({1}, config())
    local found = {}
    for ticket, results in queue:results() do found[ticket] = results end
    assert.equal("4 2 eos", text(found[1]))
    assert.matches("the model was closed while it ran", found[2].error)
  end)

  it("fails a row whose model was closed before all was read of it", function()
    local model, config = chain()
    assert.error_matches(function()
      model:generate({1}, config{num_beams = 2, top_logprobs = 1,
                                 on_token = function() model:close() end})
    end, "the model was closed while it ran")
    assert.equal(0, model.core and model.core.open_rows or 0)
  end)
end)
