-- ../shared/models/zoo: GGUF files as llama.cpp writes them, against its
-- logits (the goldens are described in the zoo's README), and the story that
-- the real Llama of ../shared/models/stories260K is known for.

local core = require "decant.core"
local decant = require "decant"
local fixtures = require "spec.support.fixtures"

local zoo = "../shared/models/zoo/"

-- How far a logit may be off. Logits here are about normal with deviation 1.
--
-- F32 and F16: what two orders of sums, and llama.cpp's table of GELU values
-- in half precision, come to.
--
-- Quantised weights meet activations of 8 bits. In a block of 32 (or 256)
-- normal numbers the largest is about 2.3 (2.9) deviations, so the step is
-- 1.8 % (2.3 %) of one and its rounding error 0.52 % (0.66 %), and so is that
-- of each product. The 8 sublayers of these models and the output matrix add
-- theirs to the residual stream: about 2 % of a logit's deviation. The bound
-- is six times that.
local EXACT <const>, ROUNDED <const> = 2e-3, 0.12

local files = {
  {"llama", EXACT}, {"gpt2", EXACT}, {"qwen2", EXACT}, {"t5", EXACT},
  {"llama-F16", EXACT, ".deq"}, {"llama-BF16", EXACT, ".deq"},
  {"llama-Q8_0", ROUNDED, ".deq"}, {"llama-Q4_0", ROUNDED, ".deq"},
  {"llama-Q4_1", ROUNDED, ".deq"}, {"llama-Q5_0", ROUNDED, ".deq"},
  {"llama-Q5_1", ROUNDED, ".deq"}, {"llama-Q4_K_S", ROUNDED, ".deq"},
  {"llama-Q5_K_S", ROUNDED, ".deq"}, {"llama-Q6_K", ROUNDED, ".deq"},
  -- no golden of exact activations: llama.cpp's own have the same error
  {"llama-Q4_K_M", 2 * ROUNDED},
}

-- The first scores, and those behind each token of the reference.
local function steps_of(model, golden)
  local ids, at, rows = golden[1].ids, 1
  if golden[1].encdec == 1 then
    rows = model:rows(1, model:sources(model:encode {ids})[1])
    ids = {model:hparams().decoder_start}
  else
    rows = model:rows(1)
  end
  return function()
    at = at + 1
    if not golden[at] then return nil end
    local logits = core.forward {{rows, {ids}}} [1][1]
    ids = {golden[at].top[1][1]}
    return golden[at], logits
  end
end

local function sum_of(logits)
  local sum = 0
  for id = 0, #logits - 1 do sum = sum + logits[id] end
  return sum
end

describe("the zoo's", function()
  for _, file in ipairs(files) do
    local name, bound, suffix = file[1], file[2], file[3] or ""
    it(name .. " gives the reference's ids, best logits and sums", function()
      local model, message = core.load(zoo .. name .. ".gguf",
                                       {tokenizer = false})
      if not model and message:find("does not compute with", 1, true) then
        return pending(message)
      end
      assert.truthy(model, message)
      local golden = fixtures.json_lines(zoo .. name .. suffix ..
                                         ".golden.jsonl")
      for step, logits in steps_of(model, golden) do
        local best, second = step.top[1], step.top[2]
        for _, top in ipairs(step.top) do
          assert.near(top[2], logits[top[1]], bound)
        end
        -- errors of 512 logits that have nothing to do with each other
        assert.near(step.sum, sum_of(logits), bound * 512 ^ 0.5)
        if best[2] - second[2] > 2 * bound then
          assert.equal(best[1], logits:argmax())
        end
      end
      model:close()
    end)
  end
end)

describe("inspecting the zoo", function()
  it("tells decoders from encoders with decoders", function()
    local inspect = require "decant.inspect"
    local _, llama = inspect(zoo .. "llama.gguf")
    assert.equal("causal", llama.kind)
    assert.is_nil(llama.cache.source)
    local _, t5 = inspect(zoo .. "t5.gguf")
    assert.equal("seq2seq", t5.kind)
    -- 512 positions in 4 layers, keys and values of 256 floats
    assert.equal(512 * 4 * 2 * 256 * 4, t5.cache.source)
  end)
end)

describe("the Llama of stories260K", function()
  local path = "../shared/models/stories260K/stories260K.gguf"
  local model, pieces
  setup(function()
    model = assert(decant.load(path, {tokenizer = false}))
    pieces = assert(core.gguf(path)):get "tokenizer.ggml.tokens"
  end)
  teardown(function() model:close() end)

  local function text_of(ids)
    local text = {}
    for i, id in ipairs(ids) do
      text[i] = pieces[id + 1]:gsub("\u{2581}", " ")
    end
    return table.concat(text)
  end

  local known = " Once upon a time, there was a little girl named Lily. She " ..
    "loved to play outside in the park. One day, she saw a big, red ball. " ..
    "She wanted to play with it, but it was too high."

  it("tells its known story", function()
    local story = model:generate({1}, {max_new_tokens = 90, eos_token_id = 2})
    assert.equal("length", story[1].finish)
    assert.equal(known, text_of(story[1].ids):sub(1, #known))
  end)

  it("tells it on a text as well, to the end that its tokenizer knows",
     function()
    local whole <close> = assert(decant.load(path))
    assert.same({2}, whole.config.generation.eos_token_id)
    local start = "Once upon a time"
    local text = whole:complete(start, {max_new_tokens = 90})
    assert.equal(known, (" " .. start .. text):sub(1, #known))
    local pieces_ = {}
    for piece in whole:stream(start, {max_new_tokens = 90}) do
      pieces_[#pieces_ + 1] = piece
    end
    assert.equal(text, table.concat(pieces_))
  end)

  it("goes on byte for byte where a prompt ends", function()
    local whole <close> = assert(decant.load(path))
    for _, start in ipairs {"Once", "Once upon a time", "Once upon a time,",
                            "Once upon a time, there was"} do
      local text = whole:complete(start, {max_new_tokens = 30})
      local shown = {}
      for piece in whole:stream(start, {max_new_tokens = 30}) do
        shown[#shown + 1] = piece
      end
      assert.equal(text, table.concat(shown))
      local story = " " .. start .. text
      assert.equal(known:sub(1, #story), story)
    end
    -- from the marks alone a text begins: without the space in front
    local story = whole:generate({1}, {max_new_tokens = 8})[1].text
    assert.equal(known:sub(2, #story + 1), story)
  end)

  it("is a causal model that reads no source", function()
    assert.equal("causal", model.kind)
    assert.equal(4, model.config.kv_heads)
    assert.error_matches(function() model:encode {1} end, "has no encoder")
    assert.error_matches(function() model:session {source = {1}} end,
                         "reads no source")
    assert.error_matches(function() model:decode({1}, core.zeros(1, 1, 64)) end,
                         "reads no source")
    assert.error_matches(function() model:translate "a" end, "use complete")
  end)

  it("continues a batch as it continues each of its rows", function()
    local prompts = {{1}, {1, 403}, {1, 403, 407, 261, 378}}
    local config = {max_new_tokens = 12, num_beams = 2, eos_token_id = 2}
    local together = model:generate(prompts, config)
    for i, prompt in ipairs(prompts) do
      local alone = model:generate(prompt, config)[1]
      assert.same(alone.ids, together[i].ids)
      assert.equal(alone.score, together[i].score)
    end
  end)

  it("scores by teacher forcing what it scores step by step", function()
    local ids = {1, 403, 407, 261, 378}
    local total = model:score(ids)
    local session <close> = model:session()
    local sum = 0
    for i = 1, #ids - 1 do
      sum = sum + session:feed(ids[i]):log_softmax()[ids[i + 1]]
    end
    assert.near(sum, total, 1e-6)
    assert.near(total, (model:score({403, 407, 261, 378}, {1})), 1e-12)
  end)

  it("forks, reorders and truncates its timelines", function()
    local session <close> = model:session()
    session:feed {1, 403}
    local fork <close> = session:fork()
    assert.equal(session:feed(407):argmax(), fork:feed(407):argmax())
    session:truncate(2)
    assert.equal(2, session:length())
    session:reorder {1, 1}
    local pair = session:forward {{407}, {261}}
    assert.equal(261, pair[1]:argmax())
    assert.is_false(pair[2]:argmax() == 261)
  end)
end)
