-- Long timelines: sliding windows that give their blocks back, prompts that
-- are fed in slices, the limit of the context.

local core = require "decant.core"
local decant = require "decant"
local fixtures = require "spec.support.fixtures"
local tiny = require "spec.support.tiny"

local WINDOW <const>, BLOCK <const>, SLACK <const> = 20, 16, 64

-- A tiny model with a context that is worth talking of.
local function long(name, context)
  local path = ("%s/long-%s.gguf"):format(fixtures.folder(), name)
  return tiny.write(path, name, function(model)
    tiny.set(model, name .. ".context_length", context or 512)
  end)
end

local function some_ids(n, from)
  local ids = {}
  for i = 1, n do ids[i] = ((from or 0) + i) * i * 7 % 64 end
  return ids
end

local function feed(rows, ...)
  return core.forward {{rows, {...}}} [1]
end

local function bytes_of(logits)
  local values = {}
  for id = 0, #logits - 1 do values[id + 1] = logits[id] end
  return table.concat(values, " ")
end

-- Blocks that hold what positions from n - SLACK on can see, of n.
local function held(n)
  local first = math.max(0, n - SLACK + 1 - WINDOW)
  return (n + BLOCK - 1) // BLOCK - first // BLOCK
end

describe("a sliding window", function()
  for _, case in ipairs {{"phi3", false}, {"gemma2", true}, {"gemma3", true}}
  do
    local name, mixed = case[1], case[2]
    it("gives back the blocks that nobody can see (" .. name .. ")",
       function()
      local model <close> = assert(core.load(long(name)))
      local rows = model:rows(1)
      for n = 50, 400, 50 do
        feed(rows, some_ids(50, n))
        local full, windowed = core.blocks(model)
        assert.equal(mixed and (n + BLOCK - 1) // BLOCK or 0, full)
        assert.equal(held(n), windowed)
      end
      local fork = rows:fork()
      feed(fork, {1})
      local _, windowed = core.blocks(model)
      assert.equal(held(400) + 1, windowed)  -- 401 begins a block
      fork:close()
      rows:close()
      assert.same({0, 0}, {core.blocks(model)})
    end)
  end

  it("is all that a long prompt holds while it is fed", function()
    local model <close> = assert(core.load(long("phi3", 4096), {threads = 1}))
    local rows = model:rows(1)
    feed(rows, some_ids(300))
    local before = core.memory()
    feed(rows, some_ids(3700))
    -- the whole of it: 231 blocks of 2 layers, 16 positions, 16 keys and 16
    -- values; beside them sines and cosines, lists and scores by position
    assert.is_true(core.memory() - before < 231 * 2 * 16 * 32 * 4 // 2)
  end)

  it("does not show in the scores", function()
    for _, name in ipairs {"phi3", "gemma2", "gemma3"} do
      local model <close> = assert(core.load(long(name)))
      local ids = some_ids(300)
      local whole = feed(model:rows(1), ids)[1]
      local rows, last = model:rows(1), nil
      for from = 1, #ids, 30 do
        last = feed(rows, table.move(ids, from, from + 29, 1, {}))[1]
        rows:reorder {1}
      end
      assert.equal(bytes_of(whole), bytes_of(last))
    end
  end)

  it("sees no more than its positions", function()
    local model <close> = assert(core.load(long "phi3"))
    local a, b = some_ids(100), some_ids(100)
    -- two layers, each of which looks 19 positions back
    for i = 1, 100 - 2 * (WINDOW - 1) - 1 do b[i] = (a[i] + 1) % 64 end
    assert.equal(bytes_of(feed(model:rows(1), a)[1]),
                 bytes_of(feed(model:rows(1), b)[1]))
    b[100 - 2 * (WINDOW - 1)] = (b[100 - 2 * (WINDOW - 1)] + 1) % 64
    assert.is_true(bytes_of(feed(model:rows(1), a)[1]) ~=
                   bytes_of(feed(model:rows(1), b)[1]))
  end)

  it("lets a timeline be cut as far as it still holds", function()
    local model <close> = assert(core.load(long "gemma2"))
    local ids = some_ids(300)
    local rows = model:rows(1)
    feed(rows, ids)
    rows:truncate(300 - SLACK)
    local kept = table.move(ids, 1, 300 - SLACK, 1, {})
    kept[#kept + 1] = 9
    assert.equal(bytes_of(feed(model:rows(1), kept)[1]),
                 bytes_of(feed(rows, {9})[1]))
    local ok, message = pcall(rows.truncate, rows, 100)
    assert.is_false(ok)
    assert.truthy(message:find("left the sliding window of 20", 1, true))
    assert.equal(300 - SLACK + 1, rows:length(1))
    rows:truncate(0)
    assert.equal(bytes_of(feed(model:rows(1), {5, 6})[1]),
                 bytes_of(feed(rows, {5, 6})[1]))
  end)
end)

describe("a long prompt", function()
  it("needs the activations of a few hundred tokens", function()
    local model <close> = assert(core.load(long("llama", 4096), {threads = 1}))
    local ids = some_ids(4000)
    local rows = model:rows(1)
    feed(rows, {1})
    rows:truncate(0)
    local before = core.memory()
    local logits = feed(rows, ids)[1]
    local blocks = core.blocks(model)
    local cache = blocks * BLOCK * 2 * 32 * 4  -- 2 layers, 16 keys and values
    -- 4000 rows of activations would be 3.8 MB
    assert.is_true(core.memory() - before - cache < 1.5e6)
    local pieces, last = model:rows(1), nil
    for from = 1, #ids, 100 do
      last = feed(pieces, table.move(ids, from, from + 99, 1, {}))[1]
    end
    assert.equal(bytes_of(last), bytes_of(logits))
  end)

  it("goes with others, each scored at every position or the last", function()
    local model <close> = assert(core.load(long "llama"))
    local a, b, c = some_ids(300), some_ids(10, 3), some_ids(290, 5)
    local all = model:decode {a, b, c}
    local rows = model:rows(3)
    local last = feed(rows, a, b, c)
    for i, ids in ipairs {a, b, c} do
      local row, seen = all[i][#ids], {}
      for id = 1, 64 do seen[id] = row[id] end
      assert.equal(table.concat(seen, " "), bytes_of(last[i]))
    end
  end)

  it("gives hidden states and early exits as in one piece", function()
    local model <close> = assert(core.load(long "llama"))
    local ids = some_ids(300)
    local want = {hidden = true, layers = {1}, every = true}
    local whole = core.forward {{model:rows(1), {ids}, want}} [1].extras[1]
    local rows = model:rows(1)
    feed(rows, table.move(ids, 1, 299, 1, {}))
    local end_ = core.forward {{rows, {{ids[300]}}, want}} [1].extras[1]
    assert.same(end_.hidden[1]:totable(), whole.hidden[300]:totable())
    assert.equal(bytes_of(end_.layers[1]), bytes_of(whole.layers[1]))
    assert.equal(bytes_of(end_.every[1]), bytes_of(whole.every[300]))
    assert.error_matches(function()
      assert(core.forward {{model:rows(1), {ids}, {attention = true}}})
    end, "a causal model has none")
  end)

  it("ends at the context, which the caller may lower", function()
    local model = assert(decant.load(long("llama", 200), {context = 50}))
    assert.equal(50, model.config.context)
    assert.error_matches(function() model:generate(some_ids(51)) end,
                         "the context of the model holds 50")
    local session <close> = model:session()
    session:feed(some_ids(50))
    assert.error_matches(function() session:feed(1) end, "has 50")
    local result = model:generate(some_ids(40), {max_new_tokens = 20})[1]
    assert.equal("length", result.finish)
    assert.is_true(#result.ids <= 11)
  end)

  it("may be longer than a T5 was trained with", function()
    local path = long("t5", 64)
    assert.equal(64, assert(core.load(path)):hparams().context)
    local model <close> = assert(core.load(path, {context = 300}))
    local source = model:sources(model:encode {some_ids(200)})[1]
    local rows = model:rows(1, source)
    assert.equal(64, #feed(rows, some_ids(250))[1])
  end)
end)
