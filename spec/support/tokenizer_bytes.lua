-- tokenizer_bytes.lua: writes small SentencePiece, GGUF and vocab.json files,
-- right and wrong ones, from Lua tables.

local bytes = {}

-- ---- protocol buffers

local function varint(n)
  local out = {}
  repeat
    local low = n & 0x7F
    n = n >> 7
    out[#out + 1] = string.char(n ~= 0 and low | 0x80 or low)
  until n == 0
  return table.concat(out)
end

local function field(number, wire, payload)
  return varint(number << 3 | wire) .. payload
end

-- A field by the Lua type of its value: text, float (as f32), integer, flag.
local function any(number, value)
  if type(value) == "string" then
    return field(number, 2, varint(#value) .. value)
  elseif math.type(value) == "float" then
    return field(number, 5, ("<f"):pack(value))
  elseif type(value) == "boolean" then
    return field(number, 0, varint(value and 1 or 0))
  end
  return field(number, 0, varint(value))
end

bytes.field, bytes.any = field, any

-- A message from {[number] = value, ...}.
function bytes.message(fields)
  local numbers, out = {}, {}
  for number in pairs(fields) do numbers[#numbers + 1] = number end
  table.sort(numbers)
  for i, number in ipairs(numbers) do
    out[i] = any(number, fields[number])
  end
  return table.concat(out)
end

-- Kinds of pieces.
bytes.NORMAL, bytes.UNKNOWN, bytes.CONTROL = 1, 2, 3
bytes.USER, bytes.UNUSED, bytes.BYTE = 4, 5, 6

-- A model from {pieces = {{text, score, kind}, ...}, trainer = fields,
-- normalizer = fields}.
function bytes.spm(model)
  local out = {}
  for i, piece in ipairs(model.pieces) do
    out[i] = any(1, bytes.message(piece))
  end
  out[#out + 1] = any(2, bytes.message(model.trainer or {[3] = 1}))
  out[#out + 1] = any(3, bytes.message(model.normalizer or {}))
  return table.concat(out)
end

-- A character table with one key, the byte \1, and its replacement:
-- a trie of four units (root, nothing, nothing, value; the key at 1).
function bytes.charsmap(replacement)
  local key = 1 | 0x100 | 2 << 10
  return ("<I4I4I4I4I4"):pack(16, 0, key, 0, 0x80000000) ..
         replacement .. "\0"
end

-- ---- GGUF

local kinds = {
  u32 = {4, "<I4"}, i32 = {5, "<i4"}, f32 = {6, "<f"}, string = {8, "<s8"},
  u8 = {0, "<I1"}, bool = {7, "<I1"}
}

-- One value of a kind, "u32" or "u32[]" (then a table; of u8 a string).
local function gguf_value(kind, value)
  local element = kind:match "^(.*)%[%]$"
  if not element then
    return ("<I4"):pack(kinds[kind][1]) .. kinds[kind][2]:pack(value)
  end
  local items = {}
  if type(value) == "string" then value = {value:byte(1, -1)} end
  for i, item in ipairs(value) do items[i] = kinds[element][2]:pack(item) end
  return ("<I4I4I8"):pack(9, kinds[element][1], #items) .. table.concat(items)
end

-- A GGUF file without tensors from {{key, kind, value}, ...}.
function bytes.gguf(keys)
  local out = {"GGUF", ("<I4I8I8"):pack(3, 0, #keys)}
  for _, key in ipairs(keys) do
    out[#out + 1] = ("<s8"):pack(key[1]) .. gguf_value(key[2], key[3])
  end
  return table.concat(out)
end

return bytes
