-- fixtures.lua: models for the specs, converted on demand by decant itself
-- from the tiny Hugging Face directories of ../shared/models/hf-zoo into a
-- temporary folder that is removed when the process ends.

local fixtures = {}

local zoo = "../shared/models/hf-zoo/"
local folder, made = nil, {}

-- A folder of its own for this process.
function fixtures.folder()
  if not folder then
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
    fixtures.cleaner = setmetatable({}, {__gc = function()
      os.execute("rm -rf " .. folder)
    end})
  end
  return folder
end

-- Path of a GGUF of hf-zoo/NAME in a weight type.
function fixtures.gguf(name, type)
  local key = name .. "-" .. type
  if not made[key] then
    local path = fixtures.folder() .. "/" .. key .. ".gguf"
    assert(require "decant.convert" (zoo .. name, path, {type = type}))
    made[key] = path
  end
  return made[key]
end

-- The lines of a file of JSON objects, decoded; JSON null is `null`.
function fixtures.json_lines(path)
  local json = require "dkjson"
  local rows = {}
  for line in io.lines(path) do
    rows[#rows + 1] = assert(json.decode(line, 1, fixtures.null))
  end
  return rows
end

fixtures.null = setmetatable({}, {__tostring = function() return "null" end})

function fixtures.golden(name)
  return fixtures.json_lines(zoo .. name .. "/golden.jsonl")
end

return fixtures
