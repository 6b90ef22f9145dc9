-- decant.drafts: who guesses the next tokens for speculative decoding. A draft
-- is a function(ids, limit) -> list of at most `limit` guesses of what follows
-- the new tokens `ids`. It may guess wrong; it cannot change a result.
--
--   drafts.lookup(prompt, opts)          what followed the last few tokens
--                                        where they stood before
--   drafts.model(assistant, prompt, opts)
--                                        a small model goes ahead; returns the
--                                        draft and the session to close
--   drafts.check(model, assistant)       nil, or why its guesses are of no use

local core = require "decant.core"
local processors = require "decant.processors"

local drafts = {}


-- ---- prompt lookup (Saxena 2023) ----

-- What follows the first place where the last n ids of `row` stand in `text`,
-- before its end.
local function find(text, row, n, limit)
  for start = 1, #text - n do
    local same = true
    for i = 1, n do
      if text[start + i - 1] ~= row[#row - n + i] then
        same = false
        break
      end
    end
    if same then
      local from = start + n
      return table.move(text, from, math.min(from + limit - 1, #text), 1, {})
    end
  end
end


-- Looks in the row itself, the longest match first, then in the source.
function drafts.lookup(prompt, opts)
  local longest = opts.max_matching_ngram_size or 2
  local most = opts.prompt_lookup_num_tokens or 10
  local row = table.move(prompt, 1, #prompt, 1, {})
  local source = opts.encoder_ids or {}
  return function(ids, limit)
    table.move(ids, #row - #prompt + 1, #ids, #row + 1, row)
    limit = math.min(limit, most)
    for n = math.min(longest, #row - 1), 1, -1 do
      local found = find(row, row, n, limit) or find(source, row, n, limit)
      if found then return found end
    end
    return {}
  end
end


-- ---- a small model ----

-- The built-in processors of the config, for the guesses. What is the
-- caller's own may keep state, and sees each token once.
local function processor_of(prompt, opts)
  local config = setmetatable({processors = false, guidance_scale = false,
                               prefix_allowed_tokens_fn = false},
                              {__index = opts})
  local eos = opts.eos_token_id or {}
  return core.chain(processors.from_config(config, {
    prompt_length = #prompt, encoder_ids = opts.encoder_ids,
    eos = type(eos) == "table" and eos or {eos}, max_length = opts.max_length,
  }), prompt)
end


-- The assistant's timeline, and how to bring it to a row.
local Follower = {}
Follower.__index = Follower

-- Makes the timeline hold `row`, whose last token is new to it; returns the
-- scores behind it.
function Follower:go_to(row)
  local same = 0
  while same < #self.fed and self.fed[same + 1] == row[same + 1] do
    same = same + 1
  end
  self.session:truncate(same)
  self.fed = table.move(row, 1, #row, 1, {})
  return self.session:feed(table.move(row, same + 1, #row, 1, {}))
end

function Follower:feed(id)
  self.fed[#self.fed + 1] = id
  return self.session:feed(id)
end


local function joined(a, b)
  return table.move(b, 1, #b, #a + 1, table.move(a, 1, #a, 1, {}))
end


-- Guesses as the target will choose: its best token, or drawn with the very
-- random numbers that the target will draw with.
function drafts.model(assistant, prompt, opts)
  local source = assistant.kind == "seq2seq" and opts.encoder_ids or nil
  if assistant.kind == "seq2seq" and not source then
    error("assistant_model: the draft reads the input itself, so it is wanted "
          .. "as text or ids, not as an encoder output", 0)
  end
  local session = assistant:session{source = source}
  local follower = setmetatable({session = session, fed = {}}, Follower)
  local process = processor_of(prompt, opts)
  local most = opts.num_assistant_tokens or 20
  local threshold = opts.assistant_confidence_threshold or 0.4
  local context = assistant.config.context or math.huge

  local function choose(logits, ahead)
    if not opts.do_sample then return logits:argmax() end
    local _, _, position = opts.rng:state()
    return (logits:sample(opts.rng:at(position + ahead)))
  end

  local function guess(ids, limit)
    local row, guesses = joined(prompt, ids), {}
    limit = math.min(limit, most, context - #row)
    if limit < 1 then return guesses end
    local logits, new = follower:go_to(row), joined(ids, {})
    while true do
      process(logits, new)
      local id = choose(logits, #guesses)
      guesses[#guesses + 1], new[#new + 1] = id, id
      if #guesses == limit or logits:probability(id) < threshold then
        return guesses
      end
      logits = follower:feed(id)
    end
  end
  return guess, session
end


-- ---- whether a model can guess for another ----

local compared = setmetatable({}, {__mode = "k"})

local function same_pieces(a, b)
  if a == b then return true end
  local known = compared[a]
  if not known then
    known = setmetatable({}, {__mode = "k"})
    compared[a] = known
  end
  if known[b] == nil then
    local same = #a == #b
    for id = 0, same and #a - 1 or -1 do
      same = same and a:piece(id) == b:piece(id)
    end
    known[b] = same
  end
  return known[b]
end


function drafts.check(model, assistant)
  if not assistant.core then return "the model is closed" end
  if assistant.vocab_only then return "the model has no weights" end
  if model.kind ~= assistant.kind then
    return ("is a %s model, and this is a %s model"):format(assistant.kind,
                                                            model.kind)
  elseif model.config.vocab ~= assistant.config.vocab then
    return ("has a vocabulary of %d tokens, and this model of %d: its " ..
            "guesses would mean something else"):format(
            assistant.config.vocab, model.config.vocab)
  end
  local ours, theirs = model.tokenizer, assistant.tokenizer
  if ours and theirs and not same_pieces(ours, theirs) then
    return "has another vocabulary: its guesses would mean something else"
  end
end

return drafts
