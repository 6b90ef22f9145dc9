-- processors.lua: factories of logits processors, what composes them, and the
-- list of processors that a config asks for. docs/processors.md is the manual
-- page.
--
-- A factory takes its main argument or a table of named arguments:
-- top_p(0.9) is top_p{top_p = 0.9, min_tokens_to_keep = 1}. It checks them
-- once and returns something to be called as p(logits, ids, prompt), which
-- edits the logits in place and returns them; ids is the whole row so far,
-- prompt how many of them stand before the new tokens. Names and rules are
-- those of transformers' classes, llama.cpp's samplers and CTranslate2's
-- options.

local processors = {}

for _, factories in ipairs {
  require("decant.processors.built_in").factories,
  (require "decant.processors.guidance"),
  (require "decant.processors.compose"),
} do
  for name, factory in pairs(factories) do processors[name] = factory end
end

processors.prefix_allowed = require "decant.processors.prefix_allowed"
processors.watermark_detector = require "decant.processors.detector"
processors.coverage = require "decant.processors.coverage"
processors.from_config = require "decant.processors.from_config"

return processors
