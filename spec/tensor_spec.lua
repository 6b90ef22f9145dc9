-- Tensor-lite (DESIGN 2.2): making, elements, views, memory. The arithmetic is
-- in tensor_math_spec.lua.

local core = require "decant.core"
local tensors = require "spec.support.tensors"
local tensor, zeros, ones = core.tensor, core.zeros, core.ones
local noise, count_up, fails = tensors.noise, tensors.count_up, tensors.fails
local float = tensors.float
local inf, nan = math.huge, 0 / 0

-- The sanitizers keep freed memory back, and end the program where malloc
-- would return NULL, unless ASAN_OPTIONS has allocator_may_return_null=1.
local sanitized = (os.getenv "LD_PRELOAD" or ""):find "asan"
local malloc_fails = not sanitized or
  (os.getenv "ASAN_OPTIONS" or ""):find "may_return_null=1"

describe("a new Tensor", function()
  it("takes its shape from the nesting of the table", function()
    assert.same({3}, tensor {1, 2, 3}:shape())
    assert.same({2, 3}, tensor {{1, 2, 3}, {4, 5, 6}}:shape())
    assert.same({1, 1, 2}, tensor {{{1, 2}}}:shape())
    assert.same({1, 2, 1, 1}, tensor {{{{1}}, {{2}}}}:shape())
    assert.same({{1, 2, 3}, {4, 5, 6}},
                tensor {{1, 2, 3}, {4, 5, 6}}:totable())
  end)

  it("takes a flat table and a shape, last dimension fastest", function()
    local t = tensor({1, 2, 3, 4, 5, 6}, {3, 2})
    assert.same({{1, 2}, {3, 4}, {5, 6}}, t:totable())
    assert.same({2, 3}, tensor({1, 2, 3, 4, 5, 6}, {2, -1}):shape())
  end)

  it("comes filled: zeros, ones, full; sizes alone or in a table", function()
    assert.same({{0, 0}, {0, 0}}, zeros(2, 2):totable())
    assert.same({{1, 1, 1}}, ones({1, 3}):totable())
    assert.same({{{7.5}}, {{7.5}}}, core.full({2, 1, 1}, 7.5):totable())
    assert.same({-inf, -inf}, core.full(2, -inf):totable())
  end)

  it("holds float32", function()
    assert.equal(float(0.1), tensor {0.1}[1])
    assert.equal(16777216, tensor {16777217}[1])
    assert.equal(inf, tensor {1e300}[1])
    assert.is_true(tensor {nan}[1] ~= tensor {nan}[1])
  end)

  it("may be empty", function()
    assert.same({0}, tensor {}:shape())
    assert.same({2, 0}, tensor {{}, {}}:shape())
    assert.same({{}, {}}, zeros(2, 0):totable())
    assert.same({0, 3}, zeros(0, 3):shape())
    assert.equal(0, zeros(4, 0, 2):numel())
    assert.equal(0, zeros(0):sum())
    assert.same({0, 0, 0}, zeros(0, 3):sum(1):totable())
    assert.same({{0, 0}}, zeros(1, 0):matmul(zeros(0, 2)):totable())
    assert.is_true((zeros(0, 3) + 1):equal(zeros(0, 3)))
    assert.same({0, 2}, zeros(0, 5):topk(2):shape())
    assert.same({0, 5}, zeros(0, 5):softmax():shape())
  end)

  it("refuses ragged tables and names the place", function()
    fails("ragged table: entry [2] holds 1, the first one holds 2",
          tensor, {{1, 2}, {3}})
    fails("ragged table: entry [2][1] holds 3, the first one holds 2",
          tensor, {{{1, 2}}, {{1, 2, 3}}})
    fails("entry [2] is a number, must be a table of 2", tensor, {{1, 2}, 3})
    fails("entry [2] is a table, must be a number", tensor, {1, {2}})
    fails("bad argument #1", tensor, {1, {2}})
  end)

  it("refuses what is no number", function()
    fails("entry [2] is a string, must be a number", tensor, {1, "2"})
    fails("entry [1][2] is a boolean", tensor, {{1, true}})
    fails("entry [2] is a nil", tensor, {1, nil, 3})
    fails("table expected, got number", tensor, 5)
    fails("table expected", tensor, zeros(2))
    fails("number expected", core.full, {2}, "x")
  end)

  it("refuses tables nested too deep, also endless ones", function()
    local endless = {}
    endless[1] = endless
    fails("nested deeper than the 4 dimensions", tensor, {{{{{1}}}}})
    fails("nested deeper than the 4 dimensions", tensor, endless)
  end)

  it("refuses sizes that are none", function()
    fails("size -1 of dimension 2", zeros, 2, -1)
    fails("size 1.5 of dimension 1", zeros, 1.5)
    fails("must be an integer", zeros, nan)
    fails("must be an integer", zeros, inf)
    fails('size "2" of dimension 1', zeros, "2")
    fails("size nil of dimension 1", zeros, nil)
    fails("1 to 4 dimensions, not 5", zeros, 1, 1, 1, 1, 1)
    fails("1 to 4 dimensions, not 0", zeros)
    fails("1 to 4 dimensions, not 0", zeros, {})
    fails("shape [2, 2] does not hold exactly 3 elements",
          tensor, {1, 2, 3}, {2, 2})
  end)

  it("refuses sizes beyond the machine, whatever they multiply to", function()
    fails("shape [4611686018427387904] is too large", zeros, 2^62)
    fails("is too large", zeros, math.maxinteger, math.maxinteger)
    fails("is too large", zeros, 1 << 32, 1 << 32)  -- wraps to 0
    fails("is too large", zeros, 1 << 62, 4, 0)
    fails("is too large", zeros, 1 << 60, 2)
    if malloc_fails then fails("not enough memory", zeros, 1 << 46) end
  end)
end)

describe("the elements of a Tensor", function()
  it("are numbers on one dimension and views on more", function()
    local t = tensor {{1, 2, 3}, {4, 5, 6}}
    assert.equal(2, tensor {1, 2, 3}[2])
    assert.equal(2, tensor {1, 2, 3}[2.0])
    assert.same({4, 5, 6}, t[2]:totable())
    assert.equal(6, t[2][3])
  end)

  it("end with nil, so that ipairs ends", function()
    local seen = {}
    for i, x in ipairs(tensor {5, 6, 7}) do seen[i] = x end
    assert.same({5, 6, 7}, seen)
    local rows = 0
    for i, row in ipairs(zeros(3, 2)) do
      rows = rows + 1
      assert.equal(i, rows)
      assert.equal(2, #row)
    end
    assert.equal(3, rows)
    assert.is_nil(zeros(0)[1])
    assert.same({5, 6, 7}, {table.unpack(tensor {5, 6, 7})})
  end)

  it("are out of range elsewhere, by an error with index and size", function()
    local t = zeros(3, 2)
    for _, index in ipairs {0, -1, 5, math.mininteger, math.maxinteger} do
      fails(("index %d is out of range: dimension 1 of shape [3, 2] goes " ..
             "from 1 to 3"):format(index), function() return t[index] end)
      fails("out of range", function() t[index] = 1 end)
    end
    fails("index 4 is out of range: a Tensor of shape [3, 2] does not grow",
          function() t[4] = 1 end)
    fails("index 1.5 is no integer", function() return t[1.5] end)
    fails("is no integer", function() return t[nan] end)
    fails("indexed by integers, not by a table", function() return t[{}] end)
    fails("indexed by integers, not by a nil", function() t[nil] = 1 end)
    fails("no field 'foo'", function() t.foo = 1 end)
    assert.is_nil(t.foo)
  end)

  it("are set by numbers", function()
    local t = zeros(3)
    t[1], t[3] = 5, -inf
    assert.same({5, 0, -inf}, t:totable())
    fails("takes numbers, not string", function() t[1] = "5" end)
    fails("takes numbers, not nil", function() t[1] = nil end)
    fails("takes numbers, not userdata", function() t[1] = t end)
  end)

  it("are set by rows: a number fills, a Tensor is spread", function()
    local t = zeros(3, 2)
    t[1], t[2] = 7, tensor {1, 2}
    t[3] = tensor {9}
    assert.same({{7, 7}, {1, 2}, {9, 9}}, t:totable())
    fails("shape [3] does not broadcast to [2]: in dimension -1 it has 3, " ..
          "must be 2 or 1", function() t[1] = tensor {1, 2, 3} end)
    fails("takes numbers and Tensors, not table", function() t[1] = {1, 2} end)
    assert.same({{7, 7}, {1, 2}, {9, 9}}, t:totable())
  end)

  it("come with their sizes", function()
    local t = zeros(2, 3, 4)
    assert.equal(2, #t)
    assert.equal(24, t:numel())
    assert.equal(3, t:dim())
    assert.equal(4, t:shape(3))
    assert.equal(4, t:shape(-1))
    assert.equal("integer", math.type(t:shape(1)))
    fails("dimension 4 of a Tensor of shape [2, 3, 4] must be from 1 to 3 " ..
          "or from -3 to -1", t.shape, t, 4)
    fails("dimension 0", t.shape, t, 0)
    fails("dimension -4", t.shape, t, -4)
  end)
end)

describe("tostring of a Tensor", function()
  it("shows shape and values", function()
    assert.equal("Tensor [2, 2] {{1, -2.5}, {inf, nan}}",
                 tostring(tensor {{1, -2.5}, {inf, nan}}))
    assert.equal("Tensor [0] {}", tostring(zeros(0)))
    assert.equal("Tensor [3] {0.333333, 1e-10, 1.23457e+08}",
                 tostring(tensor {1 / 3, 1e-10, 123456789}))
  end)

  it("shows the ends of long dimensions", function()
    assert.equal("Tensor [8] {1, 2, 3, ..., 6, 7, 8}", tostring(count_up(8)))
    assert.equal("Tensor [7] {1, 2, 3, 4, 5, 6, 7}", tostring(count_up(7)))
    assert.equal("Tensor [50, 2] {{1, 2}, ..., {99, 100}}",
                 tostring(count_up(50, 2)))
    assert.is_true(#tostring(zeros(9, 9, 9, 9)) < 400)
  end)

  it("writes a decimal point in every locale", function()
    if not os.setlocale("de_DE.UTF-8", "numeric") then
      return pending "no locale with a decimal comma here"
    end
    local text = tostring(tensor {0.5})
    os.setlocale("C", "numeric")
    assert.equal("Tensor [1] {0.5}", text)
  end)
end)

describe("a view", function()
  it("shares its elements, both ways", function()
    local t = count_up(2, 3)
    local flat, row, column = t:view(6), t[2], t:select(2, 1)
    flat[4] = 40
    assert.equal(40, row[1])
    assert.equal(40, column[2])
    column:fill(0)
    assert.same({{0, 2, 3}, {0, 5, 6}}, t:totable())
  end)

  it("has another shape of the same elements", function()
    local t = count_up(2, 6)
    assert.same({3, 4}, t:view(3, 4):shape())
    assert.same({2, 3, 2}, t:view({2, -1, 2}):shape())
    assert.same({{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}},
                t:view(-1, 4):totable())
    fails("bad argument #1 to 'view' (shape [5, 2] does not hold exactly " ..
          "12 elements)", function() t:view(5, 2) end)
    fails("shape [-1, 5] does not hold exactly 12", t.view, t, -1, 5)
    fails("shape [-1, -1] has more than one -1", t.view, t, -1, -1)
    fails("shape [-1, 0] does not hold exactly 12", t.view, t, -1, 0)
    fails("shape [-1, 0] does not hold exactly 0", zeros(0).view, zeros(0),
          -1, 0)
    fails("too large", t.view, t, 1 << 62, 1 << 62)
    fails("size -2 of dimension 1 must be an integer from 0 or -1",
          t.view, t, -2)
  end)

  it("needs a contiguous Tensor, where reshape copies", function()
    local t = count_up(2, 3)
    local turned = t:transpose(1, 2)
    assert.is_true(t:is_contiguous())
    assert.is_false(turned:is_contiguous())
    fails("view needs a contiguous Tensor", function() turned:view(6) end)
    local copy = turned:reshape(6)
    assert.same({1, 4, 2, 5, 3, 6}, copy:totable())
    copy[1] = 100
    assert.equal(1, t[1][1])
    t:reshape(6)[1] = 100
    assert.equal(100, t[1][1])
  end)

  it("narrows a dimension", function()
    local t = count_up(3, 4)
    assert.same({{5, 6, 7, 8}, {9, 10, 11, 12}}, t:narrow(1, 2, 2):totable())
    assert.same({{2, 3}, {6, 7}, {10, 11}}, t:narrow(-1, 2, 2):totable())
    assert.same({3, 0}, t:narrow(2, 5, 0):shape())
    fails("bad argument #3 to 'narrow' (is 3, must be from 0 to 2)",
          function() t:narrow(1, 2, 3) end)
    fails("bad argument #2", function() t:narrow(1, 0, 1) end)
    fails("bad argument #2", function() t:narrow(1, 5, 0) end)
    fails("bad argument #1", function() t:narrow(3, 1, 1) end)
    fails("must be from 0 to 3", t.narrow, t, 1, 1, math.maxinteger)
  end)

  it("selects along a dimension", function()
    local t = count_up(2, 3, 2)
    assert.same({{3, 4}, {9, 10}}, t:select(2, 2):totable())
    assert.same({{2, 4, 6}, {8, 10, 12}}, t:select(-1, 2):totable())
    assert.equal(2, tensor {1, 2, 3}:select(1, 2))
    fails("is 3, must be from 1 to 2", t.select, t, 1, 3)
    fails("is 0, must be from 1 to 2", t.select, t, 1, 0)
    fails("the dimension is empty", zeros(2, 0).select, zeros(2, 0), 2, 1)
  end)

  it("transposes two dimensions, the last two unless told", function()
    local t = count_up(2, 3)
    assert.same({{1, 4}, {2, 5}, {3, 6}}, t:transpose(1, 2):totable())
    assert.same({{1, 4}, {2, 5}, {3, 6}}, t:transpose():totable())
    assert.same({4, 3, 2}, zeros(2, 3, 4):transpose(1, -1):shape())
    assert.same({2, 4, 3}, zeros(2, 3, 4):transpose():shape())
    assert.same(t:totable(), t:transpose():transpose():totable())
    fails("one dimension", zeros(3).transpose, zeros(3))
    fails("dimension 3", t.transpose, t, 1, 3)
  end)

  it("is left alone by clone", function()
    local t = count_up(2, 3)
    local copy = t:transpose():clone()
    assert.is_true(copy:is_contiguous())
    copy:fill(0)
    assert.same({{1, 2, 3}, {4, 5, 6}}, t:totable())
    assert.is_true(rawequal(t, t:contiguous()))
    assert.is_true(t:transpose():contiguous():is_contiguous())
  end)
end)

describe("the memory of a Tensor", function()
  local MIB = 256 * 1024  -- floats

  local function settle()
    collectgarbage()
    collectgarbage()
    return core.memory()
  end

  it("goes with the last view of it", function()
    local before = settle()
    local row
    do
      local t = ones(MIB)
      local view = t:narrow(1, 10, 5)
      row = t:view(1024, 256)[7]
      t:close()
      assert.is_true(settle() - before > 1e6)
      assert.same({1, 1, 1, 1, 1}, view:totable())
    end
    assert.is_true(settle() - before > 1e6)
    assert.equal(256, row:sum())
    row:close()
    assert.is_true(settle() - before < 1e6)
  end)

  it("is given back by close, once", function()
    local before = settle()
    local t = zeros(MIB)
    t:close()
    assert.is_true(core.memory() - before < 1e6)
    t:close()
    assert.equal("Tensor (closed)", tostring(t))
    do
      local scoped <close> = zeros(MIB)
      assert.is_true(core.memory() - before > 1e6)
      assert.equal(MIB, #scoped)
    end
    assert.is_true(core.memory() - before < 1e6)
  end)

  it("cannot be used after close", function()
    local t, open = zeros(2, 2), zeros(2, 2)
    t:close()
    local uses = {
      function() return t[1] end, function() t[1] = 1 end,
      function() return #t end, function() return t + open end,
      function() return open + t end, function() return -t end,
      function() open[1] = t end, function() open:add(t) end,
    }
    for i, use in ipairs(uses) do
      local ok, err = pcall(use)
      assert(not ok and err:find("the Tensor is closed", 1, true),
             "use " .. i .. ": " .. tostring(err))
    end
    for name, method in pairs {
      shape = t.shape, dim = t.dim, numel = t.numel, view = t.view,
      reshape = t.reshape, narrow = t.narrow, select = t.select,
      transpose = t.transpose, contiguous = t.contiguous, clone = t.clone,
      totable = t.totable, is_contiguous = t.is_contiguous, add = t.add,
      fill = t.fill, copy = t.copy, masked_fill = t.masked_fill, exp = t.exp,
      matmul = t.matmul, equal = t.equal, allclose = t.allclose, sum = t.sum,
      mean = t.mean, max = t.max, argmax = t.argmax, topk = t.topk,
      softmax = t.softmax, log_softmax = t.log_softmax,
    } do
      local ok, err = pcall(method, t, 1, 1, 1)
      assert(not ok and err:find("the Tensor is closed", 1, true), name)
    end
  end)

  it("may be closed by a finaliser in the middle of an operation", function()
    local mode = collectgarbage("incremental", 100)  -- it never pauses
    local operations = {
      function(t) return t + 1 end, function(t) return t:clone() end,
      function(t) return t[1] end, function(t) return t:sum(1) end,
      function(t) return t:topk(1) end, function(t) return t:totable() end,
      function(t) return t:transpose():contiguous() end,
      function(t) return t:matmul(t:transpose()) end, tostring,
    }
    for _, operation in ipairs(operations) do
      local closed = false
      for _ = 1, 20 do
        local t = zeros(64, 4096)
        setmetatable({}, {__gc = function() t:close() end})
        local ok, err = pcall(operation, t)
        if not ok then
          closed = true
          assert(err:find("the Tensor is closed", 1, true), err)
        end
      end
      assert.is_true(closed or operation ~= operations[1])
    end
    collectgarbage("incremental", 200)
    collectgarbage(mode)
  end)

  it("does not pile up when 10,000 Tensors of 1 MiB are dropped", function()
    local function resident()  -- MiB
      local file = assert(io.open "/proc/self/statm")
      local _, pages = file:read("n", "n")
      file:close()
      return pages * 4096 // 2^20
    end
    local before = collectgarbage "incremental"
    for _, mode in ipairs {"incremental", "generational"} do
      collectgarbage(mode)
      local most = 0
      for i = 1, sanitized and 500 or 5000 do
        zeros(512, 512)
        if i % 20 == 0 then
          most = math.max(most, core.memory() // 2^20,
                          sanitized and 0 or resident())
        end
      end
      assert.is_true(most < 300)
    end
    collectgarbage(before)
  end)

  it("is left alone while the host has stopped the collector", function()
    local finalised = false
    collectgarbage()
    collectgarbage "stop"
    setmetatable({}, {__gc = function() finalised = true end})
    for _ = 1, 20 do zeros(MIB) end
    assert.is_false(finalised)
    collectgarbage "restart"
    collectgarbage()
    assert.is_true(finalised)
  end)

  it("is whole again after errors", function()
    local t = ones(300, 300)
    local before = settle()
    for _ = 1, 20 do
      pcall(function() return t + zeros(299, 299) end)
      pcall(function() return t:matmul(zeros(299, 300)) end)
      pcall(tensor, {noise(1000), noise(999)})
      pcall(tensor, noise(1000), {1001})
      if malloc_fails then pcall(zeros, 1 << 46) end
      pcall(t.topk, t, 301)
    end
    assert.equal(before, settle())
    assert.equal(90000, t:sum())
  end)
end)
