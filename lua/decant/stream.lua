-- decant.stream: for piece, id in model:stream(input, config) do ... end
--
-- generate runs in a coroutine of its own and stops at every decided token.
-- A strategy that decides one a step (greedy, sample) so gives one a round of
-- the loop, and a host with a frame budget takes one a frame; a beam search
-- gives none for a while and then several: what all its beams share.
-- Leaving the loop closes the coroutine, and with it the session.
--
-- What user code yields (a processor) is not a piece and goes to the host.

local config_module = require "decant.config"
local generate = require "decant.generate"
local inputs = require "decant.inputs"
local scheduler = require "decant.scheduler"

local PIECE = setmetatable({}, {__name = "decant.piece"})


-- The config of a stream: its on_token hands the piece out, then asks the
-- caller's own.
local function listening(config)
  local copy = {}
  for field, value in next, config or {} do copy[field] = value end
  local on_token = copy.on_token
  copy.num_return_sequences = 1
  function copy.on_token(id, piece, index)
    coroutine.yield(PIECE, piece or "", id)
    return on_token and on_token(id, piece, index)
  end
  return copy
end


return function(model, input, config)
  config_module.merge(config, model.config.generation, 2, model.config.vocab)
  if inputs.is_list(input) then
    error("model:stream takes one input, not a list; use generate", 2)
  elseif config and (rawget(config, "num_return_sequences") or 1) ~= 1 then
    error("model:stream gives one sequence; use generate for more", 2)
  end
  local co = coroutine.create(function()
    generate(model, input, listening(config))
  end)

  local function settle(ok, tag, ...)
    if not ok then
      coroutine.close(co)
      error(tag, 0)
    elseif coroutine.status(co) == "dead" then
      return nil
    elseif tag == PIECE then
      return ...
    end
    return settle(coroutine.resume(co, scheduler.pass_through(tag, ...)))
  end

  local function next_piece()
    if coroutine.status(co) == "dead" then return nil end
    return settle(coroutine.resume(co))
  end

  local closer = setmetatable({}, {
    __close = function() coroutine.close(co) end,
  })
  return next_piece, nil, nil, closer
end
