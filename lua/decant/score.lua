-- decant.score: the log-probability of a given text by teacher forcing: the
-- decoder reads the target and is asked at every position for the next token.
--
--   score(model, target [, source])  target, source: text or ids, or lists
--     -> log-probability, list of each token's     (for lists: lists of both)
--   perplexity(model, target [, source])
--     -> exp(-mean log-probability of a token), over all targets of a list
--
-- seq2seq: every target token counts, the end token that the tokenizer appends
-- included; a start token that the ids begin with is not scored. causal: the
-- tokens after `source` count; without a source the first token has nothing
-- to follow and only serves as context.

local inputs = require "decant.inputs"
local lists = require "decant.lists"
local scheduler = require "decant.scheduler"
local session = require "decant.session"

-- Scores are large, a vocabulary each: so many targets at once, and so many
-- positions of each in a pass.
local ROWS <const> = 16
local POSITIONS <const> = 16


local function fail(message, ...)
  error("model:score: " .. message:format(...), 0)
end


local function is_list(value)
  return type(value) == "table" and type(rawget(value, 1)) ~= "number"
end


local function ids_of(model, value, name, options)
  if type(value) == "string" then
    return inputs.tokenize(model, value, options)
  end
  return inputs.check_ids(value, model.config.vocab, name)
end


-- What the encoder reads for pair i.
local function source_of(model, source, i)
  local ids = ids_of(model, source, "source " .. i)
  if #ids == 0 then fail("source %d has no tokens", i) end
  inputs.check_length(ids, model, "source " .. i)
  return ids
end


-- {fed = ids that the decoder reads, wanted = ids that are scored,
--  first = the position of `fed` that predicts wanted[1], source = ids}
local function seq2seq_pair(model, target, source, i)
  if source == nil then fail "an encoder-decoder model needs a source" end
  local start = model.config.decoder_start
  local ids = ids_of(model, target, "target " .. i, {side = "target"})
  local from = ids[1] == start and 2 or 1
  local wanted = table.move(ids, from, #ids, 1, {})
  local fed = table.move(wanted, 1, #wanted - 1, 2, {start})
  return {fed = fed, wanted = wanted, first = 1,
          source = source_of(model, source, i)}
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


-- Gives each pair what cross-attention reads of its source: one packed run.
local function encode(model, pairs_)
  if model.kind ~= "seq2seq" then return end
  local sequences = {}
  for i, pair in ipairs(pairs_) do sequences[i] = pair.source end
  local sources = model.core:sources(model.core:encode(sequences),
                                     inputs.padding_masks(sequences))
  for i, pair in ipairs(pairs_) do pair.source = sources[i] end
end


-- The log-probability of every wanted token of a pair, into pair.each.
local function score_pair(model, pair)
  local timeline <close> = session.on(model, pair.source)
  if pair.source then pair.source:close() end
  local fed, want, before = pair.fed, {every = true}, pair.first - 1
  if #pair.wanted == 0 then return end
  if before > 0 then timeline:feed(table.move(fed, 1, before, 1, {})) end
  for from = pair.first, #fed, POSITIONS do
    local to = math.min(from + POSITIONS - 1, #fed)
    local _, extra = timeline:feed(table.move(fed, from, to, 1, {}), want)
    for at, logits in ipairs(extra.every) do
      local place = from - before + at - 1
      pair.each[place] = logits:log_probability(pair.wanted[place])
    end
  end
end


-- Scores some pairs side by side.
local function score_some(model, some)
  encode(model, some)
  local at = 0
  scheduler.run(function()
    at = at + 1
    local pair = some[at]
    return pair and function() score_pair(model, pair) end
  end, #some)
end


-- A target or a source, or a list of them, as it lies there.
local function read(value, what)
  if type(value) == "table" then return lists.whole(value, "the " .. what) end
  if type(value) ~= "string" then
    fail("the %s is a %s; a text, ids or a list of either is wanted", what,
         type(value))
  end
  return value
end


-- Targets and sources as lists, and whether it was a single one. {} is a list;
-- beside something single it is that without tokens.
local function as_lists(target, source)
  target = read(target, "target")
  if source ~= nil then source = read(source, "source") end
  local several = is_list(target) and (source == nil or is_list(source))
  if not several then
    if is_list(target) and #target > 0 then
      fail "a list of targets wants a list of sources, one for each"
    elseif is_list(source) and #source > 0 then
      fail "a list of sources wants a list of targets, one for each"
    end
    return {target}, {source}, true
  elseif source and #source ~= #target then
    fail("%d targets, %d sources", #target, #source)
  end
  return target, source or {}, false
end


-- The pairs of a call, scored, and whether it was about a single one.
local function pairs_of(model, target, source)
  local targets, sources, single = as_lists(target, source)
  local make = model.kind == "seq2seq" and seq2seq_pair or causal_pair
  local list, context = {}, model.config.context or math.huge
  for i = 1, #targets do
    list[i] = make(model, targets[i], sources[i], i)
    list[i].each = {}
    if #list[i].fed > context then
      fail("target %d needs %d positions; the context of the model holds %d",
           i, #list[i].fed, context)
    end
  end
  for from = 1, #list, ROWS do
    local to = math.min(from + ROWS - 1, #list)
    score_some(model, table.move(list, from, to, 1, {}))
  end
  return list, single
end


local function total_of(pair)
  local total = 0.0
  for _, logprob in ipairs(pair.each) do total = total + logprob end
  return total
end


local function score(model, target, source)
  local list, single = pairs_of(model, target, source)
  if single then return total_of(list[1]), list[1].each end
  local totals, tokens = {}, {}
  for i, pair in ipairs(list) do
    totals[i], tokens[i] = total_of(pair), pair.each
  end
  return totals, tokens
end


local function perplexity(model, target, source)
  local total, count = 0.0, 0
  for _, pair in ipairs(pairs_of(model, target, source)) do
    total, count = total + total_of(pair), count + #pair.each
  end
  if count == 0 then
    error("model:perplexity: there is no token to score", 0)
  end
  return math.exp(-total / count)
end

return {score = score, perplexity = perplexity}
