-- speed.lua: decant's side of bench/speed.py. Reads commands from standard
-- input, one a line: "load PATH THREADS", "ids ID ID ..." (adds a sentence),
-- "clear", "run BEAMS" (all sentences at once); answers each run with seconds
-- and tokens, so that the peers' runs can stand between two of ours.

package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
package.cpath = "./build/lib/?.so;" .. package.cpath

local decant = require "decant"
local clock = require "decant.core".clock

local model
local sentences = {}

local commands = {
  load = function(path, threads)
    decant.threads(tonumber(threads))
    model = assert(decant.load(path))
  end,
  ids = function(...)
    local ids = {...}
    for i, id in ipairs(ids) do ids[i] = math.tointeger(tonumber(id)) end
    sentences[#sentences + 1] = ids
  end,
  clear = function() sentences = {} end,
  run = function(beams)
    local began, tokens = clock(), 0
    local results = model:generate(sentences, {
      num_beams = math.tointeger(tonumber(beams)), max_new_tokens = 64,
    })
    local seconds = clock() - began
    for _, result in ipairs(results) do tokens = tokens + #result.ids - 1 end
    io.write(("%.6f %d\n"):format(seconds, tokens))
  end,
}

for line in io.lines() do
  local words = {}
  for word in line:gmatch "%S+" do words[#words + 1] = word end
  commands[words[1]](table.unpack(words, 2))
  if words[1] ~= "run" then io.write "ok\n" end
  io.flush()
end
