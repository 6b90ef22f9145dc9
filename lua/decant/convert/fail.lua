-- How the converter and the readers of its files say no. Deep inside, a
-- defect of a file raises a Failure; `catch` at the public door turns it into
-- nil, message. Any other error (a mistake of the caller, of a progress
-- function, of this code) passes through untouched.
--
--   fail(format, ...)        raises; the text is one sentence
--   catch(f, ...) -> what f returns | nil, message

local Failure = {__tostring = function(self) return self.message end}

local function fail(format, ...)
  error(setmetatable({message = format:format(...)}, Failure))
end

local function outcome(ok, first, ...)
  if ok then return first, ... end
  if getmetatable(first) == Failure then return nil, first.message end
  error(first, 0)
end

local function catch(f, ...)
  return outcome(pcall(f, ...))
end

-- A value from a file as it may stand in a message: short, one line. Of a
-- JSON list or object only its kind.
local function shown(text)
  if type(text) == "table" then return getmetatable(text).__jsontype end
  text = tostring(text):gsub("%c", "?")
  if #text > 80 then text = text:sub(1, 77) .. "..." end
  return '"' .. text .. '"'
end

return {fail = fail, catch = catch, shown = shown}
