-- DoLa, decoding by contrasting layers (Chuang et al. 2023): greedy search or
-- sampling from what the last layer adds to an early one. Of some early exits
-- the one that is farthest from the last layer (Jensen-Shannon) is taken, and
-- its log-probabilities are subtracted; tokens below a tenth of the best
-- one's probability are out, unless processors ban all others (then the
-- reference gives token 0).
--
-- dola_layers: "low", "high", or a list of layers, 0 being the embeddings.
-- Rules: transformers (generate.md, section 3.8); but the layer is chosen for
-- each row, and there for the batch.

local core = require "decant.core"
local options = require "decant.options"

local SHARE <const> = 0.1


local function every_second(from, to)
  local list = {}
  for layer = from, to, 2 do list[#list + 1] = layer end
  return list
end


-- The early exits of a model of n layers. With tied embeddings the first
-- states are the tokens themselves, and "low" leaves them out.
local function low(n, tied)
  local start = tied and (n > 2 and 2 or n == 2 and 1) or 0
  if n > 40 then return every_second(start, 19) end
  if start == n // 2 then return {start} end
  return every_second(start, n // 2 - 1)
end

local function high(n)
  return every_second(n > 40 and n - 20 or n // 2, n - 1)
end

local function exits(opts)
  local layers = opts.dola_layers or "low"
  if type(layers) == "table" then return layers end
  local config = opts.model.config
  local n = config.decoder_layers or config.layers
  if layers == "high" then return high(n) end
  return low(n, config.tied_embeddings)
end


-- Makes of the last layer's scores what it adds to the farthest early one.
local function contrast(logits, early)
  local base, farthest = nil, -math.huge
  logits:log_softmax()
  for _, exit in ipairs(early) do
    exit:log_softmax()
    local distance = #early > 1 and core.divergence(logits, exit) or 0
    if distance > farthest then base, farthest = exit, distance end
  end
  return core.contrast(logits, base, SHARE)
end


return function(session, prompt, opts)
  opts = options(opts)
  local want = {layers = exits(opts)}
  local ids, reason = {}
  local logits, extras = session:feed(prompt, want)
  repeat
    opts.process(contrast(logits, extras.layers), ids)
    local id = opts.do_sample and logits:sample(opts.rng) or logits:argmax()
    ids[#ids + 1] = id
    opts.emit(id)
    reason = opts.stop(ids)
    if not reason then logits, extras = session:feed(id, want, logits) end
  until reason
  return ids, reason
end
