-- processors/objects.lua: what the processors that are Lua share.
--
-- A processor is anything that can be called as p(logits, ids, prompt, rng).
-- One that keeps a state for the row that it works on is an object whose
-- metatable has __fresh, a function(self) that returns the same for another
-- row. A list of processors is made for one row and takes a fresh one of each.

local objects = {}

function objects.callable(value)
  local meta = getmetatable(value)
  return type(value) == "function"
         or type(meta) == "table" and type(meta.__call) == "function"
end

-- Whether the value is Logits.
function objects.is_logits(value)
  local meta = type(value) == "userdata" and getmetatable(value)
  return type(meta) == "table" and meta.__name == "decant.Logits"
end

-- The level one function further in; 0 says no place.
local function inner(level) return level > 0 and level + 1 or 0 end

--- Raises unless `value` is Logits, as `error` would with `level`; `what` it is
-- goes in front.
function objects.check_logits(value, what, level)
  if not objects.is_logits(value) then
    error(("%s: Logits expected, got %s"):format(what, type(value)),
          inner(level))
  end
  return value
end

--- f(...). What it raises about its argument is said of `name`, and raised as
-- `error` would with `level` (0: with no place).
function objects.call(name, level, f, ...)
  local fine, result = pcall(f, ...)
  if fine then return result end
  if type(result) == "string" then
    local about = result:match "^.-bad argument #%d+ to .- %((.+)%)$"
    result = name .. ": " .. (about or result:gsub("^[^:\n]+:%d+: ", ""))
  end
  error(result, inner(level))
end

-- The processor for another row.
function objects.fresh(processor)
  local meta = getmetatable(processor)
  local fresh = type(meta) == "table" and meta.__fresh
  return fresh and fresh(processor) or processor
end

local Object = {__name = "decant.Processor"}

function Object.__call(self, logits, ids, prompt, rng)
  objects.check_logits(logits, self.name, 2)
  if type(ids) ~= "table" then
    error(("%s: a list of the row's ids expected, got %s"):format(
          self.name, type(ids)), 2)
  end
  return self.apply(logits, ids, prompt, rng)
end

function Object.__fresh(self) return objects.new(self.name, self.make) end

--- A processor with a state: `make` is called once for each row and returns the
-- function(logits, ids, prompt, rng) that works on it.
function objects.new(name, make)
  return setmetatable({name = name, apply = make(), make = make}, Object)
end

--- Raises at the factory's caller unless all arguments given by name are known.
function objects.check_names(given, known, factory)
  if type(given) ~= "table" or objects.callable(given) then
    error(("%s: a table of arguments expected, got %s"):format(
          factory, type(given)), 3)
  end
  for name in pairs(given) do
    if not known[name] then
      error(("%s: unknown argument '%s'"):format(factory, tostring(name)), 3)
    end
  end
end

--- Which new token is chosen now, from 1.
function objects.step(ids, prompt)
  return #ids - (prompt or 0) + 1
end

return objects
