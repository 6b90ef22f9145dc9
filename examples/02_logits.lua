-- 02_logits.lua: from raw scores to probabilities, on a vocabulary of eight.

dofile "examples/setup.lua"
local decant = require "decant"

local vocabulary = {[0] = "<pad>", "<unk>", "<bos>", "<eos>",
                    "The", "cat", "dog", "runs"}
local logits = decant.logits {-10, -8, -5, -2, 3.5, 2.1, 3.8, 1.5}

print "raw logits (any numbers; higher means more likely):"
for id = 0, #logits - 1 do
  print(("  %d  %-6s %6.1f"):format(id, vocabulary[id], logits[id]))
end

print "\nprobabilities (softmax: above zero, sum one):"
for id = 0, #logits - 1 do
  local probability = logits:probability(id)
  print(("  %d  %-6s %.4f  %s"):format(id, vocabulary[id], probability,
                                       ("█"):rep(probability * 50 // 1)))
end

local best = logits:argmax()
print(("\nargmax: %s, probability %.4f")
      :format(vocabulary[best], logits:probability(best)))

print "\ntop 3:"
for rank, token in ipairs(logits:top(3)) do
  print(("  %d. %-4s %.4f"):format(rank, vocabulary[token.id], token.prob))
end
