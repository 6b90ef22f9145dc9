-- formats.lua: how instruction-tuned models want a conversation written.
--
-- A model's file carries its format as a Jinja template. decant does not run
-- templates; it recognises them by the marks that they write, reads off the
-- few choices in which files of one family differ, and writes the conversation
-- itself. That has a use beyond safety: marks and what people say stay apart,
-- so nobody can forge a turn by typing "<|im_end|>".
--
--   formats.recognise(template) -> a function(messages, special) -> parts, or
--                                  nil
--   formats.named(name)         -> the same, with the usual choices, or nil
--   formats.names               sorted
--
-- parts: a list of {mark = "<|im_start|>"} (one control token, where the
-- vocabulary has it) and {text = "user\n"}. messages: a list of {role =,
-- content =}, roles "system", "user", "assistant". special.bos and special.eos
-- are the texts of these tokens, "" if there is none. The parts end where the
-- assistant begins to speak. A bos in front of all is left to the tokenizer.
--
-- Formats: the templates in the model cards of each family, as
-- transformers.apply_chat_template renders them with a generation prompt.

local formats = {}


-- ---- writing ----

local Parts = {}
Parts.__index = Parts

function Parts:mark(text)
  if text ~= "" then self[#self + 1] = {mark = text} end
  return self
end

function Parts:text(text)
  local last = self[#self]
  if last and last.text then
    last.text = last.text .. text
  elseif text ~= "" then
    self[#self + 1] = {text = text}
  end
  return self
end

local function trimmed(text)
  return text:match "^%s*(.-)%s*$"
end

local function same(text)
  return text
end

-- The system message, if the first one is it, and the others.
local function split_system(messages)
  if messages[1].role ~= "system" then return nil, messages end
  return messages[1].content, table.move(messages, 2, #messages, 1, {})
end


-- ---- reading a template ----

-- A text as it may stand in a template: "\n" as a line end or as an escape.
local function has(template, text)
  return template:find(text, 1, true) ~= nil
         or template:find(text:gsub("\n", "\\n"), 1, true) ~= nil
end

-- Whether contents are stripped: "message['content'] | trim", "x.strip()".
local function trims(template)
  return template:find "|%s*trim" ~= nil or has(template, ".strip()")
end


-- ---- the formats: a table of choices for each, and one function ----

-- <|im_start|>ROLE\nCONTENT<|im_end|>\n (ChatML: Qwen, SmolLM2, Hermes, ...).
-- Choices: trim; system = the message where there is none (Qwen2, SmolLM2);
-- forget_thoughts: earlier answers lose what stands before </think> (Qwen3).
local function chatml(parts, messages, choice)
  local clean = choice.trim and trimmed or same
  local function turn(role, content)
    parts:mark "<|im_start|>":text(role .. "\n" .. clean(content))
    parts:mark "<|im_end|>":text "\n"
  end
  if choice.system and messages[1].role ~= "system" then
    turn("system", choice.system)
  end
  for _, message in ipairs(messages) do
    local content = message.content
    if choice.forget_thoughts and message.role == "assistant" then
      content = content:match ".*</think>\n*(.*)$" or content
    end
    turn(message.role, content)
  end
  parts:mark "<|im_start|>":text "assistant\n"
end

-- <|start_header_id|>ROLE<|end_header_id|>\n\nCONTENT<|eot_id|> (Llama 3).
-- Choices: trim; dates = the lines that 3.1 and later put into the system
-- message, which they always write.
local function llama3(parts, messages, choice)
  local clean = choice.trim and trimmed or same
  local function header(role)
    parts:mark "<|start_header_id|>":text(role)
    parts:mark "<|end_header_id|>":text "\n\n"
  end
  local function turn(role, content)
    header(role)
    parts:text(content):mark "<|eot_id|>"
  end
  if choice.dates then
    local system
    system, messages = split_system(messages)
    turn("system", choice.dates .. clean(system or ""))
  end
  for _, message in ipairs(messages) do
    turn(message.role, clean(message.content))
  end
  header "assistant"
end

-- <start_of_turn>user\nCONTENT<end_of_turn>\n (Gemma); the assistant is called
-- model, and a system message goes in front of the first turn. Choices: trim;
-- whole_system: the system message is not stripped (Gemma 3).
local function gemma(parts, messages, choice)
  local clean = choice.trim and trimmed or same
  local clean_system = choice.whole_system and same or clean
  local system
  system, messages = split_system(messages)
  for i, message in ipairs(messages) do
    local role = message.role == "assistant" and "model" or message.role
    local before = i == 1 and system and clean_system(system) .. "\n\n" or ""
    parts:mark "<start_of_turn>"
    parts:text(role .. "\n" .. before .. clean(message.content))
    parts:mark "<end_of_turn>":text "\n"
  end
  parts:mark "<start_of_turn>":text "model\n"
end

-- <|ROLE|>\nCONTENT<end>\n, where the end is <|end|> (Phi-3) or the end token
-- (Zephyr, TinyLlama chat: choice.close); without line ends in Phi-4-mini
-- (choice.tight).
local function bars(parts, messages, choice, special)
  local close, line_end = choice.close or special.eos,
                          choice.tight and "" or "\n"
  for _, message in ipairs(messages) do
    parts:mark("<|" .. message.role .. "|>")
    parts:text(line_end .. message.content):mark(close):text(line_end)
  end
  parts:mark "<|assistant|>":text(line_end)
end

-- [INST] CONTENT [/INST] ANSWER</s> (Llama 2, Mistral). Choices: open, close
-- (the marks with their spaces), before and after (spaces around answers),
-- trim_user, trim_answer; begin: a bos in front of every later turn, too;
-- sys: Llama 2's marks around the system message; system = the message where
-- there is none; last: it goes into the last turn, not the first (Mistral v3).
local function inst(parts, messages, choice, special)
  local system
  system, messages = split_system(messages)
  system = system or choice.system
  local at = choice.last and #messages or 1
  local user = choice.trim_user and trimmed or same
  local answer = choice.trim_answer and trimmed or same
  if system then
    system = choice.sys and "<<SYS>>\n" .. system .. "\n<</SYS>>\n\n"
             or system .. "\n\n"
  end
  for i, message in ipairs(messages) do
    if message.role == "user" then
      if i > 1 and choice.begin then parts:mark(special.bos) end
      local content = (i == at and system or "") .. message.content
      local lead, space = choice.open:match "^(%s*)%[INST%](%s*)$"
      local gap = choice.close:match "^(%s*)"
      parts:text(lead):mark "[INST]":text(space .. user(content) .. gap)
      parts:mark "[/INST]"
    else
      parts:text(choice.before .. answer(message.content) .. choice.after)
      parts:mark(special.eos):text(choice.behind)
    end
  end
end


-- ---- recognition ----

-- The literal system message of a ChatML template that has one.
local function default_system(template)
  local text = template:gsub("\\n", "\n")
               :match "<|im_start|>system\n([^'\"{}<]+)<|im_end|>"
  return text
end

local function is_chatml(template)
  return has(template, "<|im_start|>") and not has(template, "<|im_sep|>")
end

local function chatml_choices(template)
  return {trim = trims(template), system = default_system(template),
          forget_thoughts = has(template, "</think>")}
end

-- "Cutting Knowledge Date: ...\nToday Date: ...\n\n". The day is the literal
-- one of the template: a prompt that changes overnight could not be replayed.
local function knowledge_dates(template)
  if not has(template, "Cutting Knowledge Date") then return nil end
  local cut = template:match "Cutting Knowledge Date: ([%w ]+)"
  local today = template:match "date_string = [\"']([%w ]+)[\"']"
  return ("Cutting Knowledge Date: %s\nToday Date: %s\n\n"):format(
    cut or "December 2023", today or "26 Jul 2024")
end

local function either(template, ...)
  for _, text in ipairs {...} do
    if has(template, text) then return true end
  end
  return false
end

-- Templates of Llama 2 have a system message of their own, which a switch in
-- front of it turns on or off.
local function switched_system(template)
  local text = template:match
    "elif true == true.-set system_message = '([^'{}]+)'"
  return text and (text:gsub("\\n", "\n"))
end

local function inst_choices(template)
  local sys = has(template, "<<SYS>>")
  local function space(...) return either(template, ...) and " " or "" end
  return {
    open = space("' [INST]", '" [INST]') .. "[INST]" .. space "[INST] ",
    close = space " [/INST]" .. "[/INST]",
    before = space("' ' + ", '" " + ', "' '  + ", '" "  + '),
    after = space("' ' + eos_token", '" " + eos_token'),
    behind = space("eos_token + ' '", 'eos_token + " "'),
    trim_user = sys and trims(template),
    trim_answer = trims(template),
    begin = either(template, "bos_token + '[INST]", 'bos_token + "[INST]'),
    sys = sys, system = sys and switched_system(template) or nil,
    last = has(template, "loop.last and system_message"),
  }
end

-- In order: the first whose marks are in the template. `usual` are the choices
-- for formats.named.
local families = {
  {name = "qwen", write = chatml,
   usual = {system = "You are a helpful assistant."},
   marks = function(t)
     return is_chatml(t) and (default_system(t) or has(t, "</think>"))
   end,
   choices = chatml_choices},
  {name = "chatml", write = chatml, usual = {}, marks = is_chatml,
   choices = chatml_choices},
  {name = "llama3", write = llama3, usual = {trim = true},
   marks = function(t)
     return has(t, "<|start_header_id|>") and has(t, "<|eot_id|>")
   end,
   choices = function(t)
     return {trim = trims(t), dates = knowledge_dates(t)}
   end},
  {name = "gemma", write = gemma, usual = {trim = true},
   marks = function(t) return has(t, "<start_of_turn>") end,
   choices = function(t)
     return {trim = trims(t), whole_system = has(t, "first_user_prefix")}
   end},
  {name = "phi3", write = bars, usual = {close = "<|end|>"},
   marks = function(t)
     return has(t, "<|end|>") and has(t, "<|assistant|>")
   end,
   choices = function(t)
     return {close = "<|end|>",
             tight = not either(t, "|>\n", "|>' + '\n", '|>" + "\n')}
   end},
  {name = "zephyr", write = bars, usual = {},
   marks = function(t)
     return has(t, "<|user|>\n") and
            either(t, "eos_token", "<|endoftext|>")
   end,
   choices = function(t)
     return {close = has(t, "<|endoftext|>") and "<|endoftext|>" or nil}
   end},
  {name = "llama2", write = inst,
   usual = {open = "[INST] ", close = " [/INST]", before = " ", after = " ",
            behind = "", trim_user = true, trim_answer = true, begin = true,
            sys = true},
   marks = function(t) return has(t, "[INST]") and has(t, "<<SYS>>") end,
   choices = inst_choices},
  {name = "mistral", write = inst,
   usual = {open = "[INST] ", close = "[/INST]", before = " ", after = "",
            behind = "", last = true},
   marks = function(t)
     return has(t, "[INST]") and not has(t, "[SYSTEM_PROMPT]")
   end,
   choices = inst_choices},
}

formats.names = {}
for i, family in ipairs(families) do formats.names[i] = family.name end
table.sort(formats.names)

local function writer(family, choice)
  return function(messages, special)
    local parts = setmetatable({}, Parts)
    family.write(parts, messages, choice, special)
    return parts
  end
end

-- A template is a line or a page; what is longer is not one of these.
local LONGEST <const> = 1 << 16

function formats.recognise(template)
  if #template > LONGEST then return nil end
  for _, family in ipairs(families) do
    if family.marks(template) then
      return writer(family, family.choices(template)), family.name
    end
  end
end

function formats.named(name)
  for _, family in ipairs(families) do
    if family.name == name then return writer(family, family.usual) end
  end
end

return formats
