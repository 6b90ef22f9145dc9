-- 04_generate_basic.lua: generation written by a user, with nothing but
-- model:decode and tensors. Compare it with the strategies of the library:
-- they do the same with a cache.

dofile "examples/setup.lua"
local decant = require "decant"

-- Greedy search; returns the ids as a Tensor [1, n], start token first.
local function generate_basic(model, encoder_output, start_id, end_id,
                              max_length)
  local ids = {start_id}
  while #ids < max_length and (#ids == 1 or ids[#ids] ~= end_id) do
    local scores = model:decode(ids, encoder_output)  -- [1, #ids, vocabulary]
    ids[#ids + 1] = scores[1][#ids]:argmax() - 1      -- ids count from 0
  end
  return decant.tensor {ids}
end

local model <close> = assert(decant.load(arg[1] or "de-en"))
local tokenizer = model.tokenizer
local text = "Das Wetter ist heute sehr schön."
local source = model:encode(tokenizer:encode(text))

local generated = generate_basic(model, source, model.config.decoder_start,
                                 tokenizer.eos, 60)
local ids = {}
for i, id in ipairs(generated[1]) do ids[i] = math.tointeger(id) end
print("shape: " .. table.concat(generated:shape(), " x "))
print("ids:   " .. table.concat(ids, " "))
print("text:  " .. tokenizer:decode(ids))

local result = model:generate(text, {num_beams = 1, do_sample = false})[1]
local same = table.concat(ids, " ") == table.concat(result.ids, " ")
print("equal to generate with greedy: " .. tostring(same))
