-- models.lua: the model files that specs run on.

local shell = require "spec.support.shell"

local models = {
  bundled = "models/de-en.gguf",
  zoo = "../shared/models/hf-zoo/",  -- tiny random ones; not in the repository
}


-- A small model that can be loaded: the bundled one, or else a converted one
-- of the zoo, whose path the caller removes. nil if there is neither.
function models.any()
  if shell.exists(models.bundled) then return models.bundled end
  if not shell.exists(models.zoo .. "marian/config.json") then return nil end
  local path = os.tmpname()
  assert(require "decant".convert(models.zoo .. "marian", path))
  return path, true
end


return models
