-- translate.lua MODEL BEAMS: lines of standard input, translated in one call.

package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
package.cpath = "./build/lib/?.so;" .. package.cpath

local decant = require "decant"
local model = assert(decant.load(arg[1]))
local lines = {}
for line in io.lines() do lines[#lines + 1] = line end
local texts = model:translate(lines, {
  num_beams = math.tointeger(tonumber(arg[2])),
})
io.write(table.concat(texts, "\n"), "\n")
