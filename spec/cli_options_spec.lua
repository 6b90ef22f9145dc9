-- The reader of command lines (lua/decant/cli/options.lua), by itself.

local nearest = require "decant.nearest"
local options = require "decant.cli.options"

local known = {
  model = {key = "model", kind = "text", short = "m"},
  beams = {key = "config.beams", kind = "integer", negatable = true},
  scale = {key = "scale", kind = "number"},
  quick = {key = "quick", kind = "boolean", negatable = true},
  early = {key = "early", kind = "boolean_or_text", negatable = true},
  ids = {key = "ids", kind = "ids"},
  eos = {key = "eos", kind = "id_or_ids"},
  words = {key = "words", kind = "lists"},
  stops = {key = "stops", kind = "texts"},
}

local function parse(...) return options.parse({...}, known) end

local function refusal(...)
  local ok, problem = pcall(parse, ...)
  assert.is_false(ok)
  return problem.usage
end

describe("the command line", function()
  it("gives values by key and the other words in order", function()
    local values, rest = parse("a", "--model", "x.gguf", "b", "--beams=4")
    assert.same({model = "x.gguf", ["config.beams"] = 4}, values)
    assert.same({"a", "b"}, rest)
  end)

  it("reads every kind of value", function()
    local values = parse("-m", "--beams", "--scale", "-0.5", "--ids", "5,6",
                         "--eos", "7", "--words", "5,6;7", "--stops", "a,b c")
    assert.same({model = "--beams", scale = -0.5, ids = {5, 6}, eos = 7,
                 words = {{5, 6}, {7}}, stops = {"a", "b c"}}, values)
    assert.same({eos = {7, 8}}, (parse("--eos=7,8")))
    assert.same({scale = 2}, (parse("--scale", "2")))
  end)

  it("switches flags on and off", function()
    assert.same({quick = true, early = true}, (parse("--quick", "--early")))
    assert.same({quick = false, early = "never"},
                (parse("--no-quick", "--early=never")))
    assert.same({quick = false}, (parse("--quick=false")))
    assert.same({["config.beams"] = false}, (parse("--no-beams")))
  end)

  it("takes everything after -- and what is no option as it is", function()
    local _, rest = parse("-", "-5", "- x", "--", "--model", "--")
    assert.same({"-", "-5", "- x", "--model", "--"}, rest)
  end)

  it("takes an empty value, but not an empty number", function()
    assert.same({model = ""}, (parse("--model=")))
    assert.truthy(refusal("--beams="):find("'' is not a whole number", 1, true))
  end)

  it("says what is wrong", function()
    assert.equal("unknown option --beam; the nearest one is --beams",
                 refusal("--beam", "4"))
    assert.equal("unknown option --no-model; the nearest one is --model",
                 refusal("--no-model"))
    assert.equal("unknown option -q; a text that begins so goes after --",
                 refusal("-q"))
    assert.equal("--beams needs a value", refusal("--beams"))
    assert.equal("--no-quick takes no value", refusal("--no-quick=1"))
    assert.equal("--ids: '5,' is not token ids with commas between them",
                 refusal("--ids", "5,"))
    assert.equal("--words: '5;' is not lists such as 5,6;7",
                 refusal("--words", "5;"))
  end)
end)

describe("the nearest name", function()
  it("is the one with the fewest letters changed, then the first", function()
    assert.equal("translate", nearest("tranlate", {"info", "generate",
                                                           "translate"}))
    assert.equal("ab", nearest("a", {"ac", "ab"}))
  end)
end)
