-- Queries that go through the keys together give the bits of each alone, on
-- every instruction set: spec/support/attention.c against the module's objects.

local core = require "decant.core"
local fixtures = require "spec.support.fixtures"

local build = os.getenv "DECANT_BUILD" or "build"

local function run(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read "a"
  return text, pipe:close()
end

describe("attention", function()
  local program = fixtures.folder() .. "/attention"
  local sanitize = build:find "asan" and "-fsanitize=address,undefined" or ""

  it("is one order of sums for a query, whatever goes with it", function()
    local text, ok = run(("LD_PRELOAD= cc -std=c11 -O1 -ffp-contract=off "
      .. "-D_GNU_SOURCE %s -Isrc spec/support/attention.c %s/math/*.o "
      .. "%s/base/*.o -fopenmp -lm -lpthread -o %s"):format(
        sanitize, build, build, program))
    assert.is_true(ok, text)
    text, ok = run("LD_PRELOAD= " .. program)
    assert.is_true(ok, text)
    local wanted = {}
    for i, isa in ipairs(core.info().isas) do
      wanted[i] = isa .. ": 400 of 400\n"
    end
    assert.equal(table.concat(wanted), text)
  end)
end)
