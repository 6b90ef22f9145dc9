-- decant.constraints: phrases that a row must hold, and how far it is. Each
-- entry of force_words_ids is a phrase {ids} or a set {{ids}, {ids}, ...} of
-- which one must appear; either is a trie here.
--
--   constraints.start(force_words_ids)  -> state of an empty row
--   constraints.add(state, id)          -> the state one token later
--   constraints.advance(state)          -> tokens that bring it further
--   constraints.bank(state)             -> how far: tokens in place
--   state.completed
--
-- The rules are those of transformers' ConstraintListState: one phrase at a
-- time is in progress; a token that does not continue it puts it back, behind
-- those that have not been begun, and begins no other.


local constraints = {}


-- Adds a phrase to a trie; false if it begins another or another begins it.
local function insert(root, phrase)
  local node, fresh = root, false
  for i, id in ipairs(phrase) do
    if i > 1 and not fresh and #node.order == 0 then return false end
    if not node.next[id] then
      node.next[id] = {next = {}, order = {}}
      node.order[#node.order + 1] = id
      fresh = true
    end
    node = node.next[id]
  end
  return fresh and #node.order == 0
end


local function phrases_of(entry)
  return type(entry[1]) == "table" and entry or {entry}
end


-- One entry of force_words_ids, or nil where one of its phrases begins
-- another. height: ids of the longest phrase.
local function trie_of(entry)
  local root, height = {next = {}, order = {}}, 0
  for _, phrase in ipairs(phrases_of(entry)) do
    if not insert(root, phrase) then return nil end
    height = math.max(height, #phrase)
  end
  return {root = root, height = height}
end


-- Why a row can hold no phrase of an entry that has this id; nil if it can.
local function wrong_id(id, env)
  if env.vocab and id >= env.vocab then
    return ("must be from 0 to %d"):format(env.vocab - 1)
  end
  for _, eos in ipairs(env.eos or {}) do
    if id == eos then return "which ends the row (eos_token_id)" end
  end
  for _, other in ipairs(env.suppressed or {}) do
    if id == other then return "which suppress_tokens bans" end
  end
  for _, word in ipairs(env.bad_words or {}) do
    if #word == 1 and word[1] == id then
      return "which bad_words_ids bans"
    end
  end
end


-- Why these words can never be in a row; nil if they can. env: vocab, eos,
-- suppressed, bad_words, longest (new tokens of a row), where known.
function constraints.wrong(words, env)
  local least = 0
  for i, entry in ipairs(words) do
    local shortest = math.huge
    for _, phrase in ipairs(phrases_of(entry)) do
      shortest = math.min(shortest, #phrase)
      for _, id in ipairs(phrase) do
        local wrong = wrong_id(id, env)
        if wrong then
          return ("force_words_ids: entry %d has the id %d, %s"):format(i, id,
                                                                      wrong)
        end
      end
    end
    if not trie_of(entry) then
      return ("force_words_ids: entry %d: a phrase of the set begins another, "
              .. "so that one would never be looked for"):format(i)
    end
    least = least + shortest
  end
  if env.longest and least > env.longest then
    return ("force_words_ids: the phrases have %d tokens, and a row has room "
            .. "for %d"):format(least, env.longest)
  end
end


-- A state is never changed: beams share them.
function constraints.start(words)
  local pending, longest = {}, 0
  for i, entry in ipairs(words) do
    pending[i] = trie_of(entry)
    longest = math.max(longest, pending[i].height)
  end
  return {complete = 0, pending = pending, longest = longest,
          completed = #pending == 0}
end


-- After `trie` has come to `node`, `depth` tokens in; `pending` are left.
local function reached(state, pending, trie, node, depth)
  local leaf = node and #node.order == 0
  local complete = state.complete + (leaf and 1 or 0)
  local current = not leaf and trie or nil
  return {complete = complete, pending = pending, longest = state.longest,
          completed = #pending == 0 and not current,
          current = current, node = node, depth = depth}
end


function constraints.add(state, id)
  if state.completed then return state end
  local pending = state.pending
  if state.current then
    local node = state.node.next[id]
    if node then
      return reached(state, pending, state.current, node, state.depth + 1)
    end
    pending = table.move(pending, 1, #pending, 1, {})
    pending[#pending + 1] = state.current
    return reached(state, pending)
  end
  for i, trie in ipairs(pending) do
    local node = trie.root.next[id]
    if node then
      local rest = table.move(pending, 1, #pending, 1, {})
      table.remove(rest, i)
      return reached(state, rest, trie, node, 1)
    end
  end
  return state
end


function constraints.advance(state)
  if state.completed then return {} end
  if state.current then return state.node.order end
  local ids = {}
  for _, trie in ipairs(state.pending) do
    table.move(trie.root.order, 1, #trie.root.order, #ids + 1, ids)
  end
  return ids
end


function constraints.bank(state)
  local begun = 0
  if state.current then
    begun = state.longest - state.current.height + state.depth
  end
  return state.complete * state.longest + begun
end

return constraints
