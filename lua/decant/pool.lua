-- decant.pool: several results for one input by another strategy, for those
-- that choose among them (best_of_n, minimum_bayes_risk).
--
--   pool.draw(session, prompt, opts)   -> list of opts.best_of results {ids,
--                                         score, finish}, with logprobs and
--                                         top_logprobs if asked for and known
--
-- Each runs on a fork of the session in a coroutine of its own, and all of
-- them share forward passes with each other and with the other inputs of a
-- list. Result i of row r
-- draws as row r + (i - 1) * 2^32 would: the first is what the inner strategy
-- gives alone.

local beams = require "decant.beams"
local core = require "decant.core"
local inputs = require "decant.inputs"
local lists = require "decant.lists"
local mode = require "decant.mode"
local pieces = require "decant.pieces"
local row = require "decant.row"
local scheduler = require "decant.scheduler"
local show = require "decant.show"
local strategies = require "decant.strategies"

local pool = {}


local function inner_strategy(opts)
  local inner = mode.inner(opts)
  if type(inner) ~= "string" then return inner end
  return strategies[inner] or
    error(("inner_strategy %s is not known"):format(show(inner)), 0)
end


-- What run i of the inner strategy is told, and the tally of what it emits.
local function opts_of(opts, i)
  local seed, number = opts.rng:state()
  local state = row.tally(opts)
  local rng = core.rng(seed):row(number + ((i - 1) << 32))
  -- processors of its own, unless somebody has put others in front of them
  local own = opts.new_chain and opts.process == opts.complete
  local process = own and opts.new_chain(rng) or opts.process
  local mine = {num_return_sequences = 1, best_of = false, rng = rng}
  mine.process, mine.emit = row.follow(state, process)
  mine.complete = mine.process
  return setmetatable(mine, {__index = opts}), state
end


-- Of a strategy that is called by hand nobody may know the model.
local function vocab_of(opts)
  return opts.model and opts.model.config.vocab or math.maxinteger
end


-- The best of what the inner strategy returned. A score that it gives itself
-- stays; else it is that of a finished beam, or none where not every token was
-- emitted behind its own scores.
local function result_of(state, opts, ids, reason, score)
  ids = lists.raw(ids)
  local best = type(ids) == "table" and type(ids[1]) == "table" and ids[1]
  local new = best and best.ids or ids
  if type(new) ~= "table" or best and not best.ids then
    error(("the inner_strategy returned a %s; it returns the list of its "
           .. "new ids, or a list of {ids =, score =, finish =}"):format(
           best and "hypothesis without ids" or type(ids)), 0)
  end
  new = inputs.check_ids(new, vocab_of(opts),
                         "what the inner_strategy returned")
  if best then
    best.ids = new
    return best
  end
  ids = new
  if not score and #ids > 0 and state.noted == #ids then
    score = beams.worth(state.score, #ids, opts)
  end
  local result = {ids = ids, finish = reason or opts.stop(ids) or "stop",
                  score = score}
  row.describe(state, result, #ids)
  return result
end


-- Strategies that want of a prompt nothing but the scores behind it.
local only_scores = {greedy = true, sample = true, beam = true,
                     diverse_beam = true, stochastic_beam = true}

-- Feeds what all runs have in common; returns what each has to feed.
local function feed_once(session, prompt, opts)
  if #prompt == 1 or not only_scores[mode.inner(opts)] then return prompt end
  session:feed(table.move(prompt, 1, #prompt - 1, 1, {}))
  return {prompt[#prompt]}
end


function pool.draw(session, prompt, opts)
  local n, inner, i = opts.best_of or 8, inner_strategy(opts), 0
  local found, rest = {}, feed_once(session, prompt, opts)
  scheduler.run(function()
    i = i + 1
    if i > n then return nil end
    local number = i
    return function()
      local timeline <close> = session:fork()
      local mine, state = opts_of(opts, number)
      found[number] = result_of(state, opts,
                                inner(timeline, rest, mine))
    end
  end, n)
  return found
end


--- What a function of the caller made of results, `name`: a number.
function pool.number(name, value)
  if math.type(value) and value == value then return value end
  error(("%s returned %s; it returns a number"):format(name, show(value)), 0)
end


-- The best by `score`, at most opts.num_return_sequences, which are emitted
-- now: equal ones in the order drawn.
function pool.best(found, opts)
  local best = beams.best(opts.num_return_sequences or 1, found, "score")
  for _, id in ipairs(best[1].ids) do opts.emit(id) end
  return best
end

-- A result as text, up to a stop string, where there is a tokenizer; else its
-- ids, as words.
function pool.text(result, opts)
  local ids, strings = result.ids, opts.stop_strings or {}
  if not opts.tokenizer then return table.concat(ids, " ") end
  if type(strings) == "string" then strings = {strings} end
  return pieces.text(opts.tokenizer, strings,
                     opts.shown and opts.shown(ids) or ids, {})
end

return pool
