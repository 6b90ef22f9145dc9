-- decant.model: the Model of DESIGN 2.4 around the core's.
--
-- Fields: kind ("seq2seq" | "causal"), config (hyperparameters, and the
-- model's own generation defaults in config.generation), tokenizer (or nil).
-- The core's userdata frees itself when the last session, source or coroutine
-- on it is gone; close() frees it now.

local chat = require "decant.chat"
local core = require "decant.core"
local generate = require "decant.generate"
local inputs = require "decant.inputs"
local lists = require "decant.lists"
local queue = require "decant.queue"
local score = require "decant.score"
local session = require "decant.session"
local show = require "decant.show"
local stream = require "decant.stream"
local translate = require "decant.translate"

local Model = {}
Model.__index = Model


local function check_open(self, method)
  if not self.core then
    error(("model:%s: the model is closed"):format(method), 3)
  end
  if self.vocab_only then
    error(("model:%s: the model was loaded with vocab_only"):format(method), 3)
  end
end


-- A text, ids, or a list of either, as a list of lists of ids.
local function batch_of(self, input, options)
  if type(input) ~= "string" and type(input) ~= "table" then
    error(("a text, ids or a list of either is wanted, got a %s"):format(
          type(input)), 0)
  end
  local single = type(input) == "string" or rawlen(input) == 0
                 or type(rawget(input, 1)) == "number"
  local given = single and {input} or lists.whole(input, "the list of rows")
  local batch = {}
  for i = 1, #given do
    local ids, name = given[i], "row " .. i
    if type(ids) == "string" then
      ids = inputs.tokenize(self, ids, options)
    else
      ids = inputs.check_ids(ids, self.config.vocab, name)
    end
    if #ids == 0 then error(name .. " has no ids", 0) end
    inputs.check_length(ids, self, name)
    batch[i] = ids
  end
  return batch
end


-- Only an encoder-decoder model reads a source.
local function check_source(self, method, source, name)
  if self.kind ~= "causal" and source == nil then
    error(("model:%s: an encoder-decoder model needs %s"):format(method, name),
          3)
  elseif self.kind == "causal" and source ~= nil then
    error(("model:%s: a causal model has no encoder and reads no source")
          :format(method), 3)
  end
end


-- ids | batch | text | texts [, mask] -> Tensor [batch, src_len, d_model].
-- Rows of a ragged batch are 0 beyond their length.
function Model:encode(input, mask)
  check_open(self, "encode")
  if self.kind == "causal" then check_source(self, "encode", input) end
  local batch = batch_of(self, input)
  local masks = inputs.masks(mask, #batch)
  for i = 1, masks and #batch or 0 do
    inputs.check_mask(masks[i], batch[i], i)
  end
  return self.core:encode(batch, masks)
end


-- One source for each of `count` rows: a single one serves all of them.
local function sources_for(self, count, output, mask)
  if self.kind == "causal" then return nil end
  local tensor, batch = inputs.as_batch(output, self.config.d_model)
  if batch ~= 1 and batch ~= count then
    error(("model:decode: %d rows of ids, but %d encoder outputs"):format(
          count, batch), 0)
  end
  local sources = self.core:sources(tensor, inputs.masks(mask, batch))
  for i = batch + 1, count do sources[i] = sources[1] end
  return sources
end


-- ids | batch [, encoder_output [, mask]] -> Tensor [batch, len, vocab]:
-- position p holds the scores of what follows it.
function Model:decode(ids, encoder_output, mask)
  check_open(self, "decode")
  check_source(self, "decode", encoder_output, "an encoder output")
  local batch = batch_of(self, ids, {side = "target"})
  local sources = sources_for(self, #batch, encoder_output, mask)
  local scores = self.core:decode(batch, sources)
  for _, source in ipairs(sources or {}) do source:close() end
  return scores
end


local function session_options(options)
  return lists.options(options, "model:session",
                       {"rows", "source", "source_mask"})
end


-- {rows = 1, source = encoder output, text or ids, source_mask = mask}
function Model:session(options)
  check_open(self, "session")
  options = session_options(options)
  local rows = options.rows or 1
  if math.type(rows) ~= "integer" or rows < 1 then
    error(("model:session: rows is %s; a positive integer is wanted"):format(
          show(rows)), 2)
  end
  local source = options.source
  check_source(self, "session", source, "a source")
  if source ~= nil then
    local mask = options.source_mask
    if not inputs.is_tensor(source) then source = self:encode(source, mask) end
    local tensor, batch = inputs.as_batch(source, self.config.d_model)
    if batch ~= 1 then
      error(("model:session: a session is on one source, not on %d"):format(
            batch), 2)
    end
    source = self.core:sources(tensor, inputs.masks(mask, 1))[1]
  end
  local opened = session.on(self, source, rows)
  if source then source:close() end  -- lives as long as the session reads it
  return opened
end


-- The session that session:save has put into a file; nil, message if the file
-- is none, is damaged, or is of another model.
function Model:restore(path)
  check_open(self, "restore")
  local rows, message = self.core:restore(path)
  if not rows then return nil, message end
  return session.new(rows, self.engine, self.config, self)
end


function Model:generate(input, config)
  check_open(self, "generate")
  return generate(self, input, config)
end


-- {rows = 16, threads = nil}: see queue.lua
function Model:queue(options)
  check_open(self, "queue")
  return queue.open(self, options)
end


function Model:translate(input, config)
  check_open(self, "translate")
  return translate(self, input, config)
end


-- The text that a causal model puts after `text`.
function Model:complete(text, config)
  check_open(self, "complete")
  if self.kind ~= "causal" then
    error("model:complete needs a causal model; this one is " ..
          tostring(self.kind) .. ": use translate", 2)
  end
  if type(text) ~= "string" then
    error("model:complete: a text is wanted, got a " .. type(text), 2)
  end
  return generate(self, text, config, 3)[1].text
end


-- The answer to a conversation, and its result; see chat.lua.
function Model:chat(messages, config)
  check_open(self, "chat")
  if self.kind ~= "causal" then
    error("model:chat needs a causal model; this one is " ..
          tostring(self.kind), 2)
  end
  return chat(self, messages, config, 2)
end


function Model:stream(input, config)
  check_open(self, "stream")
  return stream(self, input, config)
end


function Model:score(target, source)
  check_open(self, "score")
  return score.score(self, target, source)
end


-- exp(-mean log-probability of a token): of one target or of a whole list.
function Model:perplexity(target, source)
  check_open(self, "perplexity")
  return score.perplexity(self, target, source)
end


-- Idempotent. Sessions on the model cannot be used afterwards.
function Model:close()
  local handle, talk = self.core, self.conversation
  self.core, self.conversation = nil, nil
  if talk then talk.session:close() end
  if handle then handle:close() end
end

Model.__close = Model.close
Model.__gc = Model.close


function Model:__tostring()
  if not self.core then return "decant model (closed)" end
  return ("decant model (%s, %s)"):format(
    tostring(self.config.architecture), tostring(self.kind))
end


-- What the file's generation defaults leave out, the tokenizer may know: GGUF
-- files of others have no such defaults, but several tokens that end a text.
local function add_marks(generation, tokenizer)
  if not tokenizer then return end
  local ends = tokenizer.eog
  local marks = {bos_token_id = tokenizer.bos, pad_token_id = tokenizer.pad,
                 eos_token_id = ends and #ends > 0 and ends or tokenizer.eos}
  for field, id in pairs(marks) do
    if generation[field] == nil then generation[field] = id end
  end
end


-- `handle`: the core's Model. `engine`: who computes its steps (scheduler.lua).
local function new(handle, engine, vocab_only)
  local config, tokenizer = handle:hparams(), handle:tokenizer()
  add_marks(config.generation, tokenizer)
  return setmetatable({
    core = handle,
    engine = engine or {forward = core.forward, step = core.step,
                        step_all = core.step_all},
    config = config, kind = config.kind, tokenizer = tokenizer,
    vocab_only = vocab_only or nil,
  }, Model)
end

return {new = new}
