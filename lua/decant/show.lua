-- decant.show: a value as a message shows it: short, on one line, and without
-- asking a table's metamethods, for it may be anything (a list with an end that
-- never comes, a table that holds itself).
--
--   show(value) -> text

local MOST <const> = 60    -- bytes of a string
local ITEMS <const> = 8    -- of a list
local DEPTH <const> = 3    -- of lists in lists
local WHOLE <const> = 240  -- bytes of all of it


local function cut(text, most)
  return #text > most and text:sub(1, most) .. "..." or text
end


local function in_short(value, depth)
  if type(value) == "string" then
    return (("%q"):format(cut(value, MOST)):gsub("\\\n", "\\n"))
  elseif type(value) == "function" or type(value) == "thread" then
    return type(value)
  elseif type(value) ~= "table" then
    return tostring(value)
  elseif depth == 0 then
    return "{...}"
  end
  local shown, n = {}, rawlen(value)
  for i = 1, math.min(n, ITEMS) do
    shown[i] = in_short(rawget(value, i), depth - 1)
  end
  if n > ITEMS or n == 0 and next(value) ~= nil then
    shown[#shown + 1] = "..."
  end
  return "{" .. table.concat(shown, ", ") .. "}"
end


return function(value)
  return cut(in_short(value, DEPTH), WHOLE)
end
