-- Best of n: opts.best_of results of another strategy (inner_strategy; else
-- what the other fields of the config ask for, mostly sampling), and of them
-- the one with the highest score. That is reward(text, result) if there is a
-- reward (a reward model, a checker, a rule of the caller's), else the score
-- that the inner strategy gives, or the sum of log-probabilities divided by
-- length ^ length_penalty.
--
-- Returns the best num_return_sequences. Equal scores: the one drawn first.

local options = require "decant.options"
local pool = require "decant.pool"

return function(session, prompt, opts)
  opts = options(opts)
  local found = pool.draw(session, prompt, opts)
  for _, result in ipairs(found) do
    if opts.reward then
      result.score = pool.number("reward", opts.reward(
                                 pool.text(result, opts), result))
    elseif not result.score then
      error("best_of: the inner_strategy tells no score: give a reward", 0)
    end
  end
  return pool.best(found, opts)
end
