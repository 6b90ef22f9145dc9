-- golden.lua: cases of ../shared/models/hf-zoo, as decant's inputs and configs.
--
--   golden.model(name)          path of the f32 GGUF; nil and a message where
--                               convert does not know the architecture
--   golden.config(row)          the config of a case
--   golden.inputs(row)          its inputs, without pads
--   golden.compare(row, results, model)
--                               asserts tokens, finish and sequences_scores

local assert = require "luassert"
local fixtures = require "spec.support.fixtures"

local golden = {}

-- Defaults of the library that are not ours; `config` of a row holds every
-- field in force that differs from the library's defaults.
local library = {
  early_stopping = false, min_length = 0, eos_token_id = false,
  pad_token_id = false, bos_token_id = false, forced_eos_token_id = false,
  forced_bos_token_id = false, bad_words_ids = false,
}


function golden.model(name)
  local fine, path = pcall(fixtures.gguf, name, "f32")
  if fine then return path end
  local message = tostring(path)
  assert(message:find("is not supported", 1, true), message)
  return nil, message
end


function golden.config(row)
  local config = {}
  for field, value in pairs(library) do config[field] = value end
  for field, value in pairs(row.config) do config[field] = value end
  config.decoder_input_ids = row.decoder_input_ids
  config.negative_prompt_ids = row.negative_prompt_ids
  if row.prefix_allowed then
    config.prefix_allowed_tokens_fn = function(_, index)
      return row.prefix_allowed[index]
    end
  end
  return config
end


-- Left pads are the library's way to make a batch; here rows have any length.
function golden.inputs(row)
  local inputs = {}
  for i, ids in ipairs(row.input_ids) do
    inputs[i] = {}
    for j, id in ipairs(ids) do
      if not row.attention_mask or row.attention_mask[i][j] == 1 then
        table.insert(inputs[i], id)
      end
    end
  end
  return inputs
end

function golden.compare(row, results, model)
  assert.equal(#row.generated, #results)
  local finish, scores = row.finish, row.sequences_scores
  for i, result in ipairs(results) do
    local start = model.kind == "seq2seq" and #result.ids - #row.generated[i]
                  or 0
    local new = table.move(result.ids, start + 1, #result.ids, 1, {})
    assert.same(row.generated[i], new)
    assert.equal(finish[i], result.finish)
    if scores then
      assert.near(scores[i], result.score, 1e-4 + 1e-5 * math.abs(scores[i]))
    end
  end
end

return golden
