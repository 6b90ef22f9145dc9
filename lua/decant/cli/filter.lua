-- filter.lua: texts in, lines out, in order. The texts are the words of the
-- command line or, without any, the lines of standard input, which are taken
-- in batches: the scheduler computes a batch together, and long files stream
-- through in constant memory.

local core = require "decant.core"

local filter = {}


-- Whether file descriptor 0, 1 or 2 is a terminal. Asked of the shell, since
-- Lua cannot know.
function filter.terminal(descriptor)
  return os.execute("test -t " .. descriptor) == true
end


-- Writes to standard output. A reader that has gone (`| head -1`) mostly ends
-- the process by SIGPIPE; where a host ignores that signal it is no failure
-- worth a word either.
function filter.write(...)
  local ok, message, code = io.write(...)
  if ok then ok, message, code = io.flush() end
  if not ok then
    local EPIPE <const> = 32
    error({failed = code ~= EPIPE and "cannot write: " .. message or ""}, 0)
  end
end


-- The next `size` texts at most, and the number of the first; nil at the end.
-- What cannot be read fails when the texts before it are done.
local function reader(words, size, longest)
  local done, failure = 0, nil
  local function next_word() return words[done + 1] end
  local function next_line()
    local line, message = core.read_line(io.input(), longest)
    if message then
      failure = "standard input: " .. message
    elseif line == false then
      failure = ("line %d: it has more than %d bytes, the most that a line " ..
                 "may have"):format(done + 1, longest)
    end
    return line or nil
  end
  local next_text = #words > 0 and next_word or next_line
  return function()
    local texts, first = {}, done + 1
    while #texts < size and not failure do
      local text = next_text()
      if text == nil then break end
      texts[#texts + 1], done = text, done + 1
    end
    if #texts > 0 then return texts, first end
    if failure then error({failed = failure}, 0) end
  end
end


-- One result a line, whatever it holds.
local function print_lines(results)
  for i, lines in ipairs(results) do
    results[i] = lines:gsub("[\r\n]+", " ")
  end
  filter.write(table.concat(results, "\n"), "\n")
end


-- Computes and prints a batch. If it fails, each text is computed alone, so
-- that those before the bad one are printed and the message can name it.
local function answer(work, texts, first, kind)
  local ok, results = pcall(work, texts)
  if ok then return print_lines(results) end
  local message = type(results) == "table" and results.failed or results
  if type(message) ~= "string" or message:find "interrupted!" then
    error(results, 0)
  end
  if #texts == 1 then
    message = message:gsub("^%S-%.lua:%d+: ", "")
    error({failed = ("%s %d: %s"):format(kind, first, message)}, 0)
  end
  for i, text in ipairs(texts) do
    answer(work, {text}, first + i - 1, kind)
  end
end


-- work(texts) -> lines, as many, or more if a text has several results.
-- batch: texts computed together; default 32, and 1 at a terminal, where
-- somebody waits for each answer. longest: bytes that a line may have; more are
-- never held.
function filter.run(words, batch, longest, work)
  local typed = #words == 0 and filter.terminal(0)
  local counting = #words == 0 and not typed and filter.terminal(2)
                   and not filter.terminal(1)
  local kind = #words > 0 and "text" or "line"
  local done = 0
  local size = batch or (typed and 1 or 32)
  for texts, first in reader(words, size, longest) do
    answer(work, texts, first, kind)
    done = first + #texts - 1
    if counting then io.stderr:write("\r", done, " lines") end
  end
  if counting and done > 0 then io.stderr:write "\n" end
end


return filter
