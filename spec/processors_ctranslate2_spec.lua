-- What CTranslate2 has and transformers has not (../shared/reference/peers.md,
-- B.1a).

local core = require "decant.core"
local processors = require "decant.processors"

local inf = math.huge

describe("suppress_sequences", function()
  it("bans a token, and the end of a sequence behind its rest", function()
    local p = processors.suppress_sequences {{0}, {1, 2}, {3, 1, 4}}
    local function banned(ids)
      local found = {}
      local logits = p(core.logits {0, 0, 0, 0, 0}, ids)
      for id = 0, 4 do
        if logits[id] == -inf then found[#found + 1] = id end
      end
      return found
    end
    assert.same({0}, banned {})
    assert.same({0, 2}, banned {1})
    assert.same({0, 2, 4}, banned {3, 1})
  end)
end)

describe("prefix_bias", function()
  it("shares out beta to the next token of the prefix", function()
    local p = processors.prefix_bias {prefix_bias_beta = 0.3, prefix = {2, 1}}
    local x = {math.log(0.5), math.log(0.3), math.log(0.2)}
    local function probabilities(ids, prompt)
      local logits, found = p(core.logits(x), ids, prompt), {}
      for id = 0, 2 do found[id + 1] = math.exp(logits[id]) end
      return found
    end
    local function near(want, got)
      for i = 1, 3 do assert.near(want[i], got[i], 1e-6) end
    end
    near({0.35, 0.21, 0.44}, probabilities({}))
    near({0.35, 0.51, 0.14}, probabilities({2}))
    near({0.35, 0.51, 0.14}, probabilities({7, 7, 2}, 2))
    near({0.5, 0.3, 0.2}, probabilities({1}))     -- has left it
    near({0.5, 0.3, 0.2}, probabilities({2, 1}))  -- is through
  end)
end)

describe("coverage", function()
  it("adds the logarithms of what the source got, 1 at most", function()
    local rows = {{0.5, 0.25, 0.25}, {0.75, 0.25, 0}}
    local want = 0.2 * (math.log(1) + math.log(0.5) + math.log(0.25))
    assert.near(want, processors.coverage(rows, 0.2), 1e-12)
    assert.near(want, processors.coverage(core.tensor(rows), 0.2), 1e-7)
    assert.has_error(function() processors.coverage({}, 1) end,
                     "coverage: there are no rows of attention")
    assert.has_error(function() processors.coverage({{1}, {1, 2}}, 1) end,
                     "coverage: row 2 has 2 weights, row 1 has 1")
  end)
end)
