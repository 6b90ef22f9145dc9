-- 08_tree_search.lua: Monte-Carlo tree search over tokens. Subtitles have a
-- width, and only a whole line can be judged: is it short enough, and still
-- what the model would say? Greedy and beam search look at probabilities alone
-- and cannot plan for that; a tree search can, with any value function.
--
-- One simulation (PUCT, as in AlphaZero; for text: Chaffin et al. 2022):
--   select    walk down, where value so far and prior promise most
--   expand    one new token: a fork of its parent's session, fed once
--   roll out  go on greedily to the end, then truncate back
--   back up   add the line's value to every node on the way
--
-- `fork` copies no cache and `truncate` gives back what a rollout took, so a
-- node costs one token of work, however deep it lies.

dofile "examples/setup.lua"
local decant = require "decant"

local WIDTH <const> = 4        -- continuations that a node considers
local CURIOSITY <const> = 1.5  -- weight of what was seldom tried


-- ---- the tree ----

-- A node stands behind one token. score: log-probability of its ids; edges:
-- what may follow, by `logits`, the most probable first.
local function new_node(session, logits, ids, score, opts)
  local node = {session = session, ids = ids, score = score, edges = {},
                visits = 0, total = 0, finish = #ids > 0 and opts.stop(ids)}
  if not node.finish then
    opts.process(logits, ids)
    for i, token in ipairs(logits:top(WIDTH)) do
      node.edges[i] = {id = token.id, prior = token.prob}
    end
  end
  return node
end


local function extended(ids, id)
  local copy = table.move(ids, 1, #ids, 1, {})
  copy[#copy + 1] = id
  return copy
end


local function expand(node, edge, opts)
  local session = node.session:fork()
  local logits = session:feed(edge.id)
  edge.node = new_node(session, logits, extended(node.ids, edge.id),
                       node.score + math.log(edge.prior), opts)
  return edge.node
end


-- The edge that promises most: the mean value behind it, and a bonus for what
-- the model finds likely and the search has seldom tried.
local function promising(node)
  local best, highest = nil, -math.huge
  for _, edge in ipairs(node.edges) do
    local child = edge.node
    local visits = child and child.visits or 0
    local mean = visits > 0 and child.total / visits or 0
    local bonus = CURIOSITY * edge.prior * node.visits ^ 0.5 / (1 + visits)
    if mean + bonus > highest then best, highest = edge, mean + bonus end
  end
  return best
end


-- Goes on greedily from a node to the end of the line; leaves its session as
-- it was.
local function roll_out(node, opts)
  local line = {ids = node.ids, score = node.score, finish = node.finish}
  local next_token, length = node.edges[1], node.session:length()
  while not line.finish do
    line.ids = extended(line.ids, next_token.id)
    line.score = line.score + math.log(next_token.prior or next_token.prob)
    line.finish = opts.stop(line.ids)
    if not line.finish then
      local logits = node.session:feed(next_token.id)
      opts.process(logits, line.ids)
      next_token = logits:top(1)[1]
    end
  end
  node.session:truncate(length)
  return line
end


-- The strategy: the best line of so many simulations. value(text, p) is from 0
-- to 1; p is the geometric mean of the tokens' probabilities.
local function tree_search(value, simulations)
  return function(session, prompt, opts)
    local root = new_node(session, session:feed(prompt), {}, 0, opts)
    local found = {value = -1}
    for _ = 1, simulations do
      local node, path = root, {root}
      while not node.finish do
        local edge = promising(node)
        local seen = edge.node
        node = seen or expand(node, edge, opts)
        path[#path + 1] = node
        if not seen then break end
      end
      local line = roll_out(node, opts)
      line.value = value(opts.tokenizer:decode(line.ids),
                         math.exp(line.score / #line.ids))
      if line.value > found.value then found = line end
      for _, each in ipairs(path) do
        each.visits, each.total = each.visits + 1, each.total + line.value
      end
    end
    for _, id in ipairs(found.ids) do opts.emit(id) end
    return found.ids, found.finish, found.value
  end
end


-- ---- the task ----

local model <close> = assert(decant.load(arg[1] or "de-en"))

-- A line that fits is worth its probability; one that does not is worth ever
-- less, the longer it is.
local function fits(width)
  return function(text, p)
    local length = utf8.len(text)
    return length <= width and p or p * (width / length) ^ 8
  end
end

local function show(name, text, width)
  local length = utf8.len(text)
  print(("  %-12s %2d%s  %s"):format(name, length,
                                     length > width and "!" or " ", text))
end

for _, task in ipairs {
  {"Der alte Mann ging langsam durch den dunklen Wald nach Hause.", 50},
  {"Kannst du mir bitte sagen, wo der Bahnhof ist?", 38},
} do
  local source, width = task[1], task[2]
  print(source .. "  (at most " .. width .. " characters)")
  show("greedy", model:translate(source), width)
  show("beam 4", model:translate(source, {num_beams = 4}), width)
  local search = tree_search(fits(width), 60)
  show("tree search", model:translate(source, {strategy = search}), width)
end
