-- checkpoints.lua: the models of spec/fixtures/checkpoints.jsonl (its maker,
-- checkpoints.py, has the same formula for the weights).
--
--   tiny.cases()                  -> list of {name=, config=, tensors=, ...}
--   tiny.case(name)               -> one of them
--   tiny.directory(case [, form]) -> a new Hugging Face directory; form =
--                                    "config_v4" has the older config.json

local dkjson = require "dkjson"
local hf = require "spec.support.hf"

local tiny = {}
local cases, bytes = nil, {}

function tiny.cases()
  if not cases then
    cases = {}
    for line in io.lines "spec/fixtures/checkpoints.jsonl" do
      cases[#cases + 1] = assert(dkjson.decode(line, 1, dkjson.null))
    end
  end
  return cases
end

function tiny.case(name)
  for _, case in ipairs(tiny.cases()) do
    if case.name == name then return case end
  end
  error("no case " .. name)
end

local function mix(h)
  h = ((h ~ h >> 16) * 0x45d9f3b) & 0xffffffff
  h = ((h ~ h >> 16) * 0x45d9f3b) & 0xffffffff
  return h ~ h >> 16
end

-- Tensor `number`, from 0: offset + scale * u.
local function weights(number, count, scale, offset)
  local packed = {}
  for j = 0, count - 1 do
    local u = ((mix(j + number * 65537) >> 8) % 512 - 256) / 256
    packed[j + 1] = string.pack("<f", u * scale + offset)
  end
  return table.concat(packed)
end

local function checkpoint(case)
  local tensors = {}
  for i, t in ipairs(case.tensors) do
    local name, shape, scale, offset = table.unpack(t)
    local count = 1
    for _, n in ipairs(shape) do count = count * n end
    tensors[name] = {dtype = "F32", shape = shape,
                     data = weights(i - 1, count, scale, offset)}
  end
  return tensors
end

function tiny.directory(case, form)
  local dir = hf.temp() .. "/tiny"
  hf.shell("mkdir '%s'", dir)
  hf.write(dir .. "/config.json", dkjson.encode(case[form or "config"]))
  local path = dir .. "/model.safetensors"
  if not bytes[case.name] then
    hf.save(path, checkpoint(case))
    bytes[case.name] = hf.read(path)
  end
  hf.write(path, bytes[case.name])
  return dir
end

return tiny
