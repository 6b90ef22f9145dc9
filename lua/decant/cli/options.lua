-- options.lua: reads command lines. A table of known options goes in, a table
-- of values and the remaining words come out; whatever is wrong raises
-- {usage = sentence}, which cli.lua turns into exit status 2.
--
--   --name value   --name=value   --flag   --no-flag   -m value   --
--
-- `--no-NAME` of an option that takes a value gives false: for a config field
-- that switches off what the model's file sets.

local nearest = require "decant.nearest"

local options = {}


local function usage(format, ...)
  error({usage = format:format(...)}, 0)
end


local function integer(text)
  return math.tointeger(tonumber(text))
end


local function list(text, item)
  local items = {}
  for word in (text .. ","):gmatch "%s*([^,]*),"  do
    local value = item(word)
    if value == nil then return nil end
    items[#items + 1] = value
  end
  return items
end


-- How the text of a value becomes one; nil if it does not.
local readers = {
  text = function(text) return text end,
  integer = integer,
  number = function(text) return tonumber(text) end,
  boolean = function(text)
    if text == "true" then return true elseif text == "false" then return false
    end
  end,
  ids = function(text) return list(text, integer) end,
  numbers = function(text) return list(text, tonumber) end,
  texts = function(text)
    return list(text, function(word) return word end)
  end,
}

-- One id, or several.
function readers.id_or_ids(text)
  local ids = readers.ids(text)
  return ids and (#ids == 1 and ids[1] or ids)
end

-- Sequences of ids: 5,6;7
function readers.lists(text)
  local lists = {}
  for part in (text .. ";"):gmatch "([^;]*);" do
    local ids = readers.ids(part)
    if not ids then return nil end
    lists[#lists + 1] = ids
  end
  return lists
end

-- Numbers, or a word such as "high".
function readers.ids_or_text(text)
  return readers.ids(text) or text
end

-- true, false or a word such as "never".
function readers.boolean_or_text(text)
  local value = readers.boolean(text)
  if value == nil then return text end
  return value
end

local expected = {
  integer = "a whole number", number = "a number", boolean = "true or false",
  numbers = "numbers with commas between them",
  ids = "token ids with commas between them",
  id_or_ids = "token ids with commas between them",
  lists = "lists such as 5,6;7",
}


local function names_of(known)
  local names = {}
  for name, option in pairs(known) do
    names[#names + 1] = name
    if option.negatable then names[#names + 1] = "no-" .. name end
  end
  return names
end


-- "num-beams" -> its option, and whether it was said with "no-" in front.
local function find(name, known)
  if known[name] then return known[name], false end
  local positive = name:match "^no%-(.+)"
  if positive and known[positive] and known[positive].negatable then
    return known[positive], true
  end
  usage("unknown option --%s; the nearest one is --%s", name,
        nearest(name, names_of(known)))
end


local function read(option, name, text)
  local value = readers[option.kind](text)
  if value == nil then
    usage("--%s: '%s' is not %s", name, text, expected[option.kind])
  end
  return value
end


-- One option word; returns how many further words it took.
local function take(values, known, name, attached, following)
  local option, negated = find(name, known)
  if negated then
    if attached then usage("--%s takes no value", name) end
    values[option.key] = false
  elseif attached then
    values[option.key] = read(option, name, attached)
  elseif option.kind:find "^boolean" then
    values[option.key] = true
  elseif following == nil then
    usage("--%s needs a value", name)
  else
    values[option.key] = read(option, name, following)
    return 1
  end
  return 0
end


-- known: option name -> {key = field of the result, kind = one of `readers`,
-- negatable = whether --no-NAME exists, short = letter or nil}.
-- Returns the values and the words that are no options.
function options.parse(words, known)
  local values, rest, short = {}, {}, {}
  for name, option in pairs(known) do
    if option.short then short[option.short] = name end
  end
  local i = 1
  while i <= #words do
    local word = words[i]
    local name, attached = word:match "^%-%-([^=]+)=?(.*)$"
    if word == "--" then
      table.move(words, i + 1, #words, #rest + 1, rest)
      break
    elseif name then
      attached = word:find("=", 1, true) and attached or nil
      i = i + take(values, known, name, attached, words[i + 1])
    elseif word:find "^%-%a" then
      name = short[word:sub(2)]
      if not name then
        usage("unknown option %s; a text that begins so goes after --", word)
      end
      i = i + take(values, known, name, nil, words[i + 1])
    else
      rest[#rest + 1] = word
    end
    i = i + 1
  end
  return values, rest
end


return options
