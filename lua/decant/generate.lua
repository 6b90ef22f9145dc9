-- decant.generate: model:generate, the frame around the strategies.
--
-- Input -> items (inputs.lua) -> rows, one coroutine each, run together by the
-- scheduler -> results. Docs: docs/generate.md.

local config_module = require "decant.config"
local core = require "decant.core"
local inputs = require "decant.inputs"
local pieces = require "decant.pieces"
local row = require "decant.row"
local scheduler = require "decant.scheduler"
local session = require "decant.session"
local stop = require "decant.stop"
local strategies = require "decant.strategies"

-- Rows that live at once, unless the call's batch_size says otherwise.
local ROWS <const> = 64


local function strategy_named(name)
  local strategy = strategies[name]
  if strategy then return strategy end
  local known = {}
  for each in pairs(strategies) do known[#known + 1] = each end
  error(("strategy '%s' is not known; known: %s"):format(tostring(name),
        table.concat(known, ", ")), 0)
end


-- The strategy that the config asks for, and its name for messages.
local function pick_strategy(config)
  local strategy = config.strategy
  if strategy and type(strategy) ~= "string" then
    return strategy, "of the caller"
  end
  local name = strategy or config.num_beams > 1 and "beam"
               or config.do_sample and "sample" or "greedy"
  return strategy_named(name), name
end


-- The ids as the caller sees them (a seq2seq row begins with its prompt), and
-- their text up to a stop string.
local function result_of(run, item, ids, score, finish)
  local prompt = run.model.kind == "seq2seq" and item.prompt or {}
  ids = table.move(ids, 1, #ids, #prompt + 1,
                   table.move(prompt, 1, #prompt, 1, {}))
  local tokenizer, text = run.model.tokenizer, nil
  if tokenizer then
    text = tokenizer:decode(ids)
    if finish == "stop" then
      text = pieces.cut(text, run.stop_strings, prompt, tokenizer)
    end
  end
  return {ids = ids, text = text, score = score, finish = finish,
          input = item.index}
end


local function check_row(run, ids, what)
  if type(ids) ~= "table" then
    error(("the strategy %s returned %s; it returns the list of its new " ..
           "ids, or a list of {ids =, score =, finish =}"):format(
           run.strategy_name, what or type(ids)), 0)
  end
  return inputs.check_ids(ids, run.model.config.vocab,
                          "what the strategy returned")
end


-- Turns what the strategy returned into results.
local function collect(run, item, state, ids, reason, score)
  local results = {}
  if type(ids) == "table" and type(ids[1]) == "table" then
    for i, found in ipairs(ids) do
      check_row(run, found.ids, "a hypothesis without ids")
      local finish = state.cancelled and "cancelled" or found.finish or "stop"
      results[i] = result_of(run, item, found.ids, found.score, finish)
    end
    return results
  end
  check_row(run, ids)
  if not score and state.emitted == #ids then score = state.score end
  results[1] = result_of(run, item, ids, score,
                         reason or state.reason or "stop")
  return results
end


-- The body of one coroutine: a session, the strategy on it, the results.
local function job(run, task)
  local model, item = run.model, task.item
  return function()
    local opts, state <close> = row.new(run, item, task.number)
    local timeline <close> = session.new(model.core:rows(1, item.source),
                                         model.engine, model.config, model)
    item.waiting = item.waiting - 1
    if item.waiting == 0 then item.source = nil end
    task.results = collect(run, item, state,
                           run.strategy(timeline, item.prompt, opts))
  end
end


-- How many results one row gives: a beam search finds all of them.
local function results_of_row(config)
  return config.num_beams > 1 and config.num_return_sequences or 1
end


-- One task a row that is to be run: item by item.
local function tasks_of(items, config)
  local per_item = config.num_return_sequences // results_of_row(config)
  local tasks = {}
  for _, item in ipairs(items) do
    item.waiting = per_item
    for _ = 1, per_item do
      tasks[#tasks + 1] = {item = item, number = #tasks}
    end
  end
  return tasks
end


-- The order in which rows are started: the longest first, so that the rows
-- that live together end together. Nobody can see it in the results.
local function by_length(tasks)
  local order = table.move(tasks, 1, #tasks, 1, {})
  table.sort(order, function(a, b)
    local left, right = #(a.item.ids or ""), #(b.item.ids or "")
    if left ~= right then return left > right end
    return a.number < b.number
  end)
  return order
end


-- Hands out the rows to run. Sources are encoded `limit` rows at a time, just
-- before the first of them starts.
local function job_queue(run, tasks, limit)
  local order, at = by_length(tasks), 0
  local function encode_some()
    local items = {}
    for i = at, math.min(at + limit - 1, #order) do
      local item = order[i].item
      if not item.encoded and not item.empty then
        item.encoded, items[#items + 1] = true, item
      end
    end
    inputs.encode(run.model, items)
  end
  return function()
    at = at + 1
    while order[at] and order[at].item.empty do at = at + 1 end
    local task = order[at]
    if not task then return nil end
    if not run.model.core then
      error("model:generate: the model was closed while it ran", 0)
    end
    if not task.item.encoded then encode_some() end
    return job(run, task)
  end
end


local Results = {}
Results.__index = Results

-- All ids as a Tensor [results, longest], filled with pad_token_id.
function Results:tensor()
  local longest = 1
  for _, result in ipairs(self) do longest = math.max(longest, #result.ids) end
  if #self == 0 then error("there are no results to make a Tensor of", 2) end
  local rows = {}
  for i, result in ipairs(self) do
    local ids = table.move(result.ids, 1, #result.ids, 1, {})
    for j = #ids + 1, longest do ids[j] = self.pad_token_id end
    rows[i] = ids
  end
  return core.tensor(rows)
end


-- What an item of which there is nothing to run gives.
local function empty_results(run, item)
  local results = {}
  for i = 1, results_of_row(run.config) do
    results[i] = result_of(run, item, {}, 0.0, "eos")
  end
  return results
end


local function gather(run, tasks)
  local results = {}
  for _, task in ipairs(tasks) do
    local found = task.results or empty_results(run, task.item)
    table.move(found, 1, #found, #results + 1, results)
  end
  results.seed = run.config.do_sample and run.seed or nil
  results.pad_token_id = run.config.pad_token_id or 0
  return setmetatable(results, Results)
end


-- The module's thread budget while this call runs.
local function set_threads(n)
  if not n then return nil end
  local before = core.threads()
  core.threads(n)
  return setmetatable({}, {__close = function() core.threads(before) end})
end


local function seed_of(config)
  if config.seed then return config.seed end
  return config.do_sample and math.random(0) or 0
end


-- model:generate. A wrong config is raised as `error` would with `level` here
-- (2: at the caller of this).
return function(model, input, given, level)
  local config = config_module.merge(given, model.config.generation,
                                     level or 2)
  local strategy, name = pick_strategy(config)
  local strings = config.stop_strings or {}
  local run = {
    model = model, config = config, strategy = strategy, strategy_name = name,
    seed = seed_of(config),
    stop_strings = type(strings) == "string" and {strings} or strings,
    time_is_up = config.max_time and stop.time(config.max_time) or nil,
  }
  local rows = math.tointeger(config.batch_size or ROWS)
  local limit = math.max(1, rows // config.num_beams)
  local tasks = tasks_of(inputs.read(model, input, config), config)
  local _ <close> = set_threads(config.threads)
  scheduler.run(job_queue(run, tasks, limit), limit)
  return gather(run, tasks)
end
