-- decant: transformer models inside Lua.
--
--   local decant = require "decant"
--   local model  = assert(decant.load "de-en")
--   print(model:translate "Der Hund läuft.")
--
-- The module's table; everything that is not needed at once is loaded at its
-- first use. Manual: docs/.

local _, here = ...
local core = require "decant.core"
local lists = require "decant.lists"

-- The models that come with decant: models/NAME.gguf.
local bundled = {"de-en"}

local decant = {
  tokenizer = core.tokenizer,
  tensor = core.tensor, zeros = core.zeros, ones = core.ones, full = core.full,
  logits = core.logits,
  rng = core.rng,
  threads = core.threads,
}

local lazy = {
  config = "decant.config",
  convert = "decant.convert",
  metrics = "decant.metrics",
  processors = "decant.processors",
  stop = "decant.stop",
  strategies = "decant.strategies",
}

setmetatable(decant, {__index = function(self, field)
  if not lazy[field] then return nil end
  local value = require(lazy[field])
  rawset(self, field, value)
  return value
end})


-- The file that this chunk was loaded from: what require says, what the
-- chunk's own debug information says.
local function own_path()
  if type(here) == "string" and here:find "init%.lua$" then return here end
  local info = debug and debug.getinfo(1, "S")
  return info and info.source:match "^@(.*init%.lua)$"
end


-- Where bundled models may lie, as templates for package.searchpath: beside
-- lua/ in a checkout, in share/decant/models of an installed prefix, beside
-- this file in a LuaRocks tree.
local function model_templates()
  local path = own_path()
  local folder = path and path:match "^(.*[/\\])" or "./"
  return folder .. "models/?.gguf;" .. folder .. "../../models/?.gguf;" ..
         folder .. "../../../../share/decant/models/?.gguf"
end


local function path_of_bundled(name)
  return package.searchpath(name, model_templates(), "")
end


local function is_bundled(name)
  for _, each in ipairs(bundled) do
    if each == name then return true end
  end
  return false
end


-- A path is as it is; the name of a bundled model becomes its path.
local function resolve(path)
  if not is_bundled(path) then return path end
  local found, tried = path_of_bundled(path)
  if found then return found end
  return nil, ("%s: the bundled model is not installed:%s"):format(path, tried)
end


local load_options = {"cache_type", "context", "mmap", "pack", "progress",
                      "threads", "tokenizer", "vocab_only"}


local function check_load(path, opts)
  if type(path) ~= "string" then
    error(("decant.load: a path or the name of a bundled model is wanted, " ..
           "got a %s"):format(type(path)), 3)
  end
  return lists.options(opts, "decant.load", load_options)
end


-- decant.load(path [, opts]) -> model | nil, message
-- path: a .gguf file or the name of a bundled model. opts: mmap (true),
-- pack (true, false; nil: small models), context, threads, vocab_only,
-- cache_type ("f32", "f16"), tokenizer (false: ids only),
-- progress(done, total) -> false cancels.
function decant.load(path, opts)
  opts = check_load(path, opts)
  local file, message = resolve(path)
  if not file then return nil, message end
  local handle, failure = core.load(file, opts)
  if handle then
    return require("decant.model").new(handle, nil, opts.vocab_only)
  end
  if path:find "^[%w_-]+$" and file == path then
    failure = ("%s (nor is it a bundled model; known: %s)"):format(
              failure, table.concat(bundled, ", "))
  end
  return nil, failure
end


-- decant.info() -> {version, isa, isas, threads, wait, openmp, models = {NAME =
-- path of each bundled model that is there}}
function decant.info()
  local info = core.info()
  info.models = {}
  for _, name in ipairs(bundled) do
    info.models[name] = path_of_bundled(name)
  end
  return info
end

return decant
