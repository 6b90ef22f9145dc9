-- Blocks of memory outside of Lua, of either kind (src/base/memory.h): small
-- ones, and large ones in mappings of their own.

local decant = require "decant"
local core = require "decant.core"

local MB <const> = 1024 * 1024
local sizes = {small = 1 * MB, large = 9 * MB}

-- A vector of zeros of so many bytes.
local function zeros(bytes) return decant.zeros {bytes // 4} end

-- Kilobytes that /proc/self/status gives under a name, or nil.
local function status(name)
  local file <close> = io.open("/proc/self/status")
  return file and tonumber(file:read "a":match(name .. ":%s*(%d+) kB"))
end

-- How many mappings of this process ask for large pages; nil: cannot be known.
local function advised()
  local setting = io.open "/sys/kernel/mm/transparent_hugepage/enabled"
  local maps <close> = io.open "/proc/self/smaps"
  if not setting or not maps then return nil end
  setting:close()
  local _, n = maps:read "a":gsub("\nVmFlags:[%l ]* hg[ \n]", "")
  return n
end

describe("memory", function()
  for kind, bytes in pairs(sizes) do
    it("is zero, counted and given back (" .. kind .. " blocks)", function()
      collectgarbage()
      local before = core.memory()
      local tensor = zeros(bytes)
      assert.is_true(core.memory() - before >= bytes)
      assert.equal(0, tensor:max())
      tensor:fill(1)
      assert.equal(bytes // 4, tensor:sum())
      tensor = nil  -- luacheck: ignore
      collectgarbage()
      assert.equal(before, core.memory())
      assert.equal(0, zeros(bytes):max())  -- also where a block was before
    end)
  end

  it("of a large block is nobody's before it is written to", function()
    local before = status "VmRSS"
    if not before then return pending "no /proc" end
    local tensor = zeros(64 * MB)
    local unused = status "VmRSS"
    assert.is_true(unused - before < 16 * 1024)
    tensor:fill(1)
    assert.is_true(status "VmRSS" - unused > 48 * 1024)
  end)

  it("of a large block asks for large pages where there are some", function()
    collectgarbage()
    local before = advised()
    if not before then return pending "no transparent huge pages" end
    local small, large = zeros(sizes.small), zeros(sizes.large)
    assert.equal(before + 1, advised())
    assert.equal(0, small[1] + large[1])
    large = nil  -- luacheck: ignore
    collectgarbage()
    assert.equal(before, advised())
  end)

  it("that is short is an error, not a crash", function()
    for _, bytes in ipairs {1 << 47, 1 << 62} do
      local ok, message = pcall(zeros, bytes)
      assert.is_false(ok)
      assert.truthy(message:find "memory" or message:find "large", message)
    end
  end)
end)
