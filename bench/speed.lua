-- speed.lua: decant's side of bench/speed.py. Reads commands from standard
-- input, one a line: "load PATH THREADS", "ids ID ID ..." (adds a sentence),
-- "clear", "run BEAMS MIN MAX" (all sentences at once, that many new tokens at
-- least and at most); answers each run with seconds and tokens, so that the
-- peers' runs can stand between two of ours.

package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
package.cpath = "./build/lib/?.so;" .. package.cpath

local decant = require "decant"
local clock = require "decant.core".clock

local model
local sentences = {}

local function integers(words)
  for i, word in ipairs(words) do words[i] = math.tointeger(tonumber(word)) end
  return words
end

local commands = {
  load = function(path, threads)
    decant.threads(tonumber(threads))
    model = assert(decant.load(path, {pack = true}))  -- not timed
  end,
  ids = function(...) sentences[#sentences + 1] = integers{...} end,
  clear = function() sentences = {} end,
  run = function(...)
    local beams, least, most = table.unpack(integers{...})
    local began, tokens = clock(), 0
    local results = model:generate(sentences, {
      num_beams = beams, min_new_tokens = least, max_new_tokens = most,
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
