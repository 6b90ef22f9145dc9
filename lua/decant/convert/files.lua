-- Files of a Hugging Face directory, read as somebody else's input: regular
-- files only, sizes capped before anything is read, JSON checked before the
-- decoder sees it. dkjson is lenient (comments, missing commas) and recursive,
-- so depth, UTF-8 and what follows the value are checked here.
--
--   files.kind(path)       -> "file" | "directory" | "other" | nil
--   files.read(path)       -> the bytes                 raise Failures
--   files.json(path)       -> value; null is files.null  (see fail.lua)
--   files.object(path)     -> the same, which must be an object
--   files.type(value)      -> "object", "array", "string", ..., "null"

local core = require "decant.core"
local failure = require "decant.convert.fail"
local fail = failure.fail

local MAX_BYTES = 64 * 1024 * 1024
local MAX_DEPTH = 64

local files = {}

-- JSON's null where it must not be taken for a missing key.
files.null = setmetatable({}, {
  __tostring = function() return "null" end,
  __jsontype = "null",
})

local function info(path)
  if path:find("\0", 1, true) then
    fail("%s: a path holds no NUL byte", failure.shown(path))
  end
  return core.file_info(path)
end

function files.kind(path)
  local found = info(path)
  return found and found.kind
end

function files.read(path)
  local found, message = info(path)
  if not found then fail("%s", message) end
  if found.kind ~= "file" then fail("%s: is not a regular file", path) end
  if found.size > MAX_BYTES then
    fail("%s: has %d bytes, at most %d are read", path, found.size, MAX_BYTES)
  end
  local file <close> = io.open(path, "rb")
  local text = file and file:read "a"
  if not text then fail("%s: cannot be read", path) end
  return text
end

-- Where the string that opens at `start` ends, or nil.
local function string_end(text, start)
  local at = start + 1
  repeat
    at = text:find('["\\]', at)
    if not at or text:byte(at) == 34 then return at end
    at = at + 2
  until false
end

-- What has fewer brackets than levels are allowed needs no walk: long lists of
-- names (the index of a checkpoint) are read at once.
local function check_depth(path, text)
  if select(2, text:gsub("[%[{]", "")) <= MAX_DEPTH then return end
  local depth, at = 0, 0
  repeat
    local mark
    at, mark = select(2, text:find('(["%[%]{}])', at + 1))
    if mark == '"' then
      at = string_end(text, at)
    elseif mark == "[" or mark == "{" then
      depth = depth + 1
      if depth > MAX_DEPTH then
        fail("%s: nested deeper than %d levels at byte %d", path, MAX_DEPTH, at)
      end
    elseif mark then
      depth = depth - 1
    end
  until not at
end

local function decoder()
  local ok, dkjson = pcall(require, "dkjson")
  if not ok then
    fail("reading JSON needs the Lua module dkjson (Debian: lua-dkjson)")
  end
  return dkjson.decode
end

function files.json(path)
  local text = files.read(path)
  local _, bad = utf8.len(text)
  if bad then fail("%s: byte %d is no valid UTF-8", path, bad) end
  check_depth(path, text)
  local ok, value, rest, message = pcall(decoder(), text, 1, files.null)
  if not ok then
    if tostring(value):find "interrupted!$" then error(value, 0) end  -- Ctrl-C
    fail("%s: is no JSON", path)
  end
  if value == nil or message then
    fail("%s: is no JSON: %s", path, message or "empty")
  end
  if text:find("%S", rest) then
    fail("%s: something follows the JSON value at byte %d", path, rest)
  end
  return value
end

function files.type(value)
  if type(value) ~= "table" then return type(value) end
  return getmetatable(value).__jsontype
end

function files.object(path)
  local value = files.json(path)
  if files.type(value) ~= "object" then
    fail("%s: its value is of type %s, an object is needed", path,
         files.type(value))
  end
  for key in pairs(value) do  -- the decoder takes {1} and {1:2} as well
    if type(key) ~= "string" then fail("%s: is no JSON object", path) end
  end
  return value
end

return files
