-- Every instruction set gives the bits of the scalar code, and the functions
-- agree with libm: spec/support/kernels.c, built against the module's objects.

local fixtures = require "spec.support.fixtures"

local build = os.getenv "DECANT_BUILD" or "build"

local function run(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read "a"
  return text, pipe:close()
end

describe("the kernels", function()
  local program = fixtures.folder() .. "/kernels"
  local sanitize = build:find "asan" and "-fsanitize=address,undefined" or ""

  it("give the same bits on every instruction set", function()
    local text, ok = run(("LD_PRELOAD= cc -std=c11 -O1 -ffp-contract=off "
      .. "-D_GNU_SOURCE %s -Isrc spec/support/kernels.c %s/math/*.o "
      .. "%s/base/*.o -fopenmp -lm -lpthread -o %s"):format(
        sanitize, build, build, program))
    assert.is_true(ok, text)
    text, ok = run("LD_PRELOAD= " .. program)
    assert.is_true(ok, text)
    local checks = 0
    for line in text:gmatch "[^\n]+" do
      assert.truthy(line:match ": ok$", line)
      checks = checks + 1
    end
    assert.is_true(checks >= 10)
  end)
end)
