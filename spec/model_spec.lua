-- Encoder and decoder against transformers 5.23: float64 logits and encoder
-- outputs of ../shared/models/hf-zoo (made by its make.py).

local fixtures = require "spec.support.fixtures"
local core = require "decant.core"

-- Largest difference between a Tensor's part and nested tables; null where
-- the reference has padding.
local function difference(tensor, expected)
  if expected == fixtures.null then return 0 end
  if type(expected) == "number" then return math.abs(tensor - expected) end
  local worst = 0
  for i, part in ipairs(expected) do
    worst = math.max(worst, difference(tensor[i], part))
  end
  return worst
end

local function bytes_of(logits)
  local values = {}
  for id = 0, #logits - 1 do values[id + 1] = logits[id] end
  return table.concat(values, " ")
end

for _, name in ipairs {"marian", "bart"} do
  describe("the " .. name .. " model of the zoo", function()
    local model
    setup(function() model = assert(core.load(fixtures.gguf(name, "f32"))) end)
    teardown(function() model:close() end)

    for _, row in ipairs(fixtures.golden(name)) do
      if row.kind == "encoder" then
        it("encodes " .. row.id .. " as the reference", function()
          local output = model:encode(row.input_ids, row.attention_mask)
          assert.is_true(difference(output, row.encoder_output) < 1e-4)
        end)
      elseif row.kind == "logits" then
        it("scores " .. row.id .. " as the reference", function()
          local output = model:encode(row.input_ids, row.attention_mask)
          local sources = model:sources(output, row.attention_mask)
          local logits = model:decode(row.decoder_input_ids, sources)
          assert.is_true(difference(logits, row.logits) < 2e-4)
        end)
      end
    end

    it("gives a padded batch the bits of its rows alone", function()
      local ids = {{5, 6, 7, 8, 0}, {9, 10, 0, 1, 1}}
      local masks = {{1, 1, 1, 1, 1}, {1, 1, 1, 0, 0}}
      local both = model:encode(ids, masks)
      local alone = model:encode {{9, 10, 0}}
      for i = 1, 3 do
        assert.same(alone[1][i]:totable(), both[2][i]:totable())
      end
      assert.equal(0, both[2][4]:max())
    end)
  end)
end

describe("the cache", function()
  local model, source
  setup(function()
    model = assert(core.load(fixtures.gguf("marian", "f32")))
    source = model:sources(model:encode {{5, 6, 7, 8, 0}})[1]
  end)
  teardown(function() model:close() end)

  local function feed(rows, lists)
    return core.forward {{rows, lists}} [1]
  end

  local function upto(n)
    local ids = {}
    for i = 1, n do ids[i] = i % 80 end
    return ids
  end

  it("is shared by a fork, which copies only the block being written",
     function()
    local rows = model:rows(1, source)
    feed(rows, {upto(20)})  -- one full block of 16 and 4 positions
    local before = core.copied_bytes(model)
    local fork = rows:fork()
    assert.equal(before, core.copied_bytes(model))
    feed(fork, {{7}})
    -- 4 positions of keys and values in 2 layers of width 32, floats
    assert.equal(4 * 2 * 2 * 32 * 4, core.copied_bytes(model) - before)
    assert.equal(21, fork:length(1))
    assert.equal(20, rows:length(1))
  end)

  it("copies nothing where a block has just been filled", function()
    local rows = model:rows(1, source)
    feed(rows, {upto(16)})
    local before = core.copied_bytes(model)
    feed(rows:fork(), {{7}})
    assert.equal(before, core.copied_bytes(model))
  end)

  it("gives reordered rows the bits of a fresh start", function()
    local rows = model:rows(1, source)
    feed(rows, {{3, 4}})
    rows:reorder {1, 1, 1}
    feed(rows, {{5}, {6}, {7}})
    rows:reorder {3, 1}
    local got = feed(rows, {{8}, {9}})
    local fresh = model:rows(2, source)
    local expected = feed(fresh, {{3, 4, 7, 8}, {3, 4, 5, 9}})
    for i = 1, 2 do
      assert.equal(bytes_of(expected[i]), bytes_of(got[i]))
    end
  end)

  it("goes on from where it was truncated", function()
    local rows = model:rows(1, source)
    feed(rows, {upto(30)})
    rows:truncate(5)
    local got = feed(rows, {{9}})[1]
    local ids = upto(5)
    ids[6] = 9
    local expected = feed(model:rows(1, source), {ids})[1]
    assert.equal(bytes_of(expected), bytes_of(got))
  end)

  it("leaves rows alone that get no ids", function()
    local rows = model:rows(2, source)
    local answer = feed(rows, {{3}, {}})
    assert.is_false(answer[2])
    assert.equal(0, rows:length(2))
  end)

  it("does not grow with sessions that come and go", function()
    for _ = 1, 3 do feed(model:rows(1, source), {upto(40)}) end
    collectgarbage()
    collectgarbage()
    local before = core.memory()
    for _ = 1, 50 do
      local rows = model:rows(1, source)
      feed(rows, {upto(40)})
      rows:close()
    end
    assert.equal(before, core.memory())
  end)
end)

describe("the core model refuses", function()
  local model, source
  setup(function()
    model = assert(core.load(fixtures.gguf("marian", "f32")))
    source = model:sources(model:encode {{5, 6, 7, 8, 0}})[1]
  end)

  local function refuses(text, f, ...)
    local ok, message = pcall(f, ...)
    assert.is_false(ok)
    assert.truthy(tostring(message):find(text, 1, true), message)
  end

  local function forward(requests) return assert(core.forward(requests)) end

  it("ids that are not in the vocabulary", function()
    refuses("id 90 at position 2", model.encode, model, {{1, 90}})
    refuses("id -1 at position 1", model.encode, model, {{-1}})
    refuses("id 1.5 at position 1", model.encode, model, {{1.5}})
    refuses('id "x" at position 1', forward,
            {{model:rows(1, source), {{"x"}}}})
  end)

  it("more positions than the context", function()
    local long = {}
    for i = 1, 65 do long[i] = 1 end
    refuses("exceeds the context of 64", model.encode, model, {long})
    local rows = model:rows(1, source)
    refuses("context of 64", forward, {{rows, {long}}})
    assert.equal(0, rows:length(1))
  end)

  it("as a hook does that raises when the pass begins or has ended", function()
    local rows = model:rows(1, source)
    local others = {[core.forward] = true, [pcall] = true,
                    [debug.sethook] = true}
    local function stopped(event)
      debug.sethook(function()
        local info = debug.getinfo(2, "Sf")
        if info.what ~= "C" or others[info.func] then return end
        debug.sethook()
        error("enough", 0)
      end, event)
      local fine, message = pcall(core.forward, {{rows, {{1}}}})
      debug.sethook()
      assert.same({false, "enough"}, {fine, message})
      return rows:length(1)
    end
    assert.same({0, 1}, {stopped "c", stopped "r"})
  end)

  it("a context option of the caller is a limit as well", function()
    local small = assert(core.load(fixtures.gguf("marian", "f32"),
                                   {context = 8}))
    refuses("context of 8", small.encode, small, {{1, 2, 3, 4, 5, 6, 7, 8, 9}})
  end)

  it("tensors that are no encoder output", function()
    refuses("[batch, length, 32]", model.sources, model, core.zeros(3, 31))
  end)

  it("the same rows twice in a step", function()
    local rows = model:rows(1, source)
    refuses("two requests", forward, {{rows, {{1}}}, {rows, {{1}}}})
  end)

  it("everything once it is closed", function()
    local other = assert(core.load(fixtures.gguf("marian", "f32")))
    local rows = other:rows(1, other:sources(other:encode {{1}})[1])
    other:close()
    other:close()
    refuses("the model is closed", other.encode, other, {{1}})
    rows:close()
    refuses("the session is closed", rows.length, rows)
  end)

  it("a closed model whose rows are still in use stays in memory for them",
     function()
    local other = assert(core.load(fixtures.gguf("marian", "f32")))
    local rows = other:rows(1, other:sources(other:encode {{1}})[1])
    other:close()
    assert.equal(90, #core.forward {{rows, {{5}}}} [1][1])
  end)
end)
