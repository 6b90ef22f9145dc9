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
         or type(meta) == "table" and meta.__call ~= nil
end

-- The processor for another row.
function objects.fresh(processor)
  local meta = getmetatable(processor)
  local fresh = type(meta) == "table" and meta.__fresh
  return fresh and fresh(processor) or processor
end

local Object = {__name = "decant.Processor"}

function Object.__call(self, ...) return self.apply(...) end

function Object.__fresh(self) return objects.new(self.make) end

--- A processor with a state: `make` is called once for each row and returns the
-- function(logits, ids, prompt, rng) that works on it.
function objects.new(make)
  return setmetatable({apply = make(), make = make}, Object)
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
