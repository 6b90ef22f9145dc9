-- run.lua [busted's options] [files]: the specs, through the Lua that runs
-- this file (a bare `busted` of Debian would run Lua 5.1), against the module
-- in $DECANT_BUILD or build/. Ends with "N passed, N failed, N skipped".

local build = os.getenv "DECANT_BUILD" or "build"
package.path = "./lua/?.lua;./lua/?/init.lua;./?.lua;" .. package.path
package.cpath = "./" .. build .. "/lib/?.so;" .. package.cpath

local given = #arg > 0
table.insert(arg, 1, "--output=spec/support/summary.lua")
table.insert(arg, 1, "--pattern=_spec")
if not given then arg[#arg + 1] = "spec" end
require "busted.runner" {standalone = false}
