-- decant.metrics: how alike two texts are, from 0 to 100.
--
--   metrics.chrf(hypothesis, reference)  chrF2 (Popovic 2015): F-score of
--                                        character n-grams up to 6, recall
--                                        counting twice; spaces do not count
--   metrics.bleu(hypothesis, reference)  BLEU of one sentence (Papineni et al.
--                                        2002): words and punctuation marks up
--                                        to 4; where an order has no match its
--                                        precision is 1 / (2^k n) at the k-th
--                                        such order (Chen and Cherry 2014)
--
-- Both are sacreBLEU's sentence scores: chrF with its defaults, BLEU with
-- effective order, on texts whose words and marks are apart anyway.

local metrics = {}


-- How often each n-gram stands in a list of symbols, and how many there are.
local function ngrams(symbols, n)
  local count, total = {}, math.max(#symbols - n + 1, 0)
  for i = 1, total do
    local gram = table.concat(symbols, "\0", i, i + n - 1)
    count[gram] = (count[gram] or 0) + 1
  end
  return count, total
end


local function matches(a, b)
  local n = 0
  for gram, count in pairs(a) do n = n + math.min(count, b[gram] or 0) end
  return n
end


local function characters(text)
  local list = {}
  for char in text:gsub("%s+", ""):gmatch(utf8.charpattern) do
    list[#list + 1] = char
  end
  return list
end


local function check_texts(name, hypothesis, reference)
  if type(hypothesis) ~= "string" or type(reference) ~= "string" then
    error(("metrics.%s: two texts expected, got a %s and a %s"):format(
          name, type(hypothesis), type(reference)), 3)
  end
end


function metrics.chrf(hypothesis, reference)
  check_texts("chrf", hypothesis, reference)
  local ours, theirs = characters(hypothesis), characters(reference)
  local precision, recall, orders = 0, 0, 0
  for n = 1, 6 do
    local a, n_a = ngrams(ours, n)
    local b, n_b = ngrams(theirs, n)
    if n_a > 0 and n_b > 0 then
      local both = matches(a, b)
      precision, recall = precision + both / n_a, recall + both / n_b
      orders = orders + 1
    end
  end
  if precision + recall == 0 then return 0.0 end
  return 100 * 5 * precision * recall / (4 * precision + recall) / orders
end


local function words(text)
  local list = {}
  for word in text:gsub("%p", " %0 "):gmatch "%S+" do list[#list + 1] = word end
  return list
end


function metrics.bleu(hypothesis, reference)
  check_texts("bleu", hypothesis, reference)
  local ours, theirs = words(hypothesis), words(reference)
  local sum, orders, without = 0, 0, 0
  for n = 1, math.min(4, #ours) do
    local a, total = ngrams(ours, n)
    local both = matches(a, (ngrams(theirs, n)))
    if n == 1 and both == 0 then return 0.0 end
    if both == 0 then without = without + 1 end
    sum = sum + math.log(both > 0 and both / total
                         or 1 / (2 ^ without * total))
    orders = orders + 1
  end
  if orders == 0 then return 0.0 end
  local brevity = math.min(0, 1 - #theirs / #ours)
  return 100 * math.exp(brevity + sum / orders)
end

return metrics
