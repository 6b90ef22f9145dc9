-- session:save and model:restore: a session goes on from its file as if
-- nothing had happened, and a file that is not its own is refused.

local core = require "decant.core"
local decant = require "decant"
local fixtures = require "spec.support.fixtures"
local tempdir = require "spec.support.tempdir"
local tiny = require "spec.support.tiny"

-- A seq2seq model, one without windows, one with.
local names = {"mbart", "llama", "gemma2"}

describe("a saved session", function()
  local dir, models = nil, {}

  setup(function()
    dir = tempdir.new()
    for _, name in ipairs(names) do
      local path = fixtures.folder() .. "/saved-" .. name .. ".gguf"
      models[name] = assert(decant.load(tiny.write(path, name)))
    end
  end)

  teardown(function()
    for _, model in pairs(models) do model:close() end
    dir:remove()
  end)

  local function prompt(n)
    local ids = {}
    for i = 1, n do ids[i] = i * 7 % 50 + 3 end
    return ids
  end

  local function new_session(model)
    return model:session{source = model.kind == "seq2seq" and {5, 6, 7} or nil}
  end

  -- Three rows that share a past of n positions and then part.
  local function three_rows(model, n)
    local session = new_session(model)
    session:feed(prompt(n))
    session:reorder {1, 1, 1}
    session:forward {{4}, {5, 6}, {}}
    return session
  end

  local function scores(session)
    local list = {}
    for i, logits in ipairs(session:forward {{8}, {8}, {8}}) do
      list[i] = logits:totable()
    end
    return list
  end

  for _, name in ipairs(names) do
    it("goes on with the same bits (" .. name .. ")", function()
      local model, path = models[name], dir:file "session"
      for _, n in ipairs {1, 16, 30, 80} do
        local session <close> = three_rows(model, n)
        assert.is_true(session:save(path))
        local restored <close> = assert(model:restore(path))
        assert.equal(3, #restored)
        for i = 1, 3 do
          assert.equal(session:length(i), restored:length(i))
        end
        assert.same(scores(session), scores(restored))
      end
    end)
  end

  for _, name in ipairs(names) do
    it("is refused where the cache is of another type (" .. name .. ")",
       function()
      local path = fixtures.folder() .. "/saved-" .. name .. ".gguf"
      local half <close> = assert(decant.load(path, {cache_type = "f16"}))
      local one <close> = three_rows(half, 20)
      assert.is_true(one:save(dir:file "half"))
      local restored <close> = assert(half:restore(dir:file "half"))
      assert.same(scores(one), scores(restored))
      local other <close> = three_rows(models[name], 20)
      assert.is_true(other:save(dir:file "float"))
      assert.is_true(#tempdir.read(dir:file "half") <
                     0.7 * #tempdir.read(dir:file "float"))
      assert.same({nil, dir:file "half" .. ": cache_type: the session is in " ..
                   "f16, the model was loaded with f32"},
                  {models[name]:restore(dir:file "half")})
      assert.same({nil, dir:file "float" .. ": cache_type: the session is " ..
                   "in f32, the model was loaded with f16"},
                  {half:restore(dir:file "float")})
    end)
  end

  it("keeps blocks that rows share shared", function()
    local model, path = models.llama, dir:file "session"
    local one <close> = new_session(model)
    one:feed(prompt(64))
    assert.is_true(one:save(path))
    local size = #tempdir.read(path)
    one:reorder {1, 1, 1, 1, 1, 1, 1, 1}
    assert.is_true(one:save(path))
    assert.is_true(#tempdir.read(path) < size + 1000)
    local before = core.copied_bytes(model.core)
    local many <close> = assert(model:restore(path))
    many:forward {{1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}}
    assert.equal(before, core.copied_bytes(model.core))
  end)

  it("says the same in every file, whatever the pool held before", function()
    local model = models.llama
    local function saved(name)
      local session <close> = new_session(model)
      session:feed(prompt(20))
      assert.is_true(session:save(dir:file(name)))
      return tempdir.read(dir:file(name))
    end
    local first = saved "a"
    local other <close> = new_session(model)
    other:feed(prompt(90))
    other:close()
    assert.equal(first, saved "b")
  end)

  it("can be cut, forked and fed like any other", function()
    local model, path = models.llama, dir:file "session"
    local session <close> = new_session(model)
    session:feed(prompt(20))
    assert.is_true(session:save(path))
    local restored <close> = assert(model:restore(path))
    local fork <close> = restored:fork()
    fork:truncate(10)
    session:truncate(10)
    assert.same(session:feed(9):totable(), fork:feed(9):totable())
    assert.equal(20, restored:length())
  end)

  it("outlives the session and its model's other sessions", function()
    local model = models.mbart
    local session = three_rows(model, 5)
    assert.is_true(session:save(dir:file "session"))
    local expected = scores(session)
    session:close()
    collectgarbage()
    local restored <close> = assert(model:restore(dir:file "session"))
    collectgarbage()
    assert.same(expected, scores(restored))
  end)

  -- ---- files that are none ----

  local function refusal(model, bytes)
    local path = dir:write("bad", bytes)
    local session, message = model:restore(path)
    assert.is_nil(session)
    assert.equal(path .. ": ", message:sub(1, #path + 2))
    return message:sub(#path + 3)
  end

  -- The bytes with another checksum: FNV-1a over words of eight bytes.
  local function signed(bytes)
    local hash = -3750763034362895579
    for at = 1, #bytes - 8, 8 do
      hash = (hash ~ ("<i8"):unpack(bytes, at)) * 1099511628211
    end
    return bytes:sub(1, -9) .. ("<i8"):pack(hash)
  end

  local function bytes_of(name, n)
    local session <close> = three_rows(models[name], n)
    assert.is_true(session:save(dir:file "good"))
    return tempdir.read(dir:file "good")
  end

  it("is refused by another model", function()
    assert.equal("fingerprint: the session is of another model",
                 refusal(models.gemma2, bytes_of("llama", 5)))
  end)

  it("is refused wherever it is cut", function()
    local bytes, memory = bytes_of("llama", 5), nil
    for n = 0, #bytes - 1, 61 do
      local message = refusal(models.llama, bytes:sub(1, n))
      assert.truthy(message:find "size: " or message:find "^is not a saved",
                    message)
      memory = memory or core.memory()
    end
    assert.equal(memory, core.memory())
  end)

  it("is refused if a bit of it was changed", function()
    local bytes = bytes_of("llama", 1)
    for at = 9, #bytes, 97 do
      local flipped = bytes:sub(1, at - 1) ..
        string.char(bytes:byte(at) ~ 16) .. bytes:sub(at + 1)
      refusal(models.llama, flipped)
    end
  end)

  it("is refused, checksum or not, if its numbers do not go together",
     function()
    -- words: 0 magic, 1 fingerprint, 2 size, 3 type of the cache, 4 blocks,
    -- 5 windowed blocks, 6 rows, 7 source, 8 length of row 1, 9 its blocks,
    -- 10 gone, 11 the first
    local bytes = bytes_of("llama", 5)
    local function with(word, value)
      return refusal(models.llama, signed(bytes:sub(1, word * 8) ..
        ("<i8"):pack(value) .. bytes:sub(word * 8 + 9)))
    end
    assert.equal("cache_type: is 8, must be 0 or 1", with(3, 8))
    assert.truthy(with(3, -1):find "^cache_type: is %d+, must be at most")
    assert.truthy(with(4, 1 << 60):find "^blocks: %d+ do not fit the file$")
    assert.truthy(with(4, 2):find "^block: ")
    assert.truthy(with(5, 1):find "^blocks: 1 do not fit the file$")
    assert.truthy(with(6, 0):find "^rows: 0 without a source")
    assert.truthy(with(6, 65537):find "^rows: is 65537, must be at most")
    assert.truthy(with(7, 1):find "^rows: 3 with a source are none")
    assert.truthy(with(8, 1000):find "^length: is 1000, must be at most 96")
    assert.truthy(with(8, 30):find "^track: 1 blocks, 0 of them gone, cannot")
    assert.truthy(with(9, 9):find "^track: is 9, must be at most 1")
    assert.truthy(with(10, 1):find "^track: 1 blocks, 1 of them gone, cannot")
    assert.truthy(with(11, 3):find "^block: ")
    -- the end of a word, as it is and with a sign
    for _, value in ipairs {math.maxinteger, math.mininteger, -1} do
      assert.truthy(with(4, value):find "^blocks: %d+ do not fit the file$")
      assert.truthy(with(5, value):find "^blocks: %d+ do not fit the file$")
      assert.truthy(with(6, value):find "^rows: is %d+, must be at most")
      assert.truthy(with(8, value):find "^length: is %d+, must be at most 96")
      assert.truthy(with(9, value):find "^track: is %d+, must be at most")
      assert.truthy(with(11, value):find "^block: ")
    end
    assert.truthy(with(2, math.maxinteger):find "^size: ")
  end)

  it("is refused if a window has let go of more than it may", function()
    local bytes = bytes_of("gemma2", 80)
    local at
    for word = 8, 40 do  -- the windowed track of row 1: 6 blocks, 0 gone
      local n, gone = ("<i8i8"):unpack(bytes, word * 8 + 1)
      if n == 6 and gone == 0 and word > 12 then at = word + 1 break end
    end
    assert.truthy(at)
    local message = refusal(models.gemma2, signed(bytes:sub(1, at * 8) ..
      ("<i8"):pack(5) .. bytes:sub(at * 8 + 9)))
    assert.truthy(message:find "^track: 6 blocks, 5 of them gone, cannot hold",
                  message)
  end)

  it("is refused where the context is shorter now", function()
    local path = fixtures.folder() .. "/saved-llama.gguf"
    local short <close> = assert(decant.load(path, {context = 10}))
    assert.truthy(refusal(short, bytes_of("llama", 40)):find
                  "^length: is 4%d, must be at most 10")
  end)

  it("tells when its file cannot be written or read", function()
    local session <close> = new_session(models.llama)
    local ok, message = session:save "/nonexistent/x"
    assert.is_nil(ok)
    assert.truthy(message:find "^/nonexistent/x: ")
    ok, message = models.llama:restore "/nonexistent/x"
    assert.is_nil(ok)
    assert.truthy(message:find "^/nonexistent/x: ")
    session:close()
    assert.error(function() session:save(dir:file "x") end,
                 "session:save: the session is closed")
  end)
end)
