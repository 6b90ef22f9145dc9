-- decant.stop: when a row ends.

local stop = require "decant.stop"

-- Three-byte pieces and one-byte ones, to show text inside of a token.
local pieces = {[1] = "one", [2] = " ", [3] = "two", [4] = "\n", [5] = "new"}
local tokenizer = {}
function tokenizer.decode(_, ids)
  local text = {}
  for _, id in ipairs(ids) do text[#text + 1] = pieces[id] end
  return table.concat(text)
end


describe("stop.eos", function()
  it("looks at the last token only", function()
    local f = stop.eos{2, 5}
    assert.equal("eos", f{1, 2})
    assert.equal("eos", f{5})
    assert.is_false(f{2, 1})
    assert.is_false(f{})
  end)

  it("takes one id", function()
    assert.equal("eos", stop.eos(0){3, 0})
  end)

  it("never ends without ids", function()
    assert.is_false(stop.eos{}{1, 2})
  end)
end)


describe("stop.length", function()
  it("ends at n tokens and beyond", function()
    local f = stop.length(2)
    assert.is_false(f{1})
    assert.equal("length", f{1, 2})
    assert.equal("length", f{1, 2, 3})
  end)

  it("takes positive integers only", function()
    for _, n in ipairs{0, -1, 1.5, "3"} do
      assert.error_matches(function() stop.length(n) end,
                           "stop.length: a positive integer")
    end
  end)
end)


describe("stop.text", function()
  it("ends where the string is complete, even inside of a token", function()
    local f = stop.text({"e t", "wn"}, tokenizer)
    assert.is_false(f{1, 2})
    assert.equal("stop", f{1, 2, 3})
    assert.is_false(f{3, 5})
  end)

  it("takes one string, and characters with a meaning in patterns", function()
    assert.equal("stop", stop.text("\nn", tokenizer){4, 5})
    assert.is_false(stop.text(".", tokenizer){1})
  end)

  it("looks back no further than it must", function()
    local longest = 0
    local counting = {}
    function counting.decode(_, ids)
      longest = math.max(longest, #ids)
      return tokenizer.decode(_, ids)
    end
    local row = {}
    for i = 1, 500 do row[i] = 2 end
    stop.text("abc", counting)(row)
    assert.equal(4, longest)
  end)

  it("raises without a tokenizer or on an empty string", function()
    assert.error_matches(function() stop.text "a" end, "a tokenizer is wanted")
    assert.error_matches(function() stop.text("", tokenizer) end, "not empty")
  end)
end)


describe("stop.time", function()
  it("lets a row live before its time is up, and not after", function()
    assert.is_false(stop.time(1e6){1})
    local f = stop.time(1e-9)
    repeat local reason = f{1} until reason == "time"
  end)
end)


describe("stop.any", function()
  it("gives the first reason", function()
    local f = stop.any{stop.eos(2), stop.length(2)}
    assert.is_false(f{1})
    assert.equal("eos", f{1, 2})
    assert.equal("length", f{1, 1})
  end)

  it("judges many rows in turn", function()
    local f = stop.any{stop.eos(2), stop.length(9)}
    assert.equal("eos", f{2})
    assert.is_false(f{1, 1, 1})
    assert.equal("eos", f{1, 2})
  end)
end)
