-- Greedy search: the best token of every step.
-- Deterministic; equal scores go to the lower id.

local options = require "decant.options"

return function(session, prompt, opts)
  opts = options(opts)
  local ids, reason = {}
  local logits = session:feed(prompt)
  repeat
    opts.process(logits, ids)
    local id = logits:argmax()
    ids[#ids + 1] = id
    opts.emit(id)
    reason = opts.stop(ids)
    if not reason then logits = session:feed(id, nil, logits) end
  until reason
  return ids, reason
end
