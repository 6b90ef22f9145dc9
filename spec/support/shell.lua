-- shell.lua: runs commands for specs that look at decant from outside.

local shell = {}


function shell.quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end


function shell.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end


function shell.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end


function shell.exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end


-- A new, empty directory under the system's temporary one.
function shell.directory()
  local pipe = assert(io.popen "mktemp -d")
  local path = pipe:read "l"
  pipe:close()
  return path
end


-- Runs a line of sh; returns {status=, signal=, out=, err=}. `input` is what
-- its standard input holds, nothing by default.
function shell.run(line, input)
  local base = os.tmpname()
  shell.write(base, input or "")
  local _, how, code = os.execute(("( %s\n) <%s >%s.out 2>%s.err")
                                  :format(line, base, base, base))
  local result = {
    out = shell.read(base .. ".out"), err = shell.read(base .. ".err"),
    status = how == "exit" and code, signal = how == "signal" and code,
  }
  for _, ending in ipairs {"", ".out", ".err"} do os.remove(base .. ending) end
  return result
end


-- The build that the specs run against, and whether it has sanitizers.
shell.build = os.getenv "DECANT_BUILD" or "build"
shell.sanitized = shell.read(shell.build .. "/flags"):find "-fsanitize" ~= nil

-- In front of compilers and other tools that are not to be instrumented.
shell.plain = "env -u LD_PRELOAD "


return shell
