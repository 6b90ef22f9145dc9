-- What a session gives beside the next scores: session:feed(ids, want) and
-- session:forward(rows, want). Values: spec/support/wants.py.

local fixtures = require "spec.support.fixtures"
local toy = require "spec.support.toy"
local decant = require "decant"

local everything = {every = true, hidden = true, layers = {0, 1},
                    attention = true}

local expected = {
  marian = {
    source = {5, 6, 7, 0},
    attention = {{0.253677, 0.304892, 0.134464, 0.306966},
                 {0.231759, 0.200311, 0.326731, 0.241199},
                 {0.276423, 0.380492, 0.013741, 0.329344},
                 {0.228002, 0.315738, 0.196045, 0.260215}},
    hidden = {-1.72459, -0.8824, -1.28088, -0.82184},
    layers = {{3.91014, 12.82224, -9.23106, 2.0368},
              {-3.2367, 2.8581, -1.62966, -1.51057}},
  },
  bart = {
    source = {5, 6, 7, 2},
    attention = {{0.225202, 0.325521, 0.027758, 0.421519},
                 {0.383037, 0.160284, 0.331176, 0.125502},
                 {0.685017, 0.056957, 0.01489, 0.243136},
                 {0.310724, 0.287762, 0.044949, 0.356565}},
    hidden = {-0.42538, -0.14907, -0.16133, 1.2174},
    layers = {{-1.07689, 9.63845, 0.45907, -3.37471},
              {-1.1876, 0.33051, -1.79459, 1.66499}},
  },
}

-- Bit for bit: a Logits, a Tensor, or lists and tables of them.
local function plain(value)
  if type(value) == "userdata" then return value:totable() end
  if type(value) ~= "table" then return value end
  local copy = {}
  for key, each in pairs(value) do copy[key] = plain(each) end
  return copy
end

for name, values in pairs(expected) do
  describe("what is wanted of the " .. name .. " model", function()
    local model, ids
    setup(function()
      model = assert(decant.load(fixtures.gguf(name, "f32")))
      ids = {model.config.decoder_start, 4, 9, 11}
    end)
    teardown(function() model:close() end)

    local function session(rows)
      return model:session{source = values.source, rows = rows}
    end

    it("has the values of the reference", function()
      local _, extras = session():feed(ids, everything)
      for i, row in ipairs(values.attention) do
        for j, weight in ipairs(row) do
          assert.near(weight, extras.attention[i][j], 1e-5)
        end
      end
      for j, x in ipairs(values.hidden) do
        assert.near(x, extras.hidden[3][j], 1e-4)
      end
      for layer, row in ipairs(values.layers) do
        for j, x in ipairs(row) do
          assert.near(x, extras.layers[layer][9 + j], 1e-4)
        end
      end
    end)

    it("changes no bit of the scores", function()
      local with, extras = session():feed(ids, everything)
      local without, nothing = session():feed(ids)
      assert.is_nil(nothing)
      assert.same(without:totable(), with:totable())
      assert.equal(with, extras.every[4])
    end)

    it("is the same for a prompt in pieces", function()
      local _, whole = session():feed(ids, everything)
      local pieces = session()
      for i, id in ipairs(ids) do
        local _, one = pieces:feed(id, everything)
        assert.same(plain(whole.every[i]), plain(one.every[1]))
        assert.same(plain(whole.hidden[i]), plain(one.hidden[1]))
        assert.same(plain(whole.attention[i]), plain(one.attention[1]))
      end
      local _, last = pieces:feed(5, {layers = {1, 0}})
      local _, again = session():feed({ids[1], 4, 9, 11, 5}, {layers = {0, 1}})
      assert.same(plain(again.layers[2]), plain(last.layers[1]))
      assert.same(plain(again.layers[1]), plain(last.layers[2]))
    end)

    it("scores every position as model:decode does", function()
      local _, extras = session():feed(ids, {every = true})
      local all = model:decode(ids, model:encode(values.source))
      for i = 1, 4 do
        local row = extras.every[i]:totable()
        for id = 0, #extras.every[i] - 1 do
          assert.equal(all[1][i][id + 1], row[id])
        end
      end
    end)

    it("comes for each row, and rows without ids have none", function()
      local rows = session(3)
      local _, first = session():feed({ids[1], 4}, everything)
      local answer, extras = rows:forward({{ids[1]}, {}, {ids[1], 4}},
                                          everything)
      assert.is_false(answer[2])
      assert.is_false(extras[2])
      assert.equal(1, #extras[1].every)
      assert.same(plain(first), plain(extras[3]))
    end)

    it("lets inputs that want different things share a pass", function()
      local function wanting(want)
        return function(timeline, prompt)
          local logits, extras = timeline:feed(prompt, want)
          return {logits:argmax()}, "stop", extras and extras.hidden[1][1] or 0
        end
      end
      local alone = model:generate(values.source,
                                   {strategy = wanting{hidden = true}})
      local i = 0
      local both = model:generate({values.source, values.source}, {
        strategy = function(...)
          i = i + 1
          return wanting(i == 2 and {hidden = true} or nil)(...)
        end,
      })
      assert.equal(0, both[1].score)
      assert.equal(alone[1].score, both[2].score)
      assert.same(alone[1].ids, both[1].ids)
    end)

    it("names what it does not know, and the session goes on", function()
      local timeline = session()
      for message, want in pairs {
        ["must be a table"] = 1,
        ["want.evry is not known"] = {evry = true},
        ["2 is no layer; they are numbered 0 to 1"] = {layers = {2}},
        ["%-1 is no layer"] = {layers = {-1}},
        ["want.layers is a number"] = {layers = 1},
      } do
        assert.error_matches(function() timeline:feed(ids, want) end, message)
        assert.error_matches(function() timeline:forward({ids}, want) end,
                             message)
      end
      assert.equal(0, timeline:length())
      assert.is_table(select(2, timeline:feed(ids, everything)))
    end)
  end)
end


it("a causal model is not asked for cross-attention", function()
  local session = toy.session()
  assert.error_matches(function() session:feed({1}, {attention = true}) end,
                       "a causal model has no cross%-attention")
end)
