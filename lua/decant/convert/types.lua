-- types.lua: the types that weights can be converted to, as llama.cpp numbers
-- and replaces them.
--
--   types.known(name)            -> whether convert writes it
--   types.names()                -> "f32, f16, ..."
--   types.file_type(name)        -> general.file_type, llama.cpp's number
--   types.matrix(name, columns)  -> the type for a matrix of such rows: `name`,
--                                   or what llama.cpp falls back to where a
--                                   block does not divide a row

local BLOCKS_OF_32, BLOCKS_OF_256 = 32, 256

-- In the order in which they are listed for the user.
local list = {
  {"f32", file_type = 0, block = 1},
  {"f16", file_type = 1, block = 1},
  {"bf16", file_type = 32, block = 1},
  {"q8_0", file_type = 7, block = BLOCKS_OF_32, fallback = "f16"},
  {"q4_0", file_type = 2, block = BLOCKS_OF_32, fallback = "f16"},
  {"q4_1", file_type = 3, block = BLOCKS_OF_32, fallback = "f16"},
  {"q5_0", file_type = 8, block = BLOCKS_OF_32, fallback = "f16"},
  {"q5_1", file_type = 9, block = BLOCKS_OF_32, fallback = "f16"},
  {"q4_k", file_type = 14, block = BLOCKS_OF_256, fallback = "q5_0"},
  {"q5_k", file_type = 16, block = BLOCKS_OF_256, fallback = "q5_1"},
  {"q6_k", file_type = 18, block = BLOCKS_OF_256, fallback = "q8_0"},
}

local by_name = {}
for _, type in ipairs(list) do by_name[type[1]] = type end

local types = {}

function types.known(name)
  return by_name[name] ~= nil
end

function types.names()
  local names = {}
  for i, type in ipairs(list) do names[i] = type[1] end
  return table.concat(names, ", ")
end

function types.file_type(name)
  return by_name[name].file_type
end

function types.matrix(name, columns)
  local type = by_name[name]
  if columns % type.block == 0 then return name end
  return types.matrix(type.fallback, columns)
end

return types
