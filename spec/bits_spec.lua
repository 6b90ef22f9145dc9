-- The same input gives the same bits (DESIGN, section 3).

local fixtures = require "spec.support.fixtures"
local core = require "decant.core"

local lua = arg[-1] or "lua5.4"

local function run(isa, paths)
  local command = ("DECANT_ISA=%s LUA_PATH='%s' LUA_CPATH='%s' %s %s %s 2>&1")
    :format(isa, package.path, package.cpath, lua, "spec/support/bits.lua",
            table.concat(paths, " "))
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  return text, pipe:close()
end

describe("logits", function()
  local paths = {}
  for _, name in ipairs {"marian", "bart"} do
    for _, type in ipairs {"f32", "f16", "q8_0"} do
      paths[#paths + 1] = fixtures.gguf(name, type)
    end
  end
  local isas = core.info().isas
  local first

  for _, isa in ipairs(isas) do
    it("do not depend on threads, batch, chunks or cache (" .. isa .. ")",
       function()
      local text, ok = run(isa, paths)
      assert.is_true(ok, text)
      local _, lines = text:gsub("%x%x%x%x%x%x%x%x\n", "")
      assert.equal(#paths, lines)
    end)
  end

  it("have the same hash on every instruction set", function()
    for _, isa in ipairs(isas) do
      local text = run(isa, paths)
      first = first or text
      assert.equal(first, text)
    end
  end)

  it("come from an instruction set that exists", function()
    local text, ok = run("mmx", paths)
    assert.is_falsy(ok)
    assert.truthy(text:find("DECANT_ISA: no instruction set 'mmx'", 1, true))
  end)
end)
