-- mirostat and adaptive-p against llama.cpp's formulas written down plainly
-- (../shared/reference/peers.md, A.4), and whose state is whose.

local core = require "decant.core"
local plain = require "spec.support.plain"
local processors = require "decant.processors"
local toy = require "spec.support.toy"

local inf = math.huge

local function log2(x) return math.log(x) / math.log(2) end

-- Plays `steps` steps: rows by a fixed generator, tokens drawn from what the
-- processor leaves. model(list, chosen probability) -> the list that is left.
local function play(processor, model, steps)
  local rng, draws, ids, chosen = core.rng(3), core.rng(4), {5}, nil
  for step = 1, steps do
    local list = plain.random_list(rng, 60, 1 + step % 3)
    if step % 4 == 0 then list[7] = -inf end
    local want, probability_of = model(plain.clone(list), chosen)
    local got = processor(core.logits(list), ids)
    plain.same(want, got)
    local id = got:sample(draws)
    chosen = probability_of(id)
    ids[#ids + 1] = id
  end
end

local function left_probability(left)
  local p = plain.softmax(left)
  return function(id) return p[id] end
end

local function plain_mirostat(tau, eta, cut)
  local mu = 2 * tau
  return function(list, chosen)
    if chosen then mu = mu - eta * (-log2(chosen) - tau) end
    local left = cut(list, mu)
    return left, left_probability(left)
  end
end

local function cut_v2(list, mu)
  local p, kept, ids = plain.softmax(list), {}, plain.ranked(list)
  for i, id in ipairs(ids) do
    if i == 1 or -log2(p[id]) <= mu then kept[#kept + 1] = id end
  end
  return plain.keep(list, kept)
end

local function cut_v1(m)
  return function(list, mu)
    local p, ids = plain.softmax(list), plain.ranked(list)
    local up, down, n = 0, 0, 60
    for i = 1, math.min(m, #ids) - 1 do
      local t = math.log((i + 1) / i)
      up = up + t * math.log(p[ids[i]] / p[ids[i + 1]])
      down = down + t * t
    end
    local s = up / down
    local e = s - 1
    local k = ((e * 2 ^ mu) / (1 - n ^ -e)) ^ (1 / s)
    k = math.max(1, math.min(math.floor(k), #ids))
    return plain.keep(list, table.move(ids, 1, k, 1, {}))
  end
end

describe("mirostat", function()
  it("version 2 cuts at mu and moves it by what was taken", function()
    play(processors.mirostat_v2 {tau = 2, eta = 0.3},
         plain_mirostat(2, 0.3, cut_v2), 60)
  end)

  it("version 1 estimates how many tokens have the surprise mu", function()
    play(processors.mirostat {tau = 2.5, eta = 0.4, m = 20},
         plain_mirostat(2.5, 0.4, cut_v1(20)), 60)
  end)

  it("keeps the best token, and everything where all are the same", function()
    local p = processors.mirostat_v2 {tau = 1e-3, eta = 0}
    assert.equal(1, p(core.logits {1, 2, 3}, {}):allowed())
    assert.equal(4, processors.mirostat()(core.logits {1, 1, 1, 1}, {})
                    :allowed())
    assert.equal(0, p(core.logits {-inf, -inf}, {}):allowed())
  end)
end)

describe("adaptive_p", function()
  it("aims to the other side of the target by as much as it is off", function()
    local target, decay = 0.4, 0.8
    local sum, weight = target / (1 - decay), 1 / (1 - decay)
    play(processors.adaptive_p {target = target, decay = decay},
         function(list, chosen)
      if chosen then
        sum, weight = chosen + decay * sum, 1 + decay * weight
      end
      local aim = math.max(0, math.min(2 * target - sum / weight, 1))
      local p = plain.softmax(list)
      for id, x in pairs(list) do
        local d = math.abs(p[id] - aim) / 0.3
        if x > -inf then list[id] = 5 - 10 * d * d / (1 + d) end
      end
      return list, function(id) return p[id] end
    end, 60)
  end)
end)

describe("a processor that learns", function()
  local function left(p, ids)
    return p(core.logits {5, 4, 3, 2, 1, 0}, ids):allowed()
  end

  local function fresh() return processors.mirostat_v2 {tau = 1, eta = 1} end

  it("asked again about the same row does not learn twice", function()
    local once, twice = fresh(), fresh()
    left(once, {1})
    local after = left(once, {1, 0})
    left(twice, {1})
    left(twice, {1})
    assert.equal(after, left(twice, {1, 0}))
    assert.equal(after, left(twice, {1, 0}))
    assert.equal(1, left(fresh(), {1, 0}))
    assert.equal(2, after)
  end)

  it("begins anew with a row that does not go on from the last", function()
    local p = fresh()
    assert.equal(1, left(p, {1}))
    assert.equal(2, left(p, {1, 0}))
    assert.equal(1, left(p, {2}))
    assert.equal(2, left(p, {2, 0}))
    assert.equal(1, left(p, {9, 0, 0}))
  end)

  it("has a state for each chain that it is in", function()
    local shared = fresh()
    local one, two = core.chain {shared}, core.chain {shared}
    local alone = fresh()
    for i, ids in ipairs {{1}, {1, 0}, {1, 0, 0}, {1, 0, 0, 1}} do
      local want = left(alone, ids)
      assert.equal(({1, 2, 3, 2})[i], want)
      assert.equal(want, left(one, ids))
      assert.equal(1, left(two, {0, 5 * i}))
    end
  end)

  it("does the same for a row alone and among others", function()
    local model, texts = toy.model(), {{1}, {5}, {1, 3}, {4}, {1}}
    local config = {do_sample = true, seed = 11, max_new_tokens = 15,
                    eos_token_id = false, processors = {
      processors.mirostat_v2 {tau = 1.2, eta = 0.5},
      processors.adaptive_p(0.5), processors.xtc(0.5)}}
    local together = model:generate(texts, config)
    config.batch_size = 1
    for i, alone in ipairs(model:generate(texts, config)) do
      assert.same(alone.ids, together[i].ids)
    end
    assert.not_same(together[1].ids, together[5].ids)  -- other draws
  end)

  it("frees what it holds", function()
    collectgarbage()
    local before = core.memory()
    for _ = 1, 20 do left(fresh(), {1}) end
    collectgarbage()
    assert.equal(before, core.memory())
  end)
end)
