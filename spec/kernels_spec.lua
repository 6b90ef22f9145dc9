-- Every instruction set gives the bits of the scalar code, and the functions
-- agree with libm: spec/support/kernels.c, built against the module's objects.

local program = require "spec.support.program"

describe("the kernels", function()
  it("give the same bits on every instruction set", function()
    local text = program "kernels" ()
    local checks = 0
    for line in text:gmatch "[^\n]+" do
      assert.truthy(line:match ": ok$", line)
      checks = checks + 1
    end
    assert.is_true(checks >= 10)
  end)
end)
