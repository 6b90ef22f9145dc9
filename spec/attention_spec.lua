-- Queries that go through the keys together give the bits of each alone, on
-- every instruction set: spec/support/attention.c against the module's objects.

local core = require "decant.core"
local program = require "spec.support.program"

describe("attention", function()
  it("is one order of sums for a query, whatever goes with it", function()
    local text = program "attention" ()
    local wanted = {}
    for i, isa in ipairs(core.info().isas) do
      wanted[i] = isa .. ": 400 of 400\n"
    end
    assert.equal(table.concat(wanted), text)
  end)
end)
