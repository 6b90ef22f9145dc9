-- cli.lua: `decant COMMAND ...`, the command-line program over the public API.
-- Returns a function that takes the words of the command line and gives the
-- exit status: 0; 1 failed; 2 wrong usage; 130 stopped by Ctrl-C.
--
-- Ctrl-C is the standalone interpreter's: a hook that raises "interrupted!" at
-- the next Lua instruction. Whatever was open is closed by its finaliser when
-- bin/decant closes the state (a half-written file is removed there).

local fields = require "decant.cli.fields"
local filter = require "decant.cli.filter"
local nearest = require "decant.nearest"
local options = require "decant.cli.options"

local known = {
  model = {kind = "text", short = "m", value = "NAME",
           help = "bundled model or path of a .gguf file (de-en)"},
  strategy = {kind = "text", short = "s", value = "NAME",
              help = "greedy, sample, beam or another one"},
  threads = {kind = "integer", short = "t", value = "N",
             help = "threads (as many as this process may use)"},
  batch = {kind = "integer", value = "N",
           help = "lines computed together (32; 1 at a terminal)"},
  ids = {kind = "boolean", help = "token ids in, token ids out"},
  scores = {kind = "boolean", help = "score and finish in front of each"},
  pieces = {kind = "boolean", help = "pieces instead of ids"},
  decode = {kind = "boolean", help = "the other way: text of token ids"},
  side = {kind = "text", value = "SIDE",
          help = "source or target vocabulary (source)"},
  type = {kind = "text", value = "TYPE",
          help = "of the weights: q8_0, f32, f16, bf16, q4_0 to q6_k (q8_0)"},
}

local order = {"translate", "generate", "tokenize", "inspect", "convert",
               "info"}

local HEAD <const> = [[
usage: decant COMMAND [options] ...

]]

local TAIL <const> = [[

Without TEXT the lines of standard input are read and one line is written for
each, in order. `decant COMMAND --help` shows the options of a command.
Exit status: 0, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.
]]


local function dashed(name)
  return (name:gsub("_", "-"))
end


-- The options that a command takes, by their name on the command line.
local function options_of(command)
  local taken = {help = {kind = "boolean", key = "help", short = "h"}}
  for _, name in ipairs(command.options) do
    known[name].key = name
    taken[name] = known[name]
  end
  for _, field in ipairs(command.config and fields or {}) do
    taken[dashed(field[1])] = {
      key = "config." .. field[1], kind = field[2], negatable = true,
    }
  end
  return taken
end


local function option_line(name, option)
  local short = option.short and "-" .. option.short .. ", " or "    "
  local long = "--" .. name .. (option.value and " " .. option.value or "")
  return ("  %s%-18s  %s\n"):format(short, long, option.help)
end


local function help_of(command)
  local text = {"usage: decant ", command.usage, "\n", command.summary, "\n"}
  local function add(line) text[#text + 1] = line end
  if #command.options > 0 then add "\noptions:\n" end
  for _, name in ipairs(command.options) do
    add(option_line(name, known[name]))
  end
  if command.config then
    add "\ngeneration (--no-NAME switches off what the model's file sets):\n"
    for _, field in ipairs(fields) do
      add(("  --%-30s  %s\n"):format(dashed(field[1]), field[3]))
    end
  end
  return table.concat(text)
end


local function help(commands)
  local text = {HEAD}
  for _, name in ipairs(order) do
    local command = commands[name]
    text[#text + 1] = ("  %-31s %s\n"):format(command.usage, command.summary)
  end
  text[#text + 1] = "  --help, --version\n" .. TAIL
  for _, name in ipairs(order) do
    local command = commands[name]
    if #command.options > 0 then
      text[#text + 1] = "\n" .. help_of(command)
    end
  end
  return table.concat(text)
end


local function run_command(commands, name, words)
  local command = commands[name]
  if not command then
    error({usage = ("unknown command '%s'; the nearest one is '%s'")
                   :format(name, nearest(name, order))}, 0)
  end
  local values, rest = options.parse(words, options_of(command))
  if values.help then return filter.write(help_of(command)) end
  if command.words and #rest ~= command.words then
    error({usage = ("%s: %d word%s expected, got %d; usage: decant %s")
                   :format(name, command.words,
                           command.words == 1 and "" or "s", #rest,
                           command.usage)}, 0)
  end
  command.run(values, rest)
end


local function run(words)
  local commands = require "decant.cli.commands"
  local name = words[1]
  if name == nil then
    error({usage = "no command given; they are: "
                   .. table.concat(order, ", ")}, 0)
  elseif name == "--help" or name == "-h" or name == "help" then
    filter.write(help(commands))
  elseif name == "--version" then
    filter.write("decant ", require "decant".info().version, "\n")
  else
    run_command(commands, name, table.move(words, 2, #words, 1, {}))
  end
end


local function complain(message)
  if message ~= "" then io.stderr:write("decant: ", message, "\n") end
end


-- The exit status for what was raised.
local function status_of(problem)
  local message = problem
  if type(problem) == "table" then
    if problem.usage then
      complain(problem.usage .. "\nTry 'decant --help'.")
      return 2
    end
    message = problem.failed
  end
  message = tostring(message)
  if message:find "interrupted!$" then return 130 end
  complain((message:gsub("^%S-%.lua:%d+: ", "")))
  return 1
end


return function(words)
  local ok, problem = pcall(run, words)
  return ok and 0 or status_of(problem)
end
