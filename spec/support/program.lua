-- program.lua: a C program of this folder, linked with the module's objects of
-- base/ and math/.
--
--   local run = program(name)     spec/support/NAME.c, built at the first run
--   run([arguments])              -> what it prints; fails unless it ends well

local assert = require "luassert"
local fixtures = require "spec.support.fixtures"

local build = os.getenv "DECANT_BUILD" or "build"
local sanitize = build:find "asan" and "-fsanitize=address,undefined" or ""

local function output(command)
  local pipe = io.popen("LD_PRELOAD= " .. command .. " 2>&1")
  local text = pipe:read "a"
  assert.is_true(pipe:close(), text)
  return text
end

return function(name)
  local path, built = fixtures.folder() .. "/" .. name, false
  return function(arguments)
    if not built then
      output(("cc -std=c11 -O1 -ffp-contract=off -D_GNU_SOURCE %s -Isrc "
              .. "spec/support/%s.c %s/math/*.o %s/base/*.o -fopenmp -lm "
              .. "-lpthread -o %s"):format(sanitize, name, build, build, path))
      built = true
    end
    return output(path .. " " .. (arguments or ""))
  end
end
