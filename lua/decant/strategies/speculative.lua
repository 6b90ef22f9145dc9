-- Speculative decoding (Leviathan et al. 2023; prompt lookup: Saxena 2023): a
-- draft guesses some tokens, and one pass of the model scores them all. What
-- the model would have chosen itself stays; the first wrong guess and what
-- stands behind it is taken back.
--
-- The tokens are those of plain greedy search or, with opts.do_sample, of
-- plain sampling with the same seed: at every position the model draws with
-- the random number of that position, and a guess is right if it is the token
-- drawn. So the distribution stays, whatever the draft does, and nobody can
-- see in a result that there was one. (Accepting by the ratio of
-- probabilities keeps the distribution too, but not the text.)
--
-- The draft is opts.assistant_model, else prompt lookup.

local drafts = require "decant.drafts"
local options = require "decant.options"

local every <const> = {every = true}

-- A cache with a sliding window takes so many tokens back, whatever it has let
-- go (session:truncate).
local MOST <const> = 64


local function draft_of(prompt, opts)
  if not opts.assistant_model then return drafts.lookup(prompt, opts) end
  return drafts.model(opts.assistant_model, prompt, opts)
end


return function(session, prompt, opts)
  opts = options(opts)
  local guess, assistant = draft_of(prompt, opts)
  local _ <close> = assistant
  local longest = opts.max_new_tokens or 100
  local ids, last = {}, prompt[#prompt]
  local before = table.move(prompt, 1, #prompt - 1, 1, {})
  if #before > 0 then session:feed(before) end

  while true do
    local guesses = guess(ids, math.min(longest - #ids - 1, MOST))
    local fed = table.move(guesses, 1, #guesses, 2, {last})
    local _, extras = session:feed(fed, every)
    local right = -1
    repeat
      right = right + 1
      local logits = extras.every[right + 1]
      opts.process(logits, ids)
      last = opts.do_sample and logits:sample(opts.rng) or logits:argmax()
      ids[#ids + 1] = last
      opts.emit(last)
      local reason = opts.stop(ids)
      if reason then return ids, reason end
    until last ~= guesses[right + 1]
    session:truncate(session:length() - #guesses + right)
  end
end
