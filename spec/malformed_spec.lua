-- Defective files: the readers' outcomes on the cases of the project's two
-- generators (../shared/malformed, each case with its expected outcome), and
-- on every prefix and every flipped bit of small valid files. Run it under
-- the sanitizers too (make asan).

local core = require "decant.core"
local tempdir = require "spec.support.tempdir"

local generators = "../shared/malformed/"

-- What a valid tiny file of each format is made of.
local function small_gguf(path)
  local w = assert(core.gguf_writer(path))
  w:set("general.architecture", "string", "llama")
  w:set("llama.block_count", "u32", 1)
  w:set("llama.attention.head_count", "i32[]", {2})
  w:set("llama.embedding_length", "u16", 4)
  w:set("llama.rope.freq_base", "f32", 10000)
  w:set("tokenizer.ggml.tokens", "string[]", {"a", "b", "<0x0A>"})
  w:set("tokenizer.ggml.scores", "f32[]", {0, -1, -2})
  w:set("tokenizer.ggml.token_type", "i32[]", {1, 1, 6})
  w:set("tokenizer.ggml.merges", "string[]", {"a b"})
  w:set("flag", "bool", true)
  w:tensor("a.weight", "f32", {4, 2}, ("abcd"):rep(8))
  w:tensor("b", "q8_0", {32}, ("\0"):rep(34))
  assert(w:finish())
  return tempdir.read(path)
end

local small_safetensors = ("<s8"):pack('{"__metadata__":{"format":"p\\u0074"' ..
  '},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"b\\n":{' ..
  '"dtype":"BOOL","shape":[3],"data_offsets":[8,11]}}') ..
  "abcdefgh\0\1\0"

-- Everything that a reader can be asked once it has accepted a file.
local function use(file)
  for _, t in ipairs(file:tensors()) do
    assert(#file:bytes(t.name) == t.bytes)
  end
  if file.metadata then return file:metadata() end
  for _, key in ipairs(file:keys()) do
    assert(file:type(key))
    assert(file:get(key) ~= nil)
  end
end

describe("defective files", function()
  local dir, memory
  setup(function()
    dir = tempdir.new()
    collectgarbage()
    memory = core.memory()
  end)
  teardown(function() dir:remove() end)

  -- true: accepted and usable; false and the message: refused as it should.
  local function judge(open, path, mmap)
    local file, message = open(path, {mmap = mmap})
    if file then
      use(file)
      file:close()
      return true
    end
    assert(message:sub(1, #path + 2) == path .. ": ", message)
    assert(not message:find "[\n\r%z]" and #message > #path + 5, message)
    assert(utf8.len(message), message)
    return false, message
  end

  local function generate(name)
    local script = generators .. name
    local f = io.open(script)
    if not f then return nil end
    f:close()
    local out = dir:file(name)
    if not os.execute(("LD_PRELOAD= python3 %s %s > %s 2>&1"):format(
        script, out, dir:file "log")) then return nil end
    return out
  end

  local function check_outcomes(name, extension, open, count)
    local out = generate(name)
    if not out then return pending "no python3 or no generator" end
    local wrong, seen = {}, 0
    for line in io.lines(out .. "/index.tsv") do
      local id, must = line:match "^([^\t]+)\t([^\t]+)\t"
      local path = out .. "/" .. id .. extension
      if not id:find "^i%d" then  -- those are of the index reader
        seen = seen + 1
        for _, mmap in ipairs {true, false} do
          local ok, message = judge(open, path, mmap)
          if ok ~= (must == "accept") then
            wrong[#wrong + 1] = line .. " " .. (message or "was accepted")
          end
        end
      end
    end
    assert.same({}, wrong)
    assert.is_true(seen >= count)
  end

  it("of gen_gguf.py have their expected outcomes", function()
    check_outcomes("gen_gguf.py", ".gguf", core.gguf, 102)
  end)

  it("of gen_st.py have their expected outcomes", function()
    check_outcomes("gen_st.py", ".safetensors", core.safetensors, 55)
  end)

  local seeds = {
    {"GGUF", core.gguf, function() return small_gguf(dir:file "seed") end},
    {"safetensors", core.safetensors, function()
      return small_safetensors
    end},
  }

  for _, seed in ipairs(seeds) do
    local name, open, make = table.unpack(seed)

    it("that are prefixes of a " .. name .. " file are refused", function()
      local bytes = make()
      assert.is_true(judge(open, dir:write("x", bytes)))
      local cut = 0
      for n = 0, #bytes - 1 do
        if not judge(open, dir:write("x", bytes:sub(1, n)), n % 2 == 0) then
          cut = cut + 1
        end
      end
      -- GGUF: the padding of the last tensor (64 - 34 bytes) may be missing.
      assert.equal(name == "GGUF" and #bytes - 30 or #bytes, cut)
    end)

    it("that differ in a bit from a " .. name .. " file do no harm", function()
      local bytes = make()
      local refused = 0
      for i = 1, #bytes do
        for bit = 0, 7 do
          local flipped = bytes:sub(1, i - 1) ..
            string.char(bytes:byte(i) ~ 1 << bit) .. bytes:sub(i + 1)
          if not judge(open, dir:write("x", flipped), bit % 2 == 0) then
            refused = refused + 1
          end
        end
      end
      assert.is_true(refused > #bytes)
    end)
  end

  it("leave no memory behind", function()
    collectgarbage()
    assert.equal(memory, core.memory())
  end)
end)
