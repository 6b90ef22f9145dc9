-- decant.strategies: decoding strategies by name, each loaded at first use.
-- A strategy is a function(session, prompt, opts); docs/strategies.md says
-- what it may rely on. A program may add its own here and then ask for it by
-- name: decant.strategies.mine = function(session, prompt, opts) ... end

local bundled = {
  alternatives = true, beam = true, best_of_n = true, constrained_beam = true,
  contrastive = true, diverse_beam = true, dola = true, greedy = true,
  minimum_bayes_risk = true, sample = true, speculative = true,
  stochastic_beam = true,
}

local strategies = setmetatable({}, {
  __index = function(self, name)
    if not bundled[name] then return nil end
    local strategy = require("decant.strategies." .. name)
    rawset(self, name, strategy)
    return strategy
  end,

  -- Loads what is not loaded yet: names and functions in order of the names.
  __pairs = function(self)
    local names, i = {}, 0
    for name in pairs(bundled) do
      names[#names + 1] = name
    end
    for name in next, self do
      if not bundled[name] then names[#names + 1] = name end
    end
    table.sort(names)
    return function()
      i = i + 1
      return names[i], names[i] and self[names[i]]
    end
  end,
})

return strategies
