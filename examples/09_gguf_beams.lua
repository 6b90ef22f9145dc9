-- 09_gguf_beams.lua: beam search and constrained search over a decoder-only
-- GGUF file. Any such file will do:
--
--   lua5.4 examples/09_gguf_beams.lua [FILE.gguf ["How the text begins"]]
--
-- Greedy search is stuck with what it took first; a beam search keeps several
-- texts alive and finds a more probable one. A constrained beam search says
-- given words, too: neither put in front nor patched in, but where they fit
-- best, as whole sentences compete that hold them.

dofile "examples/setup.lua"
local decant = require "decant"

local path = arg[1] or "../shared/models/stories260K/stories260K.gguf"
local start = arg[2] or "Lily and Tom went to the park. They"
local model <close>, message = decant.load(path)
if not model then
  print(message .. "\nPass the path of a decoder-only GGUF file.")
  return
end

-- Finishes the sentence. `score` says of any row, however it was found, how
-- probable the model thinks it is.
local function show(name, config)
  config.stop_strings, config.max_new_tokens = ".", 40
  local result = model:generate(start, config)[1]
  local row = model.tokenizer:encode(start)
  table.move(result.ids, 1, #result.ids, #row + 1, row)
  print(("%s: log-probability %.1f\n  %s%s."):format(
    name, (model:score(row)), start, result.text))
end

-- The ids that a word has inside of a text, with the space in front of it.
local function word(text)
  local tokenizer, bare = model.tokenizer, {bos = false, eos = false}
  local before = tokenizer:encode("a", bare)
  local ids = tokenizer:encode("a " .. text, bare)
  return table.move(ids, #before + 1, #ids, 1, {})
end

-- force_words_ids: all of these phrases, or of a list of them any one.
local function saying(...)
  return {strategy = "constrained_beam", num_beams = 8, force_words_ids = {...}}
end

show("greedy", {})
show("8 beams", {num_beams = 8})
show("saying dragon", saying(word "dragon"))
show("saying dragon and cake", saying(word "dragon", word "cake"))
show("saying king or queen", saying {word "king", word "queen"})
