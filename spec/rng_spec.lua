-- Rng: Philox4x32-10 as a stream keyed by (seed, row, position).

local core = require "decant.core"

describe("the random numbers", function()
  it("are Philox4x32-10: the known answers of Random123", function()
    -- kat_vectors of Random123 1.14; counter = position, row; key = seed.
    assert.same({0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
                {core.rng(0):bits()})
    assert.same({0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
                {core.rng(-1):row(-1):at(-1):bits()})
    assert.same({0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
                {core.rng(0x299f31d0a4093822):row(0x0370734413198a2e)
                 :at(0x85a308d3243f6a88):bits()})
  end)

  it("take 53 bits of a block for a uniform number", function()
    local rng = core.rng(42)
    for position = 0, 99 do
      local low, high = core.rng(42):at(position):bits()
      local want = ((high << 32 | low) >> 11) * 2^-53
      local u = rng:uniform()
      assert.equal(want, u)
      assert.is_true(u >= 0 and u < 1)
    end
  end)

  it("depend on seed, row and position and on nothing else", function()
    local a, b = core.rng(1):row(3), core.rng(1):row(3)
    for _ = 1, 10 do a:uniform() end
    assert.equal(a:uniform(), b:at(10):uniform())
    assert.are_not.equal(core.rng(1):uniform(), core.rng(2):uniform())
    assert.are_not.equal(core.rng(1):uniform(), core.rng(1):row(1):uniform())
    assert.same({1, 3, 11}, {a:state()})
    assert.equal("decant.Rng (seed 1, row 3, position 11)", tostring(a))
  end)

  it("leave the parent alone when a row is taken", function()
    local rng = core.rng(5)
    rng:row(2):uniform()
    assert.same({5, 0, 0}, {rng:state()})
  end)

  it("ask for an integer as seed", function()
    assert.has_error(function() core.rng(0.5) end)
    assert.has_error(function() core.rng() end)
    assert.has_error(function() core.rng(1):row("x") end)
  end)
end)
