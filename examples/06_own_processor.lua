-- 06_own_processor.lua: a processor is a function over the scores of one step.
-- This one writes lipograms: texts without one letter.

dofile "examples/setup.lua"
local decant = require "decant"

local model <close> = assert(decant.load(arg[1] or "de-en"))

local function without(letter)
  local banned, tokenizer = {}, model.tokenizer
  for id = 0, #tokenizer - 1 do
    if tokenizer:piece(id):lower():find(letter, 1, true)
       and id ~= tokenizer.eos then
      banned[#banned + 1] = id
    end
  end
  return function(logits) logits:suppress(banned) end
end

local text = "Wir gehen am Abend ins Theater."
print("as it is:    " .. model:translate(text))
for letter in ("aeo"):gmatch "." do
  print(("without '%s': %s"):format(letter, model:translate(text, {
    processors = {without(letter)},
  })))
end
