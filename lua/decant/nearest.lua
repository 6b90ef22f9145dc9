-- decant.nearest: the known name that somebody probably meant.
--
--   nearest(word, names) -> the one of `names` (a sequence) that is spelt most
--                           like `word`; of several the first in the alphabet

-- Levenshtein's distance: how many letters must be put in, taken out or
-- changed. One row of the table at a time.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local change = a:byte(i) == b:byte(j) and 0 or 1
      local best = math.min(row[j] + 1, row[j - 1] + 1, diagonal + change)
      diagonal, row[j] = row[j], best
    end
  end
  return row[#b]
end

return function(word, names)
  local best, least
  for _, name in ipairs(names) do
    local d = distance(word, name)
    if not least or d < least or (d == least and name < best) then
      best, least = name, d
    end
  end
  return best
end
