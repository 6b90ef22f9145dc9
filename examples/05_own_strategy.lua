-- 05_own_strategy.lua: a strategy that is in no library. Messages of programs
-- hold placeholders ({player}, {count}) that a translation must not lose. Each
-- becomes a word that the model knows, the search below says that word exactly
-- once, and afterwards the placeholder goes back in.
--
-- It is a beam search in banks: hypotheses compete with those that miss as
-- many words, so one that pays for saying a word now is not thrown out by
-- those that put it off. (The idea: Hokamp and Liu, 2017, grid beam search.)

dofile "examples/setup.lua"
local decant = require "decant"

local function extended(list, item)
  local copy = table.move(list, 1, #list, 1, {})
  copy[#copy + 1] = item
  return copy
end

local function without(list, i)
  local copy = table.move(list, 1, #list, 1, {})
  table.remove(copy, i)
  return copy
end

-- What may follow a beam: the rest of the word that it is in; else the first
-- token of a missing word, or one of the best tokens.
local function continuations(beam, logits, width)
  local list = {}
  local function add(id, missing, rest)
    list[#list + 1] = {ids = extended(beam.ids, id), row = beam.row,
                       score = beam.score + logits[id],
                       missing = missing, rest = rest}
  end
  if #beam.rest > 0 then
    add(beam.rest[1], beam.missing, without(beam.rest, 1))
    return list
  end
  local starts = {}
  for i, word in ipairs(beam.missing) do
    starts[word[1]] = true
    add(word[1], without(beam.missing, i), without(word, 1))
  end
  for _, token in ipairs(logits:top(width)) do
    if not starts[token.id] then add(token.id, beam.missing, {}) end
  end
  return list
end

-- Fewer missing words first, then the higher mean log-probability.
local function better(a, b)
  if #a.missing ~= #b.missing then return #a.missing < #b.missing end
  return a.score / #a.ids > b.score / #b.ids
end

-- The `width` best of each bank.
local function best_of_banks(candidates, width)
  local beams, taken = {}, {}
  table.sort(candidates, better)
  for _, candidate in ipairs(candidates) do
    local bank = #candidate.missing
    taken[bank] = (taken[bank] or 0) + 1
    if taken[bank] <= width then beams[#beams + 1] = candidate end
  end
  return beams
end

-- The strategy: says every one of `words` (lists of ids) once.
local function keeping(words, width)
  return function(session, prompt, opts)
    local beams = {{ids = {}, score = 0, row = 1, missing = words, rest = {}}}
    local finished, rows = {}, {session:feed(prompt)}
    repeat
      local candidates, parents, ids = {}, {}, {}
      for i, beam in ipairs(beams) do
        opts.process(rows[i]:log_softmax(), beam.ids)
        beam.row = i
        for _, c in ipairs(continuations(beam, rows[i], width)) do
          c.finish = opts.stop(c.ids)
          local early = c.finish == "eos" and #c.missing > 0
          local list = c.finish and finished or candidates
          if not early then list[#list + 1] = c end
        end
      end
      beams = best_of_banks(candidates, width)
      for i, beam in ipairs(beams) do
        parents[i], ids[i] = beam.row, {beam.ids[#beam.ids]}
      end
      if #beams > 0 then rows = session:reorder(parents):forward(ids) end
    until #finished >= width or #beams == 0
    table.sort(finished, better)
    return finished[1].ids, finished[1].finish
  end
end

local model <close> = assert(decant.load(arg[1] or "de-en"))

-- Placeholders and the words that stand in for them.
local stand_ins = {{"{player}", "Tom"}, {"{count}", "15"}}

local function translate(text)
  local words = {}
  for _, pair in ipairs(stand_ins) do
    local placeholder, word = table.unpack(pair)
    local start, last = text:find(placeholder, 1, true)
    if start then
      text = text:sub(1, start - 1) .. word .. text:sub(last + 1)
      words[#words + 1] = model.tokenizer:encode(word, {eos = false,
                                                        side = "target"})
    end
  end
  local result = model:translate(text, {strategy = keeping(words, 4)})
  for _, pair in ipairs(stand_ins) do
    result = result:gsub(pair[2], pair[1])
  end
  return result
end

for _, text in ipairs {
  "{player} hat {count} Äpfel gekauft.", "Wo ist {player}?", "Guten Morgen!",
} do
  print(text .. "\n  -> " .. translate(text))
end
