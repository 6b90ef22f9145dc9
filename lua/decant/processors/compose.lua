-- processors/compose.lua: processors made of processors.

local core = require "decant.core"
local objects = require "decant.processors.objects"

local compose = {}

-- A processor, or a list of them as a chain.
local function processor_of(value, name, what)
  if objects.callable(value) then return value end
  if type(value) == "table" then
    return objects.call(name, 3, core.chain, value)
  end
  error(("%s: %s is a %s, must be a processor or a list of them"):format(
        name, what, type(value)), 3)
end

--- The processors of a list, one after the other. In a list it counts as its
-- processors: a run of built-in ones stays C from end to end.
function compose.chain(list)
  if type(list) ~= "table" or objects.callable(list) then
    error("chain: a list of processors expected, got a " .. type(list), 2)
  end
  return objects.call("chain", 2, core.chain, list)
end

--- Runs the processor (or list) at the steps for which predicate(ids, step)
-- holds: ids is the row so far, step 1 the first new token.
function compose.when(predicate, processor)
  if not objects.callable(predicate) then
    error("when: the predicate is a " .. type(predicate)
          .. ", must be a function(ids, step)", 2)
  end
  processor = processor_of(processor, "when", "the second argument")
  return objects.new("when", function()
    local own = objects.fresh(processor)
    return function(logits, ids, prompt, rng)
      if predicate(ids, objects.step(ids, prompt)) then
        own(logits, ids, prompt, rng)
      end
      return logits
    end
  end)
end

-- The points {step, value} as a function: linear between two of them, the
-- first and the last value outside.
local function curve_of(points)
  if type(points) ~= "table" or rawlen(points) == 0 then
    error("schedule: the curve must be a function(step) or a list of points "
          .. "{step, value} that is not empty", 3)
  end
  for i, point in ipairs(points) do
    local step, value = (type(point) == "table" and point or {})[1],
                        (type(point) == "table" and point or {})[2]
    if type(step) ~= "number" or type(value) ~= "number"
       or i > 1 and step <= points[i - 1][1] then
      error(("schedule: point %d must be {step, value}, its step above the "
             .. "one before"):format(i), 3)
    end
  end
  return function(step)
    local before = points[1]
    if step <= before[1] then return before[2] end
    for _, after in ipairs(points) do
      if step < after[1] then
        local share = (step - before[1]) / (after[1] - before[1])
        return before[2] + share * (after[2] - before[2])
      end
      before = after
    end
    return before[2]
  end
end

-- function(step) -> factory(curve(step)), made anew only when the value is
-- another one.
local function varied(factory, curve)
  local last, processor
  return function(step)
    local value = curve(step)
    if value ~= last then
      last, processor = value, value ~= nil and factory(value) or nil
    end
    return processor
  end
end

--- schedule(factory, curve): at every step the processor factory(value), value
-- being curve(step) or, for a list of points {step, value}, what lies between
-- them. schedule(fn): at every step the processor (or list) fn(step, ids). No
-- value or no processor: none at this step. Step 1 is the first new token.
function compose.schedule(factory, curve)
  if not objects.callable(factory) then
    error("schedule: the first argument is a " .. type(factory)
          .. ", must be a function", 2)
  end
  if curve ~= nil and not objects.callable(curve) then
    curve = curve_of(curve)
  end
  return objects.new("schedule", function()
    local choose = curve and varied(factory, curve) or factory
    local own = setmetatable({}, {__mode = "k"})  -- this row's of each
    return function(logits, ids, prompt, rng)
      local chosen = choose(objects.step(ids, prompt), ids)
      if not chosen then return logits end
      if not own[chosen] then
        own[chosen] = objects.fresh(processor_of(chosen, "schedule",
                                                 "what the function returned"))
      end
      own[chosen](logits, ids, prompt, rng)
      return logits
    end
  end)
end

return compose
