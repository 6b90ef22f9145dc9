-- The arithmetic of Tensors. It is compared with the same arithmetic written
-- out in Lua on nested tables; the few golden numbers are torch 2's or
-- Python's, and say so.

local core = require "decant.core"
local tensors = require "spec.support.tensors"
local tensor, zeros = core.tensor, core.zeros
local noise, count_up, fails = tensors.noise, tensors.count_up, tensors.fails
local float, bits = tensors.float, tensors.bits
local inf, nan = math.huge, 0 / 0

-- Each number of `got` within `rtol` of the one of `wanted`.
local function assert_close(wanted, got, rtol)
  local ok = got:allclose(tensor(wanted), rtol, 1e-30)
  if not ok then assert.same(wanted, got:totable()) end
  assert.is_true(ok)
end

describe("arithmetic", function()
  -- f(a, b) written out, for operands of shape [2, 3] at most.
  local function expected(f, a, b)
    local rows = {}
    for i = 1, 2 do
      rows[i] = {}
      for j = 1, 3 do rows[i][j] = float(f(a(i, j), b(i, j))) end
    end
    return rows
  end

  local operators = {
    add = function(a, b) return a + b end,
    sub = function(a, b) return a - b end,
    mul = function(a, b) return a * b end,
    div = function(a, b) return a / b end,
  }
  local list = noise(6)
  local t = tensor(list, {2, 3})
  local function of_t(i, j) return list[(i - 1) * 3 + j] end
  local others = {
    {"a number", 3, function() return 3 end},
    {"a Tensor of its shape", count_up(2, 3),
     function(i, j) return (i - 1) * 3 + j end},
    {"a row", tensor {5, 7, 9}, function(_, j) return 3 + 2 * j end},
    {"a column", tensor {{5}, {7}}, function(i) return 3 + 2 * i end},
    {"one element", tensor {{8}}, function() return 8 end},
    {"a transposed Tensor", count_up(3, 2):transpose(),
     function(i, j) return (j - 1) * 2 + i end},
    {"a narrowed Tensor", count_up(2, 5):narrow(2, 2, 3),
     function(i, j) return (i - 1) * 5 + j + 1 end},
  }

  for _, other in ipairs(others) do
    it("with " .. other[1] .. " gives new Tensors, both ways", function()
      for _, f in pairs(operators) do
        assert.same(expected(f, of_t, other[3]), f(t, other[2]):totable())
        assert.same(expected(f, other[3], of_t), f(other[2], t):totable())
      end
      assert.same(list, t:view(6):totable())
    end)

    it("with " .. other[1] .. " works in place and returns self", function()
      for name, f in pairs(operators) do
        local own = t:clone()
        assert.is_true(rawequal(own, own[name](own, other[2])))
        assert.same(expected(f, of_t, other[3]), own:totable())
      end
    end)
  end

  it("broadcasts both sides at once, in up to four dimensions", function()
    local outer = tensor {{1}, {2}, {3}} * tensor {10, 20}
    assert.same({{10, 20}, {20, 40}, {30, 60}}, outer:totable())
    local sum = count_up(2, 1, 3, 1) + count_up(4, 1, 2) * 100
    assert.same({2, 4, 3, 2}, sum:shape())
    for i = 1, 2 do for j = 1, 4 do for k = 1, 3 do for l = 1, 2 do
      local left, right = (i - 1) * 3 + k, (j - 1) * 2 + l
      assert.equal(left + right * 100, sum[i][j][k][l])
    end end end end
  end)

  it("gives the same bits for any layout and length", function()
    for _, n in ipairs {1, 15, 16, 17, 511, 512, 513, 1500} do
      local a, b = tensor(noise(2 * n, 3), {n, 2}), tensor(noise(n, 5))
      local strided = a:select(2, 2)
      assert.equal(bits(strided:clone() / b), bits(strided / b))
      local other = strided:clone()
      strided:exp():add(0.1):mul(b)
      assert.equal(bits(other:exp():add(0.1):mul(b)), bits(strided))
      assert.equal(noise(2 * n, 3)[2 * n - 1], a[n][1])
    end
  end)

  it("negates", function()
    assert.same({-1, 2}, (-tensor {1, -2}):totable())
    assert.equal(-inf, 1 / (-tensor {0})[1])
  end)

  it("in place may read what it writes", function()
    local own = count_up(3, 3)
    own:add(own:transpose())
    assert.same({{2, 6, 10}, {6, 10, 14}, {10, 14, 18}}, own:totable())
    own = count_up(3, 2)
    own:sub(own[1])
    assert.same({{0, 0}, {2, 2}, {4, 4}}, own:totable())
    own = count_up(6)
    own:narrow(1, 2, 5):copy(own:narrow(1, 1, 5))
    assert.same({1, 1, 2, 3, 4, 5}, own:totable())
    own = count_up(5)
    own:add(own)
    assert.same({2, 4, 6, 8, 10}, own:totable())
  end)

  it("names both shapes and the rule when they do not fit", function()
    fails("bad argument #2 to 'add' (shapes [2, 3] and [2] do not " ..
          "broadcast: in dimension -1 they have 3 and 2, which must be " ..
          "equal or one of them 1)", function() return t + zeros(2) end)
    fails("shape [3, 3] does not broadcast to [2, 3]",
          function() t:add(zeros(3, 3)) end)
    fails("bad argument #1 to 'add' (shape [1, 2, 3] does not broadcast to " ..
          "[2, 3]: it has more dimensions)",
          function() t:add(zeros(1, 2, 3)) end)
    fails("number or Tensor expected, got string",
          function() return t + "1" end)
    fails("number or Tensor expected, got table",
          function() return {1} * t end)
    fails("number or Tensor expected, got no value", t.add, t)
  end)

  it("fills, copies, and fills where a mask is not 0", function()
    assert.same({4, 4}, zeros(2):fill(4):totable())
    assert.same({{1, 2}, {1, 2}}, zeros(2, 2):copy(tensor {1, 2}):totable())
    local masked = count_up(2, 3):masked_fill(tensor {0, 1, 0}, -inf)
    assert.same({{1, -inf, 3}, {4, -inf, 6}}, masked:totable())
    masked = count_up(2, 2):transpose():masked_fill(tensor {{1}, {0}}, 0)
    assert.same({{0, 0}, {2, 4}}, masked:totable())
    fails("decant.Tensor expected, got number", masked.masked_fill, masked, 1,
          1)
    fails("does not broadcast to", masked.masked_fill, masked, zeros(3), 1)
    fails("number expected", masked.masked_fill, masked, zeros(2), "x")
    fails("number expected", masked.fill, masked, zeros(2))
  end)

  it("has the functions of the field, close to torch's", function()
    local x = {-3, -1, -.5, 0, .5, 1, 3}
    -- torch 2: tanh(x), exp(x), nn.functional.silu(x); gelu is
    -- x / 2 * erfc(-x / sqrt(2)) in Python (torch's is off by 1e-4 at -3)
    assert_close({-0.9950547814369202, -0.7615941762924194,
                  -0.46211716532707214, 0, 0.46211716532707214,
                  0.7615941762924194, 0.9950547814369202},
                 tensor(x):tanh(), 3e-7)
    assert_close({0.049787066876888275, 0.3678794503211975,
                  0.6065306663513184, 1, 1.6487212181091309,
                  2.7182817459106445, 20.08553695678711},
                 tensor(x):exp(), 3e-7)
    assert_close({-0.004049694094890287, -0.15865525393145707,
                  -0.15426876936299344, 0, 0.34573123063700656,
                  0.8413447460685429, 2.99595030590511},
                 tensor(x):gelu(), 1e-6)
    assert_close({-0.14227761328220367, -0.2689414322376251,
                  -0.1887703388929367, 0, 0.3112296760082245,
                  0.7310585975646973, 2.857722520828247},
                 tensor(x):silu(), 5e-7)
    assert.same({0, 0, 0, 0, .5, 1, 3}, tensor(x):relu():totable())
    assert_close({math.log(.5), 0, math.log(2), math.log(10)},
                 tensor {.5, 1, 2, 10}:log(), 3e-7)
    assert.same({-inf, inf}, tensor {0, inf}:log():totable())
    assert.same({0, float(math.sqrt(2)), 3, inf},
                tensor {0, 2, 9, inf}:sqrt():totable())
    local chained = tensor(x)
    assert.is_true(rawequal(chained, chained:exp():tanh():relu():sqrt()))
  end)
end)

describe("comparison", function()
  it("by equal wants the same shape and elements", function()
    local t = count_up(2, 3)
    assert.is_true(t:equal(t:clone()))
    assert.is_true(t:transpose():equal(t:transpose():clone()))
    assert.is_false(t:equal(t + tensor {0, 0, 1}))
    assert.is_false(t:equal(t:view(6)))
    assert.is_false(t:equal(t:view(3, 2)))
    assert.is_false(tensor {nan}:equal(tensor {nan}))
    fails("decant.Tensor expected", t.equal, t, 1)
  end)

  it("by allclose allows atol + rtol * |other|", function()
    local t = tensor {100, 200}
    assert.is_true(t:allclose(tensor {101, 199}, 0.01, 0.01))
    assert.is_false(t:allclose(tensor {101, 197}, 0.01, 0.01))
    assert.is_true(t:allclose(tensor {100.5, 200.5}, 0, 0.5))
    assert.is_false(t:allclose(tensor {100.5, 200.75}, 0, 0.5))
    assert.is_true(zeros(3, 3):allclose(0))
    assert.is_true(tensor {inf, -inf}:allclose(tensor {inf, -inf}))
    assert.is_false(tensor {inf}:allclose(tensor {-inf}))
    assert.is_false(tensor {1}:allclose(tensor {inf}))
    assert.is_false(tensor {nan}:allclose(tensor {nan}))
    fails("shapes [2] and [3] do not broadcast", t.allclose, t, zeros(3))
    fails("must not be negative", t.allclose, t, t, -1)
    fails("must not be negative", t.allclose, t, t, 0, nan)
  end)
end)

describe("reductions", function()
  it("go over everything or along one dimension", function()
    local t = count_up(2, 3, 2)
    assert.equal(78, t:sum())
    assert.same({{8, 10}, {12, 14}, {16, 18}}, t:sum(1):totable())
    assert.same({{9, 12}, {27, 30}}, t:sum(2):totable())
    assert.same({{3, 7, 11}, {15, 19, 23}}, t:sum(-1):totable())
    assert.equal(6.5, t:mean())
    assert.same({{4, 5}, {6, 7}, {8, 9}}, t:mean(1):totable())
    assert.equal(12, t:max())
    assert.equal(12, t:argmax())
    assert.equal(6, tensor {1, 2, 3}:sum(1))
  end)

  it("keep the dimension on request", function()
    local t = count_up(2, 3)
    assert.same({{6}, {15}}, t:sum(2, true):totable())
    assert.same({{5, 7, 9}}, t:sum(1, true):totable())
    assert.same({6}, tensor {1, 2, 3}:sum(1, true):totable())
    assert.same({{-1, 0, 1}, {-1, 0, 1}}, (t - t:mean(2, true)):totable())
    local values, indices = t:max(2, true)
    assert.same({{3}, {6}}, values:totable())
    assert.same({{3}, {3}}, indices:totable())
  end)

  it("find the largest and where it is, the first of equals", function()
    local t = tensor {{1, 9, 9}, {4, 4, 0}}
    local values, indices = t:max(2)
    assert.same({9, 4}, values:totable())
    assert.same({2, 1}, indices:totable())
    assert.same({2, 1, 1}, t:argmax(1):totable())
    assert.equal(2, t:argmax())
    assert.equal("integer", math.type(t:argmax()))
    assert.same({7, 3}, {tensor {5, 6, 7, 7}:max(1)})
    assert.equal("integer", math.type(tensor {1, 2}:argmax(1)))
    assert.equal(3, t:transpose():argmax())
    assert.equal(1, core.full(40, -inf):argmax())
  end)

  it("take a NaN for the largest, as torch does", function()
    local t = tensor {1, nan, 5, nan}
    assert.is_true(t:max() ~= t:max())
    assert.equal(2, t:argmax())
    local values, indices = t:topk(4)
    assert.same({2, 4, 3, 1}, indices:totable())
    assert.equal(5, values[3])
  end)

  it("sum in the fixed order of 16 lanes", function()
    local list = noise(1000, 7)
    for i = 1, 1000 do list[i] = float(list[i] * (1 + i / 3)) end
    local lanes = {}
    for i = 1, 16 do lanes[i] = 0 end
    for i, x in ipairs(list) do
      local l = (i - 1) % 16 + 1
      lanes[l] = float(lanes[l] + x)
    end
    for _, half in ipairs {8, 4, 2, 1} do
      for l = 1, half do lanes[l] = float(lanes[l] + lanes[l + half]) end
    end
    local t = tensor(list)
    assert.equal(lanes[1], t:sum())
    assert.equal(lanes[1], t:sum(1))
    assert.equal(lanes[1], t:view(1000, 1):sum(1)[1])
    assert.equal(float(lanes[1] / 1000), t:mean())
    local columns = zeros(1000, 3)
    columns:select(2, 2):copy(t)
    assert.equal(lanes[1], columns:sum(1)[2])
    assert.equal(lanes[1], columns:select(2, 2):sum())
  end)

  it("have no largest of nothing", function()
    fails("an empty Tensor has no largest", zeros(0).max, zeros(0))
    fails("an empty Tensor has no largest", zeros(0).argmax, zeros(0))
    fails("an empty dimension", zeros(2, 0).max, zeros(2, 0), 2)
    assert.same({{0}, {0}}, zeros(2, 0):sum(2, true):totable())
    assert.same({0}, zeros(2, 0):argmax(1):shape())
    assert.is_true(zeros(0):mean() ~= zeros(0):mean())
  end)

  it("name a dimension that is not there", function()
    local t = zeros(2, 3)
    for _, name in ipairs {"sum", "mean", "max", "argmax", "softmax"} do
      fails("dimension 3 of a Tensor of shape [2, 3] must be from 1 to 2",
            t[name], t, 3)
      fails("number expected", t[name], t, "x")
    end
  end)
end)

describe("topk", function()
  it("gives values and indices, the largest first, ties in order", function()
    local values, indices = tensor {3, 9, 1, 9, 5, 3}:topk(5)
    assert.same({9, 9, 5, 3, 3}, values:totable())
    assert.same({2, 4, 5, 1, 6}, indices:totable())
  end)

  it("is the front of a stable sort for every k", function()
    local list, order = noise(200, 11), {}
    for i = 1, 200 do list[i], order[i] = list[i] // 1, i end
    table.sort(order, function(a, b)
      if list[a] ~= list[b] then return list[a] > list[b] end
      return a < b
    end)
    local t = tensor(list)
    for k = 0, 200 do
      local values, indices = t:topk(k)
      assert.equal(k, #values)
      for i = 1, k do
        assert.equal(order[i], indices[i])
        assert.equal(list[order[i]], values[i])
      end
    end
  end)

  it("works along any dimension", function()
    local t = tensor {{1, 8, 3}, {4, 2, 6}, {7, 5, 9}}
    local values, indices = t:topk(2, 1)
    assert.same({{7, 8, 9}, {4, 5, 6}}, values:totable())
    assert.same({{3, 1, 3}, {2, 3, 2}}, indices:totable())
    values, indices = t:topk(1)
    assert.same({{8}, {6}, {9}}, values:totable())
    assert.same({{2}, {3}, {3}}, indices:totable())
  end)

  it("wants a k that is there", function()
    local t = zeros(2, 3)
    fails("bad argument #1 to 'topk' (is 4, must be from 0 to 3)",
          function() t:topk(4) end)
    fails("is -1", t.topk, t, -1)
    fails("number expected, got no value", t.topk, t)
  end)
end)

describe("softmax", function()
  it("works in place along a dimension, the last unless told", function()
    -- torch 2: x.softmax(1), x.log_softmax(1), x.softmax(0)
    local x = {{1, -2, .5}, {3, 3, -inf}}
    local t = tensor(x)
    assert.is_true(rawequal(t, t:softmax()))
    assert_close({{0.6037489175796509, 0.030058886855840683,
                   0.3661922216415405}, {.5, .5, 0}}, t, 1e-6)
    assert_close({{-0.5045968890190125, -3.5045969486236572,
                   -1.0045969486236572},
                  {-0.6931471824645996, -0.6931471824645996, -inf}},
                 tensor(x):log_softmax(2), 1e-6)
    assert_close({{0.11920291930437088, 0.006692850962281227, 1},
                  {0.8807970285415649, 0.9933071732521057, 0}},
                 tensor(x):softmax(1), 1e-6)
  end)

  it("gives the same bits along any dimension", function()
    local rows = tensor(noise(300, 13), {3, 100})
    local columns = rows:clone():transpose()
    local copy = rows:transpose():clone()
    assert.equal(bits(rows:clone():softmax():transpose()),
                 bits(copy:clone():softmax(1)))
    assert.equal(bits(rows:clone():log_softmax():transpose()),
                 bits(columns:log_softmax(1)))
  end)

  it("gives zeros where everything is masked", function()
    assert.same({0, 0}, tensor {-inf, -inf}:softmax():totable())
    assert.same({-inf, -inf}, tensor {-inf, -inf}:log_softmax():totable())
  end)

  it("hides no NaN", function()
    for _, row in ipairs {{1, nan}, {nan, -inf}, {-inf, nan}, {inf, 1}} do
      local p, l = tensor(row):softmax(), tensor(row):log_softmax()
      assert.is_true(p[1] ~= p[1] and p[2] ~= p[2])
      assert.is_true(l[1] ~= l[1] or l[2] ~= l[2])
    end
  end)
end)

describe("matmul", function()
  -- Small integers: every order of summation is exact.
  local function integers(n, seed)
    local list = noise(n, seed)
    for i = 1, n do list[i] = list[i] // 1 end
    return list
  end

  local function product(a, b)  -- of nested tables
    local rows = {}
    for i = 1, #a do
      rows[i] = {}
      for j = 1, #b[1] do
        local sum = 0
        for k = 1, #b do sum = sum + a[i][k] * b[k][j] end
        rows[i][j] = sum
      end
    end
    return rows
  end

  it("multiplies matrices of any size", function()
    for _, size in ipairs {{1, 1, 1}, {2, 3, 4}, {5, 17, 3}, {40, 33, 70},
                           {1, 100, 65}, {33, 1, 2}} do
      local m, k, n = table.unpack(size)
      local a = tensor(integers(m * k, 3), {m, k})
      local b = tensor(integers(k * n, 5), {k, n})
      local wanted = product(a:totable(), b:totable())
      assert.same(wanted, a:matmul(b):totable())
      local turned_a = a:transpose():clone():transpose()
      local turned_b = b:transpose():clone():transpose()
      assert.same(wanted, turned_a:matmul(turned_b):totable())
    end
  end)

  it("takes vectors as rows on the left, columns on the right", function()
    local v, m = tensor {1, 2, 3}, count_up(3, 2)
    assert.equal(14, v:matmul(v))
    assert.same({22, 28}, v:matmul(m):totable())
    assert.same({14, 32}, count_up(2, 3):matmul(v):totable())
    assert.same({{14, 32}}, count_up(1, 2, 3):matmul(v):totable())
    assert.same({{22, 28}}, v:matmul(count_up(1, 3, 2)):totable())
    assert.same({22, 28}, count_up(3, 2):select(2, 1):sub(tensor {0, 1, 2})
                          :matmul(m):totable())
  end)

  it("multiplies batches and broadcasts them", function()
    local a = tensor(integers(4 * 3 * 5, 3), {4, 3, 5})
    local b = tensor(integers(4 * 5 * 2, 5), {4, 5, 2})
    local both, one = a:matmul(b), a:matmul(b[2])
    local left = a[3]:matmul(b)
    for i = 1, 4 do
      assert.same(product(a[i]:totable(), b[i]:totable()), both[i]:totable())
      assert.same(product(a[i]:totable(), b[2]:totable()), one[i]:totable())
      assert.same(product(a[3]:totable(), b[i]:totable()), left[i]:totable())
    end
    local four = a:view(4, 1, 3, 5):matmul(b:view(1, 4, 5, 2))
    assert.same({4, 4, 3, 2}, four:shape())
    assert.same(product(a[4]:totable(), b[2]:totable()),
                four[4][2]:totable())
    local swapped = a:transpose(1, 2):matmul(b[1])
    assert.same({3, 4, 2}, swapped:shape())
    assert.same(product(a:select(2, 3):totable(), b[1]:totable()),
                swapped[3]:totable())
  end)

  it("gives the same bits on any number of threads", function()
    local before = core.threads()
    local a = tensor(noise(150 * 300, 3), {150, 300})
    local b = tensor(noise(300 * 130, 5), {300, 130})
    core.threads(1)
    local wanted = bits(a:matmul(b))
    for _, threads in ipairs {2, 3, 5} do
      core.threads(threads)
      assert.equal(wanted, bits(a:matmul(b)))
    end
    core.threads(before)
    assert.equal(bits(a[150]:matmul(b)), wanted:sub(-130 * 4))
  end)

  it("names both shapes and the rule when they do not fit", function()
    local t = zeros(2, 3)
    fails("bad argument #1 to 'matmul' (shapes [2, 3] and [2, 3] do not " ..
          "multiply: the last dimension of the first (3) must equal the " ..
          "last but one of the second (2))", function() t:matmul(t) end)
    fails("shapes [2, 3] and [2] do not multiply: the last dimension of " ..
          "the first (3) must equal the size of the second (2)",
          t.matmul, t, zeros(2))
    fails("shapes [2, 1, 3] and [3, 3, 1] do not multiply: the dimensions " ..
          "in front of the last two", t.matmul, zeros(2, 1, 3),
          zeros(3, 3, 1))
    fails("decant.Tensor expected, got number", t.matmul, t, 2)
  end)
end)
