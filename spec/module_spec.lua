-- The module's table and where it looks for bundled models. core.load is
-- replaced here by one that answers with the path that it was asked for.

local core = require "decant.core"

local function shell(command, ...)
  assert(os.execute(command:format(...)))
end

-- The module, loaded from `path`, its core.load noting paths in `asked`.
local function module_at(path, asked)
  local decant = assert(loadfile(path))("decant", path)
  local before = core.load
  core.load = function(file)
    asked[#asked + 1] = file
    return nil, file .. ": cannot be opened"
  end
  finally(function() core.load = before end)
  return decant
end


describe("decant.load", function()
  local folder = os.tmpname()

  setup(function()
    os.remove(folder)
    for _, each in ipairs{"checkout/models", "prefix/share/decant/models"} do
      shell("mkdir -p %s/%s && touch %s/%s/de-en.gguf", folder, each, folder,
            each)
    end
    for _, each in ipairs{"checkout/lua", "prefix/share/lua/5.4", "bare"} do
      shell("mkdir -p %s/%s/decant && cp lua/decant/init.lua %s/%s/decant",
            folder, each, folder, each)
    end
  end)

  teardown(function() shell("rm -r %s", folder) end)

  it("finds a bundled model beside a checkout's lua/", function()
    local asked = {}
    module_at(folder .. "/checkout/lua/decant/init.lua", asked).load "de-en"
    assert.same({folder .. "/checkout/lua/decant/../../models/de-en.gguf"},
                asked)
  end)

  it("finds a bundled model under an installed prefix", function()
    local asked, lua = {}, folder .. "/prefix/share/lua/5.4/decant/"
    module_at(lua .. "init.lua", asked).load "de-en"
    assert.same({lua .. "../../../../share/decant/models/de-en.gguf"}, asked)
  end)

  it("names the files that it tried for one that is not installed", function()
    local decant = module_at(folder .. "/bare/decant/init.lua", {})
    local model, message = decant.load "de-en"
    assert.is_nil(model)
    assert.matches("de%-en: the bundled model is not installed", message)
    assert.matches("models/de%-en.gguf", message)
    assert.same({}, decant.info().models)
  end)

  it("lists the bundled models when a name is unknown", function()
    local decant = module_at("lua/decant/init.lua", {})
    local model, message = decant.load "fr-en"
    assert.is_nil(model)
    assert.matches("fr%-en: cannot be opened", message)
    assert.matches("known: de%-en", message)
  end)

  it("leaves paths to the core, message and all", function()
    local asked = {}
    local decant = module_at("lua/decant/init.lua", asked)
    local _, message = decant.load "some/where.gguf"
    assert.equal("some/where.gguf: cannot be opened", message)
    assert.same({"some/where.gguf"}, asked)
  end)

  it("raises on what is no path", function()
    local decant = module_at("lua/decant/init.lua", {})
    assert.error_matches(function() decant.load(5) end, "got a number")
    assert.error_matches(function() decant.load() end, "got a nil")
    assert.error_matches(function() decant.load("a", {thread = 1}) end,
                         "unknown option 'thread'")
  end)
end)


describe("the option cache_type", function()
  local fixtures = require "spec.support.fixtures"

  it("is 'f32' or 'f16'", function()
    for wrong, shown in pairs {q8_0 = '"q8_0"', F16 = '"F16"', [""] = '""',
                               [16] = "16", [true] = "true"} do
      assert.error(function() core.load("x", {cache_type = wrong}) end,
                   ("bad argument #2 to 'load' (cache_type is %s, must be "
                    .. "'f32' or 'f16')"):format(shown))
    end
  end)

  it("and the others are refused where they are of another type", function()
    for option, wrong in pairs {mmap = "no", pack = 1, vocab_only = 0,
                                tokenizer = {}, context = "5", threads = 65,
                                progress = 5} do
      assert.error_matches(function() core.load("x", {[option] = wrong}) end,
                           option .. " is .+, must be ")
    end
  end)

  it("is what the model's configuration says", function()
    local path = fixtures.gguf("marian", "q8_0")
    for _, type in ipairs {"f32", "f16"} do
      local model <close> = core.load(path, {cache_type = type})
      assert.equal(type, model:hparams().cache_type)
    end
    local model <close> = core.load(path)
    assert.equal("f32", model:hparams().cache_type)
  end)

  it("shows in the last digits only", function()
    local path, found = fixtures.gguf("marian", "f32"), {}
    for i, type in ipairs {"f32", "f16"} do
      local model <close> = core.load(path, {cache_type = type})
      local source = model:sources(model:encode {{5, 6, 7, 8}})
      local rows = model:rows(1, source[1])
      found[i] = core.forward {{rows, {{9, 10, 11}}}} [1][1]
    end
    local worst, largest = 0, 0
    for id = 0, #found[1] - 1 do
      worst = math.max(worst, math.abs(found[1][id] - found[2][id]))
      largest = math.max(largest, math.abs(found[1][id]))
    end
    assert.is_true(worst > 0 and worst < 2e-3 * largest)
  end)
end)


describe("the module", function()
  it("has its parts at their first use, and nothing else", function()
    local decant = require "decant"
    for _, name in ipairs{"strategies", "stop", "processors"} do
      assert.equal("table", type(decant[name]))
      assert.equal(require("decant." .. name), decant[name])
    end
    assert.is_nil(decant.no_such_part)
  end)

  it("knows its version, its threads and its models", function()
    local info = require("decant").info()
    assert.matches("^%d+%.%d+%.%d+$", info.version)
    assert.equal("table", type(info.models))
    assert.is_true(info.threads >= 1)
  end)
end)


-- Threads of this process, as the system counts them; nil where it does not.
local function threads_alive()
  local pipe = assert(io.popen "ls /proc/$PPID/task 2>/dev/null | wc -l")
  local n = pipe:read "n"
  pipe:close()
  return n > 0 and n or nil
end


describe("decant.threads", function()
  local decant = require "decant"
  local before = decant.info()

  after_each(function()
    decant.threads{n = before.threads, wait = before.wait}
  end)

  it("sets the budget, by a number or by name, and answers with it", function()
    assert.equal(3, decant.threads(3))
    assert.equal(3, decant.threads())
    assert.equal(2, decant.threads{n = 2})
    assert.equal(2, decant.threads{wait = "passive"})
    assert.equal("passive", decant.info().wait)
    assert.equal(5, decant.threads{n = 5})
    assert.equal("passive", decant.info().wait)
  end)

  it("says which rule a table breaks, and changes nothing then", function()
    for _, case in ipairs{
      {{threads = 2}, "unknown field 'threads'; known are n, wait"},
      {{2}, "unknown field 'number'"},
      {{n = 0, wait = "passive"}, "n must be an integer from 1 to 64"},
      {{n = "2"}, "n must be an integer from 1 to 64"},
      {{n = 1.5}, "n must be an integer from 1 to 64"},
      {{n = 7, wait = "asleep"}, 'wait must be "active" or "passive"'},
      {{n = 7, wait = true}, 'wait must be "active" or "passive"'},
    } do
      local options, rule = table.unpack(case)
      assert.error_matches(function() decant.threads(options) end, rule, 1,
                           true)
      assert.same(before.threads, decant.threads())
      assert.same(before.wait, decant.info().wait)
    end
    assert.error_matches(function() decant.threads(65) end, "1 to 64")
  end)

  it("keeps no workers behind a step that wait passively", function()
    if not threads_alive() or not before.openmp then
      return pending "needs /proc and OpenMP"
    end
    local worth = core.parallel_from(0)
    finally(function() core.parallel_from(worth) end)
    local model <close> = assert(decant.load "de-en")
    local function step() return model:encode{31, 8, 10, 0}:totable() end
    decant.threads{n = 4, wait = "active"}
    local expected = step()
    assert.is_true(threads_alive() >= 4)
    decant.threads{wait = "passive"}
    for _ = 1, 3 do
      assert.same(expected, step())
      assert.equal(1, threads_alive())
    end
    local ones = decant.ones{40, 40}
    ones:matmul(ones)  -- a loop that is no part of a step
    assert.equal(1, threads_alive())
  end)
end)
