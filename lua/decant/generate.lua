-- decant.generate: model:generate: all inputs of a list as the rows of one
-- queue, run to the end. Docs: docs/generate.md.

local call_module = require "decant.call"
local queue = require "decant.queue"

-- Rows that live at once, unless the call's batch_size says otherwise.
local ROWS <const> = 64


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


-- A wrong config is raised as `error` would with `level` here (2: at the caller
-- of this).
return function(model, input, given, level)
  local call = call_module.new(model, input, given, {level = level or 2})
  local config = call.config
  local run <close> = queue.new(model, config.batch_size or ROWS,
                                config.threads, "model:generate", true)
  run:add(call, by_length(call.tasks))
  while run:step() do end
  return select(2, run:take())
end
