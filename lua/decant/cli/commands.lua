-- commands.lua: what `decant COMMAND` does. Each command says its usage, its
-- options, whether it takes config fields, and how many words it wants;
-- run(values, words) does it and raises {usage =} or {failed =}.

local decant = require "decant"
local filter = require "decant.cli.filter"
local nearest = require "decant.nearest"
local types = require "decant.convert.types"

local DEFAULT_MODEL <const> = "de-en"

-- The bytes that a line of standard input may have. What is to be translated is
-- cut into sentences first, so any length would do: at some 100 kB the answer
-- takes a minute.
local LONGEST <const> = {translate = 1 << 16, generate = 1 << 20,
                         tokenize = 1 << 20}


local function usage(format, ...)
  error({usage = format:format(...)}, 0)
end


-- value, or the failure that came instead of it.
local function check(value, message)
  if value == nil then error({failed = tostring(message)}, 0) end
  return value, message
end


local function load_model(values, opts)
  if values.threads then
    if values.threads < 1 or values.threads > 64 then
      usage("--threads: is %d, must be from 1 to 64", values.threads)
    end
    decant.threads(values.threads)
  end
  return check(decant.load(values.model or DEFAULT_MODEL, opts))
end


local function check_strategy(name)
  local names = {}
  for each in pairs(decant.strategies) do names[each] = true end
  if not names[name] then
    local list = {}
    for each in pairs(names) do list[#list + 1] = each end
    table.sort(list)
    usage("--strategy: '%s' is none of %s; the nearest one is %s", name,
          table.concat(list, ", "), nearest(name, list))
  end
end


-- The config that the options make, checked before a model is loaded.
local function config_of(values)
  local config = {}
  for key, value in pairs(values) do
    local field = key:match "^config%.(.+)"
    if field then config[field] = value end
  end
  if values.strategy then check_strategy(values.strategy) end
  config.strategy = values.strategy
  local ok, message = pcall(decant.config, config)
  if not ok then usage("%s", tostring(message):gsub("^%S-%.lua:%d+: ", "")) end
  return config
end


local function batch_of(values)
  if values.batch and values.batch < 1 then
    usage "--batch: must be at least 1"
  end
  return values.batch
end


-- "5 6 7" or "5,6,7" -> {5, 6, 7}
local function parse_ids(text)
  local ids = {}
  for word in text:gmatch "[^%s,]+" do
    local id = math.tointeger(tonumber(word))
    if not id then error({failed = "'" .. word .. "' is no token id"}, 0) end
    ids[#ids + 1] = id
  end
  return ids
end


local function map(list, f)
  local mapped = {}
  for i, item in ipairs(list) do mapped[i] = f(item) end
  return mapped
end


local commands = {}


commands.translate = {
  usage = "translate [options] [TEXT...]",
  summary = "print the translation of each text",
  options = {"model", "strategy", "threads", "batch"}, config = true,
  run = function(values, words)
    local config, batch = config_of(values), batch_of(values)
    local model <close> = load_model(values)
    filter.run(words, batch, LONGEST.translate, function(texts)
      return check(model:translate(texts, config))
    end)
  end,
}


commands.generate = {
  usage = "generate [options] [TEXT...]",
  summary = "print what the model generates for each text",
  options = {"model", "strategy", "threads", "batch", "ids", "scores"},
  config = true,
  run = function(values, words)
    local config, batch = config_of(values), batch_of(values)
    local model <close> = load_model(values)
    local function line_of(result)
      local line = not values.ids and result.text
                   or table.concat(result.ids, " ")
      if not values.scores then return line end
      return ("%.6f\t%s\t%s"):format(result.score, result.finish, line)
    end
    filter.run(words, batch, LONGEST.generate, function(texts)
      local inputs = values.ids and map(texts, parse_ids) or texts
      return map(check(model:generate(inputs, config)), line_of)
    end)
  end,
}


-- A bundled name, a .gguf or whatever else holds a tokenizer.
local function load_tokenizer(name)
  local path = name or DEFAULT_MODEL
  if path:find "[/.]" then return check(decant.tokenizer(path)) end
  local model = check(decant.load(path, {vocab_only = true}))
  local tokenizer = check(model.tokenizer, path .. ": has no tokenizer")
  return tokenizer, model
end


commands.tokenize = {
  usage = "tokenize [options] [TEXT...]",
  summary = "print the token ids of each text",
  options = {"model", "pieces", "decode", "side"},
  run = function(values, words)
    local side = values.side or "source"
    if side ~= "source" and side ~= "target" then
      usage("--side: '%s' is neither source nor target", side)
    end
    local tokenizer, model = load_tokenizer(values.model)
    local function encode(text)
      local ids = tokenizer:encode(text, {side = side})
      if not values.pieces then return table.concat(ids, " ") end
      return table.concat(map(ids, function(id)
        return tokenizer:piece(id)
      end), " ")
    end
    local function decode(text) return tokenizer:decode(parse_ids(text)) end
    local work = values.decode and decode or encode
    filter.run(words, nil, LONGEST.tokenize, function(texts)
      return map(texts, work)
    end)
    if model then model:close() end
  end,
}


commands.inspect = {
  usage = "inspect FILE", words = 1,
  summary = "print what a .gguf or .safetensors file holds",
  options = {},
  run = function(_, words)
    local text = check(require "decant.inspect" (words[1]))
    filter.write(text, text:sub(-1) == "\n" and "" or "\n")
  end,
}


-- Rewrites one line of a terminal; done and total are in one unit, any.
local function show_progress(done, total)
  local share = total > 0 and done / total or 1
  io.stderr:write(("\rconverting %3d %%"):format(share * 100 // 1))
  if done >= total then io.stderr:write "\n" end
end


commands.convert = {
  usage = "convert [options] SOURCE FILE", words = 2,
  summary = "turn a Hugging Face directory, or a .gguf, into one .gguf file",
  options = {"type"},
  run = function(values, words)
    local opts = {type = values.type or "q8_0"}
    if not types.known(opts.type) then
      usage("--type: '%s' is none of %s", opts.type, types.names())
    end
    if filter.terminal(2) then opts.progress = show_progress end
    local _, notes = check(decant.convert(words[1], words[2], opts))
    for _, note in ipairs(notes or {}) do
      io.stderr:write("decant: ", note, "\n")
    end
  end,
}


local function shown(value)
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for _, item in ipairs(value) do parts[#parts + 1] = shown(item) end
  if #parts == 0 then
    for key, item in pairs(value) do
      parts[#parts + 1] = key .. " " .. shown(item)
    end
    table.sort(parts)
  end
  return table.concat(parts, ", ")
end


commands.info = {
  usage = "info", words = 0,
  summary = "print version, instruction set, threads, bundled models",
  options = {},
  run = function()
    local info, names = decant.info(), {}
    for name in pairs(info) do names[#names + 1] = name end
    table.sort(names)
    for i, name in ipairs(names) do
      names[i] = ("%-10s %s\n"):format(name, shown(info[name]))
    end
    filter.write(table.concat(names))
  end,
}


return commands
