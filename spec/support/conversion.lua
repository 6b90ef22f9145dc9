-- conversion.lua: for specs of decant.convert.
--
--   converted(dir, opts) -> GGUF, path    converts and opens the result
--   refusal(dir, opts)   -> message       of a conversion that must fail and
--                                         leave nothing behind
--   target()             -> path of a file in a new folder
--   keys_of(gguf)        -> {key = {kind, value}}
--   contains(text, part)                 asserts it, showing the text

local assert = require "luassert"
local convert = require "decant.convert"
local core = require "decant.core"
local hf = require "spec.support.hf"

local function target()
  return hf.temp() .. "/out.gguf"
end

local function converted(dir, opts)
  local path = target()
  assert(convert(dir, path, opts))
  return assert(core.gguf(path)), path
end

local function refusal(dir, opts)
  local path = target()
  local ok, message = convert(dir, path, opts)
  assert.is_nil(ok)
  assert.same({}, hf.list(path:match "^(.*)/"))
  return message
end

local function contains(text, part)
  assert.truthy(text:find(part, 1, true), text)
end

local function keys_of(gguf)
  local found = {}
  for _, key in ipairs(gguf:keys()) do
    found[key] = {gguf:type(key), gguf:get(key)}
  end
  return found
end

return {target = target, converted = converted, refusal = refusal,
        contains = contains, keys_of = keys_of}
