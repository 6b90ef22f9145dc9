-- Watermarks: the goldens of ../shared/reference/generate.md (35, 36), and the
-- detector and SynthID with odd tables against transformers (detector.jsonl and
-- synthid.jsonl in spec/support, made by make_watermarks.py there). More rows:
-- processors_spec.lua.

local json = require "dkjson"
local core = require "decant.core"
local processors = require "decant.processors"
local toy = require "spec.support.toy"

local function zeros(n)
  local list = {}
  for i = 1, n do list[i] = 0 end
  return core.logits(list)
end

local function marked(logits)
  local ids = {}
  for id = 0, #logits - 1 do
    if logits[id] ~= 0 then ids[#ids + 1] = id end
  end
  return ids
end

describe("watermark", function()
  it("draws the green list that torch draws (35)", function()
    for last, green in pairs {
      [10] = {1, 4, 9, 12, 15}, [0] = {4, 5, 7, 13, 19},
      [3] = {1, 4, 9, 13, 14}, [7] = {6, 7, 9, 12, 17},
      [19] = {5, 14, 15, 18, 19},
    } do
      local p = processors.watermark()
      assert.same(green, marked(p(zeros(20), {2, last})))
    end
  end)

  it("tells of one token what it does to the row", function()
    for _, scheme in ipairs {"lefthash", "selfhash"} do
      local p = processors.watermark {
        seeding_scheme = scheme, context_width = 2, greenlist_ratio = 0.4}
      local ids = {5, 9, 17}
      local green = {}
      for _, id in ipairs(marked(p(zeros(32), ids))) do green[id] = true end
      for id = 0, 31 do
        assert.equal(green[id] or false,
                     core.watermark_green(p, 32, ids, id))
      end
    end
  end)

  it("leaves tokens behind vocab_size, and short rows, alone", function()
    local p = processors.watermark {vocab_size = 20, context_width = 2}
    assert.same({1, 4, 9, 12, 15}, marked(p(zeros(30), {0, 10})))
    assert.same({}, marked(p(zeros(30), {10})))
    assert.has_error(function() p(zeros(19), {1, 2}) end,
                     "watermark: vocab_size is 20, there are 19 logits")
  end)

  it("is asked for by a config and found again in the text", function()
    local function scores(line)
      local list, last = {}, line[#line]
      for id = 0, 63 do list[id + 1] = ((id * 37 + last * 11) % 64) / 64 end
      return list
    end
    local model = toy.model {vocab = 64, scores = scores, generation = {}}
    local mark = {bias = 4, hashing_key = 77}
    local detect = processors.watermark_detector {
      bias = 4, hashing_key = 77, vocab_size = 64}
    local config = {do_sample = true, seed = 5, max_new_tokens = 80,
                    eos_token_id = false, watermarking_config = mark}
    assert.is_true(detect(model:generate({1}, config)[1].ids).prediction)
    config.watermarking_config = nil
    assert.is_false(detect(model:generate({1}, config)[1].ids).prediction)
  end)
end)

describe("watermark_detector", function()
  local function close(want, got)
    assert.near(want, got, 1e-5 * math.abs(want) + 1e-6)
  end

  it("agrees with transformers on 24 texts", function()
    local n = 0
    for line in io.lines "spec/support/detector.jsonl" do
      local case = json.decode(line)
      local found = processors.watermark_detector(case.args)(case.ids)
      for _, name in ipairs {"num_tokens_scored", "num_green_tokens",
                             "prediction"} do
        assert.equal(case[name], found[name])
      end
      for _, name in ipairs {"green_fraction", "z_score", "p_value",
                             "confidence"} do
        close(case[name], found[name])
      end
      n = n + 1
    end
    assert.equal(24, n)
  end)

  it("is refused with what and why", function()
    local function refused(args, said)
      assert.has_error(function() processors.watermark_detector(args) end,
                       said)
    end
    refused({}, "watermark_detector: vocab_size is missing")
    refused({vocab_size = 9, ratio = 0.5},
            "watermark_detector: unknown argument 'ratio'")
    refused(5, "watermark_detector: a table of arguments expected, got number")
    refused({vocab_size = 9, z_threshold = "3"},
            'watermark_detector: z_threshold is "3", must be a number')
    local detect = processors.watermark_detector {vocab_size = 9}
    assert.has_error(function() detect {1} end,
      "watermark_detector: 1 ids are too few, this watermark is seen in 2 or "
      .. "more")
    assert.has_error(function() detect {1, 9} end)
    assert.has_error(function() detect(5) end)
  end)
end)

describe("synthid", function()
  it("moves probability between tokens and loses none", function()
    local p = processors.synthid {keys = {654, 400, 836, 123, 340},
                                  ngram_len = 5}
    local logits, sum, highest = p(zeros(64), {1, 2, 3}), 0, 0
    for id = 0, 63 do
      sum = sum + math.exp(logits[id])
      highest = math.max(highest, math.exp(logits[id]))
    end
    assert.near(1, sum, 1e-5)
    assert.is_true(highest > 4 / 64)
  end)

  it("agrees with transformers for tables of any size", function()
    for line in io.lines "spec/support/synthid.jsonl" do
      local case = json.decode(line)
      local p = processors.synthid(case.args)
      for _, call in ipairs(case.calls) do
        local logits = p(core.logits(call.scores), call.ids)
        for i, want in ipairs(call.expected) do
          assert.near(want, logits[i - 1], 1e-5 * math.abs(want) + 1e-5)
        end
      end
    end
  end)

  it("marks a context once, whatever the row did before", function()
    local args = {keys = {3, 5}, ngram_len = 2}
    local chain = core.chain({processors.synthid(args)}, {9, 9})
    local ids = {1, 2, 1}
    assert.same({}, marked(chain(zeros(16), ids)))  -- {1} was there before
    assert.not_same({}, marked(chain(zeros(16), {1, 2})))
    assert.not_same({}, marked(chain(zeros(16), {1})))
  end)

  it("follows the row that it is called with alone", function()
    local args = {keys = {3, 5}, ngram_len = 2}
    local p = processors.synthid(args)
    local first = p(zeros(16), {9, 9, 9}):totable()
    p(zeros(16), {9, 9, 9, 4})
    assert.same(first, p(zeros(16), {7, 8}):totable())  -- a shorter row begins
    assert.same(first, p(zeros(16), {7, 8, 4}, 3):totable())
  end)
end)
