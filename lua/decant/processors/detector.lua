-- processors/detector.lua: finds a watermark in a text.
--
-- Without a mark a token is green with probability greenlist_ratio; so many
-- green ones among n are a z-score above 0 only by chance. The figures are
-- those of transformers' WatermarkDetector (Kirchenbauer et al. 2023).

local core = require "decant.core"
local inputs = require "decant.inputs"
local objects = require "decant.processors.objects"
local show = require "decant.show"
local types = require "decant.config.types"

local marks = {greenlist_ratio = true, bias = true, hashing_key = true,
               seeding_scheme = true, context_width = true, vocab_size = true}

local NAME <const> = "watermark_detector"

-- What a field of its own must be.
local rules = {
  bos_token_id = types.bos_token_id,
  ignore_repeated_ngrams = types.do_sample,
  z_threshold = function(value)
    return math.type(value) and value == value, "must be a number"
  end,
}

local function check_own(given)
  for name, rule in pairs(rules) do
    local fine, message = rule(given[name])
    if given[name] ~= nil and not fine then
      error(("%s: %s is %s, %s"):format(NAME, name, show(given[name]),
                                        message), 3)
    end
  end
end

-- The n-grams of the ids in order of their first place, each with its count.
local function ngrams(ids, n)
  local list, place = {}, {}
  for i = 1, #ids - n + 1 do
    local key = table.concat(ids, " ", i, i + n - 1)
    if not place[key] then
      place[key] = #list + 1
      list[#list + 1] = {ids = table.move(ids, i, i + n - 1, 1, {}), count = 0}
    end
    list[place[key]].count = list[place[key]].count + 1
  end
  return list
end

-- The complementary error function: a series for small x, Laplace's continued
-- fraction for others.
local function erfc(x)
  if x < 0 then return 2 - erfc(-x) end
  local scale = math.exp(-x * x) / math.sqrt(math.pi)
  if x < 2.5 then
    local term, sum = 2 * x, 0
    for n = 1, 80 do
      sum, term = sum + term, term * 2 * x * x / (2 * n + 1)
    end
    return 1 - scale * sum
  end
  local fraction = 0
  for n = 60, 1, -1 do fraction = n / 2 / (x + fraction) end
  return scale / (x + fraction)
end

-- The probability of z or more without a mark.
local function p_value(z) return 0.5 * erfc(z / math.sqrt(2)) end

local function without_bos(ids, bos)
  if bos and ids[1] == bos then return table.move(ids, 2, #ids, 1, {}) end
  return ids
end

-- A text so short that nothing is scored.
local function too_short(shortest, ids)
  error(("watermark_detector: %d ids are too few, this watermark is seen in "
         .. "%d or more"):format(#ids, shortest), 3)
end

--- The arguments of `watermark`, vocab_size among them, and bos_token_id (left
-- out of a text that begins with it), ignore_repeated_ngrams (false: every
-- n-gram counts as often as it comes), z_threshold (3). Returns a function(ids)
-- -> {num_tokens_scored, num_green_tokens, green_fraction, z_score, p_value,
-- prediction, confidence}.
return function(given)
  local known = {}
  for name in pairs(marks) do known[name] = true end
  for name in pairs(rules) do known[name] = true end
  objects.check_names(given, known, NAME)
  local arguments = {}
  for name in pairs(marks) do arguments[name] = given[name] end
  local vocab, ratio = given.vocab_size, given.greenlist_ratio or 0.25
  if vocab == nil then error("watermark_detector: vocab_size is missing", 2) end
  local mark = objects.call(NAME, 2, core.processors.watermark, arguments)
  check_own(given)
  local threshold = given.z_threshold or 3
  local width = given.context_width or 1
  local n = given.seeding_scheme == "selfhash" and width or width + 1

  return function(ids)
    if type(ids) ~= "table" then
      error(NAME .. ": a list of ids expected, got a " .. type(ids), 2)
    end
    ids = objects.call(NAME, 2, inputs.check_ids, ids, vocab, "the text")
    ids = without_bos(ids, given.bos_token_id)
    if #ids - width < 1 then too_short(width + 1, ids) end
    local scored, green = 0, 0
    for _, ngram in ipairs(ngrams(ids, n)) do
      local last = table.remove(ngram.ids)
      local count = given.ignore_repeated_ngrams and 1 or ngram.count
      scored = scored + count
      if core.watermark_green(mark, vocab, ngram.ids, last) then
        green = green + count
      end
    end
    local z = (green - ratio * scored)
              / math.sqrt(scored * ratio * (1 - ratio))
    return {
      num_tokens_scored = scored, num_green_tokens = green,
      green_fraction = green / scored, z_score = z, p_value = p_value(z),
      prediction = z > threshold, confidence = 1 - p_value(z),
    }
  end
end
