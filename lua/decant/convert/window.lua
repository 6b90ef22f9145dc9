-- window.lua: sliding windows. Which layers have one, and how far they see.
--
--   window(reader, h)  puts A.attention.sliding_window, and
--                      A.attention.sliding_window_pattern where the layers are
--                      not those that the architecture's name implies
--
-- The fact that one would get wrong: for sliding_window null means none, and a
-- missing key the default of the class (4096 for Mistral).

local files = require "decant.convert.files"

local MAX_WINDOW <const> = 1 << 24

-- {true, false, ...}: layer_types of the file.
local function listed(reader, types, n)
  if files.type(types) ~= "array" or #types ~= n then
    reader:fail("layer_types", types, "must be a list of %d names", n)
  end
  local windowed = {}
  for i, name in ipairs(types) do
    if name ~= "sliding_attention" and name ~= "full_attention" then
      reader:fail("layer_types", name, "supported are sliding_attention and "
                  .. "full_attention")
    end
    windowed[i] = name == "sliding_attention"
  end
  return windowed
end

-- Every n-th layer sees all; 0: none does.
local function periodic(n, layers)
  local windowed = {}
  for i = 1, layers do windowed[i] = n == 0 or i % n ~= 0 end
  return windowed
end

-- Qwen: the layers from max_window_layers on, if use_sliding_window.
local function upper(reader, layers)
  local first = reader:value "max_window_layers"
  if math.type(first) ~= "integer" or first < 0 then
    reader:fail("max_window_layers", first, "must be an integer from 0")
  end
  local windowed = {}
  for i = 1, layers do windowed[i] = i > first end
  return windowed
end

local function windowed_layers(reader, h)
  local family, layers = reader.family, h.layers
  local types = reader.config.layer_types
  if types ~= nil and types ~= files.null then
    return listed(reader, types, layers)
  end
  if family.upper_windows then return upper(reader, layers) end
  local pattern = reader:value "sliding_window_pattern"
  if pattern then reader:count("sliding_window_pattern", 1024) end
  return periodic(pattern or family.window_pattern, layers)
end

local function same(a, b)
  for i = 1, #a do
    if a[i] ~= b[i] then return false end
  end
  return true
end

local function any(list)
  for _, value in ipairs(list) do
    if value then return true end
  end
end

return function(reader, h)
  local family, key = reader.family, "sliding_window"
  if family.upper_windows and not reader:boolean "use_sliding_window" then
    return
  end
  local none = reader:is_null(key) or reader:value(key) == nil
  local size = none and 0 or reader:count(key, MAX_WINDOW)
  local windowed = not none and windowed_layers(reader, h) or {}
  if not any(windowed) then
    if family.window_pattern > 0 then  -- the name implies some
      reader:put("A.attention.sliding_window", "u32", 0)
    end
    return
  end
  reader:put("A.attention.sliding_window", "u32", size)
  if not same(windowed, periodic(family.window_pattern, h.layers)) then
    reader:put("A.attention.sliding_window_pattern", "bool[]", windowed)
  end
end
