-- Hugging Face directories through decant.convert against transformers 5.23:
-- the models of ../shared/models/hf-zoo, every case of golden.jsonl (made by
-- its make.py). generate: token for token, with beams also sequences_scores;
-- logits and encoder outputs: to 1e-4 of the largest of the float64 values.

local fixtures = require "spec.support.fixtures"
local golden = require "spec.support.golden"
local decant = require "decant"

-- The library counts the pads in front of a prompt as part of its length.
local function count_new_tokens(config, width)
  for _, side in ipairs {"max", "min"} do
    local length = config[side .. "_length"]
    if length and length > 0 then
      config[side .. "_new_tokens"] = math.max(length - width, 0)
      config[side .. "_length"] = nil
    end
  end
end

local function config_of(row, model)
  local config = golden.config(row)
  if model.kind == "seq2seq" then
    config.source_mask = row.attention_mask
  elseif row.attention_mask then
    count_new_tokens(config, #row.input_ids[1])
  end
  return config
end

local function input_of(row, model)
  return model.kind == "seq2seq" and row.input_ids or golden.inputs(row)
end

-- The rows of the reference without what fills them up at the end; of a model
-- that goes on from its prompt the new tokens alone.
local function expected_ids(row, model)
  if model.kind == "causal" then return row.generated end
  local rows = {}
  for i, generated in ipairs(row.generated) do
    local all = row.output_ids[i]
    local start = #all
    local prefix = row.decoder_input_ids and row.decoder_input_ids[1] or {}
    -- the generated part begins behind the decoder's prompt, a start token
    -- in front of which may have been added
    for from = math.max(#prefix, 1) + 1, #all - #generated + 1 do
      local same = true
      for j = 1, #generated do
        same = same and all[from + j - 1] == generated[j]
      end
      if same then
        start = from - 1
        break
      end
    end
    rows[i] = table.move(generated, 1, #generated, start + 1,
                         table.move(all, 1, start, 1, {}))
  end
  return rows
end

-- Largest difference between a Tensor's part and nested tables, and the
-- largest number in them; null where the reference has padding.
local function difference(tensor, expected)
  if expected == fixtures.null then return 0, 0 end
  if type(expected) == "number" then
    return math.abs(tensor - expected), math.abs(expected)
  end
  local worst, largest = 0, 0
  for i, part in ipairs(expected) do
    local d, size = difference(tensor[i], part)
    worst, largest = math.max(worst, d), math.max(largest, size)
  end
  return worst, largest
end

local function assert_close(tensor, expected)
  local worst, largest = difference(tensor, expected)
  assert.is_true(largest > 0)
  assert.is_true(worst <= 1e-4 * largest,
                 ("%g off, the largest is %g"):format(worst, largest))
end

-- Row by row: a prompt's pads, null in the reference, are not fed at all.
local function check_causal_logits(model, row)
  for i, prompt in ipairs(input_of(row, model)) do
    local expected = {}
    for _, logits in ipairs(row.logits[i]) do
      if logits ~= fixtures.null then expected[#expected + 1] = logits end
    end
    assert_close(model:decode({prompt})[1], expected)
  end
end

local function check_logits(model, row)
  if model.kind == "causal" then return check_causal_logits(model, row) end
  local source = model:encode(row.input_ids, row.attention_mask)
  assert_close(model:decode(row.decoder_input_ids, source,
                            row.attention_mask), row.logits)
end

local CAUSAL = {llama = true, qwen2 = true, gpt2 = true}

-- Left pads are ids of the source to these two processors of the library;
-- decant has no pads in front of a prompt.
local function looks_at_pads(name, row)
  return CAUSAL[name] and row.attention_mask
         and (row.config.encoder_repetition_penalty
              or row.config.encoder_no_repeat_ngram_size)
end

-- So there each input gets these processors with the padded source, in the
-- place of those that its config asks for.
local function generate_padded(model, row)
  local found = {}
  for i, ids in ipairs(golden.inputs(row)) do
    local config = config_of(row, model)
    local penalty = config.encoder_repetition_penalty
    local n = config.encoder_no_repeat_ngram_size
    config.processors = {}
    table.insert(config.processors, penalty
      and decant.processors.encoder_repetition_penalty {
        penalty = penalty, encoder_input_ids = row.input_ids[i]} or nil)
    table.insert(config.processors, n
      and decant.processors.encoder_no_repeat_ngram {
        ngram_size = n, encoder_input_ids = row.input_ids[i]} or nil)
    local results = model:generate({ids}, config)
    table.move(results, 1, #results, #found + 1, found)
  end
  return found
end

local function generate(model, name, row)
  if looks_at_pads(name, row) then return generate_padded(model, row) end
  return model:generate(input_of(row, model), config_of(row, model))
end

local function check_generate(model, name, row)
  local results = generate(model, name, row)
  local expected = expected_ids(row, model)
  assert.equal(#expected, #results)
  for i, result in ipairs(results) do
    assert.same(expected[i], result.ids)
    assert.equal(row.finish[i], result.finish)
    if row.sequences_scores then
      -- scores of up to 500 (length penalties below 0 multiply)
      local expected_score = row.sequences_scores[i]
      assert.near(expected_score, result.score,
                  1e-4 + 1e-5 * math.abs(expected_score))
    end
  end
end

for _, name in ipairs {"marian", "bart", "t5", "m2m100", "llama", "qwen2",
                       "gpt2"} do
  describe("the " .. name .. " model of the zoo", function()
    local model
    setup(function()
      model = assert(decant.load(fixtures.gguf(name, "f32")))
    end)
    teardown(function() model:close() end)

    for _, row in ipairs(fixtures.golden(name)) do
      if row.kind == "generate" then
        it("generates the tokens of the reference for " .. row.id, function()
          check_generate(model, name, row)
        end)
      elseif row.kind == "logits" then
        it("has the logits of the reference for " .. row.id, function()
          check_logits(model, row)
        end)
      elseif row.kind == "encoder" then
        it("encodes as the reference does for " .. row.id, function()
          assert_close(model:encode(row.input_ids, row.attention_mask),
                       row.encoder_output)
        end)
      end
    end
  end)
end
