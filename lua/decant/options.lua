-- decant.options: what a strategy may rely on in its `opts`.
--
--   opts.process(logits, ids)  the processors, in place; ids: new tokens only
--   opts.stop(ids)             false, or why to stop: "eos", "length", "stop",
--                              "time", "cancelled"
--   opts.emit(id)              a token is decided: to stream and on_token
--   opts.rng                   draws of this row
--   opts.FIELD                 every field of the config (opts.num_beams, ...)
--
-- `generate` gives all of them. Called with less (by hand, in a spec) a
-- strategy gets plain defaults here: no processors, nobody listening, the end
-- at an id of eos_token_id or after max_new_tokens (100).

local core = require "decant.core"
local stop = require "decant.stop"

local function nothing() end

-- A process of somebody else's may keep the scores that it is shown, so nothing
-- writes over them.
local function holding(process)
  return function(logits, ids) return process(logits:hold(), ids) end
end

-- opts.complete is the process that all of it came with.
return function(opts)
  opts = opts or {}
  local process = opts.process
  if process and opts.complete == process then return opts end
  return setmetatable({
    process = process and holding(process) or nothing,
    emit = opts.emit or nothing,
    rng = opts.rng or core.rng and core.rng(opts.seed or 0),
    stop = opts.stop or stop.any{
      stop.eos(opts.eos_token_id or {}),
      stop.length(opts.max_new_tokens or 100),
    },
  }, {__index = opts})
end
