-- The same input gives the same bits (DESIGN, section 3).

local fixtures = require "spec.support.fixtures"
local core = require "decant.core"
local tiny = require "spec.support.tiny"
local typed = require "spec.support.typed"

local lua = arg[-1] or "lua5.4"

local function run(isa, ways, paths)
  local command = ("DECANT_ISA=%s LUA_PATH='%s' LUA_CPATH='%s' %s "
    .. "spec/support/bits.lua %s %s 2>&1"):format(isa, package.path,
    package.cpath, lua, ways, table.concat(paths, " "))
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  return text, pipe:close()
end

-- A line for each of `paths`.
local function hashes_of(isa, ways, paths)
  local text, ok = run(isa, ways, paths)
  assert.is_true(ok, text)
  local _, lines = text:gsub("%x%x%x%x%x%x%x%x\n", "")
  assert.equal(#paths, lines)
  return text
end

describe("logits", function()
  local paths = {}
  for _, name in ipairs {"marian", "bart"} do
    for _, type in ipairs {"f32", "f16", "q8_0"} do
      paths[#paths + 1] = fixtures.gguf(name, type)
    end
  end
  for _, name in ipairs(tiny.names) do
    local path = fixtures.folder() .. "/tiny-" .. name .. ".gguf"
    paths[#paths + 1] = tiny.write(path, name)
  end
  -- attention over 20 tiles: of all layers, of some, of none but a window
  for _, name in ipairs {"llama", "gemma2", "phi3"} do
    local path = fixtures.folder() .. "/long-" .. name .. ".gguf"
    paths[#paths + 1] = tiny.write(path, name, function(model)
      tiny.set(model, name .. ".context_length", 320)
    end)
  end
  local isas = core.info().isas
  local hashes = {}

  local function same_everywhere(ways, models)
    local expected
    for _, isa in ipairs(isas) do
      local text = hashes_of(isa, ways, models)
      expected = expected or text
      assert.equal(expected, text)
    end
    return expected
  end

  for _, isa in ipairs(isas) do
    it("do not depend on threads, batch, chunks or cache (" .. isa .. ")",
       function()
      hashes[#hashes + 1] = hashes_of(isa, "all", paths)
    end)
  end

  it("have the same hash on every instruction set", function()
    assert.equal(#isas, #hashes)
    for _, text in ipairs(hashes) do assert.equal(hashes[1], text) end
  end)

  it("have one other hash with a cache of halves", function()
    local expected = same_everywhere("some-f16", paths)
    local text = run(isas[1], "some", paths)
    for line in text:gmatch "[^\n]+" do
      assert.is_nil(expected:find(line, 1, true))
    end
  end)

  it("have the same hash everywhere for every weight type", function()
    local models, mixed = {}, {"q4_k", "q6_k", "f32", "q8_0", "bf16", "iq4_nl",
                               "q2_k", "f16", "q5_1"}
    for i, type in ipairs(typed.types) do models[i] = typed.gguf(type) end
    models[#models + 1] = typed.gguf("mixed", mixed)
    same_everywhere("some", models)
  end)

  it("come from an instruction set that exists", function()
    local text, ok = run("mmx", "all", paths)
    assert.is_falsy(ok)
    assert.truthy(text:find("DECANT_ISA: no instruction set 'mmx'", 1, true))
  end)
end)
