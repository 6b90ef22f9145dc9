-- decant.stop: when a row ends. Each factory returns a function(ids) over the
-- new tokens that answers false or the reason: "eos", "length", "stop", "time".
-- They keep nothing between calls, so one may judge many rows (beams).
--
--   stop.eos(id | ids)          the last token is one of these
--   stop.length(n)              n tokens are there
--   stop.text(s | list, tokenizer)
--                               the text of the last tokens has one of these
--   stop.time(seconds)          so much time has passed since this call
--   stop.any{f, g, ...}         the first reason that one of them gives

local core = require "decant.core"

local stop = {}


local function check(ok, what, rule, got)
  if not ok then
    error(("stop.%s: %s, got %s"):format(what, rule, tostring(got)), 3)
  end
end


function stop.eos(ids)
  if ids == nil or type(ids) == "number" then ids = {ids} end
  check(type(ids) == "table", "eos", "a token id or a list of them is wanted",
        ids)
  local is_eos = {}
  for _, id in ipairs(ids) do
    check(math.type(id) == "integer", "eos", "token ids are integers", id)
    is_eos[id] = true
  end
  return function(row)
    return is_eos[row[#row]] and "eos" or false
  end
end


function stop.length(n)
  check(math.type(n) == "integer" and n > 0, "length",
        "a positive integer is wanted", n)
  return function(row)
    return #row >= n and "length" or false
  end
end


-- Looks back as many tokens as the longest string has bytes, and one more (the
-- first piece of a text may lose its space). An earlier match than in the last
-- token would have stopped the row before.
function stop.text(strings, tokenizer)
  if type(strings) == "string" then strings = {strings} end
  check(type(strings) == "table", "text",
        "a string or a list of strings is wanted", strings)
  check(tokenizer ~= nil, "text", "a tokenizer is wanted", tokenizer)
  local reach = 0
  for _, s in ipairs(strings) do
    check(type(s) == "string" and s ~= "", "text",
          "stop strings are texts that are not empty", s)
    reach = math.max(reach, #s + 1)
  end
  return function(row)
    if #strings == 0 then return false end
    local tail = table.move(row, math.max(1, #row - reach + 1), #row, 1, {})
    local text = tokenizer:decode(tail)
    for _, s in ipairs(strings) do
      if text:find(s, 1, true) then return "stop" end
    end
    return false
  end
end


-- The best clock there is: the core's, else the process's own, else none.
local clock = core.clock or os and (os.clock or os.time)

function stop.time(seconds)
  check(type(seconds) == "number" and seconds > 0, "time",
        "a positive number of seconds is wanted", seconds)
  local start = clock and clock()
  return function()
    return start and clock() - start > seconds and "time" or false
  end
end


function stop.any(list)
  check(type(list) == "table", "any", "a list of functions is wanted", list)
  return function(row)
    for i = 1, #list do
      local reason = list[i](row)
      if reason then return reason end
    end
    return false
  end
end

return stop
