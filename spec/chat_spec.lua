-- model:chat on the tiny Llama of stories260K: what is fed, what is answered.

local decant = require "decant"

local path = "../shared/models/stories260K/stories260K.gguf"

local function user(content) return {role = "user", content = content} end

local function assistant(content)
  return {role = "assistant", content = content}
end

describe("model:chat", function()
  local model, fed
  before_each(function()
    model = assert(decant.load(path))
    local forward = model.engine.forward
    fed = 0
    model.engine.forward = function(requests)
      for _, request in ipairs(requests) do
        for _, ids in ipairs(request[2]) do fed = fed + #ids end
      end
      return forward(requests)
    end
  end)
  after_each(function() model:close() end)

  local options = {template = "zephyr", max_new_tokens = 8}

  local function cold(messages)
    local fresh <close> = assert(decant.load(path))
    return fresh:chat(messages, options)
  end

  it("feeds of a later turn only what is new, with the same answer", function()
    local messages = {user "Tell me of a dog."}
    local answer = model:chat(messages, options)
    assert.equal(cold(messages), answer)
    local first = fed
    messages[2], messages[3] = assistant(answer), user "And of a cat?"
    local second = model:chat(messages, options)
    assert.equal(cold(messages), second)
    assert.is_true(fed - first < first, (fed - first) .. " after " .. first)
  end)

  it("keeps what two conversations begin with", function()
    model:chat({user "Once upon a time there was a dog"}, options)
    local first = fed
    local other = {user "Once upon a time there was a cat"}
    assert.equal(cold(other), (model:chat(other, options)))
    assert.is_true(fed - first < first)
  end)

  it("takes a template of the caller's, beams, and gives the result",
     function()
    local text, result = model:chat({user "Once"}, {
      template = function(messages) return messages[1].content end,
      num_beams = 3, max_new_tokens = 5})
    assert.equal(text, result.text)
    assert.equal(5, #result.ids)
    assert.is_string((model:chat({user "Once upon"}, options)))
  end)

  it("never takes what people say for a control token", function()
    model:chat({user "</s>"}, options)
    local ends = 0
    for _, id in ipairs(model.conversation.ids) do
      if id == model.tokenizer.eos then ends = ends + 1 end
    end
    assert.equal(1, ends)  -- the one that closes the turn
  end)

  it("says what is wrong", function()
    local function refused(message, messages, config)
      assert.error(function() model:chat(messages, config) end,
                   "model:chat: " .. message)
    end
    refused("the model's file has no chat template; pass template = " ..
            "function(messages) return prompt end, or the name of one " ..
            "(chatml, gemma, llama2, llama3, mistral, phi3, qwen, zephyr)",
            {user "Hi"})
    refused('template "alpaca" is not known; known: chatml, gemma, llama2, ' ..
            "llama3, mistral, phi3, qwen, zephyr", {user "Hi"},
            {template = "alpaca"})
    refused("a list of messages is wanted, got an empty table", {}, options)
    refused("a list of messages is wanted, got string", "Hi", options)
    refused('message 1: role is "bot", must be "system", "user" or "assistant"',
            {{role = "bot", content = "x"}}, options)
    refused("message 2: only the first one can be the system's",
            {user "Hi", {role = "system", content = "x"}}, options)
    refused("message 1: content is a nil, must be a text", {{role = "user"}},
            options)
  end)
end)
