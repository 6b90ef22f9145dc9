-- decant.call: one call of generate (or one push of a queue): its config,
-- checked, its strategy and seed, the rows that it is made of, and the results
-- that come of them.
--
--   call.new(model, input, given, options) -> call
--       options: level (of errors about the config), index (what on_token
--       calls the input; else its place in a list), wrong = function(config)
--       that returns what is wrong with it here, or nil
--   call.tasks       one a row that is to be run, in the order of the results
--   task:body()      -> function for a coroutine: a session, the strategy on it
--   task.width       rows that it may need at once
--   call:results()   once every task has run, or was given up
--
-- Sources are encoded by who runs the tasks (queue.lua), many at once.

local config_module = require "decant.config"
local inputs = require "decant.inputs"
local lists = require "decant.lists"
local mode = require "decant.mode"
local pieces = require "decant.pieces"
local review = require "decant.review"
local results_module = require "decant.results"
local row = require "decant.row"
local session = require "decant.session"
local show = require "decant.show"
local stop = require "decant.stop"
local strategies = require "decant.strategies"

local Call = {}
Call.__index = Call

local Task = {}
Task.__index = Task


-- ---- results ----

-- The ids as the caller sees them (a seq2seq row begins with its prompt), and
-- their text, which holds no stop string, whatever the row ended at. state:
-- that of the row, if it was run.
local function result_of(call, item, ids, finish, state)
  local prompt = row.shown_prompt(call.model, item)
  local tokenizer, text = call.model.tokenizer, nil
  if tokenizer then
    local lost = state and state.unknowns
    text = pieces.text(tokenizer, call.stop_strings,
                       lost and lost:all(ids, 1) or ids, prompt,
                       row.hidden_prompt(call.model, item))
  end
  ids = table.move(ids, 1, #ids, #prompt + 1,
                   table.move(prompt, 1, #prompt, 1, {}))
  return {ids = ids, text = text, finish = finish, input = item.index}
end


local function check_row(call, ids, what)
  if type(ids) ~= "table" then
    error(("the strategy %s returned %s; it returns the list of its new " ..
           "ids, or a list of {ids =, score =, finish =}"):format(
           call.strategy_name, what or type(ids)), 0)
  end
  return inputs.check_ids(ids, call.model.config.vocab,
                          "what the strategy returned")
end


-- What the strategy returned, one row or a list of hypotheses, as results;
-- and the list of their new ids.
local function collect(task, state, ids, reason, score)
  local call, item, found, new = task.call, task.item, {}, {}
  ids = lists.raw(ids)
  if type(ids) == "table" and type(ids[1]) == "table" then
    for i, each in ipairs(ids) do
      local own = check_row(call, each.ids, "a hypothesis without ids")
      local finish = state.cancelled and "cancelled" or each.finish or "stop"
      found[i] = result_of(call, item, own, finish, state)
      found[i].score, found[i].logprobs = each.score, each.logprobs
      found[i].top_logprobs = each.top_logprobs
      new[i] = own
    end
  else
    ids = check_row(call, ids)
    found[1] = result_of(call, item, ids, reason or state.reason or "stop",
                         state)
    found[1].score = score
    row.describe(state, found[1], #ids)
    new[1] = ids
  end
  return found, new
end


-- ---- tasks ----

-- What a session of the caller, which holds the beginning of the prompt, is
-- still to be fed.
local function rest_of(prompt, given)
  if not given then return prompt end
  return table.move(prompt, given:length() + 1, #prompt, 1, {})
end


-- The body of the task's coroutine. What it yields is not its business.
function Task:body()
  local call, item = self.call, self.item
  local model = call.model
  return function()
    local opts, state <close> = row.new(call, item, self.number)
    self.state = state
    local source, given = item.source, call.config.session
    local own <close> = not given and session.on(model, source) or nil
    local found, ids = collect(self, state, call.strategy(
      given or own, rest_of(item.prompt, given), opts))
    row.tell_rest(state, found[1])
    for i, result in ipairs(found) do
      review(call, item, source, result, ids[i])
    end
    self:release()
    self.results = found
  end
end


-- The row needs its source no more. A session that goes on (a fork that
-- somebody keeps) still reads it.
function Task:release()
  local item = self.item
  if self.released then return end
  self.released = true
  item.waiting = item.waiting - 1
  if item.waiting == 0 and item.source then item.source:close() end
end


-- What was decided before the task was given up.
function Task:give_up()
  local state = self.state or row.tally(self.call.config)
  local _ <close> = state.unknowns
  local result = result_of(self.call, self.item, state.ids, "cancelled", state)
  row.describe(state, result, #state.ids)
  self:release()
  self.results = {result}
end


-- How many results one row gives: a beam search finds all of them.
local function results_of_row(config)
  local all = config.num_beams > 1 or mode.returns_all(mode.of(config))
  return all and config.num_return_sequences or 1
end


-- What an item of which there is nothing to run gives.
local function empty_results(call, item)
  local found = {}
  for i = 1, results_of_row(call.config) do
    found[i] = result_of(call, item, {}, "eos")
    row.describe(row.tally(call.config), found[i], 0)
  end
  return found
end


-- One task a row: item by item.
local function tasks_of(call, items)
  local config = call.config
  local per_item = config.num_return_sequences // results_of_row(config)
  local tasks = {}
  for _, item in ipairs(items) do
    item.waiting = per_item
    for _ = 1, per_item do
      tasks[#tasks + 1] = setmetatable({
        call = call, item = item, number = #tasks, width = mode.rows(config),
        results = item.empty and empty_results(call, item) or nil,
      }, Task)
    end
  end
  return tasks
end


-- ---- the call ----

local function seed_of(config)
  if config.seed then return config.seed end
  return config.do_sample and math.random(0) or 0
end


-- From here on the time of max_time runs.
function Call:begin()
  local seconds = self.config.max_time
  if seconds and not self.time_is_up then
    self.time_is_up = stop.time(seconds)
  end
end


function Call:results()
  local found = {}
  for _, task in ipairs(self.tasks) do
    table.move(task.results, 1, #task.results, #found + 1, found)
  end
  return results_module.new(found, self)
end


-- What a caller gets in place of results when the input has failed.
function Call:failed(failure)
  local found = results_module.new({}, self)
  found.error = failure or tostring(failure)
  return found
end


-- A function of the caller, or a name of decant.strategies.
local function strategy_of(config)
  local name = mode.of(config)
  if type(name) ~= "string" then return name, "of the caller" end
  local strategy = strategies[name]
  if strategy then return strategy, name end
  local known = {}
  for each in pairs(strategies) do known[#known + 1] = each end
  table.sort(known)
  error(("strategy %s is not known; known: %s"):format(show(name),
        table.concat(known, ", ")), 0)
end


local seq2seq_fields = {"decoder_input_ids", "decoder_start_token_id",
                        "output_attentions", "replace_unknowns",
                        "source_mask"}

local text_fields = {"replace_unknowns", "stop_strings"}

-- The first of `fields` that the caller sets.
local function any_set(given, fields)
  for _, name in ipairs(fields) do
    if rawget(given, name) then return name end
  end
end

-- A field that the caller sets and of which this model makes nothing.
local function wrong_model(model, given)
  local tokenizer = model.tokenizer
  local name = model.kind == "causal" and any_set(given, seq2seq_fields)
  if name then return name .. " has no effect on a causal model" end
  name = not tokenizer and any_set(given, text_fields)
  if name then
    return name .. " needs a tokenizer, and this model has none"
  elseif rawget(given, "replace_unknowns") and not tokenizer.unk then
    return "replace_unknowns has no effect: the tokenizer has no unknown token"
  end
end


-- Unknown tokens are replaced by those of the source.
local function wrong_source(given, tasks)
  local item = tasks[1] and tasks[1].item
  if item and not item.ids and rawget(given, "replace_unknowns") then
    return "replace_unknowns needs the source as a text or as ids, which an "
           .. "encoder output does not tell"
  end
end


-- A session of the caller serves one row of a causal model.
local function wrong_session(model, config, tasks)
  local given = config.session
  if not given then return nil end
  if not given.cache then return "session is closed" end
  if model.kind ~= "causal" or given.model ~= model then
    return "session must be one of this model, and the model causal"
  elseif #tasks ~= 1 or #given ~= 1 then
    return "session takes one input, one result and has one row"
  elseif given:length() >= #tasks[1].item.prompt then
    return ("session holds %d positions, the input must be longer"):format(
      given:length())
  end
end


local function new(model, input, given, options)
  local level = (options.level or 1) + 1
  local config = config_module.merge(given, model.config.generation, level,
                                     model.config.vocab)
  local wrong = given and wrong_model(model, given)
                or options.wrong and options.wrong(config)
                or mode.wrong_for(model, config)
  if wrong then error("config: " .. wrong, level) end
  local strategy, name = strategy_of(config)
  local strings = config.stop_strings or {}
  local call = setmetatable({
    model = model, config = config, strategy = strategy, strategy_name = name,
    seed = seed_of(config), index = options.index,
    stop_strings = type(strings) == "string" and {strings} or strings,
  }, Call)
  call.tasks = tasks_of(call, inputs.read(model, input, config))
  wrong = wrong_session(model, config, call.tasks)
          or given and wrong_source(given, call.tasks)
  if wrong then error("config: " .. wrong, level) end
  return call
end

return {new = new}
