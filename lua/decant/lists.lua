-- decant.lists: tables of the caller's as they lie there. What a metatable says
-- of one does not count: its length may have no end, its fields may raise.
--
--   lists.raw(value)        -> value, or in place of a table with a metatable a
--                              copy of what it holds itself
--   lists.whole(value, name) -> the same of a list; raises where something
--                              lies behind a hole, for nobody would read it
--   lists.options(given, name, known)
--                           -> the same of a table of options (of nothing: {});
--                              raises, at the caller's caller's caller, where a
--                              field is not in the list `known`

local nearest = require "decant.nearest"
local show = require "decant.show"

local lists = {}


function lists.raw(value)
  if type(value) ~= "table" or getmetatable(value) == nil then return value end
  local copy = {}
  for key, item in next, value do copy[key] = item end
  return copy
end


function lists.whole(value, name)
  local n = rawlen(value)
  for key in next, value do
    if math.type(key) == "integer" and key > n then
      error(("%s has a hole: nothing at %d, but something at %d"):format(
            name, n + 1, key), 0)
    end
  end
  return lists.raw(value)
end


function lists.options(given, name, known)
  if given == nil then return {} end
  if type(given) ~= "table" then
    error(("%s: a table of options is wanted, got a %s"):format(
          name, type(given)), 4)
  end
  local is_known = {}
  for _, each in ipairs(known) do is_known[each] = true end
  for field in next, given do
    if not is_known[field] then
      local text = type(field) == "string" and field:sub(1, 60) or show(field)
      error(("%s: unknown option '%s', did you mean '%s'?"):format(
            name, text, nearest(text, known)), 4)
    end
  end
  return lists.raw(given)
end

return lists
