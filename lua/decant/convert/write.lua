-- write.lua: keys and tensors, one after the other, into the file.
--
--   set(writer, key, kind, value)       a key
--   copy_key(writer, gguf, key)         a key of another file
--   write(writer, tensors, progress) -> true | false: progress cancelled it
--     tensors: list of {name, type, shape, source} as the writer takes them
--
-- The writer raises when a key or a tensor is not as it must be, for such a
-- thing is its caller's mistake. Here it comes out of somebody's files, and so
-- it fails like every other defect of theirs.

local fail = require "decant.convert.fail".fail

local function declare(writer, method, ...)
  local ok, message = pcall(writer[method], writer, ...)
  if ok then return end
  message = tostring(message)
  if message:find "interrupted!$" then error(message, 0) end  -- Ctrl-C
  fail("%s", message:match "^bad argument #%d+ to '.-' %((.*)%)$" or message)
end

local function set(writer, key, kind, value)
  declare(writer, "set", key, kind, value)
end

local function copy_key(writer, gguf, key)
  declare(writer, "copy_key", gguf, key)
end

local function write(writer, tensors, progress)
  for _, tensor in ipairs(tensors) do
    declare(writer, "tensor", tensor.name, tensor.type, tensor.shape,
            tensor.source)
  end
  local ok, message = writer:begin()
  if not ok then fail("%s", message) end
  repeat
    local done, total = writer:next()
    if not done and total then fail("%s", total) end
    if done and progress and progress(done, total) == false then
      return false
    end
  until not done
  ok, message = writer:finish()
  if not ok then fail("%s", message) end
  return true
end

return {set = set, copy_key = copy_key, write = write}
