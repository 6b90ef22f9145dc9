-- tempdir.lua: a folder for the files of one spec, and the few operations on
-- files that the specs of src/format/ share.

local tempdir = {}
tempdir.__index = tempdir

function tempdir.new()
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkdir '" .. path .. "'"))
  return setmetatable({path = path}, tempdir)
end

function tempdir:file(name)
  return self.path .. "/" .. name
end

-- Writes a file anew (another inode: the old one may still be mapped).
function tempdir:write(name, bytes)
  local path = self:file(name)
  os.remove(path)
  local f = assert(io.open(path, "wb"))
  f:write(bytes)
  f:close()
  return path
end

function tempdir:list()
  local names = {}
  local pipe = assert(io.popen("ls -A '" .. self.path .. "'"))
  for name in pipe:lines() do names[#names + 1] = name end
  pipe:close()
  return names
end

function tempdir:remove()
  assert(os.execute("rm -r '" .. self.path .. "'"))
end

function tempdir.read(path)
  local f = io.open(path, "rb")
  if not f then return nil end
  local bytes = f:read "a"
  f:close()
  return bytes
end

return tempdir
