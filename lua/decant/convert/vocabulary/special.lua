-- special.lua: what stands beside the tokenizer's model: added tokens, special
-- ids, whether bos and eos are added, chat templates. They lie in several
-- files, and not every directory has all of them.
--
--   special(dir, draft, json, config) adds all that to the draft
--     json     tokenizer.json, or nil
--     config   config.json

local failure = require "decant.convert.fail"
local files = require "decant.convert.files"
local fail, shown = failure.fail, failure.shown

local MAX_TEMPLATE <const> = 1 << 20

-- A file of the directory that may be absent: then an empty object.
local function object_of(dir, name)
  local path = dir .. "/" .. name
  return files.kind(path) and files.object(path) or {}, path
end

-- Tokens are texts, or objects with their text in `content`.
local function text_of(token)
  if files.type(token) == "object" then token = token.content end
  return type(token) == "string" and token or nil
end

local function list_of(value)
  return files.type(value) == "array" and value or {}
end

-- Later files say more about a token than earlier ones.
local function add_tokens(dir, draft, json, config)
  local tokens = {}
  local added, path = object_of(dir, "added_tokens.json")
  for text, id in pairs(added) do
    if math.type(id) ~= "integer" then
      fail("%s: token %s has id %s, must be an integer", path, shown(text),
           shown(id))
    end
    tokens[id] = {id = id, text = text, special = false}
  end
  local decoder = files.type(config.added_tokens_decoder) == "object"
                  and config.added_tokens_decoder or {}
  for id, token in pairs(decoder) do
    id = math.tointeger(tonumber(id))
    if id and text_of(token) then
      tokens[id] = {id = id, text = text_of(token),
                    special = token.special == true}
    end
  end
  for i, token in ipairs(list_of(json and json.added_tokens)) do
    if files.type(token) ~= "object" or math.type(token.id) ~= "integer" then
      fail("%s/tokenizer.json: entry %d of added_tokens has no id", dir, i)
    end
    tokens[token.id] = {id = token.id, text = text_of(token),
                        special = token.special == true}
  end
  local list = {}
  for _, token in pairs(tokens) do list[#list + 1] = token end
  table.sort(list, function(a, b) return a.id < b.id end)
  for _, token in ipairs(list) do
    draft:add(token.id, token.text, token.special)
  end
end

-- Name in tokenizer_config.json and config.json, name in the GGUF.
local ids = {
  {"bos", "bos"}, {"eos", "eos"}, {"unk", "unknown"}, {"sep", "seperator"},
  {"pad", "padding"}, {"cls", "cls"}, {"mask", "mask"},
}

-- The id of a special token: by its text, else by config.json, else by the
-- SentencePiece file.
local function id_of(draft, name, config, map, model_config)
  for _, from in ipairs {config, map} do
    local text = text_of(from[name .. "_token"])
    local id = text and draft:id_of(text)
    if id then return id end
  end
  local id = model_config[name .. "_token_id"]
  if files.type(id) == "array" then id = id[1] end
  if math.type(id) == "integer" and id >= 0 and id < draft.size then
    return id
  end
  return draft.known and draft.known[name]
end

-- The special tokens that a post-processor puts around a text; nil if there
-- is none.
local function around(part)
  if files.type(part) ~= "object" then return end
  if part.type == "Sequence" then
    for _, inner in ipairs(list_of(part.processors)) do
      local first, last = around(inner)
      if first ~= nil then return first, last end
    end
  elseif part.type == "RobertaProcessing" or part.type == "BertProcessing" then
    return list_of(part.cls)[1] or false, list_of(part.sep)[1] or false
  elseif part.type == "TemplateProcessing" then
    local single = list_of(part.single)
    local function special(item)
      local token = files.type(item) == "object" and item.SpecialToken
      return files.type(token) == "object" and token.id or false
    end
    return special(single[1]), special(single[#single])
  end
end

-- What the runtime does by itself for a model of that kind.
local usual = {llama = {bos = true, eos = false},
               t5 = {bos = false, eos = true},
               gpt2 = {bos = false, eos = false}}

local function set_flags(draft, json, config, found)
  local first, last = around(json and json.post_processor)
  for name, text in pairs {bos = first or false, eos = last or false} do
    local flag = usual[draft.model][name]
    if first ~= nil then flag = found[name] ~= nil
                                and draft:id_of(text or "") == found[name] end
    local said = config["add_" .. name .. "_token"]
    if type(said) == "boolean" then flag = said end
    found["add_" .. name] = flag and found[name] ~= nil
  end
  draft:set("tokenizer.ggml.add_bos_token", "bool", found.add_bos)
  draft:set("tokenizer.ggml.add_eos_token", "bool", found.add_eos)
end

local function check_template(path, text)
  if #text > MAX_TEMPLATE then
    fail("%s: the chat template has %d bytes, at most %d are taken", path,
         #text, MAX_TEMPLATE)
  end
end

-- Newer directories have a file of its own for the template; in
-- tokenizer_config.json it is one text, or a list of named ones.
local function set_templates(dir, draft, config, path)
  local jinja = dir .. "/chat_template.jinja"
  local template = config.chat_template
  if files.kind(jinja) then path, template = jinja, files.read(jinja) end
  if type(template) == "string" then
    check_template(path, template)
    draft:set("tokenizer.chat_template", "string", template)
    return
  end
  local names = {}
  for _, row in ipairs(list_of(template)) do
    if files.type(row) == "object" and type(row.template) == "string"
       and type(row.name) == "string" and row.name:find "^[%w_]+$" then
      check_template(path, row.template)
      local key = "tokenizer.chat_template"
      if row.name ~= "default" then
        key = key .. "." .. row.name
        names[#names + 1] = row.name
      end
      draft:set(key, "string", row.template)
    end
  end
  if #names > 0 then
    draft:set("tokenizer.chat_templates", "string[]", names)
  end
end

return function(dir, draft, json, model_config)
  local config, path = object_of(dir, "tokenizer_config.json")
  local map = object_of(dir, "special_tokens_map.json")
  add_tokens(dir, draft, json, config)
  local found = {}
  for _, row in ipairs(ids) do
    local name, key = row[1], row[2]
    found[name] = id_of(draft, name, config, map, model_config)
    if found[name] then
      draft:set("tokenizer.ggml." .. key .. "_token_id", "u32", found[name])
    end
  end
  set_flags(draft, json, config, found)
  set_templates(dir, draft, config, path)
end
