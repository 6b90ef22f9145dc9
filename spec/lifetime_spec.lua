-- A call allocates in Lua, so a finaliser may run in the middle of it and
-- close what it works on. The call then works on, or says so; under `make
-- asan` this spec shows that it never touches what is gone.

local core = require "decant.core"
local bytes = require "spec.support.tokenizer_bytes"
local files = require "spec.support.tokenizer_files"
local fixtures = require "spec.support.fixtures"

local ids = {5, 6, 7, 8, 9, 10, 11, 12}
local eight = {ids, ids, ids, ids, ids, ids, ids, ids}

-- f runs in the (k + 1)-th collection from here on.
local function arm(k, f)
  setmetatable({}, {__gc = function()
    if k == 0 then f() else arm(k - 1, f) end
  end})
end

-- use(objects) while they are closed, as early or late as the collector gets
-- round to it; the messages of the calls that failed.
local function each_moment(make, use)
  local messages = {}
  for k = 0, 30 do
    local objects = make()
    collectgarbage "stop"
    arm(k, function()
      for _, object in pairs(objects) do object:close() end
    end)
    collectgarbage("incremental", 1, 1000, 20)
    collectgarbage "restart"
    local ok, message = pcall(use, objects)
    collectgarbage("incremental", 200, 100, 13)
    if not ok then messages[#messages + 1] = message end
  end
  return messages
end

local function assert_closed(messages)
  assert.is_true(#messages > 0)
  for _, message in ipairs(messages) do
    assert.truthy(message:find "closed" or message:find "of another model"
                  or message:find "there are rows 1 to 0", message)
  end
end

describe("what a finaliser closes in the middle of a call", function()
  local path
  setup(function() path = fixtures.gguf("marian", "q8_0") end)

  local function load_model()
    local model = assert(core.load(path))
    local output = model:encode {ids}
    return {model = model, output = output,
            source = model:sources(output)[1]}
  end

  local function load_session()
    local o = load_model()
    o.rows = o.model:rows(8, o.source)
    return o
  end

  local function load_tokenizer()
    local name = fixtures.folder() .. "/a.model"
    files.write(name, bytes.spm {pieces = {
      {"<unk>", 0.0, bytes.UNKNOWN}, {"a", -1.0}, {"\u{2581}", -2.0}
    }})
    return {assert(core.tokenizer(name))}
  end

  local cases = {
    {"encode", load_model, function(o) o.model:encode {ids, ids} end},
    {"sources", load_model, function(o) o.model:sources(o.output) end},
    {"decode", load_model, function(o) o.model:decode({ids}, {o.source}) end},
    {"hparams", load_model, function(o)
      for _ = 1, 100 do o.model:hparams() end
    end},
    {"rows", load_model, function(o) o.model:rows(2, o.source) end},
    {"forward", load_session,
     function(o)
       local answers, message = core.forward {{o.rows, eight}}
       if not answers then error(message, 0) end
     end},
    {"a step", load_session,
     function(o) core.step_all(o.rows, {4, 4, 4, 4, 4, 4, 4, 4}) end},
    {"reorder and fork", load_session,
     function(o) o.rows:reorder {1, 2, 3}:fork() end},
    {"keys, get and tensors", function() return {assert(core.gguf(path))} end,
     function(o)
       for _, key in ipairs(o[1]:keys()) do o[1]:get(key) end
       o[1]:tensors()
     end},
    {"the tokenizer", load_tokenizer, function(o)
      o[1]:decode(o[1]:encode "a a a a a a")
      o[1]:pieces "a a a"
    end},
  }
  for _, case in ipairs(cases) do
    it("is no danger to " .. case[1], function()
      assert_closed(each_moment(case[2], case[3]))
    end)
  end
end)

it("a finaliser may make a pass of its own in the middle of another one",
   function()
  local model = assert(core.load(fixtures.gguf("marian", "q8_0")))
  local source = model:sources(model:encode {ids})[1]
  local function rows() return model:rows(8, source) end
  local expected = core.forward {{rows(), eight}} [1][8]:totable()
  local own = core.forward {{model:rows(1, source), {{4}}}} [1][1]:totable()
  local found = {}
  for k = 0, 30 do
    local outer, inner = rows(), model:rows(1, source)
    collectgarbage "stop"
    arm(k, function()
      found[#found + 1] = core.forward {{inner, {{4}}}} [1][1]:totable()
    end)
    collectgarbage("incremental", 1, 1000, 20)
    collectgarbage "restart"
    local answer = core.forward {{outer, eight}} [1]
    collectgarbage("incremental", 200, 100, 13)
    assert.same(expected, answer[8]:totable())
  end
  assert.is_true(#found > 0)
  for _, scores in ipairs(found) do assert.same(own, scores) end
  model:close()
end)

it("a pass keeps the rows that a finaliser drops in the middle of it",
   function()
  local model = assert(core.load(fixtures.gguf("marian", "q8_0")))
  local source = model:sources(model:encode {ids})[1]
  local many = {}
  for i = 1, 64 do many[i] = {i} end
  local function new_requests()
    return {{model:rows(1, source), {{5}}}, {model:rows(64, source), many}}
  end
  local expected = core.forward(new_requests())[1][1]:totable()
  for k = 0, 30 do
    local requests = new_requests()
    collectgarbage "stop"
    arm(k, function() requests[1][1] = nil end)
    collectgarbage("incremental", 1, 1000, 20)
    collectgarbage "restart"
    local answer, message = core.forward(requests)
    collectgarbage("incremental", 200, 100, 13)
    if answer then assert.same(expected, answer[1][1]:totable())
    else assert.truthy(message:find "closed or no rows", message) end
  end
  model:close()
end)

describe("closing a model", function()
  it("gives all its memory back at once, without a collection", function()
    local path = fixtures.gguf("marian", "q8_0")
    collectgarbage()
    collectgarbage "stop"
    local before = core.memory()
    local model = assert(core.load(path))
    local output = model:encode {ids}
    local sources = model:sources(output)
    local logits = model:decode({ids}, sources)
    model:hparams()
    for _, object in ipairs {output, sources[1], logits, model} do
      object:close()
    end
    local after = core.memory()
    collectgarbage "restart"
    assert.equal(before, after)
  end)
end)

describe("a closed source", function()
  local function without_collector(body)
    collectgarbage()
    collectgarbage "stop"
    local ok, message = pcall(body)
    collectgarbage "restart"
    if not ok then error(message, 0) end
  end

  it("lives as long as rows read it, takes no new ones, and is let go with " ..
     "the last", function()
    local model = assert(core.load(fixtures.gguf("marian", "q8_0")))
    local source = model:sources(model:encode {ids})[1]
    without_collector(function()
      local rows = model:rows(1, source)
      local expected = core.forward {{rows, {{4}}}} [1][1]:totable()
      local fork = rows:fork()
      rows:reset()
      source:close()
      assert.error_matches(function() model:rows(1, source) end,
                           "the source is closed")
      assert.same(expected, core.forward {{rows, {{4}}}} [1][1]:totable())
      rows:close()
      core.forward {{fork, {{5}}}}
      assert.is_true(core.blocks(model) > 0)
      fork:close()
      assert.equal(0, (core.blocks(model)))
    end)
    model:close()
  end)

  it("leaves nothing of a list behind, however long it was", function()
    local decant = require "decant"
    local model <close> = assert(decant.load("de-en", {threads = 1}))
    without_collector(function()
      local texts = {"eins", "zwei", "drei", "vier", "fünf", "sechs"}
      model:generate(texts, {batch_size = 2, max_new_tokens = 3})
      model:session{source = "sieben"}:close()
      model:score("one", "eins")
      model:decode({2, 3}, model:encode "acht")
      assert.equal(0, (core.blocks(model.core)))
    end)
  end)
end)
