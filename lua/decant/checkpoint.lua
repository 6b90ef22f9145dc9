-- checkpoint.lua: the weights of a Hugging Face directory, one file or many.
--
--   checkpoint.open(dir)  -> Checkpoint | nil, message
--   checkpoint.file(path)  -> the same of one .safetensors file
--   checkpoint.index(path) -> the same of an .index.json and its shards
--
--   weights.tensors      list sorted by name of {name=, dtype=, shape= (slowest
--                        first), bytes=, file= (a Safetensors)}
--   weights:find(name)   one of them, or nil
--   weights.files        the Safetensors that are open
--   weights:close()      also __close and __gc; idempotent
--
-- model.safetensors wins over model.safetensors.index.json, as in
-- transformers. The index is somebody else's input and names files: a shard is
-- a plain file name inside the directory, never a path, and what it names must
-- still lie there after links are followed (the one exception is the hub's
-- cache, whose snapshots/REVISION/NAME are links into ../../blobs).

local core = require "decant.core"
local failure = require "decant.convert.fail"
local files = require "decant.convert.files"
local fail, shown = failure.fail, failure.shown

local SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"

-- Weights of other formats, to say more than "not found".
local FOREIGN = {"pytorch_model.bin", "pytorch_model.bin.index.json",
                 "tf_model.h5", "flax_model.msgpack"}

local Checkpoint = {}
Checkpoint.__index = Checkpoint

function Checkpoint:find(name)
  return self.by_name[name]
end

function Checkpoint:close()
  for _, file in ipairs(self.files) do file:close() end
  self.files = {}
end

Checkpoint.__close = Checkpoint.close
Checkpoint.__gc = Checkpoint.close

local function new_checkpoint()
  return setmetatable({files = {}, tensors = {}, by_name = {}}, Checkpoint)
end

-- Opens one file and adds those of its tensors that `wanted` takes.
local function add_file(self, path, wanted)
  local file, message = core.safetensors(path)
  if not file then fail("%s", message) end
  self.files[#self.files + 1] = file
  for _, tensor in ipairs(file:tensors()) do
    wanted(tensor.name)
    tensor.file = file
    self.tensors[#self.tensors + 1] = tensor
    self.by_name[tensor.name] = tensor
  end
end

local function sort_tensors(self)
  table.sort(self.tensors, function(a, b) return a.name < b.name end)
end

-- The rules for a name in weight_map, before anything is opened.
local function check_shard_name(index, name)
  if type(name) ~= "string" then
    fail("%s: weight_map names %s, a file name is needed", index,
         files.type(name))
  end
  local rule
  if name == "" then rule = "is empty"
  elseif name:find "%c" then rule = "holds a control character"
  elseif name:find "^[/\\]" or name:find "^%a:" then
    rule = "is an absolute path"
  elseif name:find "[/\\]" or name == "." or name == ".." then
    rule = "is a path; shards lie beside the index"
  end
  if rule then fail("%s: shard %s %s", index, shown(name), rule) end
end

-- Where a link of the hub's cache may lead: models--X/snapshots/REV/shard
-- is a link to models--X/blobs/HASH.
local function blobs_of(dir)
  local root = dir:match "^(.*)/snapshots/[^/]+$"
  return root and root .. "/blobs"
end

local function check_shard_place(index, dir, name)
  local path = dir .. "/" .. name
  local found, message = core.file_info(path)
  if not found then fail("%s: shard %s: %s", index, shown(name), message) end
  if found.kind ~= "file" then
    fail("%s: shard %s is not a regular file", index, shown(name))
  end
  local place = found.real:match "^(.*)/[^/]+$"
  if place ~= dir:gsub("/$", "") and place ~= blobs_of(dir) then
    fail("%s: shard %s is a link that leaves the directory", index,
         shown(name))
  end
  return path
end

-- {shard name = {tensor name = true}}, and the shard names sorted.
local function shards_of(index)
  local map = files.object(index).weight_map
  if files.type(map) ~= "object" then
    fail("%s: weight_map is %s, an object is needed", index,
         map == nil and "missing" or files.type(map))
  end
  local shards, names = {}, {}
  for tensor, name in pairs(map) do
    if type(tensor) ~= "string" then fail("%s: is no JSON object", index) end
    if not shards[name] then
      check_shard_name(index, name)
      shards[name] = {}
      names[#names + 1] = name
    end
    shards[name][tensor] = true
  end
  table.sort(names)
  return shards, names
end

-- The tensor of this shard that the file does not hold, first by name.
local function missing_tensor(self, listed)
  local missing
  for name in pairs(listed) do
    if not self.by_name[name] and (not missing or name < missing) then
      missing = name
    end
  end
  return missing
end

local function add_shards(self, index)
  local shards, names = shards_of(index)
  local dir = core.file_info(index:match "^(.*/)" or ".").real
  for _, name in ipairs(names) do
    local listed = shards[name]
    add_file(self, check_shard_place(index, dir, name), function(tensor)
      if not listed[tensor] then
        fail("%s: shard %s holds tensor %s, which weight_map does not put "
             .. "there", index, shown(name), shown(tensor))
      end
    end)
    local missing = missing_tensor(self, listed)
    if missing then
      fail("%s: tensor %s is not in shard %s", index, shown(missing),
           shown(name))
    end
  end
end

local function no_weights(dir)
  for _, name in ipairs(FOREIGN) do
    if files.kind(dir .. "/" .. name) then
      fail("%s: only %s is there; save the weights as safetensors first", dir,
           name)
    end
  end
  fail("%s: has neither %s nor %s", dir, SINGLE, INDEX)
end

-- Runs fill(self) on a new checkpoint; whatever it opened is closed if it
-- fails.
local function open_by(fill)
  local self = new_checkpoint()
  local ok, message = failure.catch(function()
    fill(self)
    return true
  end)
  if not ok then
    self:close()
    return nil, message
  end
  sort_tensors(self)
  return self
end

local function open(dir)
  return open_by(function(self)
    if files.kind(dir .. "/" .. SINGLE) then
      add_file(self, dir .. "/" .. SINGLE, function() end)
    elseif files.kind(dir .. "/" .. INDEX) then
      add_shards(self, dir .. "/" .. INDEX)
    else
      no_weights(dir)
    end
  end)
end

local function file(path)
  return open_by(function(self) add_file(self, path, function() end) end)
end

local function index(path)
  return open_by(function(self) add_shards(self, path) end)
end

return {open = open, file = file, index = index}
