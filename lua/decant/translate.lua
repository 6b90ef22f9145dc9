-- decant.translate: model:translate, text in and text out. What a model's
-- context cannot hold is cut into sentences, so that nothing is lost; what it
-- can hold is one piece, whatever is in it.

local generate = require "decant.generate"
local inputs = require "decant.inputs"
local lists = require "decant.lists"

-- Where a long text may be cut, the better places first: after these, where
-- white space follows. The last one is any white space.
local places = {"[.!?][\"')%]]*()%s+()", "[,;:]()%s+()", "()%s+()"}


-- The cut by `pattern` that is nearest to the middle: where the left part ends
-- and the right one begins.
local function nearest_cut(text, pattern)
  local middle, left, right = #text // 2, nil, nil
  for stop, start in text:gmatch(pattern) do
    if stop > 1 and start <= #text
       and (not left or math.abs(stop - middle) < math.abs(left - middle)) then
      left, right = stop, start
    end
  end
  return left, right
end


-- Cuts a text without white space: at a character nearest to the middle. No
-- character has more than 3 bytes behind its first; more are no UTF-8.
local function cut_word(text)
  local middle = #text // 2 + 1
  for at = middle, math.max(middle - 3, 2), -1 do
    if text:byte(at) & 0xC0 ~= 0x80 then return at, at end
  end
  return middle, middle
end


-- Appends to `parts` the halves of a sentence that is too long, in order.
local function halve(text, fits, parts)
  if #text < 2 or fits(text) then
    parts[#parts + 1] = text
    return
  end
  local left, right
  for _, pattern in ipairs(places) do
    left, right = nearest_cut(text, pattern)
    if left then break end
  end
  if not left then left, right = cut_word(text) end
  halve(text:sub(1, left - 1), fits, parts)
  halve(text:sub(right), fits, parts)
end


-- The sentences of a text, without the white space between them. A line end
-- ends one too.
local function sentences(text)
  local list, from = {}, 1
  local function add(to)
    local sentence = text:sub(from, to):match "^%s*(.-)%s*$"
    if sentence ~= "" then list[#list + 1] = sentence end
  end
  for stop, start in text:gmatch "()%s+()" do
    local before = text:sub(math.max(from, stop - 4), stop - 1)
    if text:sub(stop, start - 1):find "\n"
       or before:find "[.!?][\"')%]]*$" or before:find "…$" then
      add(stop - 1)
      from = start
    end
  end
  add(#text)
  return list
end


-- The parts in which `text` is translated.
local function parts_of(text, fits)
  if fits(text) then return {text} end
  local parts = {}
  for _, sentence in ipairs(sentences(text)) do halve(sentence, fits, parts) end
  return parts
end


-- How many tokens a part may have: the context, and unless the caller says how
-- long the output may be, the length at which it would end anyhow.
local function room(model, config)
  local limit = model.config.context or math.huge
  if type(config) == "table" and (rawget(config, "max_length")
                 or rawget(config, "max_new_tokens")) then
    return limit
  end
  local defaults = model.config.generation or {}
  return math.min(limit, defaults.max_new_tokens or defaults.max_length or 100)
end


local function check(model, input)
  if model.kind ~= "seq2seq" then
    error("model:translate needs an encoder-decoder model; this one is " ..
          tostring(model.kind) .. ": use complete", 3)
  end
  local texts = type(input) == "string" and {input} or input
  if type(texts) ~= "table" then
    error("model:translate: a text or a list of texts is wanted, got a " ..
          type(input), 3)
  end
  texts = lists.whole(texts, "model:translate: the list of texts")
  for i = 1, #texts do
    if type(texts[i]) ~= "string" then
      error(("model:translate: text %d is a %s"):format(i, type(texts[i])), 3)
    end
  end
  return texts
end


-- The text of the best result, which is the first, of each input.
local function best_texts(results)
  local texts = {}
  for _, result in ipairs(results) do
    texts[result.input] = texts[result.input] or result.text
  end
  return texts
end


return function(model, input, config)
  local texts = check(model, input)
  local limit = room(model, config)
  local function fits(text)
    return #inputs.tokenize(model, text) <= limit
  end
  local parts, counts = {}, {}
  for i, text in ipairs(texts) do
    local own = parts_of(text, fits)
    table.move(own, 1, #own, #parts + 1, parts)
    counts[i] = #own
  end
  local translated = best_texts(generate(model, parts, config, 3))
  local results, at = {}, 1
  for i, count in ipairs(counts) do
    results[i] = table.concat(translated, " ", at, at + count - 1)
    at = at + count
  end
  if type(input) == "string" then return results[1] end
  return results
end
