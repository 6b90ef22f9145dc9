-- tables.lua: what the tables of architectures are put together with.

local tables = {}

-- A new table of the first one's fields and, over them, the second's.
function tables.copy(base, over)
  local copied = {}
  for key, value in pairs(base) do copied[key] = value end
  for key, value in pairs(over) do copied[key] = value end
  return copied
end

return tables
