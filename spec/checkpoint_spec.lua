-- The weights of a Hugging Face directory: one file, or an index with shards.
-- The cases i00 to i08 are those of ../shared/malformed/gen_st.py.

local checkpoint = require "decant.checkpoint"
local core = require "decant.core"
local hf = require "spec.support.hf"

local function tensor(value)
  return {dtype = "F32", shape = {1}, data = string.pack("<f", value)}
end

-- A folder with the shards m1 {a, b} and m2 {c} and the given index.
local function sharded(index)
  local dir = hf.temp() .. "/model"
  hf.shell("mkdir '%s'", dir)
  hf.save(dir .. "/m1.safetensors", {a = tensor(1), b = tensor(2)})
  hf.save(dir .. "/m2.safetensors", {c = tensor(3)})
  hf.write(dir .. "/model.safetensors.index.json", index)
  return dir
end

local GOOD = [[{"metadata": {"total_size": 12}, "weight_map": {
  "a": "m1.safetensors", "b": "m1.safetensors", "c": "m2.safetensors"}}]]

local function names_of(weights)
  local names = {}
  for i, t in ipairs(weights.tensors) do names[i] = t.name end
  return names
end

describe("a checkpoint", function()
  after_each(hf.clean)

  it("gathers the tensors of all shards by name", function()
    local weights <close> = assert(checkpoint.open(sharded(GOOD)))
    assert.same({"a", "b", "c"}, names_of(weights))
    local c = weights:find "c"
    assert.same(string.pack("<f", 3), c.file:bytes "c")
    assert.is_nil(weights:find "d")
  end)

  it("prefers the single file to the index", function()
    local dir = sharded(GOOD)
    hf.save(dir .. "/model.safetensors", {z = tensor(9)})
    local weights <close> = assert(checkpoint.open(dir))
    assert.same({"z"}, names_of(weights))
  end)

  it("closes its files, more than once without harm", function()
    local weights = assert(checkpoint.open(sharded(GOOD)))
    local file = weights.files[1]
    weights:close()
    weights:close()
    assert.error(function() file:tensors() end)
  end)

  it("says what it looked for in a directory without weights", function()
    local weights, message = checkpoint.open(hf.temp())
    assert.is_nil(weights)
    assert.matches("neither model.safetensors nor model.safetensors.index",
                   message)
  end)

  it("names weights of a format that it does not read", function()
    local dir = hf.temp()
    hf.write(dir .. "/pytorch_model.bin", "PK")
    local _, message = checkpoint.open(dir)
    assert.matches("only pytorch_model.bin", message)
  end)

  it("opens shards that are links into the hub's cache", function()
    local root = hf.temp()
    hf.shell("mkdir -p '%s/blobs' '%s/snapshots/abc'", root, root)
    hf.save(root .. "/blobs/123", {a = tensor(1)})
    hf.shell("ln -s ../../blobs/123 '%s/snapshots/abc/m.safetensors'", root)
    hf.write(root .. "/snapshots/abc/model.safetensors.index.json",
             '{"weight_map": {"a": "m.safetensors"}}')
    local weights <close> = assert(checkpoint.open(root .. "/snapshots/abc"))
    assert.same({"a"}, names_of(weights))
  end)
end)

describe("a hostile index", function()
  after_each(hf.clean)

  -- {case, weight_map, the rule that the message says}
  local cases = {
    {"i00_up", '{"a": "../secret.safetensors"}', "is a path"},
    {"i01_abs", '{"a": "/etc/passwd"}', "absolute path"},
    {"i01 drive letter", '{"a": "C:m.safetensors"}', "absolute path"},
    {"i02_bs", [[{"a": "..\\x.safetensors"}]], "is a path"},
    {"i03_dev", '{"a": "fifo"}', "not a regular file"},
    {"i03 directory", '{"a": "folder"}', "not a regular file"},
    {"i04_nul", [[{"a": "m1.safetensors\u0000../x"}]], "control character"},
    {"i05_missing", '{"a": "no.safetensors"}', "No such file"},
    {"i06_wrong", '{"zzz": "m2.safetensors", "c": "m2.safetensors"}',
     'tensor "zzz" is not in shard "m2.safetensors"'},
    {"i07_type", '["a"]', "weight_map is array, an object is needed"},
    {"i07 missing", "null", "weight_map is null, an object is needed"},
    {"i07 number", '{"a": 7}', "names number, a file name is needed"},
    {"i08_sym", '{"a": "link.safetensors"}', "link that leaves the directory"},
    {"a shard's name is empty", '{"a": ""}', "is empty"},
    {"a shard is the folder", '{"a": "."}', "is a path"},
    {"a shard is no safetensors", '{"a": "text"}', "text"},
    {"a tensor is not in the map", '{"a": "m1.safetensors"}',
     'holds tensor "b", which weight_map does not put there'},
  }

  for _, case in ipairs(cases) do
    local name, map, rule = table.unpack(case)
    it("is refused: " .. name, function()
      local dir = sharded('{"weight_map": ' .. map .. "}")
      hf.save(dir .. "/../secret.safetensors", {a = tensor(1)})
      hf.write(dir .. "/text", "no weights here")
      hf.shell("mkfifo '%s/fifo' && mkdir '%s/folder'", dir, dir)
      hf.shell("ln -s ../secret.safetensors '%s/link.safetensors'", dir)
      collectgarbage "stop"  -- what is open is closed, not left to it
      local used = core.memory()
      local weights, message = checkpoint.open(dir)
      local left = core.memory()
      collectgarbage "restart"
      assert.is_nil(weights)
      assert.truthy(message:find(rule, 1, true), message)
      assert.equal(used, left)
    end)
  end

  local texts = {
    {"no JSON", "hello", "is no JSON"},
    {"an array", "[1]", "an object is needed"},
    {"nested 100,000 deep", ('{"a":'):rep(100000), "nested deeper than 64"},
    {"followed by garbage", GOOD .. "x", "something follows"},
    {"no UTF-8", '{"weight_map": {"\xff": "m1"}}', "no valid UTF-8"},
    {"empty", "", "is no JSON"},
  }

  for _, case in ipairs(texts) do
    local name, text, rule = table.unpack(case)
    it("is refused: " .. name, function()
      local weights, message = checkpoint.open(sharded(text))
      assert.is_nil(weights)
      assert.truthy(message:find(rule, 1, true), message)
      assert.matches("model.safetensors.index.json", message, 1, true)
    end)
  end

  it("is refused when it has more than 64 MiB", function()
    local dir = sharded(GOOD)
    hf.shell("truncate -s 65M '%s/model.safetensors.index.json'", dir)
    local _, message = checkpoint.open(dir)
    assert.matches("at most 67108864 are read", message)
  end)
end)

describe("core.file_info", function()
  after_each(hf.clean)

  it("tells files, directories and what would block apart", function()
    local dir = hf.temp()
    hf.write(dir .. "/file", "12345")
    hf.shell("mkfifo '%s/fifo' && ln -s file '%s/link'", dir, dir)
    local real = core.file_info(dir).real
    assert.equal("directory", core.file_info(dir).kind)
    assert.equal("other", core.file_info(dir .. "/fifo").kind)
    assert.same({kind = "file", size = 5, real = real .. "/file"},
                core.file_info(dir .. "/./link"))
  end)

  it("gives nil and the reason for what is not there", function()
    local info, message = core.file_info "/no/such/file"
    assert.is_nil(info)
    assert.matches("/no/such/file: No such file", message)
  end)

  it("refuses a path with a NUL byte", function()
    assert.error_matches(function() core.file_info "a\0b" end, "NUL")
  end)
end)
