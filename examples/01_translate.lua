-- 01_translate.lua: one German sentence into English, step by step.
--
-- The encoder reads the sentence once. The decoder then writes one token a
-- step: it sees the source and what it has written so far, and scores every
-- token of its vocabulary as the next one. Greedy search takes the best.

dofile "examples/setup.lua"
local decant = require "decant"

local model <close> = assert(decant.load(arg[1] or "de-en"))
local tokenizer = model.tokenizer

local function pieces(ids)
  local list = {}
  for i, id in ipairs(ids) do list[i] = tokenizer:piece(id) end
  return table.concat(list, " ")
end

-- The source: text to ids to one vector for each of them.
local text = "Der Hund läuft."
local source_ids = tokenizer:encode(text)
local source = model:encode(source_ids)         -- [1, #source_ids, d_model]
print("source text:   " .. text)
print("source pieces: " .. pieces(source_ids))
print("encoder output: " .. table.concat(source:shape(), " x "))

-- The target, one step at a time. The session keeps what the decoder has
-- computed (the KV cache), so a step costs one position.
print "\nstep by step:"
local ids = {model.config.decoder_start}
local session <close> = model:session{source = source}
local logits = session:feed(ids)
repeat
  local id = logits:argmax()
  print(("%2d  input: %s"):format(#ids, pieces(ids)))
  print(("    prediction: %s (probability %.4f)")
        :format(tokenizer:piece(id), logits:probability(id)))
  ids[#ids + 1] = id
  if id ~= tokenizer.eos then logits = session:feed(id) end
until id == tokenizer.eos
print "EOS token generated"
print("translation: " .. tokenizer:decode(ids))

-- Teacher forcing: all inputs at once. Each position sees only those before
-- it, so the predictions are the same tokens, in one pass.
local inputs = table.move(ids, 1, #ids - 1, 1, {})
local scores = model:decode(inputs, source)     -- [1, #inputs, vocabulary]
local same = true
for i = 1, #inputs do
  local predicted = scores[1][i]:argmax() - 1   -- ids count from 0
  same = same and predicted == ids[i + 1]
end
print("\nteacher forcing predicts the same tokens in one pass: "
      .. tostring(same))

-- What the cache saves: N steps with it compute N positions, without it
-- 1 + 2 + ... + N. (One thread: processor time is then the time that passes.)
local N <const> = 20
decant.threads(1)

local function seconds(f)
  local start = os.clock()
  f()
  return os.clock() - start
end

local with_cache = seconds(function()
  local again <close> = model:session{source = source}
  for _ = 1, N do again:feed(ids[1]) end
end)

local without_cache = seconds(function()
  local prefix = {}
  for i = 1, N do
    prefix[i] = ids[1]
    model:decode(prefix, source)
  end
end)

print(("\n%d steps with the cache:    %3d positions, %.4f s of processor time")
      :format(N, N, with_cache))
print(("%d steps without the cache: %3d positions, %.4f s of processor time")
      :format(N, N * (N + 1) // 2, without_cache))
