-- Each program of examples/ runs from the root of the checkout, says what it
-- promises, and ends well.

local shell = require "spec.support.shell"
local models = require "spec.support.models"

local function example(name)
  local result = shell.run(("%s examples/%s.lua"):format(arg[-1] or "lua5.4",
                                                         name))
  assert.equal("", result.err)
  assert.equal(0, result.status)
  return result.out
end

local function has(text, ...)
  for _, part in ipairs {...} do
    assert.truthy(text:find(part, 1, true), ("no '%s' in:\n%s"):format(part,
                                                                       text))
  end
end

-- The first captures of `pattern` in `text`.
local function find(text, pattern)
  local found = {text:match(pattern)}
  assert.truthy(found[1], ("no '%s' in:\n%s"):format(pattern, text))
  return table.unpack(found)
end

local function lines_like(text, pattern)
  local n = 0
  for line in text:gmatch "[^\n]+" do
    if line:find(pattern) then n = n + 1 end
  end
  return n
end

local function with_model(body)
  return function()
    if not shell.exists(models.bundled) then
      return pending("needs " .. models.bundled)
    end
    return body()
  end
end

describe("example", function()
  it("01 translates step by step", with_model(function()
    local out = example "01_translate"
    has(out, "source pieces: ▁Der", "EOS token generated",
        "one pass: true")
    find(out, "translation: The dog %l[^\n]*%.\n")
    local steps = lines_like(out, "^%s*%d+  input: ")
    assert.is_true(steps >= 4)
    assert.equal(steps, lines_like(out, "^    prediction: .*probability 0%."))
    assert.truthy(out:find("prediction: </s>", 1, true))
    has(out, "20 steps with the cache:     20 positions",
        "20 steps without the cache: 210 positions")
  end))

  it("02 turns logits into probabilities", function()
    local out = example "02_logits"
    has(out, "argmax: dog, probability 0.4934", "1. dog  0.4934",
        "2. The  0.3655", "3. cat  0.0901",
        "6  dog    0.4934  " .. ("█"):rep(24) .. "\n",
        "0  <pad>  0.0000  \n")
  end)

  it("03 compares strategies", with_model(function()
    local out = example "03_strategies"
    has(out, "greedy:          dog\n",
        "top-k 3:         dog 0.44, The 0.39, runs 0.17\n",
        "top-p 0.75:      dog 0.53, The 0.47\n",
        "all:             dog 0.40, The 0.35, runs 0.15, cat 0.08, eos 0.02\n")
    local sharp = find(out, "temperature 0.5: dog (0%.%d+)")
    local flat = find(out, "temperature 2:   dog (0%.%d+)")
    assert.is_true(tonumber(sharp) > 0.4 and tonumber(flat) < 0.4)
    assert.equal(2, lines_like(out, "^ +deterministic$"))
    assert.equal(3, lines_like(out, "^ +random; the same for the same seed$"))
    for _, name in ipairs {"greedy", "sampling", "top%-k 10", "top%-p 0%.9",
                           "beam 4"} do
      find(out, "\n" .. name .. " +%-?%d+%.%d+  %S[^\n]+\n")
    end
    assert.equal(out, example "03_strategies")
  end))

  it("04 generates with nothing but decode and tensors", with_model(function()
    local out = example "04_generate_basic"
    local n = find(out, "shape: 1 x (%d+)\n")
    local ids = find(out, "ids:   ([%d ]+)\n")
    assert.equal(tonumber(n), select(2, ids:gsub("%d+", "")))
    has(out, "equal to generate with greedy: true")
  end))

  it("05 keeps placeholders", with_model(function()
    local out = example "05_own_strategy"
    local count = find(out, "\n  %-> ([^\n]*{count}[^\n]*)")
    has(count, "{player}")
    find(out, "Wo ist {player}%?\n  %-> [^\n]*{player}")
    find(out, "Guten Morgen!\n  %-> %S")
  end))

  it("06 writes without a letter", with_model(function()
    local out = example "06_own_processor"
    find(out, "as it is: +%S")
    for letter in ("aeo"):gmatch "." do
      local text = find(out, ("without '%s': ([^\n]+)\n"):format(letter))
      assert.falsy(text:lower():find(letter, 1, true), text)
    end
  end))

  it("07 translates one step a frame", with_model(function()
    local out = example "07_game_loop"
    local frames, longest = find(out, "(%d+) frames, longest step ([%d.]+) ms")
    assert.equal(tonumber(frames), lines_like(out, "^frame +%d"))
    assert.is_true(tonumber(frames) >= 5 and tonumber(longest) > 0)
    find(out, "translation: %S[^\n]+\n")
  end))

  it("08 plans a line that fits", with_model(function()
    local out = example "08_tree_search"
    assert.equal(2, lines_like(out, "^  greedy +%d+!  %S"))
    local lines = 0
    for width, length in out:gmatch
      "at most (%d+) characters.-tree search +(%d+)   %S" do
      lines = lines + 1
      assert.is_true(tonumber(length) <= tonumber(width))
    end
    assert.equal(2, lines)
  end))

  it("09 says given words with a GGUF file", function()
    local out = example "09_gguf_beams"
    local start = "Lily and Tom went to the park. They"
    local function line(name)
      return find(out, ("\n?%s: log%%-probability (%%-[%%d.]+)\n  %s(.-)\n")
                       :format(name, (start:gsub("%.", "%%."))))
    end
    local greedy = tonumber((line "greedy"))
    assert.is_true(tonumber((line "8 beams")) > greedy)
    assert.equal(" saw a big cake and a small dragon.",
                 select(2, line "saying dragon and cake"))
    has(select(2, line "saying dragon"), "dragon")
    has(select(2, line "saying king or queen"), "queen")
    local other = shell.run((arg[-1] or "lua5.4") ..
                            " examples/09_gguf_beams.lua no/such.gguf")
    assert.equal(0, other.status)
    has(other.out, "no/such.gguf", "Pass the path of a decoder-only GGUF file")
  end)
end)
