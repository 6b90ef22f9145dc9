-- Contrastive search (Su et al. 2022): of the top_k most probable tokens the
-- one that is probable and yet unlike what stands there already:
--
--   (1 - penalty_alpha) * p(token)
--     - penalty_alpha * max over the row of cos(state of token, state there)
--
-- The states are the decoder's last ones. They are known only after a token
-- was fed, so all candidates go through the model, one row each; the chosen
-- row's scores are the next step's.
--
-- Rules: transformers' contrastive search (generate.md, section 3.7). The
-- prompt counts as context; equal values: the more probable token.

local core = require "decant.core"
local options = require "decant.options"

local hidden <const> = {hidden = true}


-- The states so far, each of length 1, as the rows of a matrix with room.
local Context = {}
Context.__index = Context

local function unit(state)
  local length = (state * state):sum() ^ 0.5
  return length > 0 and state / length or state
end

function Context:add(state)
  if self.n == #self.rows then
    local larger = core.zeros(2 * self.n, #state)
    larger:narrow(1, 1, self.n):add(self.rows)
    self.rows = larger
  end
  self.n = self.n + 1
  self.rows[self.n]:add(unit(state))
end

local function context_of(states)
  local context = setmetatable({
    n = 0, rows = core.zeros(math.max(64, #states), #states[1])}, Context)
  for i = 1, #states do context:add(states[i]) end
  return context
end

-- The highest cosine between `state` and the context.
function Context:likeness(state)
  local column = unit(state):view(#state, 1)
  return self.rows:narrow(1, 1, self.n):matmul(column):max()
end


-- The candidate (1 to #tokens) with the best value.
local function choose(tokens, extras, context, alpha)
  local best, highest = 1, -math.huge
  for i, token in ipairs(tokens) do
    local likeness = context:likeness(extras[i].hidden[1])
    local value = (1 - alpha) * token.prob - alpha * likeness
    if value > highest then best, highest = i, value end
  end
  return best
end


return function(session, prompt, opts)
  opts = options(opts)
  local alpha, k = opts.penalty_alpha or 0.6, opts.top_k or 4
  if k == 0 then k = 4 end  -- a config says so where it is silent
  local ids = {}
  local logits, extras = session:feed(prompt, hidden)
  local context = context_of(extras.hidden)

  while true do
    opts.process(logits, ids)
    local tokens, parents, fed = logits:top(k), {}, {}
    for i, token in ipairs(tokens) do parents[i], fed[i] = 1, {token.id} end
    local rows, states = session:reorder(parents):forward(fed, hidden)
    local best = choose(tokens, states, context, alpha)
    session:reorder{best}
    local id = tokens[best].id
    ids[#ids + 1] = id
    opts.emit(id)
    local reason = opts.stop(ids)
    if reason then return ids, reason end
    context:add(states[best].hidden[1])
    logits = rows[best]
  end
end
