-- Minimum Bayes risk decoding (Kumar and Byrne 2004; with samples: Eikema and
-- Aziz 2020): of opts.best_of samples the one that is most like all the
-- others. The score of a result is the mean of utility(it, other) over the
-- other samples; each of these counts as often as it was drawn.
--
-- utility: "chrf" (the default), "bleu", or a function(hypothesis, reference)
-- of two texts (without a tokenizer: of ids as words).
--
-- Returns the best num_return_sequences. Equal scores: the one drawn first.

local metrics = require "decant.metrics"
local options = require "decant.options"
local pool = require "decant.pool"

return function(session, prompt, opts)
  opts = options(opts)
  local utility = opts.utility or "chrf"
  if type(utility) == "string" then utility = metrics[utility] end
  local found, texts = pool.draw(session, prompt, opts), {}
  for i, result in ipairs(found) do texts[i] = pool.text(result, opts) end
  for i, result in ipairs(found) do
    local sum = 0
    for j, other in ipairs(texts) do
      if j ~= i then
        sum = sum + pool.number("utility", utility(texts[i], other))
      end
    end
    result.score = sum / math.max(#texts - 1, 1)
  end
  return pool.best(found, opts)
end
