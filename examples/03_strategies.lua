-- 03_strategies.lua: ways to choose the next token, first on five
-- probabilities, then on a sentence.

dofile "examples/setup.lua"
local decant = require "decant"

local words = {[0] = "dog", "The", "runs", "cat", "eos"}
local probabilities = {0.40, 0.35, 0.15, 0.08, 0.02}

-- Logits with these probabilities: their logarithms.
local function fresh()
  local scores = {}
  for i, p in ipairs(probabilities) do scores[i] = math.log(p) end
  return decant.logits(scores)
end

-- "dog 0.57, The 0.43": what is left, the likeliest first.
local function shown(logits)
  local list = {}
  for i, token in ipairs(logits:top(#logits)) do
    if token.prob == 0 then break end
    list[i] = ("%s %.2f"):format(words[token.id], token.prob)
  end
  return table.concat(list, ", ")
end

print("all:             " .. shown(fresh()))
print("greedy:          " .. words[fresh():argmax()])
print("top-k 3:         " .. shown(fresh():top_k(3)))
print("top-p 0.75:      " .. shown(fresh():top_p(0.75)))
print("temperature 0.5: " .. shown(fresh():temperature(0.5)) .. "  (sharper)")
print("temperature 2:   " .. shown(fresh():temperature(2)) .. "  (flatter)")

local model <close> = assert(decant.load(arg[1] or "de-en"))
local text = "Ich habe gestern Abend ein gutes Buch gelesen."
print("\n" .. text)

local strategies = {
  {"greedy", {do_sample = false, num_beams = 1}},
  {"sampling", {do_sample = true, num_beams = 1, seed = 7}},
  {"top-k 10", {do_sample = true, num_beams = 1, seed = 7, top_k = 10}},
  {"top-p 0.9", {do_sample = true, num_beams = 1, seed = 7, top_p = 0.9}},
  {"beam 4", {do_sample = false, num_beams = 4}},
}
for _, strategy in ipairs(strategies) do
  local name, config = table.unpack(strategy)
  local result = model:generate(text, config)[1]
  print(("%-10s %8.3f  %s"):format(name, result.score, result.text))
  print(config.do_sample and "           random; the same for the same seed"
        or "           deterministic")
end
