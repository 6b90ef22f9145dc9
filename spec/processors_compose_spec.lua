-- Processors made of processors: chain, when, schedule, and guidance, which
-- asks a session.

local core = require "decant.core"
local processors = require "decant.processors"
local toy = require "spec.support.toy"

local inf = math.huge

local function row(...) return core.logits {...} end

local function bias(x) return processors.bias {[0] = x} end

describe("chain", function()
  it("counts as its processors in another list", function()
    local inner = processors.chain {bias(1), processors.chain {bias(2)}}
    local list = core.chain {bias(4), inner, function() end}
    assert.equal(4, #list)
    assert.equal(7, list(row(0), {})[0])
    assert.equal(3, inner(row(0), {})[0])
  end)

  it("keeps a prompt of its own", function()
    local inner = core.chain({processors.no_repeat_ngram(1)}, {1})
    local logits = core.chain {inner}(row(0, 0, 0), {2})
    assert.same({[0] = 0, -inf, -inf}, logits:totable())
  end)

  it("says which place of the whole list failed", function()
    local list = core.chain {bias(1), processors.chain {
      bias(1), processors.forced_bos(9)}}
    assert.has_error(function() list(row(0), {1}) end,
                     "processor 3 (forced_bos): id 9 is not in the "
                     .. "vocabulary (0 to 0)")
  end)

  it("takes a list of processors", function()
    for _, wrong in ipairs {5, "top_k", bias(1)} do
      assert.has_error(function() processors.chain(wrong) end)
    end
    assert.has_error(function() processors.chain {bias(1), 5} end)
    assert.has_error(function()
      processors.chain {bias(1), nil, bias(1)}
    end)
    assert.has_error(function() processors.chain {first = bias(1)} end)
  end)

  it("tells a Lua processor where the new tokens begin, and its draws",
     function()
    local seen
    local rng = core.rng(3)
    local function watch(_, ids, prompt, draws)
      seen = {#ids, prompt, draws}
    end
    core.chain({watch}, {1, 2}, rng)(row(0), {3})
    assert.same({3, 2, rng}, seen)
    core.chain {watch}(row(0), {3})
    assert.same({1, nil, nil}, seen)
  end)

  it("takes of what has a state a fresh one for its row", function()
    local made = 0
    local function counter()
      made = made + 1
      local calls = 0
      return setmetatable({}, {
        __call = function(_, logits)
          calls = calls + 1
          logits[0] = calls
        end,
        __fresh = counter,
      })
    end
    local shared = counter()
    local one, two = core.chain {shared}, core.chain {shared}
    assert.equal(3, made)
    assert.equal(1, one(row(0), {})[0])
    assert.equal(2, one(row(0), {})[0])
    assert.equal(1, two(row(0), {})[0])
  end)

  it("passes on what goes wrong while it takes one", function()
    local broken = setmetatable({}, {
      __call = function() end, __fresh = function() error("no more", 0) end})
    assert.has_error(function() core.chain {broken} end, "no more")
    local odd = setmetatable({}, {
      __call = function() end, __fresh = function() return 5 end})
    assert.has_error(function() core.chain {odd} end)
  end)
end)

describe("when", function()
  it("runs a processor, or a list, at some steps", function()
    local third = processors.when(function(_, step) return step == 3 end,
                                  {bias(1), bias(2)})
    local chain = core.chain({third}, {9, 9})
    assert.equal(0, chain(row(0), {1})[0])
    assert.equal(3, chain(row(0), {1, 1})[0])
    assert.equal(0, chain(row(0), {1, 1, 1})[0])
    assert.equal(3, third(row(0), {1, 1})[0])
  end)

  it("asks with the row so far", function()
    local after_4 = processors.when(function(ids) return ids[#ids] == 4 end,
                                    processors.suppress_tokens {1})
    assert.equal(1, after_4(row(0, 0), {4}):allowed())
    assert.equal(2, after_4(row(0, 0), {5}):allowed())
  end)

  it("hands seed and row on to what draws", function()
    local function decisions(p)
      local found, ids = {}, {}
      local chain = core.chain({p}, {}, core.rng(7):row(3))
      for i = 1, 50 do
        found[i], ids[i] = chain(row(1, 1, 1), ids):allowed(), 0
      end
      return found
    end
    local xtc = processors.xtc(0.5)
    assert.same(decisions(xtc), decisions(processors.when(
      function() return true end, xtc)))
  end)

  it("gives each row its own of what learns", function()
    local learns = processors.when(function() return true end,
                                   processors.mirostat_v2 {tau = 1, eta = 1})
    local one, two = core.chain({learns}, {}), core.chain({learns}, {})
    local function left(chain, ids)
      return chain(row(5, 4, 3, 2, 1, 0), ids):allowed()
    end
    assert.equal(1, left(one, {}))
    assert.equal(1, left(two, {4}))
    assert.equal(2, left(one, {0}))
  end)

  it("is refused with what and why", function()
    assert.has_error(function() processors.when(5, bias(1)) end,
      "when: the predicate is a number, must be a function(ids, step)")
    assert.has_error(function() processors.when(print, 5) end,
      "when: the second argument is a number, must be a processor or a list "
      .. "of them")
  end)
end)

describe("schedule", function()
  local function values(p, steps)
    local chain, ids, found = core.chain({p}, {7, 7}), {}, {}
    for step = 1, steps do
      found[step], ids[step] = chain(row(12), ids)[0], 0
    end
    return found
  end

  it("makes a processor of the value at each step", function()
    local p = processors.schedule(processors.temperature,
                                  function(step) return step end)
    assert.same({12, 6, 4, 3}, values(p, 4))
  end)

  it("goes straight from point to point", function()
    local p = processors.schedule(processors.temperature,
                                  {{2, 1}, {4, 3}, {5, 6}})
    assert.same({12, 12, 6, 4, 2, 2}, values(p, 6))
  end)

  it("takes a function that gives a processor, a list, or none", function()
    local p = processors.schedule(function(step, ids)
      if step == 2 then return {bias(1), bias(#ids)} end
      return step == 3 and bias(5)
    end)
    assert.same({12, 16, 17, 12}, values(p, 4))
  end)

  it("makes a processor once for values that stay", function()
    local made = 0
    local p = processors.schedule(function(value)
      made = made + 1
      return bias(value)
    end, {{1, 2}, {3, 2}, {4, 3}})
    values(p, 6)
    assert.equal(2, made)
  end)

  it("is refused with what and why", function()
    local t = processors.temperature
    assert.has_error(function() processors.schedule(5) end,
      "schedule: the first argument is a number, must be a function")
    assert.has_error(function() processors.schedule(t, {}) end,
      "schedule: the curve must be a function(step) or a list of points "
      .. "{step, value} that is not empty")
    for _, points in ipairs {{{1}}, {5}, {{2, 1}, {2, 3}}, {{"a", 1}}} do
      assert.has_error(function() processors.schedule(t, points) end)
    end
    assert.has_error(function()
      processors.schedule(function() return 5 end)(row(0), {})
    end)
    assert.has_error(function()
      processors.schedule(t, {{1, 0}})(row(0), {})
    end)
  end)
end)

-- ---- guidance ----

-- What guidance with the scale makes of c and u, written down plainly.
local function guided(c, u, scale)
  local l = row(table.unpack(c)):log_softmax()
  local m = row(table.unpack(u)):log_softmax()
  local result = {}
  for id = 0, #l - 1 do
    result[id + 1] = scale * (l[id] - m[id]) + m[id]
  end
  return result
end

local function near(want, logits)
  assert.equal(#want, #logits)
  for i, x in ipairs(want) do assert.near(x, logits[i - 1], 1e-5) end
end

-- A session on the toy model that notes what it is fed and cut to.
local function watched()
  local session = toy.session()
  local log = {}
  local watcher = {log = log}
  function watcher.length() return session:length() end
  function watcher.feed(_, ids)
    log[#log + 1] = "+" .. table.concat(ids, " ")
    return session:feed(ids)
  end
  function watcher.truncate(_, n)
    log[#log + 1] = "<" .. n
    session:truncate(n)
  end
  function watcher.fork() return watched() end
  return watcher
end

describe("guidance", function()
  local c = {1, 2, 0, -1, 0.5, 1.5}

  it("takes a function that scores the row without its prompt", function()
    local asked
    local p = processors.guidance {guidance_scale = 1.5,
                                   unconditional = function(ids, prompt)
      asked = {ids, prompt}
      return row(table.unpack(toy.T[3]))
    end}
    near(guided(c, toy.T[3], 1.5), p(row(table.unpack(c)), {1, 4, 3}, 2))
    assert.same({{1, 4, 3}, 2}, asked)
  end)

  it("feeds a session the prompt's last token, then what was taken", function()
    local session = watched()
    local p = processors.guidance {guidance_scale = 2, unconditional = session}
    near(guided(c, toy.T[5], 2), p(row(table.unpack(c)), {1, 5}))
    near(guided(c, toy.T[3], 2), p(row(table.unpack(c)), {1, 5, 3}))
    near(guided(c, toy.T[4], 2), p(row(table.unpack(c)), {1, 5, 3, 4}))
    assert.same({"+5", "+3", "+4"}, session.log)
  end)

  it("begins with negative_prompt_ids where they are given", function()
    local session = watched()
    local p = processors.guidance {guidance_scale = 2, unconditional = session,
                                   negative_prompt_ids = {3, 4}}
    near(guided(c, toy.T[4], 2), p(row(table.unpack(c)), {1, 5}, 2))
    near(guided(c, toy.T[3], 2), p(row(table.unpack(c)), {1, 5, 3}, 2))
    assert.same({"+3 4", "+3"}, session.log)
  end)

  it("goes back to what another row has in common, as beams ask", function()
    local session = watched()
    local p = processors.guidance {guidance_scale = 2, unconditional = session}
    p(row(table.unpack(c)), {5}, 1)
    p(row(table.unpack(c)), {5, 3}, 1)
    near(guided(c, toy.T[4], 2), p(row(table.unpack(c)), {5, 4}, 1))
    near(guided(c, toy.T[4], 2), p(row(table.unpack(c)), {5, 4}, 1))
    near(guided(c, toy.T[3], 2), p(row(table.unpack(c)), {5, 4, 3}, 1))
    assert.same({"+5", "+3", "<1", "+4", "<1", "+4", "+3"}, session.log)
  end)

  it("opens a session for each row where it is given how", function()
    local opened = {}
    local function open()
      opened[#opened + 1] = watched()
      return opened[#opened]
    end
    local p = processors.guidance {guidance_scale = 2, unconditional = open}
    local one, two = core.chain({p}, {5}), core.chain({p}, {4})
    assert.equal(0, #opened)
    one(row(table.unpack(c)), {})
    two(row(table.unpack(c)), {})
    one(row(table.unpack(c)), {3})
    assert.same({"+5", "+3"}, opened[1].log)
    assert.same({"+4"}, opened[2].log)
  end)

  it("needs a token to begin with", function()
    local p = processors.guidance {guidance_scale = 2,
                                   unconditional = watched()}
    assert.has_error(function() p(row(table.unpack(c)), {}) end,
      "guidance: without a prompt there is no token to begin with; give "
      .. "negative_prompt_ids")
  end)

  it("is refused with what and why", function()
    local function refused(name, args, said)
      assert.has_error(function() processors[name](args) end, said)
    end
    local u = {0, 1}
    refused("guidance", 5, "guidance: a table of arguments expected, got "
                           .. "number")
    refused("guidance", {}, "guidance: guidance_scale is missing")
    refused("guidance", {guidance_scale = 2},
            "guidance: unconditional is missing")
    refused("guidance", {guidance_scale = inf, unconditional = u},
            "guidance: guidance_scale is inf, must be a number from "
            .. "-3.4e38 to 3.4e38")
    refused("guidance", {guidance_scale = 2, unconditional = 5},
            "guidance: unconditional is a number, must be Logits, a list of "
            .. "numbers, a session or a function")
    refused("guidance", {guidance_scale = 2, unconditional = u,
                         negative_prompt_ids = {}},
            "guidance: negative_prompt_ids must be a list of token ids that "
            .. "is not empty")
    refused("guidance", {guidance_scale = 2, unconditional = u,
                         negative_prompt_ids = {1, -1}},
            "guidance: negative_prompt_ids[2] is -1, must be a token id")
    refused("guidance", {scale = 2}, "guidance: unknown argument 'scale'")
    refused("guidance_batched", {guidance_scale = 1, unconditional = u},
            "guidance_batched: guidance_scale is 1, must be above 1")
    refused("guidance_dia", {guidance_scale = 2, unconditional = u,
                             guidance_top_k = 0},
            "guidance_dia: guidance_top_k is 0, must be an integer from 1 to "
            .. "2147483647")
    assert.has_error(function()
      processors.guidance {guidance_scale = 2, unconditional = u}(
        row(1, 2, 3), {})
    end)
  end)

  -- Greedy with guidance, step by step, on the scores of the toy model.
  local function by_hand(prompt, negative, scale, n)
    local line, other, new = prompt[#prompt], negative, {}
    for i = 1, n do
      local id = row(table.unpack(guided(toy.T[line], toy.T[other], scale)))
                 :argmax()
      new[i], line, other = id, id, id
      if id == 2 then break end
    end
    return new
  end

  it("is asked for by a config, for a list of prompts", function()
    local model, prompts = toy.model(), {{1}, {3, 4}, {5}}
    for _, config in ipairs {
      {guidance_scale = 1.5}, {guidance_scale = 0.5},
      {guidance_scale = 4, negative_prompt_ids = {5, 3}},
      {guidance_scale = 4, negative_prompt_ids = {{3}, {5}, {4}}},
    } do
      local negative = config.negative_prompt_ids
      config.max_new_tokens = 6
      local results = model:generate(prompts, config)
      for i, prompt in ipairs(prompts) do
        local last = prompt[#prompt]
        if negative then
          local own = type(negative[1]) == "table" and negative[i] or negative
          last = own[#own]
        end
        assert.same(by_hand(prompt, last, config.guidance_scale, 6),
                    results[i].ids)
      end
    end
  end)

  it("gives every input of a list what it gives it alone, with beams",
     function()
    local model, prompts = toy.model(), {{1}, {3, 4}, {5}}
    local config = {guidance_scale = 2, num_beams = 3, max_new_tokens = 6}
    local together = model:generate(prompts, config)
    for i, prompt in ipairs(prompts) do
      local alone = model:generate(prompt, config)[1]
      assert.same(alone.ids, together[i].ids)
      assert.equal(alone.score, together[i].score)
    end
  end)

  it("ends its sessions with the rows, and with an error in one", function()
    local model = toy.model()
    model:generate({{1}, {5}}, {guidance_scale = 2, max_new_tokens = 4})
    assert.equal(0, model.core.open_rows)
    assert.has_error(function()
      model:generate({{1}, {5}}, {guidance_scale = 2, processors = {function()
        error("no more", 0)
      end}})
    end, "no more")
    assert.equal(0, model.core.open_rows)
    assert.equal(1, #model:generate({1}, {guidance_scale = 2}))
  end)

  it("has no effect that would be passed over in silence", function()
    local model = toy.model {kind = "seq2seq", decoder_start = 1}
    assert.has_error(function()
      model:generate({3, 2}, {guidance_scale = 2})
    end, "guidance_scale asks for a causal model: there is no row without the "
         .. "prompt to be guided by")
    assert.has_error(function()
      toy.model():generate({3}, {negative_prompt_ids = {1}})
    end)
    assert.has_error(function()
      toy.model():generate({{3}, {4}}, {guidance_scale = 2,
                                        negative_prompt_ids = {{1}}})
    end, "negative_prompt_ids has no row for input 2")
  end)
end)

describe("a config", function()
  it("is refused before the first step for ids that there are not", function()
    for name, value in pairs {
      bad_words_ids = {{1}, {6}}, sequence_bias = {{{6}, 1}},
      forced_bos_token_id = 6, forced_eos_token_id = {2, 6},
      suppress_tokens = {6},
    } do
      local model = toy.model()
      assert.has_error(function() model:generate({1}, {[name] = value}) end,
                       "config: " .. name .. " has the id 6; the ids of the " ..
                       "model go from 0 to 5")
      assert.equal(0, model.engine.passes)
    end
  end)

  it("that bans everything says so, and the model goes on", function()
    local model = toy.model()
    assert.has_error(function()
      model:generate({1}, {suppress_tokens = {0, 1, 2, 3, 4, 5}})
    end, "no token is allowed: every logit is -inf")
    assert.equal(0, model.core.open_rows)
    assert.same({4, 2}, model:generate({1}, {max_new_tokens = 9})[1].ids)
  end)

  it("with an empty watermarking_config takes its defaults", function()
    local list = processors.from_config {watermarking_config = {}}
    assert.equal("watermark", list[1].kind)
    assert.same({}, processors.from_config {watermarking_config = false})
  end)
end)
