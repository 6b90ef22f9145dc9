-- Processors give the same bits on every instruction set.

local core = require "decant.core"

local lua = arg[-1] or "lua5.4"

describe("processors", function()
  it("give the same bits on every instruction set", function()
    local first
    for _, isa in ipairs(core.info().isas) do
      local pipe = assert(io.popen(
        ("DECANT_ISA=%s LUA_PATH='%s' LUA_CPATH='%s' %s "
         .. "spec/support/processor_bits.lua 2>&1"):format(
        isa, package.path, package.cpath, lua)))
      local text = pipe:read "a"
      assert.is_true(pipe:close(), text)
      local _, lines = text:gsub("\t%x+\n", "")
      assert.is_true(lines > 30, text)
      first = first or text
      assert.equal(first, text)
    end
  end)
end)
