-- Blocks of memory outside of Lua, of either kind (src/base/memory.h): small
-- ones, and large ones in mappings of their own.

local decant = require "decant"
local core = require "decant.core"
local fixtures = require "spec.support.fixtures"

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


-- Blocks of 16 positions, cut from slabs (src/model/cache.c).
describe("the memory of caches", function()
  local ROWS <const> = 8      -- of a session here; each fills one block
  local BESIDE <const> = 256  -- bytes at most that a row takes beside it
  local path = fixtures.gguf("llama", "f32")
  local SCRATCH <const> = 64 * 1024  -- of the model, for a step of so little
  local cache = select(2, require "decant.inspect"(path)).cache
  local block = 16 * (cache.row // cache.context)

  -- Opens short sessions until their blocks take so many bytes; after each
  -- calls see(rows, bytes that were taken for them all, bytes before).
  local function open(bytes, see)
    collectgarbage()
    local model <close> = core.load(path)
    local sessions, ids, taken = {}, {}, 0
    for i = 1, ROWS do ids[i] = {5} end
    local function one_more()
      local session = model:rows(ROWS)
      core.forward {{session, ids}}
      sessions[#sessions + 1] = session
      collectgarbage()
      return core.memory()
    end
    local start = core.memory()
    while core.blocks(model) * block < bytes do
      local now = one_more() - start
      see(core.blocks(model), now, taken)
      taken = now
    end
  end

  it("is that of the blocks in use, and at most a quarter more", function()
    open(8 * MB, function(rows, taken)
      assert.is_true(taken <= 1.25 * rows * block + rows * BESIDE + SCRATCH)
    end)
  end)

  it("grows by large pages where there is much of it", function()
    local steps = 0
    open(20 * MB, function(rows, taken, before)
      local step = taken - before
      if before > 8.5 * MB and step > ROWS * BESIDE then
        steps = steps + 1
        assert.is_true(step >= 4 * MB and step < 5.5 * MB)
      end
      assert.is_true(taken <= 1.5 * rows * block + rows * BESIDE + SCRATCH)
    end)
    assert.is_true(steps >= 2)
  end)
end)
