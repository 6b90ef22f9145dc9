-- decant.stop: when a row ends.

local stop = require "decant.stop"
local toy = require "spec.support.toy"

-- A tokenizer whose tokens say these pieces.
local function saying(pieces)
  local tokenizer = {}
  function tokenizer.decode(_, ids)
    local text = {}
    for i, id in ipairs(ids) do text[i] = pieces[id] end
    return table.concat(text)
  end
  function tokenizer.stream()
    return function(id) return pieces[id] or "" end
  end
  return tokenizer
end

-- Three-byte pieces and one-byte ones, to show text inside of a token.
local tokenizer = saying {"one", " ", "two", "\n", "new"}


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
    local counting = setmetatable({}, {__index = tokenizer})
    function counting.decode(_, ids)
      longest = math.max(longest, #ids)
      return tokenizer.decode(_, ids)
    end
    local row = {}
    for i = 1, 500 do row[i] = 2 end
    stop.text("abc", counting)(row)
    assert.equal(4, longest)
  end)

  -- generate.md, golden 43: a match may end inside of the last token.
  it("ends where the string ends inside of the last token", function()
    local f = stop.text("stop", saying {"last", "top", "topper", "s", "p"})
    for _, case in ipairs{{"stop", 4, 2}, {"stop", 4, 3}, {false, 1, 2},
                          {false, 1, 4}, {false, 4, 5}, {false, 2, 4}} do
      assert.equal(case[1], f{case[2], case[3]})
    end
  end)

  -- golden 44, one byte a token.
  it("judges by the last token as transformers does", function()
    local f = stop.text({"<|im_end|>", "stop", "e nd"}, toy.tokenizer)
    local function judge(text) return f{text:byte(1, -1)} end
    for _, text in ipairs{
      "<|im_start|><|im_end|>", "<|im_start|><|im_end|<|im_end|>",
      ">><|im_start|>>stop", "stop", "e nd"} do
      assert.equal("stop", judge(text), text)
    end
    for _, text in ipairs{
      "<|im_start|><|im_end|", "<|im_end|><|im_start|>",
      "<|im_end|<>stop<|im_end|", "end", "en d", "eNd", "|im_end|>", "s"} do
      assert.is_false(judge(text), text)
    end
  end)

  it("looks through tokens that have no text", function()
    local f = stop.text("ab", toy.tokenizer)
    assert.equal("stop", f{97, 2, 2, 2, 2, 2, 98})
  end)

  it("looks at no text in front of the row", function()
    for _, f in ipairs{
      stop.text("ab", toy.tokenizer, {97}),
      stop.text("ab", toy.tokenizer, nil, nil, {97}),
    } do
      assert.is_false(f{98})
      assert.equal("stop", f{98, 97, 98})
    end
  end)

  it("takes an incomplete character for no text yet", function()
    local half = saying {"a", "\u{FFFD}"}
    function half.stream()
      return function(id) return id == 1 and "a" or "" end
    end
    assert.is_false(stop.text("\u{FFFD}", half){1, 1, 1, 1, 2})
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


describe("stop.own", function()
  it("takes true for \"stop\", a text for the reason, and no more", function()
    local answers = {"bored", true, false, nil}
    local f = stop.own(function(ids) return answers[#ids] end)
    assert.equal("bored", f{1})
    assert.equal("stop", f{1, 1})
    assert.is_false(f{1, 1, 1})
    assert.is_false(f{1, 1, 1, 1})
    answers[1] = 5
    assert.error_matches(function() f{1} end, "returned a number")
    assert.error_matches(function() stop.own(5) end, "a function%(ids%) is")
  end)
end)


describe("stop.any", function()
  it("takes a list of functions without holes", function()
    assert.error_matches(function() stop.any{stop.length(1), 5} end,
                         "a list of functions is wanted, got 5")
    assert.error_matches(function() stop.any{[3] = type} end, "has a hole")
  end)

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
