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
