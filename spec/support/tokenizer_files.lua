-- tokenizer_files.lua: where the specs of the tokenizers find their data, and
-- temporary files for those they make themselves.

local core = require "decant.core"
local json = require "dkjson"

local files = {data = "../shared/data/tokenizers/"}

local function shell(command)
  assert(os.execute(command), command)
end

-- The lines of a golden file, decoded. Written by the scripts beside the data:
-- what sentencepiece 0.2.3 and transformers 5.23.0 give.
function files.golden(name)
  local path = files.data .. "golden/" .. name .. ".golden.jsonl.gz"
  local pipe = assert(io.popen("gzip -dc " .. path))
  local lines = {}
  for line in pipe:lines() do
    local object, _, message = json.decode(line)
    lines[#lines + 1] = assert(object, message)
  end
  assert(pipe:close(), path)
  assert(#lines > 100, path)
  return lines
end

function files.read(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "a"
  file:close()
  return bytes
end

-- As a new file: some file systems write a truncated one to disk at once.
function files.write(path, bytes)
  os.remove(path)
  local file = assert(io.open(path, "wb"))
  assert(file:write(bytes))
  assert(file:close())
  return path
end

-- Whether `content`, put at `path`, is a tokenizer; then exercise(tokenizer)
-- must work. If it is none: false and the message, which names the file.
function files.opens(path, content, exercise)
  local tokenizer, message = core.tokenizer(files.write(path, content))
  if tokenizer then
    exercise(tokenizer)
    tokenizer:close()
    return true
  end
  if not message:find(path, 1, true) then error(message) end
  return false, message
end

-- A new directory; files.remove(it) afterwards.
function files.directory()
  local path = os.tmpname()
  os.remove(path)
  shell("mkdir -p '" .. path .. "'")
  return path
end

function files.remove(directory)
  shell("rm -r '" .. directory .. "'")
end

-- A Marian directory with these contents: {["source.spm"] = bytes, ...}
function files.fill(directory, contents)
  for name, bytes in pairs(contents) do
    files.write(directory .. "/" .. name, bytes)
  end
  return directory
end

-- Bytes of a hexadecimal text.
function files.unhex(hex)
  return (hex:gsub("%x%x", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

-- Bytes as byte-level BPE writes them: printable Latin-1 as it is, the other
-- 68 bytes as U+0100 and on.
local letters, others = {}, 0
for byte = 0, 255 do
  local plain = byte >= 33 and byte <= 126 or byte >= 161 and byte ~= 173
  letters[string.char(byte)] = utf8.char(plain and byte or 256 + others)
  if not plain then others = others + 1 end
end

function files.alphabet(text)
  return (text:gsub(".", letters))
end

return files
