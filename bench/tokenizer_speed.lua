-- tokenizer_speed.lua FILE TEXTS: decant's side of bench/tokenizer_speed.py.
-- Reads TEXTS (one text a line) and prints, for FILE, the best CPU seconds of
-- five runs over all lines one by one, and over all of them as one text; then
-- the number of tokens of each, so that the peers can be checked.

package.cpath = "./build/lib/?.so;" .. package.cpath

local core = require "decant.core"

local file, path = arg[1], arg[2]
local tokenizer = assert(core.tokenizer(file))
local plain = {bos = false, eos = false, special = true}

local lines = {}
for line in io.lines(path) do lines[#lines + 1] = line end
local whole = table.concat(lines, " ")

local function best_of(run)
  local best, tokens = math.huge, 0
  for _ = 1, 5 do
    local began = os.clock()
    tokens = run()
    best = math.min(best, os.clock() - began)
  end
  return best, tokens
end

local each, each_tokens = best_of(function()
  local n = 0
  for i = 1, #lines do n = n + #tokenizer:encode(lines[i], plain) end
  return n
end)
local one, one_tokens = best_of(function()
  return #tokenizer:encode(whole, plain)
end)
io.write(("%.6f %.6f %d %d\n"):format(each, one, each_tokens, one_tokens))
