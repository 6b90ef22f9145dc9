-- peer.lua: a program that answers each line with a line, as a function.
--
--   local ask = require "bench.peer" (command)
--   ask "decode 16 48"  --> "0.512345"
--
-- The program runs until this one ends (or collects `ask`): then its standard
-- input does. Lua's popen knows one direction, so there are two named pipes.

return function(command)
  local to, from = os.tmpname(), os.tmpname()
  assert(os.execute(("rm -f %s %s && mkfifo %s %s"):format(to, from, to, from)))
  assert(os.execute(("%s <%s >%s &"):format(command, to, from)))
  local input = assert(io.open(to, "w"))
  local output = assert(io.open(from, "r"))
  os.remove(to)
  os.remove(from)
  return function(line)
    input:write(line, "\n")
    input:flush()
    return (assert(output:read "l", command .. ": ended at: " .. line))
  end
end
