-- The strategies that transformers no longer has in its core, and speculative
-- decoding, against golden_removed.jsonl of ../shared/models/hf-zoo (made by
-- its make.py with 4.55 and 5.23): token for token, scores to 1e-4.

local fixtures = require "spec.support.fixtures"
local golden = require "spec.support.golden"
local decant = require "decant"

local zoo = "../shared/models/hf-zoo/"

-- The reference drafted with a noisy copy; here it is the 8-bit model.
local function prepare(row, name)
  local config = golden.config(row)
  if row.strategy ~= "assisted" then return config, function() end end
  local draft = assert(decant.load(fixtures.gguf(name, "q8_0")))
  config.assistant_model, config.num_assistant_tokens = draft, 4
  return config, function() draft:close() end
end

for _, name in ipairs {"marian", "bart", "t5", "m2m100", "llama", "qwen2",
                       "gpt2"} do
  describe("strategies on the " .. name .. " model of the zoo", function()
    local path, missing = golden.model(name)
    if not path then
      return it("give the tokens of the reference", function()
        pending(missing)
      end)
    end
    local model
    setup(function() model = assert(decant.load(path)) end)
    teardown(function() model:close() end)

    for _, row in ipairs(fixtures.json_lines(zoo .. name ..
                                             "/golden_removed.jsonl")) do
      it("give the tokens of the reference for " .. row.id, function()
        local config, finish = prepare(row, name)
        local results = model:generate(golden.inputs(row), config)
        finish()
        golden.compare(row, results, model)
      end)
    end
  end)
end
