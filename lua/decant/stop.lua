-- decant.stop: when a row ends. Each factory returns a function(ids) over the
-- new tokens that answers false or the reason: "eos", "length", "stop", "time".
-- They keep nothing between calls, so one may judge many rows (beams).
--
--   stop.eos(id | ids)          the last token is one of these
--   stop.length(n)              n tokens are there
--   stop.text(s | list, tokenizer [, before [, shown [, prompt]]])
--                               the text of the row has one of these. Ids that
--                               stand in front of it, and what they say is not
--                               looked at: before (the text goes on from
--                               theirs), prompt (begins with theirs);
--                               shown(ids, from): what is decoded in place of
--                               ids[from] to the last
--   stop.time(seconds)          so much time has passed since this call
--   stop.own(f)                 what f(ids) says: nil or false (go on), true
--                               ("stop") or a reason of its own, a text
--   stop.any{f, g, ...}         the first reason that one of them gives

local core = require "decant.core"
local lists = require "decant.lists"
local objects = require "decant.processors.objects"
local pieces = require "decant.pieces"
local show = require "decant.show"

local stop = {}


local function check(ok, what, rule, got)
  if not ok then
    error(("stop.%s: %s, got %s"):format(what, rule, show(got)), 3)
  end
end


function stop.eos(ids)
  if ids == nil or type(ids) == "number" then ids = {ids} end
  check(type(ids) == "table", "eos", "a token id or a list of them is wanted",
        ids)
  local is_eos = {}
  for _, id in ipairs(lists.whole(ids, "stop.eos: the list")) do
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


-- Bytes of the longest of `strings`, all checked.
local function longest_of(strings)
  local longest = 0
  for _, s in ipairs(strings) do
    check(type(s) == "string" and s ~= "", "text",
          "stop strings are texts that are not empty", s)
    longest = math.max(longest, #s)
  end
  return longest
end


-- How many bytes an id has at least, remembered: 1, or 0 for one without text
-- of its own (a special token).
local function sizes_of(tokenizer)
  return setmetatable({}, {__index = function(self, id)
    local size = math.min(#tokenizer:decode{id}, 1)
    self[id] = size
    return size
  end})
end


-- A string that ends in the last token begins at most longest - 1 bytes before
-- it. So many tokens are decoded, and one more (the first of a text may lose
-- its space, or be the rest of a character): the work does not grow with the
-- row. An earlier match would have stopped the row before. Only where there is
-- one is the whole text looked at: a window may begin or end inside of a
-- character, and shows U+FFFD there.
function stop.text(strings, tokenizer, before, shown, prompt)
  if type(strings) == "string" then strings = {strings} end
  check(type(strings) == "table", "text",
        "a string or a list of strings is wanted", strings)
  strings = lists.whole(strings, "stop.text: the list")
  check(tokenizer ~= nil, "text", "a tokenizer is wanted", tokenizer)
  local longest, size = longest_of(strings), sizes_of(tokenizer)
  shown = shown or function(ids, from)
    return table.move(ids, from, #ids, 1, {})
  end

  local function is_in(text)
    return pieces.find_any(text, strings) ~= nil
  end

  return function(row)
    local from, bytes = #row, 0
    while from > 1 and bytes < longest do
      from = from - 1
      bytes = bytes + size[row[from]]
    end
    if from > 1 and not is_in(tokenizer:decode(shown(row, from))) then
      return false
    end
    return is_in(pieces.behind(tokenizer, shown(row, 1), prompt or {}, before))
           and "stop"
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


function stop.own(condition)
  check(objects.callable(condition), "own", "a function(ids) is wanted",
        condition)
  return function(row)
    local reason = condition(row)
    if not reason or type(reason) == "string" then return reason or false end
    if reason == true then return "stop" end
    error(("a stopping criterion returned a %s; it returns nil, false, true " ..
           "or the reason as a text"):format(type(reason)), 0)
  end
end


function stop.any(list)
  check(type(list) == "table", "any", "a list of functions is wanted", list)
  list = lists.whole(list, "stop.any: the list")
  for i = 1, #list do
    check(objects.callable(list[i]), "any", "a list of functions is wanted",
          list[i])
  end
  if #list == 1 then return list[1] end
  return function(row)
    for i = 1, #list do
      local reason = list[i](row)
      if reason then return reason end
    end
    return false
  end
end

return stop
