-- model:generate against transformers 5.23 on the Marian and BART models of
-- ../shared/models/hf-zoo: every case of golden.jsonl (made by its make.py),
-- token for token; with beams also sequences_scores.

local fixtures = require "spec.support.fixtures"
local decant = require "decant"

-- Defaults of the library that are not ours; `config` of a row holds every
-- field in force that differs from the library's defaults.
local library = {
  early_stopping = false, min_length = 0, eos_token_id = false,
  pad_token_id = false, bos_token_id = false, forced_eos_token_id = false,
  forced_bos_token_id = false, bad_words_ids = false,
}

local function config_of(row)
  local config = {}
  for field, value in pairs(library) do config[field] = value end
  for field, value in pairs(row.config) do config[field] = value end
  config.source_mask = row.attention_mask
  config.decoder_input_ids = row.decoder_input_ids
  if row.prefix_allowed then
    config.prefix_allowed_tokens_fn = function(_, index)
      return row.prefix_allowed[index]
    end
  end
  return config
end

-- The rows of the reference without what fills them up at the end.
local function expected_ids(row)
  local rows = {}
  for i, generated in ipairs(row.generated) do
    local all = row.output_ids[i]
    local start = #all
    -- the generated part begins behind the decoder's prompt
    for from = 1, #all - #generated + 1 do
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

for _, name in ipairs {"marian", "bart"} do
  describe("generate on the " .. name .. " model of the zoo", function()
    local model
    setup(function()
      model = assert(decant.load(fixtures.gguf(name, "f32")))
    end)
    teardown(function() model:close() end)

    for _, row in ipairs(fixtures.golden(name)) do
      if row.kind == "generate" then
        it("gives the tokens of the reference for " .. row.id, function()
          local results = model:generate(row.input_ids, config_of(row))
          local expected = expected_ids(row)
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
        end)
      end
    end
  end)
end
