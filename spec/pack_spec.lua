-- The packed copy of quantised weights (src/model/pack.c): what the option
-- pack of load says, when the copy is made, and what happens without memory.

local core = require "decant.core"
local fixtures = require "spec.support.fixtures"
local models = require "spec.support.models"
local shell = require "spec.support.shell"

local LUA <const> = arg[-1] or "lua5.4"
local LARGE_PAGE <const> = 2 << 20  -- bytes

describe("the option pack", function()
  it("is true, false or left out", function()
    for _, wrong in ipairs {1, "yes", {}} do
      assert.error_matches(function() core.load("x", {pack = wrong}) end,
                           "pack is .*, must be true or false")
    end
  end)

  it("makes a copy of the weights, which is counted and given back",
     function()
    local path = fixtures.gguf("marian", "q8_0")
    collectgarbage()  -- what others dropped is not to be counted
    local before = core.memory()
    local plain <close> = core.load(path, {pack = false, tokenizer = false})
    local without = core.memory() - before
    local packed <close> = core.load(path, {tokenizer = false})
    local copy = packed:hparams().packed_bytes
    assert.equal(0, plain:hparams().packed_bytes)
    assert.is_true(copy > 0)
    assert.is_true(core.memory() - before - 2 * without >= copy)
    packed:close()
    plain:close()
    assert.equal(before, core.memory())
  end)

  it("leaves weights alone that are not quantised", function()
    for _, type in ipairs {"f32", "f16"} do
      local model <close> = core.load(fixtures.gguf("marian", type),
                                      {pack = true})
      assert.equal(0, model:hparams().packed_bytes)
    end
  end)

  it("takes what was said of the file", function()
    local path = fixtures.gguf("marian", "q8_0")
    local _, facts = require "decant.inspect"(path)
    local model <close> = core.load(path, {pack = true})
    assert.equal(facts.packed_bytes, model:hparams().packed_bytes)
  end)
end)


-- Kilobytes of mappings with large pages that are in memory; nil: unknown.
local function resident_in_large_pages()
  local maps <close> = io.open "/proc/self/smaps"
  if not maps then return nil end
  local total, size = 0, 0
  for line in maps:lines() do
    size = tonumber(line:match "^Rss:%s*(%d+) kB") or size
    if line:find "^VmFlags:.* hg" then total = total + size end
  end
  return total
end

-- The bundled model, whose copy takes several passes.
local function bundled(pack)
  return assert(core.load(models.bundled, {pack = pack}))
end

-- The bytes of the scores of nine passes: an encoder's, then a decoder's eight.
local function nine_passes(model)
  local source = model:sources(model:encode {{31, 8, 10, 77, 1240, 0}})
  local rows, all = model:rows(1, source[1]), {}
  local id = model:hparams().decoder_start
  for i = 1, 8 do
    local logits = core.forward {{rows, {{id}}}} [1][1]
    id = logits:argmax()
    all[i] = table.concat(logits:totable(), " ")
  end
  return table.concat(all, "\n")
end

describe("the packed copy", function()
  it("gives the same bits before, while and after it is made", function()
    local expected
    do
      local plain <close> = bundled(false)
      expected = nine_passes(plain)
    end
    local model <close> = bundled()
    for _ = 1, 2 do assert.is_true(nine_passes(model) == expected) end
    local packed <close> = bundled(true)
    assert.is_true(nine_passes(packed) == expected)
  end)

  it("is made in the first passes, or at once if it is asked for", function()
    collectgarbage()
    local before = resident_in_large_pages()
    if not before then return pending "no /proc" end
    local function added() return resident_in_large_pages() - before end
    local model <close> = bundled()
    local copy = model:hparams().packed_bytes
    local whole = copy // LARGE_PAGE * LARGE_PAGE // 1024
    assert.is_true(added() <= whole / 2)
    nine_passes(model)
    assert.equal(whole, added())
    local packed <close> = bundled(true)
    assert.equal(copy, packed:hparams().packed_bytes)
    assert.equal(2 * whole, added())
  end)
end)


-- What a process says that loads the bundled model with `pack`, computes, and
-- may take no more than so many KB of addresses (nil: any number).
local function process(pack, limit)
  local script = ([[
    local core = require "decant.core"
    core.threads(1)
    local function size(name)
      local file <close> = io.open "/proc/self/status"
      return file and file:read "a":match(name .. ":%%s*(%%d+)") or "?"
    end
    print(size "VmSize")
    local model, message = core.load(%q, {pack = %s})
    if not model then return print(message) end
    local source = model:sources(model:encode {{31, 8, 10, 77, 1240, 0}})
    local logits = core.forward {{model:rows(1, source[1]), {{7, 9}}}} [1][1]
    print(("%%d %%a"):format(model:hparams().packed_bytes,
                           logits[logits:argmax()]))
    print(size "VmPeak")]]):format(models.bundled, pack)
  local path = fixtures.folder() .. "/process.lua"
  shell.write(path, script)
  local result = shell.run(([[
    %s LUA_CPATH='./%s/lib/?.so' exec %s %s]]):format(
    limit and ("ulimit -v %d;"):format(limit) or "", shell.build,
    shell.quote(LUA), path))
  local lines = {result.err}
  for line in result.out:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return table.unpack(lines)
end

describe("memory that is short", function()
  local plain

  setup(function()
    if shell.sanitized then return end  -- they take addresses by the terabyte
    local _, before, said, peak = process(false)
    plain = {before = tonumber(before), said = said, peak = tonumber(peak)}
  end)

  it("leaves out the copy, and changes no bit", function()
    if not plain or not plain.peak then return pending "cannot be had" end
    local errors, _, said = process(true, plain.peak + 4096)  -- half a copy
    assert.same({"", plain.said}, {errors, said})
    _, _, said = process(true, plain.peak + 16384)
    assert.equal(plain.said:match " (%S+)$", said:match "^[1-9]%d+ (%S+)$")
  end)

  it("for the file itself is a message", function()
    if not plain or not plain.peak then return pending "cannot be had" end
    local _, _, message = process(false, plain.before + 4096)
    assert.equal(("%s: cannot map %d bytes"):format(
      models.bundled, #shell.read(models.bundled)), message)
  end)
end)
