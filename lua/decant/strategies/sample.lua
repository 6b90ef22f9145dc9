-- Sampling: draw every token from the distribution that the processors leave
-- (temperature, top_k, top_p, ... are processors). opts.rng is keyed by seed,
-- row and position, so a row's draws do not depend on the batch.

local options = require "decant.options"

return function(session, prompt, opts)
  opts = options(opts)
  local ids, reason = {}
  local logits = session:feed(prompt)
  repeat
    opts.process(logits, ids)
    local id = logits:sample(opts.rng)
    ids[#ids + 1] = id
    opts.emit(id)
    reason = opts.stop(ids)
    if not reason then logits = session:feed(id, nil, logits) end
  until reason
  return ids, reason
end
