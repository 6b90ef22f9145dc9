-- decant.row: what `generate` gives to a strategy for one row (its opts), and
-- what it learns from it. The parts are in options.lua; here they are bound to
-- the prompt, the processors of the config, the criteria and the listeners.

local config_module = require "decant.config"
local core = require "decant.core"
local pieces = require "decant.pieces"
local processors = require "decant.processors"
local stop = require "decant.stop"
local unknowns = require "decant.unknowns"

local row = {}


local function list_of(value)
  if not value then return {} end
  return type(value) == "table" and value or {value}
end


-- What the result shows of the prompt: with an encoder-decoder model all of it,
-- otherwise only what is new.
function row.shown_prompt(model, item)
  return model.kind == "seq2seq" and item.prompt or {}
end


-- What the text of the result goes on from, without showing it.
function row.hidden_prompt(model, item)
  return model.kind == "causal" and item.prompt or {}
end


-- The length at which a row of this prompt ends, prompt included.
local function longest_row(config, item, context)
  local prompt = #item.prompt
  local longest = config_module.lengths(config, prompt)
  if context then longest = math.min(longest, context) end
  if longest <= prompt then
    error(("input %d: the row begins with %d tokens already, and %s is %d; " ..
           "there is no room for a new one"):format(item.index, prompt,
           longest == context and "the model's context" or "max_length",
           longest), 0)
  end
  return longest
end


-- Why a row ends, in the order in which one reason goes before another.
local function criteria(call, item, new_tokens, shown)
  local config = call.config
  local list = {}
  local function add(condition) list[#list + 1] = condition end
  local eos = list_of(config.eos_token_id)
  if #eos > 0 then add(stop.eos(eos)) end
  if #call.stop_strings > 0 then
    add(stop.text(call.stop_strings, call.model.tokenizer,
                  row.hidden_prompt(call.model, item), shown,
                  row.shown_prompt(call.model, item)))
  end
  add(stop.length(new_tokens))
  if call.time_is_up then add(call.time_is_up) end
  local own = config.stopping_criteria
  if type(own) == "function" or own and getmetatable(own) then own = {own} end
  for _, condition in ipairs(own or {}) do add(stop.own(condition)) end
  return stop.any(list)
end


-- What keeps the sessions that processors open (state.opened) and the reader
-- of unknown tokens, and closes them.
local State = {}

function State:__close()
  for _, session in ipairs(self.opened) do session:close() end
  if self.unknowns then self.unknowns:close() end
end

function row.sessions()
  return setmetatable({opened = {}}, State)
end


-- Opens a session on nothing, which ends with the row; nil where the model has
-- none such.
local function opener(model, state)
  return model.kind == "causal" and function()
    local opened = model:session()
    state.opened[#state.opened + 1] = opened
    return opened
  end or nil
end


-- The processors that the config asks for, as one function(logits, new ids).
function row.processors(call, item, state, rng)
  local config, model = call.config, call.model
  local list = processors.from_config(config, {
    prompt_length = #item.prompt,
    encoder_ids = item.encoder_ids,
    beams = config.num_beams > 1,
    eos = list_of(config.eos_token_id),
    max_length = longest_row(config, item, call.model.config.context),
    batch_index = item.index,
    session = opener(model, state),
    vocab = model.config.vocab,
  })
  return core.chain(list, item.prompt, rng)
end


-- ---- who listens ----

-- The listener of decided tokens: on_token(id, piece, index); false cancels.
local function listener(call, item, state)
  local on_token, tokenizer = call.config.on_token, call.model.tokenizer
  if not on_token then return nil end
  local text_of = tokenizer and pieces.new(
    tokenizer, call.stop_strings, row.shown_prompt(call.model, item),
    row.hidden_prompt(call.model, item))
  local index = call.index or item.index
  state.told = 0
  function state.tell(id, piece)
    if state.cancelled then return end
    state.told = state.told + #(piece or "")
    state.cancelled = on_token(id, piece, index) == false
  end
  local lost = state.unknowns
  return function(id)
    local shown = lost and lost:at(state.ids, #state.ids) or id
    state.tell(id, text_of and text_of(shown))
  end
end


-- Text that was held back to the end (what might have become a stop string, or
-- a character that was never completed) goes to on_token without an id.
function row.tell_rest(state, result)
  local text = state.tell and result and result.text
  if text and #text > state.told then
    state.tell(nil, text:sub(state.told + 1))
  end
end


-- ---- log-probabilities ----

function row.wants_logprobs(config)
  return config.logprobs or config.top_logprobs
end


-- The `n` best of a row that are possible and their log-probabilities, as
-- {{id =, logprob =}, ...}; as they stand, where they are such already.
function row.alternatives(logits, n, as_they_stand)
  local list = {}
  for i, entry in ipairs(logits:top(n)) do
    if entry.prob == 0 then break end
    list[i] = {id = entry.id, logprob = as_they_stand and entry.logit
                                        or logits:log_probability(entry.id)}
  end
  return list
end


-- What is known of the log-probabilities of one row: ids (the emitted tokens),
-- score (their sum), noted (of how many tokens it is); and if the config asks,
-- logprobs (each) and top (the n_top best of each step).
function row.tally(config)
  local n_top = config.top_logprobs
  return {ids = {}, score = 0.0, noted = 0, n_top = n_top,
          logprobs = row.wants_logprobs(config) and {} or nil,
          top = n_top and {} or nil}
end


-- What a row is to go through, so that its tally follows: `process`, and what
-- takes an emitted token. Its log-probability is that in the logits which were
-- processed last; where several were, or none, nobody can tell which ones it is
-- from.
function row.follow(state, process)
  local ids, latest, fresh = state.ids, nil, 0
  local function processed(logits, new)
    process(logits, new)
    latest, fresh = logits, fresh + 1
    return logits
  end
  local function emitted(id)
    local n, logits = #ids + 1, fresh == 1 and latest
    ids[n] = id
    latest, fresh = nil, 0
    if not logits or state.noted ~= n - 1 then return end
    local logprob = logits:log_probability(id)
    state.noted, state.score = n, state.score + logprob
    if state.logprobs then state.logprobs[n] = logprob end
    if state.top then state.top[n] = row.alternatives(logits, state.n_top) end
  end
  return processed, emitted
end


-- Adds to the result of a row of `n` new tokens what was noted of all of them.
function row.describe(state, result, n)
  if state.noted ~= n then return end
  result.score = result.score or state.score
  result.logprobs, result.top_logprobs = state.logprobs, state.top
end


-- opts for the strategy and the state in which the row is followed:
--   state.ids       the emitted tokens
--   state.score     sum of their log-probabilities, each under the logits that
--                   were processed last; state.logprobs, state.top: each, and
--                   alternatives, if the config asks
--   state.reason    what `stop` said last
--   state.cancelled on_token returned false
--   state.unknowns  what the text shows of unknown tokens, if the config asks
-- The state is to be closed at the end of the row: processors may have opened
-- sessions.
-- `number` is the row's place among all rows of the call: it keys the draws.
function row.new(call, item, number)
  local config, model = call.config, call.model
  local state = setmetatable(row.tally(config), State)
  state.opened, state.unknowns = {}, unknowns.new(call, item)
  local longest = longest_row(config, item, model.config.context)
  local rng = core.rng(call.seed):row(number)
  local process, emitted = row.follow(
    state, row.processors(call, item, state, rng))
  -- ids[from or 1] to the last as the text has them
  local function shown(ids, from)
    from = from or 1
    if state.unknowns then return state.unknowns:all(ids, from) end
    return table.move(ids, from, #ids, 1, {})
  end
  local judge = criteria(call, item, longest - #item.prompt, shown)
  local tell = listener(call, item, state)
  local opts = {
    shown = shown,
    model = model, tokenizer = model.tokenizer,
    encoder_ids = item.encoder_ids,
    max_length = longest, max_new_tokens = longest - #item.prompt,
    rng = rng, process = process, complete = process, emit = emitted,
  }
  -- the processors for another run on this input: a state and draws of its own
  function opts.new_chain(own_rng)
    return row.processors(call, item, state, own_rng)
  end
  if tell then
    function opts.emit(id)
      emitted(id)
      tell(id)
    end
  end
  function opts.stop(ids)
    local reason = state.cancelled and "cancelled" or judge(ids)
    state.reason = reason
    return reason
  end
  return setmetatable(opts, {__index = config}), state
end

return row
