-- decant.pieces: the text of a row as it grows, and where a stop string ends
-- it. What `stream` and on_token show adds up to the result's text.

local pieces = {}


-- Where the first of `strings` begins in `text`, or nil.
function pieces.find_any(text, strings)
  local first
  for _, s in ipairs(strings) do
    local at = text:find(s, 1, true)
    if at and (not first or at < first) then first = at end
  end
  return first
end


-- How many bytes at the end of `text` may be the beginning of one of `strings`.
local function open_end(text, strings)
  local longest = 0
  for _, s in ipairs(strings) do
    for n = math.min(#s - 1, #text), longest + 1, -1 do
      if text:sub(-n) == s:sub(1, n) then
        longest = n
        break
      end
    end
  end
  return longest
end


-- What `decode`, a tokenizer's stream, makes of some ids.
local function said(decode, ids)
  local parts = {}
  for i, id in ipairs(ids) do parts[i] = decode(id) end
  return table.concat(parts)
end


-- The text that `ids` add to that of `prompt`, as far as it is settled: an
-- incomplete character at its end is none yet. The text of `hidden` goes before
-- both.
function pieces.behind(tokenizer, ids, prompt, hidden)
  local decode = tokenizer:stream {after = hidden}
  said(decode, prompt)
  return said(decode, ids)
end


-- The text of a whole row: that of `prompt`, then of `ids` up to the first of
-- `strings`. That of `hidden`, if given, is not shown, but goes before it.
function pieces.text(tokenizer, strings, ids, prompt, hidden)
  local decode = tokenizer:stream {after = hidden}
  local lead = said(decode, prompt)
  local text = said(decode, ids) .. decode()
  local at = pieces.find_any(text, strings)
  return lead .. (at and text:sub(1, at - 1) or text)
end


-- A function(id) -> the text that is settled by this token (may be empty):
-- whole UTF-8 characters, nothing of a stop string nor of what may become one.
-- The text of `prompt` comes with the first token; no stop string is in it.
-- That of `hidden` is not shown, but goes before it.
function pieces.new(tokenizer, strings, prompt, hidden)
  local decode = tokenizer:stream {after = hidden}
  local lead, held, ended = said(decode, prompt), "", false
  return function(id)
    local before = lead
    held, lead = held .. decode(id), ""
    if ended then return "" end
    local at = pieces.find_any(held, strings)
    ended = at ~= nil
    local size = at and at - 1 or #held - open_end(held, strings)
    local piece = before .. held:sub(1, size)
    held = held:sub(size + 1)
    return piece
  end
end

return pieces
