-- seeds.lua DIR: the small files from which each fuzzer starts, one folder a
-- target: what the project's generators of defective files write, tiny models
-- of ../shared/models, tokenizers, and some made here.

package.path = "./lua/?.lua;./lua/?/init.lua;./?.lua;" .. package.path
package.cpath = "./" .. (os.getenv "DECANT_BUILD" or "build") ..
                "/lib/?.so;" .. package.cpath

local decant = require "decant"
local json = require "dkjson"
local files = require "spec.support.tokenizer_bytes"
local tiny = require "spec.support.tiny"
local trees = require "spec.support.tokenizer_json".trees

local root = assert(arg[1], "seeds.lua DIR")
local shared = "../shared/"


local function write(target, name, bytes)
  local file = assert(io.open(("%s/%s/%s"):format(root, target, name), "wb"))
  file:write(bytes)
  file:close()
end


local function copy(target, name, path, from, to)
  local file = io.open(path, "rb")
  if not file then return end
  write(target, name, file:read("a"):sub(from or 1, to or -1))
  file:close()
end


-- The files of a generator of ../shared/malformed, hostile and valid.
local function generated(target, script, extension)
  local folder = ("%s/%s-generated"):format(root, target)
  os.execute(("python3 %smalformed/%s %s > %s.log 2>&1"):format(
    shared, script, folder, folder))
  os.execute(("find %s -name '*.%s' -size -64k -exec cp {} %s/%s/ \\;")
    :format(folder, extension, root, target))
end


local function small_models()
  for _, name in ipairs {"marian", "bart", "llama", "qwen2", "gpt2", "t5",
                         "m2m100"} do
    for _, type in ipairs {"q8_0", "f16"} do
      local path = ("%s/gguf/%s-%s"):format(root, name, type)
      local ok, message = decant.convert(shared .. "models/hf-zoo/" .. name,
                                         path, {type = type})
      if not ok then print("left out: " .. message) end
    end
  end
end


local function small_vocabularies()
  local pieces = {{"<unk>", 0.0, files.UNKNOWN}, {"<s>", 0.0, files.CONTROL},
                  {"</s>", 0.0, files.CONTROL}, {"\u{2581}a", -1.0},
                  {"b", -2.0}, {"ab", -2.5}, {"xy", 0.0, files.USER}}
  for i, bytes in ipairs {"\x41", "\xff"} do
    pieces[#pieces + 1] = {("<0x%02X>"):format(bytes:byte()), -i + 0.0,
                           files.BYTE}
  end
  write("tokenizer", "unigram.model", files.spm {
    pieces = pieces, normalizer = {[2] = files.charsmap "b"}})
  write("tokenizer", "bpe.model", files.spm {
    pieces = pieces, trainer = {[3] = 2, [35] = true}})
  for _, name in ipairs {"gpt-2", "llama-spm"} do
    copy("tokenizer", name .. ".gguf",
         ("%sdata/vocab/ggml-vocab-%s.gguf"):format(shared, name))
  end
  for _, name in ipairs {"de-en.model", "spm-llama.model",
                         "bbpe-llama3.tokenizer.json"} do
    copy("tokenizer", name, shared .. "data/tokenizers/" .. name)
  end
  for name, make in pairs(trees) do
    write("tokenizer", name .. ".json", json.encode(make()))
  end
end


local function some_json()
  write("json", "all", [[{"a": [1, -2.5e3, true, null, "x\n\u00e4\ud83d\ude00"],
    "": {"nested": [[], {}]}}]])
  copy("json", "config", shared .. "models/hf-zoo/marian/config.json")
  copy("json", "vocabulary", shared .. "data/tokenizers/de-en.vocab.json", 1,
       4000)
end


-- The model that the fuzzer of sessions loads, one with sliding windows, and
-- sessions of it.
local function saved_sessions()
  local path = root .. "/session-model.gguf"
  local model = assert(decant.load(tiny.write(path, "gemma2")))
  for _, n in ipairs {1, 20, 90} do
    local session = model:session()
    local ids = {}
    for i = 1, n do ids[i] = i % 50 end
    session:feed(ids)
    session:reorder {1, 1}
    session:forward {{1}, {2, 3}}
    assert(session:save(("%s/session/%d"):format(root, n)))
  end
end


for _, target in ipairs {"gguf", "safetensors", "json", "tokenizer",
                         "session"} do
  os.execute(("mkdir -p %s/%s"):format(root, target))
end
generated("gguf", "gen_gguf.py", "gguf")
generated("safetensors", "gen_st.py", "safetensors")
small_models()
small_vocabularies()
some_json()
saved_sessions()
