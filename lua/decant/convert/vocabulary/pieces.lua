-- pieces.lua: a JSON object {piece: id}, turned round and checked.
--
--   pieces(path, vocab, size, holes) -> pieces by id (from 0), vocab, n
--     size   ids are below it
--     holes  true: not every id below n need have a piece (others are added)

local failure = require "decant.convert.fail"
local fail, shown = failure.fail, failure.shown

local MAX_PIECE <const> = 1024  -- bytes, as many as the tokenizer takes

local function check_entry(path, piece, id, size)
  if type(piece) ~= "string" or not utf8.len(piece) or piece:find "%z" then
    fail("%s: piece %s is no valid UTF-8 text", path, shown(piece))
  end
  if #piece == 0 or #piece > MAX_PIECE then
    fail("%s: piece %s has %d bytes, must have from 1 to %d", path,
         shown(piece), #piece, MAX_PIECE)
  end
  if math.type(id) ~= "integer" or id < 0 or id >= size then
    fail("%s: piece %s has id %s; ids are integers from 0 to %d (vocab_size "
         .. "less one)", path, shown(piece), shown(id), size - 1)
  end
end

return function(path, vocab, size, holes)
  local pieces, n = {}, 0
  for piece, id in pairs(vocab) do
    check_entry(path, piece, id, size)
    local other = pieces[id]
    if other then
      if piece < other then piece, other = other, piece end
      fail("%s: id %d belongs to %s and to %s", path, id, shown(other),
           shown(piece))
    end
    pieces[id] = piece
    n = n + 1
  end
  for id = 0, holes and -1 or n - 1 do
    if not pieces[id] then
      fail("%s: has %d pieces but none with id %d", path, n, id)
    end
  end
  return pieces, vocab, n
end
