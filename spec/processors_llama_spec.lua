-- The processors that llama.cpp has and transformers has not, against their
-- formulas written down plainly (../shared/reference/peers.md, A.4). Those that
-- learn: processors_learning_spec.lua.

local core = require "decant.core"
local plain = require "spec.support.plain"
local processors = require "decant.processors"

local inf = math.huge

-- ---- penalties ----

local function counts(ids, ignore, last_n)
  local count = {}
  local first = math.max(ignore + 1, last_n and #ids - last_n + 1 or 1)
  for i = first, #ids do count[ids[i]] = (count[ids[i]] or 0) + 1 end
  return count
end

describe("a penalty", function()
  for _, window in ipairs {{0, nil}, {3, nil}, {0, 8}, {20, 8}} do
    local ignore, last_n = window[1], window[2]

    it(("counts ids behind the first %d, the last %s of them"):format(
       ignore, last_n or "all"), function()
      local function args(penalty)
        return {penalty = penalty, prompt_ignore_length = ignore,
                last_n = last_n}
      end
      plain.agrees(processors.frequency_penalty(args(0.7)), function(list, ids)
        for id, n in pairs(counts(ids, ignore, last_n)) do
          list[id] = list[id] - 0.7 * n
        end
        return list
      end)
      plain.agrees(processors.presence_penalty(args(-0.4)), function(list, ids)
        for id in pairs(counts(ids, ignore, last_n)) do
          list[id] = list[id] + 0.4
        end
        return list
      end)
      plain.agrees(processors.repetition_penalty(args(1.3)), function(list, ids)
        for id in pairs(counts(ids, ignore, last_n)) do
          list[id] = list[id] < 0 and list[id] * 1.3 or list[id] / 1.3
        end
        return list
      end)
    end)
  end

  it("passes over ids that are not in the vocabulary", function()
    local logits = processors.frequency_penalty(1)(core.logits {1, 1}, {7, 1})
    assert.same({[0] = 1, 0}, logits:totable())
  end)
end)

-- ---- DRY ----

local function starts_at(ids, at, sequence)
  for j, id in ipairs(sequence) do
    if ids[at + j - 1] ~= id then return false end
  end
  return true
end

-- How many tokens stand behind the last breaker; the longest one that begins
-- at its place.
local function reach(ids, breakers)
  for at = #ids, 1, -1 do
    local longest
    for _, breaker in ipairs(breakers) do
      if starts_at(ids, at, breaker) then
        longest = math.max(longest or 0, #breaker)
      end
    end
    if longest then return #ids - at + 1 - longest end
  end
  return #ids
end

local function plain_dry(args)
  return function(list, ids)
    local limit, longest = reach(ids, args.sequence_breakers), {}
    for back = 1, #ids - 1 do  -- the text without its last `back` tokens
      local n = 0
      while n < #ids - back and n < limit
            and ids[#ids - n] == ids[#ids - back - n] do n = n + 1 end
      local follows = ids[#ids - back + 1]
      if n >= args.allowed_length then
        longest[follows] = math.max(longest[follows] or 0, n)
      end
    end
    for id, n in pairs(longest) do
      local single = false
      for _, breaker in ipairs(args.sequence_breakers) do
        single = single or #breaker == 1 and breaker[1] == id
      end
      if not single and limit >= args.allowed_length then
        list[id] = list[id] - args.multiplier
                              * args.base ^ (n - args.allowed_length)
      end
    end
    return list
  end
end

describe("dry", function()
  for i, args in ipairs {
    {multiplier = 0.8, base = 1.75, allowed_length = 2,
     sequence_breakers = {}},
    {multiplier = 1, base = 1.1, allowed_length = 1, sequence_breakers = {}},
    {multiplier = 1, base = 2, allowed_length = 1,
     sequence_breakers = {{3}}},
    {multiplier = 2, base = 1.5, allowed_length = 1,
     sequence_breakers = {{3, 1}, {3}, {0, 2}}},
  } do
    it("punishes what would lengthen a repetition, case " .. i, function()
      plain.agrees(processors.dry(args), plain_dry(args))
    end)
  end

  it("goes by the longest of the breakers at one place", function()
    local p = processors.dry {multiplier = 1, base = 2, allowed_length = 1,
                              sequence_breakers = {{3, 1}, {3}}}
    local logits = p(core.logits {0, 0, 0, 0, 0, 0}, {1, 5, 2, 3, 1, 5})
    assert.equal(-1, logits[2])  -- 5 is repeated, 1 is behind the breaker
  end)

  it("sees no repetition in front of the last last_n ids", function()
    local ids = {1, 2, 3, 4, 1, 2}
    local zeros = {0, 0, 0, 0, 0}
    local far = processors.dry {multiplier = 1, allowed_length = 2}
    assert.equal(-1, far(core.logits(zeros), ids)[3])
    local near = processors.dry {multiplier = 1, allowed_length = 2,
                                 last_n = 5}
    assert.equal(0, near(core.logits(zeros), ids)[3])
  end)

  it("is linear in a text that is all one token", function()
    local ids = {}
    for j = 1, 20000 do ids[j] = 1 end
    local p = processors.dry {multiplier = 1, base = 2}
    local x = p(core.logits {0, 0, 0}, ids)
    assert.is_true(x[1] < -1e38 and x[1] > -inf)
    assert.equal(0, x[2])
  end)

  it("takes breakers as texts with a tokenizer", function()
    local pieces = {[0] = "a", "b\n", "\n", "c:", "d"}
    local tokenizer = setmetatable({}, {__len = function() return 5 end})
    function tokenizer.decode(_, ids) return pieces[ids[1]] end
    local p = processors.dry {multiplier = 1, allowed_length = 1,
                              sequence_breakers = {"\n"},
                              tokenizer = tokenizer}
    local zeros = {0, 0, 0, 0, 0}
    assert.equal(-1, p(core.logits(zeros), {0, 4, 0})[4])
    assert.equal(0, p(core.logits(zeros), {0, 1, 0})[1])  -- a breaker itself
    assert.equal(0, p(core.logits(zeros), {0, 4, 0, 2})[4])
    assert.has_error(function()
      processors.dry {multiplier = 1, sequence_breakers = {"\n"}}
    end, "dry: sequence_breakers that are texts need a tokenizer")
  end)
end)

-- ---- filters and scalings ----

describe("top_n_sigma", function()
  for _, n in ipairs {0.5, 1, 2.5} do
    it("keeps what is within " .. n .. " deviations of the best", function()
      plain.agrees(processors.top_n_sigma(n), function(list)
        local sum, squares, count, max = 0, 0, 0, -inf
        for _, x in pairs(list) do
          if x > -inf then
            sum, count, max = sum + x, count + 1, math.max(max, x)
          end
        end
        for _, x in pairs(list) do
          if x > -inf then squares = squares + (x - sum / count) ^ 2 end
        end
        local limit, kept = max - n * math.sqrt(squares / count), {}
        for id, x in pairs(list) do
          if x >= limit then kept[#kept + 1] = id end
        end
        return plain.keep(list, kept)
      end)
    end)
  end
end)

describe("dynamic_temperature", function()
  it("goes by the entropy of the row", function()
    for _, case in ipairs {{1, 0.5, 1}, {0.8, 0.8, 2}, {1.5, 0, 1}} do
      local t, range, exponent = table.unpack(case)
      plain.agrees(processors.dynamic_temperature {
        temperature = t, range = range, exponent = exponent
      }, function(list)
        local h, n = 0, 0
        for id, p in pairs(plain.softmax(list)) do
          if p > 0 then h = h - p * math.log(p) end
          if list[id] > -inf then n = n + 1 end
        end
        local low, high = math.max(0, t - range), t + range
        local found = low + (high - low) * (h / math.log(n)) ^ exponent
        for id in pairs(list) do list[id] = list[id] / found end
        return list
      end)
    end
  end)

  it("keeps the best alone where it comes to 0, one token as it is", function()
    local p = processors.dynamic_temperature {temperature = 1, range = 1}
    assert.same({[0] = -inf, 900, -inf},
                p(core.logits {0, 900, 0}):totable())
    assert.same({[0] = -inf, 3}, p(core.logits {-inf, 3}):totable())
  end)
end)

describe("xtc", function()
  it("leaves the least probable of the probable ones", function()
    for _, t in ipairs {0.02, 0.1, 0.3} do
      plain.agrees(processors.xtc {probability = 1, threshold = t},
             function(list)
        local p, ids, last = plain.softmax(list), plain.ranked(list), 0
        for i, id in ipairs(ids) do if p[id] >= t then last = i end end
        return plain.keep(list, table.move(ids, math.max(last, 1), #ids, 1, {}))
      end)
    end
  end)

  it("leaves the highest id of equal ones", function()
    local logits = processors.xtc(1)(core.logits {2, 2, 2, 0})
    assert.same({[0] = -inf, -inf, 2, 0}, logits:totable())
  end)

  it("never leaves fewer than min_tokens_to_keep", function()
    local p = processors.xtc {probability = 1, min_tokens_to_keep = 3}
    assert.equal(3, p(core.logits {1, 1, 1}):allowed())
    assert.equal(5, p(core.logits {1, 1, 1, 1, 1}):allowed())
    assert.equal(4, p(core.logits {5, 5, 0, 0, 0}):allowed())
  end)

  it("draws by seed, row and length and by nothing else", function()
    local function decisions(rng, seed)
      local chain = core.chain({processors.xtc {
        probability = 0.3, threshold = 0.1, seed = seed}}, {}, rng)
      local found, ids = {}, {}
      for i = 1, 400 do
        found[i] = chain(core.logits {1, 1, 1}, ids):allowed() == 1
                   and "x" or "."
        ids[i] = 0
      end
      return table.concat(found)
    end
    local first = decisions(core.rng(7):row(3))
    assert.equal(first, decisions(core.rng(7):row(3):at(99)))
    assert.not_equal(first, decisions(core.rng(7):row(4)))
    assert.not_equal(first, decisions(core.rng(8):row(3)))
    assert.equal(decisions(core.rng(1):row(3), 7),
                 decisions(core.rng(2):row(3), 7))
    local _, hits = first:gsub("x", "")
    assert.near(0.3, hits / 400, 0.06)
    assert.equal(3, processors.xtc(0)(core.logits {1, 1, 1}):allowed())
  end)
end)
