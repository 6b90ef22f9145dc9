-- decant.score: model:score, the log-probability of a given text by teacher
-- forcing: one causal pass over the target, log-softmax at every position.
--
--   score(target [, source])  target, source: text or ids, or lists of them
--     -> log-probability, list of each token's     (for lists: lists of both)
--
-- seq2seq: every target token counts, the end token that the tokenizer appends
-- included; a start token that the ids begin with is not scored. causal: the
-- tokens after `source` count; without a source the first token has nothing
-- to follow and only serves as context.

local inputs = require "decant.inputs"

-- Rows of logits are large ([length, vocab]): so many pass at once.
local ROWS <const> = 16


local function is_list(value)
  return type(value) == "table" and type(value[1]) ~= "number"
end


local function ids_of(model, value, name, options)
  if type(value) == "string" then
    return inputs.tokenize(model, value, options)
  end
  return inputs.check_ids(value, model.config.vocab, name)
end


-- {fed = ids that the decoder reads, wanted = ids that are scored,
--  first = the position of `fed` that predicts wanted[1], source = ids}
local function seq2seq_pair(model, target, source, i)
  if source == nil then
    error("model:score: an encoder-decoder model needs a source", 0)
  end
  local start = model.config.decoder_start
  local ids = ids_of(model, target, "target " .. i, {side = "target"})
  local from = ids[1] == start and 2 or 1
  local wanted = table.move(ids, from, #ids, 1, {})
  local fed = table.move(wanted, 1, #wanted - 1, 2, {start})
  return {fed = fed, wanted = wanted, first = 1,
          source = ids_of(model, source, "source " .. i)}
end


local function causal_pair(model, target, source, i)
  local before = source and ids_of(model, source, "source " .. i) or {}
  local continues = #before > 0
  local ids = ids_of(model, target, "target " .. i,
                     continues and {bos = false} or nil)
  if not continues then
    before, ids = {ids[1]}, table.move(ids, 2, #ids, 1, {})
  end
  local fed = table.move(ids, 1, #ids - 1, #before + 1,
                         table.move(before, 1, #before, 1, {}))
  return {fed = fed, wanted = ids, first = #before}
end


local function sources_of(model, pairs_)
  if model.kind ~= "seq2seq" then return nil end
  local lists = {}
  for i, pair in ipairs(pairs_) do lists[i] = pair.source end
  return model.core:sources(model.core:encode(lists),
                            inputs.padding_masks(lists))
end


-- Scores some pairs in one pass; appends to `totals` and `tokens`.
local function score_some(model, some, totals, tokens)
  local lists = {}
  for i, pair in ipairs(some) do lists[i] = pair.fed end
  local logits = model.core:decode(lists, sources_of(model, some))
  logits:log_softmax(-1)
  for i, pair in ipairs(some) do
    local total, each = 0, {}
    for j, id in ipairs(pair.wanted) do
      each[j] = logits[i][pair.first + j - 1][id + 1]
      total = total + each[j]
    end
    totals[#totals + 1], tokens[#tokens + 1] = total, each
  end
end


return function(model, target, source)
  local single = not is_list(target)
  local targets = single and {target} or target
  local sources = single and {source} or source or {}
  if not single and source and #sources ~= #targets then
    error(("model:score: %d targets, %d sources"):format(#targets, #sources), 0)
  end
  local make = model.kind == "seq2seq" and seq2seq_pair or causal_pair
  local totals, tokens, some = {}, {}, {}
  for i = 1, #targets do
    some[#some + 1] = make(model, targets[i], sources[i], i)
    if #some == ROWS or i == #targets then
      score_some(model, some, totals, tokens)
      some = {}
    end
  end
  if single then return totals[1], tokens[1] end
  return totals, tokens
end
