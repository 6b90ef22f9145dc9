-- decant.chat: model:chat, the answer to a conversation.
--
--   model:chat(messages [, config]) -> text
--       messages  {{role = "user", content = "Hi"}, ...}, roles "system" (the
--                 first one only), "user", "assistant"; they end with the one
--                 that is to be answered
--       config    as generate's, and template: the name of a format
--                 (chat/formats.lua), or a function(messages) that returns the
--                 prompt as a text, in which the text of control tokens is
--                 these tokens. Without it the template that the model's file
--                 carries is recognised
--
-- The cache of the last conversation stays: of a prompt that goes on where it
-- ended, only what is new is fed. What the cache holds must be the prompt's
-- own ids, so another conversation keeps the part that both begin with.

local formats = require "decant.chat.formats"
local generate = require "decant.generate"
local lists = require "decant.lists"
local show = require "decant.show"

local roles = {system = true, user = true, assistant = true}


local function fail(level, message, ...)
  error("model:chat: " .. message:format(...), level + 1)
end


local function check_messages(messages, level)
  if type(messages) ~= "table" or rawlen(messages) == 0 then
    fail(level, "a list of messages is wanted, got %s",
         type(messages) == "table" and "an empty table" or type(messages))
  end
  messages = lists.whole(messages, "model:chat: the list of messages")
  for i = 1, #messages do
    local message = messages[i]
    local role = type(message) == "table" and message.role
    if not roles[role] then
      fail(level, 'message %d: role is %s, must be "system", "user" or ' ..
           '"assistant"', i, show(role))
    elseif role == "system" and i > 1 then
      fail(level, "message %d: only the first one can be the system's", i)
    elseif type(message.content) ~= "string" then
      fail(level, "message %d: content is a %s, must be a text", i,
           type(message.content))
    end
  end
  return messages
end


-- What writes the conversation: a function(messages, special) -> parts.
local function writer_of(model, template, level)
  if template == nil then
    local own = model.config.chat_template
    if not own then
      fail(level, "the model's file has no chat template; pass template = " ..
           "function(messages) return prompt end, or the name of one (%s)",
           table.concat(formats.names, ", "))
    end
    return formats.recognise(own) or
           fail(level, "the chat template of the model's file is none that " ..
                "decant knows (%s); pass template = function(messages) " ..
                "return prompt end, or one of these names",
                table.concat(formats.names, ", "))
  elseif type(template) == "string" then
    return formats.named(template) or
           fail(level, "template %s is not known; known: %s", show(template),
                table.concat(formats.names, ", "))
  elseif type(template) == "function" then
    return function(messages)
      local text = template(messages)
      if type(text) ~= "string" then
        error("model:chat: the template returned a " .. type(text) ..
              ", must be a text", 0)
      end
      return {{trusted = text}}
    end
  end
  fail(level, "template is a %s, must be a name or a function",
       type(template))
end


-- ---- ids ----

local function append(ids, more)
  table.move(more, 1, #more, #ids + 1, ids)
end


-- Marks that are no token of the vocabulary become text, and go together with
-- the text beside them.
local function pieces_of(parts, tokenizer)
  local list = {}
  for _, part in ipairs(parts) do
    local id = part.mark and tokenizer:id(part.mark)
    local text = part.mark and not id and part.mark or part.text
    local last = list[#list]
    if text and last and last.text then
      last.text = last.text .. text
    elseif text then
      list[#list + 1] = {text = text}
    else
      list[#list + 1] = {id = id, trusted = part.trusted}
    end
  end
  return list
end


-- One bos in front, if the model expects one, and not a second.
local function ids_of(parts, tokenizer)
  local ids = {}
  for _, piece in ipairs(pieces_of(parts, tokenizer)) do
    if piece.id then
      ids[#ids + 1] = piece.id
    else
      append(ids, tokenizer:encode(piece.text or piece.trusted, {
        bos = false, eos = false, special = piece.trusted ~= nil}))
    end
  end
  local begins = tokenizer:encode("", {eos = false})[1]
  if begins and ids[1] ~= begins then table.insert(ids, 1, begins) end
  return ids
end


local function piece_text(tokenizer, id)
  return id and tokenizer:piece(id) or ""
end


local function prompt_of(model, messages, template, level)
  local tokenizer = model.tokenizer
  if not tokenizer then
    fail(level, "the model has no tokenizer")
  end
  local write = writer_of(model, template, level + 1)
  local parts = write(messages, {bos = piece_text(tokenizer, tokenizer.bos),
                                 eos = piece_text(tokenizer, tokenizer.eos)})
  return ids_of(parts, tokenizer)
end


-- ---- the cache ----

local function common_length(a, b)
  local n = 0
  while n < #a and n < #b and a[n + 1] == b[n + 1] do n = n + 1 end
  return n
end


-- The session of the last conversation, cut back to where this prompt goes
-- another way. One id at least is left to feed.
local function session_for(model, prompt)
  local talk = model.conversation
  model.conversation = nil
  if not talk then return model:session() end
  local keep = math.min(common_length(talk.ids, prompt), #prompt - 1)
  local ok = pcall(talk.session.truncate, talk.session, keep)
  if ok then return talk.session end
  talk.session:close()  -- a sliding window has let go of that part
  return model:session()
end


-- What the session holds now: of the prompt and the answer as much as was fed.
-- A callback may have closed the model.
local function remember(model, session, prompt, answer)
  if not model.core then return session:close() end
  local ids = table.move(prompt, 1, #prompt, 1, {})
  if #session == 1 then
    append(ids, answer)
  else
    session:reorder {1}
    session:truncate(#prompt)
  end
  for i = #ids, session:length() + 1, -1 do ids[i] = nil end
  model.conversation = {session = session, ids = ids}
end


return function(model, messages, config, level)
  level = (level or 1) + 1
  messages = check_messages(messages, level)
  local fields, template = {}, nil
  if config ~= nil and type(config) ~= "table" then
    fail(level, "a table of fields is wanted, got a %s", type(config))
  end
  for name, value in next, config or {} do
    if name == "template" then template = value else fields[name] = value end
  end
  local prompt = prompt_of(model, messages, template, level)
  local session = session_for(model, prompt)
  local _ <close> = setmetatable({}, {__close = function(_, failure)
    if failure then session:close() end
  end})
  fields.session = session
  local result = generate(model, prompt, fields, level)[1]
  remember(model, session, prompt, result.ids)
  return result.text, result
end
