-- tensors.lua: what the specs of Tensors share.

local core = require "decant.core"

local tensors = {}

-- n numbers that look random and never change, exact in float32.
function tensors.noise(n, seed)
  local list, x = {}, seed or 1
  for i = 1, n do
    x = (x * 1103515245 + 12345) % 2^31
    list[i] = (x // 65536 % 2001 - 1000) / 256
  end
  return list
end

-- A Tensor of this shape with the elements 1, 2, 3, ...
function tensors.count_up(...)
  local n, list = 1, {}
  for _, size in ipairs {...} do n = n * size end
  for i = 1, n do list[i] = i end
  return core.tensor(list, {...})
end

-- x rounded to float32.
function tensors.float(x)
  return string.unpack("f", string.pack("f", x))
end

-- The bits of all elements, as a string.
function tensors.bits(t)
  local flat, list = t:reshape(-1), {}
  for i = 1, #flat do list[i] = string.pack("f", flat[i]) end
  return table.concat(list)
end

-- f(...) raises a message that holds these words.
function tensors.fails(words, f, ...)
  local ok, err = pcall(f, ...)
  if ok then error("no error, expected: " .. words, 2) end
  if type(err) ~= "string" or not err:find(words, 1, true) then
    error(("error is\n  %s\nexpected\n  %s"):format(tostring(err), words), 2)
  end
end

return tensors
