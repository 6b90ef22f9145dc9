-- setup.lua: lets the examples run from the root of a checkout with
-- `lua5.4 examples/NN_name.lua`. An installed decant needs none of this.

local build = os.getenv "DECANT_BUILD" or "build"
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
package.cpath = "./" .. build .. "/lib/?.so;" .. package.cpath
