-- pretokenizer.lua: what tokenizer.json says about cutting text into words, as
-- llama.cpp names it (tokenizer.ggml.pre).
--
--   name(path, json) -> "gpt-2", "llama-bpe", ...
--
-- A pre-tokenizer is a list of steps; each is written down as a short word
-- here, and the list of words is looked up. The regular expressions are
-- compared as texts: every family writes its own in one way.

local failure = require "decant.convert.fail"
local files = require "decant.convert.files"
local fail, shown = failure.fail, failure.shown

local CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
local WORDS = [[[^\r\n\p{L}\p{N}]?\p{L}+]]
local REST = [[ ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+]]
local GPT2 = [['s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+]]
             .. [[| ?[^\s\p{L}\p{N}]+|\s+(?!\S)]]
local JOINS = [[[^\r\n\p{L}\p{N}]?]]
local UPPER = [[[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+]]
local LOWER = [[[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*]]
local REST_4O = [[ ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+]]

local regexes = {
  [GPT2] = "gpt2",
  [GPT2 .. [[|\s+]]] = "gpt2",
  [CONTRACTIONS .. "|" .. WORDS .. [[|\p{N}{1,3}|]] .. REST] = "llama3",
  [CONTRACTIONS .. "|" .. WORDS .. [[|\p{N}|]] .. REST] = "qwen2",
  [JOINS .. UPPER .. CONTRACTIONS .. "?|" .. JOINS .. LOWER .. CONTRACTIONS
   .. [[?|\p{N}{1,3}|]] .. REST_4O] = "gpt4o",
  [JOINS .. UPPER .. "|" .. JOINS .. LOWER .. [[|\p{N}|]] .. REST_4O] =
    "tekken",
  [ [=[[\r\n]]=] ] = "lines", ["[\r\n]"] = "lines",
  [ [[\p{N}]] ] = "digits", [ [[\p{N}{1,3}]] ] = "digits3",
  ["[0-9][0-9][0-9]"] = "ascii3",
  [ [[\s?\p{L}+]] ] = "letters", [ [[\s?\p{P}+]] ] = "punctuation",
  [ [[\s+$]] ] = "trailing",
}

-- Those that are recognised by how they begin: the rest is a long list of
-- letters.
local beginnings = {
  {[[\s?[A-Za-zµÀ-ÖØ-öø-]], "cased"}, {[[\s?[!-/:-~！-／]], "marks"},
  {"[一-龥ࠀ-一가-퟿]+", "cjk"}, {"[一-龥぀-ゟ゠-ヿ]+", "cjk3"},
  {[=[[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|]=], "deepseek3"},
}

local names = {
  ["gpt2"] = "gpt-2",
  ["llama3"] = "llama-bpe",
  ["qwen2"] = "qwen2",
  ["gpt4o"] = "gpt-4o",
  ["tekken"] = "tekken",
  ["digits gpt2"] = "smollm",
  ["symbols gpt2 digits-together ascii3"] = "falcon",
  ["lines cased marks trailing cjk digits"] = "deepseek-llm",
  ["lines letters punctuation cjk digits"] = "deepseek-coder",
  ["digits3 cjk3 deepseek3"] = "deepseek-v3",
}

local function regex_word(path, regex)
  if regexes[regex] then return regexes[regex] end
  for _, row in ipairs(beginnings) do
    if regex:sub(1, #row[1]) == row[1] then return row[2] end
  end
  fail("%s: the pre-tokenizer's pattern %s is not one that decant knows", path,
       shown(regex))
end

local words = {}

function words.ByteLevel(_, step)
  return step.use_regex ~= false and "gpt2" or nil
end

function words.Digits(_, step)
  return step.individual_digits == true and "digits" or "digits-together"
end

function words.Punctuation() return "symbols" end

function words.Split(path, step)
  local pattern = files.type(step.pattern) == "object" and step.pattern.Regex
  if type(pattern) ~= "string" then
    fail("%s: a Split of the pre-tokenizer has no pattern.Regex", path)
  end
  return regex_word(path, pattern)
end

local function add(path, list, step)
  if files.type(step) ~= "object" then return end
  if step.type == "Sequence" and files.type(step.pretokenizers) == "array" then
    for _, inner in ipairs(step.pretokenizers) do add(path, list, inner) end
    return
  end
  local word = words[step.type]
  if not word then
    fail("%s: the pre-tokenizer has a step of type %s, which decant does not "
         .. "know", path, shown(step.type))
  end
  list[#list + 1] = word(path, step)
end

return function(path, json)
  local list = {}
  add(path, list, json.pre_tokenizer)
  local steps = table.concat(list, " ")
  local name = names[steps]
  if not name then
    fail("%s: the pre-tokenizer (%s) is not one that decant knows", path,
         steps == "" and "none" or steps)
  end
  -- llama.cpp ties this flag to the name
  if name == "llama-bpe" and json.model.ignore_merges ~= true then
    return "smaug-bpe"
  end
  return name
end
