-- Tables of the caller's are read as they lie there: what a metatable says of
-- its length, its fields or its pairs has no end here, or raises.

local core = require "decant.core"
local decant = require "decant"

-- Says of a list what keeps anybody busy who believes it.
local function endless(list)
  return setmetatable(list, {
    __len = function() return math.maxinteger end,
    __index = function(_, i) return math.type(i) and rawget(list, 1) end,
    __pairs = function() return function() return 1, 1 end end,
  })
end

local function boom() error("asked", 0) end

local function raising(list)
  return setmetatable(list, {__len = boom, __index = boom, __pairs = boom})
end

local function plain(list) return list end

-- What a call gives, as text.
local function text_of(value)
  if type(value) == "userdata" then return tostring(value:argmax()) end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for i, each in ipairs(value.ids or value) do parts[i] = text_of(each) end
  return "{" .. table.concat(parts, ",") .. "}"
end


-- Every call builds its tables with `l`.
local function calls_of(model, source)
  local calls, prompt = {}, {5, 6, 7}
  local seq2seq = source and {4, 5, 6} or nil
  local function run(config, l)
    config.max_new_tokens = 2
    return model:generate(prompt, l(config))
  end
  function calls.generate(l)
    return model:generate(l{l{5, 6}, l{7}}, l{max_new_tokens = 2})
  end
  function calls.stream(l)
    local ids = {}
    for _, id in model:stream(l{5, 6}, l{max_new_tokens = 2}) do
      ids[#ids + 1] = id
    end
    return ids
  end
  calls["queue:push"] = function(l)
    local queue <close> = model:queue(l{rows = 1})
    queue:push(l{5, 6}, l{max_new_tokens = 2})
    return select(2, queue:results()())
  end
  function calls.score(l)
    return (model:score(l{l{5, 6}, l{7, 8}}, source and l{l{5}, l{6}}))
  end
  function calls.decode(l)
    return model:decode(l{l{5, 6}}, source, source and l{l{1, 1, 1}})
                :select(1, 1):select(1, 2):argmax()
  end
  function calls.session(l)
    local session <close> = model:session(
      l{rows = 2, source = source and l(seq2seq)})
    session:reorder(l{1})
    local scores, more = session:feed(l{5, 6}, l{layers = l{0}, every = true})
    session:reorder(l{1, 1})
    local both = session:forward(l{l{7}, 8})
    return {scores, more.every[1], more.layers[1], both[1], both[2]}
  end
  function calls.strategy(l)
    return run({strategy = function() return l{{ids = l{5, 6}}} end}, plain)
  end
  function calls.stop(l)
    return decant.stop.any(l{decant.stop.eos(l{3}),
                             decant.stop.text(l{"a"}, model.tokenizer)}){5, 3}
  end
  local fields = {
    stop_strings = function() return {"xyz"} end,
    stopping_criteria = function() return {function() return false end} end,
    suppress_tokens = function() return {5} end,
    bad_words_ids = function(l) return {l{5, 6}} end,
    sequence_bias = function(l) return {l{l{5}, 1.0}} end,
    eos_token_id = function() return {3} end,
    exponential_decay_length_penalty = function() return {2, 1.1} end,
    processors = function() return {decant.processors.top_k(5)} end,
    source_mask = source and function() return {1, 0, 1} end,
    decoder_input_ids = source and function() return {9} end,
  }
  for name, value in pairs(fields) do
    calls[name] = value and function(l)
      return run({[name] = l(value(l))}, l)
    end
  end
  return calls
end


local files = {["de-en"] = "de-en",
               stories = "../shared/models/stories260K/stories260K.gguf"}

for name, path in pairs(files) do
  describe("the tables that " .. name .. " is given", function()
    local model, calls
    setup(function()
      model = assert(decant.load(path))
      calls = calls_of(model, model.kind == "seq2seq"
                              and model:encode{4, 5, 6} or nil)
    end)
    teardown(function() model:close() end)

    it("are read without their metatables", function()
      for call, f in pairs(calls) do
        local expected = text_of(f(plain))
        assert.equal(expected, text_of(f(endless)), call .. ", endless")
        assert.equal(expected, text_of(f(raising)), call .. ", raising")
      end
    end)

    it("have no holes that anything lies behind", function()
      local source = model.kind == "seq2seq" and {5} or nil
      for call, f in pairs{
        generate = function(l) return model:generate(l) end,
        push = function(l) return model:queue():push(l) end,
        score = function(l) return model:score(l, source) end,
        decode = function(l)
          return model:decode(l, source and model:encode(source))
        end,
      } do
        local fine, message = pcall(f, {[4] = 5})
        assert.is_false(fine, call)
        assert.matches("has a hole: nothing at 1, but something at 4", message)
      end
    end)

    it("cost nothing and change nothing where they are refused", function()
      local good = text_of(model:generate({5, 6}, {max_new_tokens = 3}))
      local function try()
        for _, bad in ipairs{{-1}, {1.5}, {1 << 40}, {{}, 5}, {false}, {"a", 5},
                             {0 / 0}, decant.zeros(2), 5, function() end} do
          pcall(model.generate, model, bad, {max_new_tokens = 3})
          pcall(model.score, model, bad, bad)
          pcall(model.decode, model, {5}, bad)
          pcall(model.session, model, {source = bad})
          pcall(model.session, model, {rows = bad})
        end
        collectgarbage()
        collectgarbage()
      end
      try()
      local before = core.memory()
      try()
      assert.equal(before, core.memory())
      assert.equal(good, text_of(model:generate({5, 6}, {max_new_tokens = 3})))
    end)
  end)
end
