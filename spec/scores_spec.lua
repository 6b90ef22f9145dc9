-- Scores that are written over: session:feed(ids, want, into) and
-- session:forward(rows, want, into), and which of them never are.

local core = require "decant.core"
local decant = require "decant"
local fixtures = require "spec.support.fixtures"

local source = {5, 6, 7, 0}

-- A processor that keeps all it is shown, and copies of it.
local function keeper()
  local kept, copies = {}, {}
  return function(logits)
    kept[#kept + 1], copies[#copies + 1] = logits, logits:totable()
  end, kept, copies
end

local function unchanged(kept, copies)
  assert.is_true(#kept > 1)
  for i, logits in ipairs(kept) do assert.same(copies[i], logits:totable()) end
end


describe("scores that are written over", function()
  local model, start
  setup(function()
    model = assert(decant.load(fixtures.gguf("marian", "q8_0")))
    start = model.config.decoder_start
  end)
  teardown(function() model:close() end)

  local function session(rows)
    return model:session{source = source, rows = rows}
  end

  it("are the same bits in the same Logits", function()
    local one, two = session(), session()
    local logits = one:feed(start)
    for _, id in ipairs{4, 9, 11} do
      local before = logits
      logits = one:feed(id, nil, logits)
      assert.equal(before, logits)
    end
    two:feed(start)
    assert.same(two:feed{4, 9, 11}:totable(), logits:totable())
  end)

  it("are so for each row, where there is one to write over", function()
    local rows = session(3)
    local old = rows:forward{{start}, {start}, {}}
    local first, second = old[1], old[2]
    local new = rows:forward({{4}, {}, {start, 9}}, nil, old)
    assert.equal(first, new[1])
    assert.is_false(new[2])
    assert.are_not.equal(second, new[3])
    assert.same({first, second, false}, old)
    local fresh = session(2):forward{{start, 4}, {start, 9}}
    assert.same(fresh[1]:totable(), new[1]:totable())
    assert.same(fresh[2]:totable(), new[3]:totable())
  end)

  it("are new ones where one Logits is given for two rows", function()
    local rows = session(2)
    local old = rows:forward{{start}, {start}}[1]
    local new = rows:forward({{4}, {9}}, nil, {old, old})
    assert.equal(old, new[1])
    assert.are_not.equal(new[1], new[2])
    assert.same(session():feed{start, 9}:totable(), new[2]:totable())
  end)

  it("stay where they are kept: by a step that does not give them away",
     function()
    local timeline = session()
    local logits = timeline:feed(start)
    local copy = logits:totable()
    timeline:feed(4)
    assert.same(copy, logits:totable())
  end)

  it("stay when they were held, or shown to a processor in Lua", function()
    local timeline, process, kept, copies = session(), keeper()
    local chain = core.chain{process}
    local logits = timeline:feed(start)
    for _, id in ipairs{4, 9, 11} do
      chain(logits)
      logits = timeline:feed(id, nil, logits)
    end
    unchanged(kept, copies)
    local held = logits:hold()
    assert.equal(logits, held)
    assert.are_not.equal(held, timeline:feed(5, nil, held))
  end)

  it("are written over behind built-in processors", function()
    local timeline = session()
    local chain = core.chain{decant.processors.top_k(3)}
    local logits = timeline:feed(start)
    chain(logits)
    assert.equal(logits, timeline:feed(4, nil, logits))
  end)

  it("are refused where they are no scores of this model", function()
    local timeline = session()
    for _, into in ipairs{core.logits{1, 2}, "scores", {7}} do
      assert.error_matches(function() timeline:feed(start, nil, into) end,
                           "session:feed: what is to be written over is no "
                           .. "Logits of this")
      assert.error_matches(function() timeline:forward({start}, nil, into) end,
                           "session:forward: what is to be written over is")
    end
    assert.equal(0, timeline:length())
  end)

  it("may be given again after a pass that failed", function()
    local timeline = session()
    local logits = timeline:feed(start)
    local copy = logits:totable()
    assert.is_nil(core.forward {{timeline.cache, {{4}}, nil, logits},
                                {timeline.cache, {{4}}}})
    assert.same(copy, logits:totable())
    assert.same(session():feed{start, 4}:totable(),
                timeline:feed(4, nil, logits):totable())
  end)
end)


describe("what a caller keeps of generate", function()
  local model
  setup(function()
    model = assert(decant.load(fixtures.gguf("marian", "q8_0")))
  end)
  teardown(function() model:close() end)

  for name, config in pairs {
    greedy = {}, sample = {do_sample = true, seed = 3},
    beam = {num_beams = 3}, dola = {dola_layers = "low"},
    diverse_beam = {num_beams = 4, num_beam_groups = 2,
                    diversity_penalty = 0.5},
    best_of_n = {do_sample = true, seed = 3, best_of = 2},
  } do
    local function generate(more)
      local copy = {max_new_tokens = 6, eos_token_id = false}
      for field, value in pairs(config) do copy[field] = value end
      for field, value in pairs(more) do copy[field] = value end
      return model:generate(source, copy)[1]
    end

    it("stays in a processor: " .. name, function()
      local process, kept, copies = keeper()
      local result = generate{processors = {process}}
      unchanged(kept, copies)
      assert.same(generate{}.ids, result.ids)
    end)

    it("stays in a process put before the strategy's: " .. name, function()
      local keep, kept, copies = keeper()
      local result = generate{strategy = function(session, prompt, opts)
        local mine = setmetatable({}, {__index = opts})
        function mine.process(logits, ids)
          opts.process(logits, ids)
          keep(logits)
        end
        return decant.strategies[name](session, prompt, mine)
      end}
      unchanged(kept, copies)
      assert.same(generate{}.ids, result.ids)
    end)
  end

  it("stays in a process of a strategy that is run by hand", function()
    local process, kept, copies = keeper()
    local session <close> = model:session{source = source}
    decant.strategies.greedy(session, {model.config.decoder_start}, {
      process = process, max_new_tokens = 5,
    })
    unchanged(kept, copies)
  end)
end)
