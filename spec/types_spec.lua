-- Weight types: what a block stands for, how it is multiplied with and how it
-- is made. Golden values: spec/fixtures/make_types.py; everything else is held
-- against plain code in spec/support/types.c.

local core = require "decant.core"
local fixtures = require "spec.support.fixtures"
local inspect = require "decant.inspect"
local program = require "spec.support.program"
local typed = require "spec.support.typed"

local run = program "types"

local function lines_of(mode)
  local lines = {}
  for line in run(mode):gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines
end

describe("weight types", function()
  it("dequantise and quantise to the bits of the gguf package", function()
    local expected = {}
    for line in io.lines "spec/fixtures/types_golden.txt" do
      expected[#expected + 1] = line
    end
    assert.equal(21, #expected)
    assert.same(expected, lines_of "golden")
  end)

  it("multiply as plain code does, on every instruction set", function()
    local checks, seen = 0, {}
    for _, line in ipairs(lines_of "products") do
      assert.truthy(line:match ": ok$", line)
      seen[line:match "^[^,]+"] = true
      checks = checks + 1
    end
    local plain = {f32 = true, f16 = true, bf16 = true}
    for _, name in ipairs(typed.types) do
      assert.is_true(plain[name] or seen[name], name)
    end
    -- 12 types, each dequantised and then 5 checks an instruction set
    assert.equal(12 * (1 + 5 * #core.info().isas), checks)
  end)

  it("make rows without a usable scale what they are, or no number", function()
    local lines = lines_of "rows"
    assert.equal(#typed.types, #lines)
    for _, line in ipairs(lines) do assert.truthy(line:match ": ok$", line) end
  end)

  it("are fitted with a smaller error than by rounding to nearest", function()
    -- RMS error over that of codes rounded to nearest with scales of 32 bits
    local bounds = {q2_k = 0.82, q3_k = 0.94, q4_k = 0.92, q5_k = 0.95,
                    q6_k = 0.91, iq4_nl = 0.88, iq4_xs = 0.89}
    local n = 0
    for _, line in ipairs(lines_of "errors") do
      local name, ratio = line:match "^(%S+) (%d%.%d%d%d)$"
      assert.is_true(tonumber(ratio) <= bounds[name], line)
      n = n + 1
    end
    assert.equal(7, n)
  end)

  it("are listed by inspect under their names", function()
    for _, name in ipairs(typed.types) do
      local text, facts = inspect(typed.gguf(name))
      assert(text, facts)
      local counts = {}
      for _, total in ipairs(facts.types) do
        counts[total.type] = total.count
      end
      assert.same(name == "f32" and {f32 = 17 + 26}
                  or {[name] = 17, f32 = 26}, counts)
    end
  end)
end)

describe("a model with weights of bf16", function()
  local ids, source = {4, 29, 13, 29}, {31, 8, 10, 23}

  local function logits(path)
    local model <close> = assert(core.load(path))
    return model:decode({ids}, model:sources(model:encode {source})):totable()
  end

  it("has the bits of the same weights as f32", function()
    local function widen(type, bytes)
      assert(type == "bf16")
      return "f32", (bytes:gsub("..", "\0\0%0"))
    end
    local wide = typed.write(fixtures.folder() .. "/typed-wide.gguf",
                             {"bf16"}, widen)
    assert.same(logits(wide), logits(typed.gguf "bf16"))
  end)
end)
