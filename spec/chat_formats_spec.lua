-- Conversations as the model families want them. The templates here are short
-- Jinja texts with the marks of the real ones; what is expected is what
-- transformers 5.23 (apply_chat_template, add_generation_prompt) gives for the
-- templates of the model cards named in front of each.

local formats = require "decant.chat.formats"

local function joined(parts)
  local out = {}
  for i, part in ipairs(parts) do out[i] = part.mark or part.text end
  return table.concat(out)
end

local special = {bos = "<s>", eos = "</s>"}

local function rendered(template, messages)
  local write, name = formats.recognise(template)
  assert.is_function(write)
  return joined(write(messages, special)), name
end

local function conversation(system)
  local messages = {
    {role = "user", content = " Hi "},
    {role = "assistant", content = "Hello. "},
    {role = "user", content = "Who?"},
  }
  if system then
    table.insert(messages, 1, {role = "system", content = system})
  end
  return messages
end

local chatml = "{% for message in messages %}{{'<|im_start|>' + " ..
  "message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}" ..
  "{% endfor %}{% if add_generation_prompt %}" ..
  "{{ '<|im_start|>assistant\\n' }}{% endif %}"

describe("chat formats", function()
  it("write ChatML as it is", function()
    local text, name = rendered(chatml, conversation "Be brief.")
    assert.equal("chatml", name)
    assert.equal("<|im_start|>system\nBe brief.<|im_end|>\n" ..
      "<|im_start|>user\n Hi <|im_end|>\n" ..
      "<|im_start|>assistant\nHello. <|im_end|>\n" ..
      "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n", text)
  end)

  it("take a default system message from the template (Qwen2)", function()
    local template = "{% if messages[0]['role'] != 'system' %}" ..
      "{{ '<|im_start|>system\\nYou are a helpful assistant." ..
      "<|im_end|>\\n' }}" ..
      "{% endif %}" .. chatml
    local text, name = rendered(template, {{role = "user", content = "Hi"}})
    assert.equal("qwen", name)
    assert.equal("<|im_start|>system\nYou are a helpful assistant.<|im_end|>" ..
      "\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", text)
    text = rendered(template, {{role = "system", content = "S"},
                               {role = "user", content = "Hi"}})
    assert.equal("<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi" ..
                 "<|im_end|>\n<|im_start|>assistant\n", text)
  end)

  it("leave earlier thoughts out (Qwen3)", function()
    local template = chatml .. "{{ content.split('</think>')[-1] }}"
    local text = rendered(template, {
      {role = "user", content = "1+1?"},
      {role = "assistant", content = "<think>\nhm\n</think>\n\n2"},
      {role = "user", content = "Sure?"},
    })
    assert.equal("<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n2" ..
      "<|im_end|>\n<|im_start|>user\nSure?<|im_end|>\n" ..
      "<|im_start|>assistant\n", text)
  end)

  local llama3 = "{{ '<|start_header_id|>' + message['role'] + " ..
    "'<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}"

  it("write Llama 3's headers around trimmed contents", function()
    local text, name = rendered(llama3, conversation())
    assert.equal("llama3", name)
    assert.equal("<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>" ..
      "<|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|>" ..
      "<|start_header_id|>user<|end_header_id|>\n\nWho?<|eot_id|>" ..
      "<|start_header_id|>assistant<|end_header_id|>\n\n", text)
  end)

  it("write the dates of Llama 3.1, with or without a system message",
     function()
    local template = '{%- set date_string = "26 Jul 2024" %}' ..
      '{{- "Cutting Knowledge Date: December 2023\\n" }}' .. llama3
    local head = "<|start_header_id|>system<|end_header_id|>\n\n" ..
      "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
    local tail = "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi" ..
      "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    assert.equal(head .. tail,
                 (rendered(template, {{role = "user", content = "Hi"}})))
    assert.equal(head .. "Sys" .. tail, (rendered(template, {
      {role = "system", content = "Sys "}, {role = "user", content = "Hi"}})))
  end)

  it("put Gemma's system message into the first turn", function()
    local text, name = rendered(
      "{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim }}",
      conversation "Be brief.")
    assert.equal("gemma", name)
    assert.equal("<start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n" ..
      "<start_of_turn>model\nHello.<end_of_turn>\n" ..
      "<start_of_turn>user\nWho?<end_of_turn>\n<start_of_turn>model\n", text)
  end)

  it("leave Gemma 3's system message as it is", function()
    assert.equal("<start_of_turn>user\n Be brief. \n\nHi<end_of_turn>\n" ..
      "<start_of_turn>model\nHello.<end_of_turn>\n" ..
      "<start_of_turn>user\nWho?<end_of_turn>\n<start_of_turn>model\n",
      (rendered("{{ '<start_of_turn>' + role + '\\n' + (first_user_prefix " ..
                "if loop.first else '') }}{{ message['content'] | trim }}",
                conversation " Be brief. ")))
  end)

  it("have no line ends in Phi-4-mini", function()
    local text, name = rendered("{{ '<|' + message['role'] + '|>' + " ..
      "message['content'] + '<|end|>' }}{{ '<|assistant|>' }}",
      conversation "S")
    assert.equal("phi3", name)
    assert.equal("<|system|>S<|end|><|user|> Hi <|end|><|assistant|>Hello. " ..
                 "<|end|><|user|>Who?<|end|><|assistant|>", text)
  end)

  it("close turns with <|end|> (Phi-3) or the end token (Zephyr)", function()
    local text, name = rendered("{{'<|user|>' + '\\n' + " ..
      "message['content'] + '<|end|>' + '\\n' + " ..
      "'<|assistant|>' + '\\n'}}", conversation())
    assert.equal("phi3", name)
    assert.equal("<|user|>\n Hi <|end|>\n<|assistant|>\nHello. <|end|>\n" ..
                 "<|user|>\nWho?<|end|>\n<|assistant|>\n", text)
    text, name = rendered(
      "{{ '<|user|>\\n' + message['content'] + eos_token }}",
      conversation "Be brief.")
    assert.equal("zephyr", name)
    assert.equal("<|system|>\nBe brief.</s>\n<|user|>\n Hi </s>\n" ..
      "<|assistant|>\nHello. </s>\n<|user|>\nWho?</s>\n<|assistant|>\n", text)
  end)

  it("write Llama 2's instructions and its system marks", function()
    local text, name = rendered("'<<SYS>>\\n' + system_message + " ..
      "'\\n<</SYS>>\\n\\n' {{ bos_token + '[INST] ' + content.strip() + " ..
      "' [/INST]' }}{{ ' ' + content.strip() + ' ' + eos_token }}",
      conversation "Be brief.")
    assert.equal("llama2", name)
    assert.equal("[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n Hi [/INST] " ..
                 "Hello. </s><s>[INST] Who? [/INST]", text)
  end)

  it("take a system message from Llama 2's template if it is switched on",
     function()
    local template = "{%% elif %s == true and not '<<SYS>>' in x %%}" ..
      "{%% set system_message = 'Be\\nkind.' %%}{{ bos_token + '[INST] ' + " ..
      "content.strip() + ' [/INST]' }}{{ ' ' + content.strip() + ' ' + " ..
      "eos_token }}"
    local behind = " Hi [/INST] Hello. </s><s>[INST] Who? [/INST]"
    assert.equal("[INST] <<SYS>>\nBe\nkind.\n<</SYS>>\n\n" .. behind,
                 (rendered(template:format "true", conversation())))
    assert.equal("[INST]" .. behind,
                 (rendered(template:format "false", conversation())))
  end)

  it("write Mistral's forms: 0.1, 1 and 3", function()
    local text, name = rendered("{{ bos_token }}{{ '[INST] ' + " ..
      "message['content'] + ' [/INST]' }}{{ message['content'] + eos_token " ..
      "+ ' ' }}", conversation())
    assert.equal("mistral", name)
    assert.equal("[INST]  Hi  [/INST]Hello. </s> [INST] Who? [/INST]", text)
    text = rendered("{{ ' [INST] ' + system_message + '\\n\\n' + " ..
      "message['content'] + ' [/INST]' }}{{ ' ' + message['content'] + " ..
      "eos_token }}", conversation "S")
    assert.equal(" [INST] S\n\n Hi  [/INST] Hello. </s> [INST] Who? [/INST]",
                 text)
    text = rendered('{% if loop.last and system_message is defined %}' ..
      '{{- "[INST] " + system_message + "\\n\\n" + message["content"] + ' ..
      '"[/INST]" }}{{- " " + message["content"]|trim + eos_token}}',
      conversation "S")
    assert.equal("[INST]  Hi [/INST] Hello.</s>[INST] S\n\nWho?[/INST]", text)
  end)

  it("know nothing of a template with other marks, or of an endless one",
     function()
    assert.is_nil(formats.recognise "{{ 'Human: ' + message['content'] }}")
    assert.is_nil(formats.recognise "<|im_start|>user<|im_sep|>")
    assert.is_nil(formats.recognise(chatml .. (" "):rep(10000000)))
  end)

  it("are to be had by name", function()
    assert.same({"chatml", "gemma", "llama2", "llama3", "mistral", "phi3",
                 "qwen", "zephyr"}, formats.names)
    for _, name in ipairs(formats.names) do
      local parts = formats.named(name)({{role = "user", content = "Hi"}},
                                        special)
      assert.truthy(joined(parts):find("Hi", 1, true), name)
    end
    assert.is_nil(formats.named "alpaca")
  end)

  it("keep marks and what people say apart", function()
    local parts = formats.named "chatml" ({
      {role = "user", content = "<|im_end|>"}}, special)
    assert.same({{mark = "<|im_start|>"}, {text = "user\n<|im_end|>"},
                 {mark = "<|im_end|>"}, {text = "\n"},
                 {mark = "<|im_start|>"}, {text = "assistant\n"}},
                setmetatable(parts, nil))
  end)
end)
