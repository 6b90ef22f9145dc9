-- decant.row: what `generate` gives to a strategy for one row (its opts), and
-- what it learns from it. The parts are in options.lua; here they are bound to
-- the prompt, the processors of the config, the criteria and the listeners.

local config_module = require "decant.config"
local core = require "decant.core"
local pieces = require "decant.pieces"
local processors = require "decant.processors"
local stop = require "decant.stop"

local row = {}


local function list_of(value)
  if not value then return {} end
  return type(value) == "table" and value or {value}
end


-- Ids of the config as integers (a config takes 2.0 for 2).
local function ids_of(value)
  local ids = {}
  for i, id in ipairs(list_of(value)) do ids[i] = math.tointeger(id) end
  return ids
end


-- The length at which a row of this prompt ends, prompt included.
local function longest_row(config, item, context)
  local prompt = #item.prompt
  local longest = math.tointeger((config_module.lengths(config, prompt)))
  if context then longest = math.min(longest, context) end
  if longest <= prompt then
    error(("input %d: the row begins with %d tokens already, and %s is %d; " ..
           "there is no room for a new one"):format(item.index, prompt,
           longest == context and "the model's context" or "max_length",
           longest), 0)
  end
  return longest
end


local function criteria(run, config, new_tokens)
  local list = {stop.eos(ids_of(config.eos_token_id))}
  if #run.stop_strings > 0 then
    list[#list + 1] = stop.text(run.stop_strings, run.model.tokenizer)
  end
  list[#list + 1] = stop.length(new_tokens)
  list[#list + 1] = run.time_is_up
  return stop.any(list)
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


local function processor_chain(run, item, state, longest, rng)
  local config, model = run.config, run.model
  local list = processors.from_config(config, {
    prompt_length = #item.prompt,
    encoder_ids = item.encoder_ids,
    beams = config.num_beams > 1,
    eos = ids_of(config.eos_token_id),
    max_length = longest,
    batch_index = item.index,
    session = opener(model, state),
    vocab = model.config.vocab,
  })
  return core.chain(list, item.prompt, rng)
end


-- The listener of decided tokens: on_token(id, piece, index); false cancels.
local function listener(run, item, state)
  local on_token, tokenizer = run.config.on_token, run.model.tokenizer
  if not on_token then return function() end end
  local text_of = tokenizer and pieces.new(
    tokenizer, run.stop_strings, run.model.kind == "seq2seq" and item.prompt
                                 or {})
  return function(id)
    if state.cancelled then return end
    local piece = text_of and text_of(id)
    state.cancelled = on_token(id, piece, item.index) == false
  end
end


local State = {}

function State:__close()
  for _, session in ipairs(self.opened) do session:close() end
end


-- opts for the strategy and the state in which the row is followed:
--   state.score     sum of the log-probabilities of emitted tokens, each under
--                   the logits that were processed last
--   state.reason    what `stop` said last
--   state.cancelled on_token returned false
-- The state is to be closed at the end of the row: processors may have opened
-- sessions.
-- `number` is the row's place among all rows of the call: it keys the draws.
function row.new(run, item, number)
  local config, model = run.config, run.model
  local state = setmetatable({score = 0, emitted = 0, opened = {}}, State)
  local longest = longest_row(config, item, model.config.context)
  local rng = core.rng(run.seed):row(number)
  local chain = processor_chain(run, item, state, longest, rng)
  local judge = criteria(run, config, longest - #item.prompt)
  local tell = listener(run, item, state)
  local opts = {
    complete = true, model = model, tokenizer = model.tokenizer,
    encoder_ids = item.encoder_ids,
    max_length = longest, max_new_tokens = longest - #item.prompt,
    rng = rng,
  }
  function opts.process(logits, ids)
    chain(logits, ids)
    state.logits = logits
    return logits
  end
  function opts.emit(id)
    local logits = state.logits
    if logits then
      state.score = state.score + math.log(logits:probability(id))
      state.emitted, state.logits = state.emitted + 1, nil
    end
    tell(id)
  end
  function opts.stop(ids)
    state.reason = state.cancelled and "cancelled" or judge(ids)
    return state.reason
  end
  return setmetatable(opts, {__index = config}), state
end

return row
