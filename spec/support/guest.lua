-- guest.lua: what the host of guest_spec.lua runs in each of its states: a
-- parallel loop, and a generation with the model in $GUEST_MODEL if there is
-- one (the static host has no os and gets its path from the file itself).
-- Returns the bits of all results as text.

local core = require "decant.core"
core.threads(2)

local function bits(tensor)
  local parts = {}
  for i, x in ipairs(tensor) do parts[i] = ("%x"):format(x * 2^20 // 1) end
  return table.concat(parts, " ")
end

local n <const> = 96
local numbers = {}
for i = 1, n * n do numbers[i] = (i * 7 % 31 - 15) / 16 end
local a = core.tensor(numbers, {n, n})
local product = a:matmul(a)             -- 884,736 multiply-adds: two threads
local seen = bits(product[1]) .. " " .. bits(product[n])

local path = _G.MODEL_PATH or os and os.getenv "GUEST_MODEL"
if path and path ~= "" then
  local decant = require "decant"
  local model <close> = assert(decant.load(path))
  local input = {5, 6, 7, 8, 9, model.tokenizer and model.tokenizer.eos or 0}
  local result = model:generate(input, {max_new_tokens = 8})[1]
  assert(not pcall(model.generate, model, {-1}))
  seen = seen .. " / " .. table.concat(result.ids, " ")
end
return seen
