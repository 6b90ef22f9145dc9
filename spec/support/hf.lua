-- hf.lua: Hugging Face directories for specs: temporary copies of the models
-- in ../shared/models (which are never copied into the repository), changed
-- file by file, and a small reader and writer of .safetensors, written
-- independently of the module's own.
--
--   hf.temp()              -> path of a new, empty folder
--   hf.clean()             removes all of them (for after_each)
--   hf.copy(name [, config]) -> temp folder with the files of that model;
--                             config = "config.v4.json" takes that form
--   hf.read(path)  hf.write(path, bytes)  hf.exists(path)  hf.list(dir)
--   hf.edit_json(path, function(value) ... end)
--   hf.tensors(path)       -> {name = {dtype=, shape=, data=}}
--   hf.save(path, tensors)
--   hf.edit_tensors(dir, function(tensors) ... end)
--   hf.ramp(shape, step)   -> an F32 tensor 0, step, 2 step, ...
--   hf.shell(format, ...)  runs a command

local dkjson = require "dkjson"

local hf = {MODELS = "../shared/models/hf-zoo"}
local made = {}

local function run(command)
  assert(os.execute(command), command)
end

function hf.temp()
  local path = os.tmpname()
  os.remove(path)
  path = path .. ".d"
  run("mkdir '" .. path .. "'")
  made[#made + 1] = path
  return path
end

function hf.clean()
  for _, path in ipairs(made) do run("rm -rf '" .. path .. "'") end
  made = {}
end

function hf.read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

function hf.write(path, bytes)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(bytes))
end

function hf.exists(path)
  local file <close> = io.open(path, "rb")
  return file ~= nil
end

function hf.list(dir)
  local pipe <close> = assert(io.popen("ls -A '" .. dir .. "'"))
  local names = {}
  for name in pipe:lines() do names[#names + 1] = name end
  return names
end

function hf.shell(...)
  run(string.format(...))
end

-- The folder is called like the model, so that general.name is.
function hf.copy(name, config)
  local dir = hf.temp() .. "/" .. name
  run("mkdir '" .. dir .. "'")
  local function copy(from, to)
    hf.write(dir .. "/" .. to, hf.read(hf.MODELS .. "/" .. name .. "/" .. from))
  end
  copy("generation_config.json", "generation_config.json")
  copy("model.safetensors", "model.safetensors")
  copy(config or "config.json", "config.json")
  return dir
end

-- dkjson keeps apart {} and [] by metatables; null is dkjson.null.
function hf.edit_json(path, edit)
  local value = assert(dkjson.decode(hf.read(path), 1, dkjson.null))
  edit(value, dkjson.null)
  hf.write(path, dkjson.encode(value))
end

function hf.tensors(path)
  local bytes = hf.read(path)
  local size, start = string.unpack("<I8", bytes)
  local header = assert(dkjson.decode(bytes:sub(start, start + size - 1)))
  local tensors = {}
  for name, t in pairs(header) do
    if name ~= "__metadata__" then
      local from, to = t.data_offsets[1], t.data_offsets[2]
      tensors[name] = {dtype = t.dtype, shape = t.shape,
                       data = bytes:sub(start + size + from,
                                        start + size + to - 1)}
    end
  end
  return tensors
end

function hf.save(path, tensors)
  local names, header, data, at = {}, {}, {}, 0
  for name in pairs(tensors) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    local t = tensors[name]
    header[i] = ('%s:{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}')
      :format(dkjson.quotestring(name), t.dtype, table.concat(t.shape, ","),
              at, at + #t.data)
    data[i] = t.data
    at = at + #t.data
  end
  local text = "{" .. table.concat(header, ",") .. "}"
  hf.write(path, string.pack("<s8", text) .. table.concat(data))
end

function hf.edit_tensors(dir, edit)
  local path = dir .. "/model.safetensors"
  local tensors = hf.tensors(path)
  edit(tensors)
  hf.save(path, tensors)
end

function hf.ramp(shape, step)
  local count, numbers = 1, {}
  for _, n in ipairs(shape) do count = count * n end
  for i = 1, count do numbers[i] = string.pack("<f", (i - 1) * step) end
  return {dtype = "F32", shape = shape, data = table.concat(numbers)}
end

return hf
