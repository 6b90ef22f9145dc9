-- decant.inputs: what callers give to generate, as a list of items.
--
--   text | list of texts | ids | list of ids | encoder output Tensor
--
-- An item is {index =, prompt = ids that the decoder starts from} and, for a
-- seq2seq model, ids = the source's ids (text, if that is what they are of) or
-- tensor = its encoder output [1, length, d_model], with mask = {1, 0, ...}
-- where some do not count.
-- item.empty: nothing to do. The encoder runs later, on many items at once
-- (inputs.encode), so that a long list does not hold all its sources.

local lists = require "decant.lists"
local show = require "decant.show"

local inputs = {}


local function fail(message, ...)
  error(message:format(...), 0)
end


-- Whether `value` is a Tensor (or anything else that knows its shape).
function inputs.is_tensor(value)
  return type(value) == "userdata" and pcall(function()
    return value.shape(value)
  end)
end


-- Raises unless `ids` is a list of token ids of `vocab`; returns it as it lies
-- there.
function inputs.check_ids(ids, vocab, name)
  if type(ids) ~= "table" then
    fail("%s is a %s; a list of token ids is wanted", name, type(ids))
  end
  ids = lists.whole(ids, name)
  for i = 1, #ids do
    local id = ids[i]
    if math.type(id) ~= "integer" or id < 0 or id >= vocab then
      fail("%s: id %d is %s; a token id is an integer from 0 to %d", name, i,
           show(id), vocab - 1)
    end
  end
  return ids
end


-- Whether `input` stands for several inputs.
function inputs.is_list(input)
  if inputs.is_tensor(input) then
    return select(2, inputs.as_batch(input)) ~= 1
  end
  local first = type(input) == "table" and rawget(input, 1)
  return type(first) == "string" or type(first) == "table"
end


-- The kind of an input, and the list of what it holds.
local function classify(input)
  if type(input) == "string" then return "text", {input} end
  if inputs.is_tensor(input) then return "tensor", {input} end
  if type(input) ~= "table" then
    fail("the input is a %s; a text, a list of texts, ids, a list of ids or " ..
         "an encoder output is wanted", type(input))
  end
  input = lists.whole(input, "the input")
  local first = input[1]
  if math.type(first) then return "ids", {input} end
  local kind = type(first) == "table" and "ids" or "text"
  for i = 1, #input do
    local found = type(input[i])
    if found ~= "string" and found ~= "table" or found ~= type(first) then
      fail("input %d is a %s; a list holds texts only or ids only", i, found)
    end
  end
  return kind, input
end


-- The texts as ids; raises if there is no tokenizer.
function inputs.tokenize(model, text, options)
  local tokenizer = model.tokenizer
  if not tokenizer then
    fail("this model has no tokenizer: give token ids instead of text")
  end
  return tokenizer:encode(text, options)
end


-- Whether there is nothing in `ids` but the marks that the tokenizer adds.
local function only_marks(ids, tokenizer)
  for _, id in ipairs(ids) do
    if id ~= tokenizer.eos and id ~= tokenizer.bos then return false end
  end
  return true
end


-- An encoder output as [batch, length, d_model], and its batch size. `width`:
-- what d_model must be, if the caller knows.
function inputs.as_batch(tensor, width)
  if not inputs.is_tensor(tensor) then
    fail("the encoder output is a %s; a Tensor [batch, length, d_model] is " ..
         "wanted", type(tensor))
  end
  local shape = tensor:shape()
  if width and shape[#shape] ~= width then
    fail("an encoder output of this model is %d wide, this one %d", width,
         shape[#shape])
  end
  if #shape == 2 then return tensor:view(1, shape[1], shape[2]), 1 end
  if #shape ~= 3 then
    fail("an encoder output has 2 or 3 dimensions, this one has %d", #shape)
  end
  return tensor, shape[1]
end


-- Row i of a mask, checked.
local function bits_of(row, i)
  if type(row) ~= "table" then
    fail("source_mask: row %d is a %s; a list of 0 and 1 is wanted", i,
         type(row))
  end
  local bits = {}
  row = lists.whole(row, "source_mask")
  for j = 1, #row do
    local value = row[j]
    if value ~= 0 and value ~= 1 then
      fail("source_mask: row %d, position %d is %s; 0 or 1 is wanted", i, j,
           show(value))
    end
    bits[j] = math.tointeger(value)
  end
  return bits
end


-- source_mask as one list of 0 and 1 for each of `count` sources, or nil.
function inputs.masks(mask, count)
  if not mask then return nil end
  if inputs.is_tensor(mask) then mask = mask:totable() end
  if type(mask) ~= "table" then
    fail("source_mask is a %s; a list of 0 and 1, a list of such lists or a " ..
         "Tensor is wanted", type(mask))
  end
  mask = lists.whole(mask, "source_mask")
  if type(mask[1]) ~= "table" then mask = {mask} end
  if #mask ~= count then
    fail("source_mask has %d rows, the input has %d", #mask, count)
  end
  local rows = {}
  for i = 1, count do rows[i] = bits_of(mask[i], i) end
  return rows
end


-- Raises unless the mask of row i (or nil) says of each id whether it counts.
function inputs.check_mask(mask, ids, i)
  if mask and #mask ~= #ids then
    fail("source_mask: row %d has %d positions, the input has %d", i, #mask,
         #ids)
  end
end


-- What a seq2seq item's decoder starts from: the start token, and a forced
-- prefix if the caller gives one (a list, or a list of them for a batch).
local function decoder_prompt(model, config, index)
  local start = config.decoder_start_token_id or model.config.decoder_start
                or config.bos_token_id
  if not start then
    fail("the decoder has no start token: set decoder_start_token_id")
  end
  local prefix = config.decoder_input_ids
  if not prefix then return {start} end
  if type(prefix[1]) == "table" then
    prefix = prefix[index]
    if not prefix then
      fail("decoder_input_ids has no row for input %d", index)
    end
  end
  inputs.check_ids(prefix, model.config.vocab, "decoder_input_ids")
  local ids = prefix[1] == start and {} or {start}
  return table.move(prefix, 1, #prefix, #ids + 1, ids)
end


function inputs.check_length(ids, model, name)
  local context = model.config.context
  if context and #ids > context then
    fail("%s has %d tokens; the context of the model holds %d", name, #ids,
         context)
  end
end


-- One item from one text or list of ids.
local function item_of(model, kind, value, index, config)
  local name = "input " .. index
  local ids, empty
  if kind == "text" then
    ids = inputs.tokenize(model, value)
    empty = only_marks(ids, model.tokenizer)
  else
    ids = inputs.check_ids(value, model.config.vocab, name)
    empty = #ids == 0
  end
  inputs.check_length(ids, model, name)
  if model.kind == "causal" then
    return {index = index, prompt = ids, encoder_ids = ids, empty = empty}
  end
  return {index = index, ids = ids, encoder_ids = ids, empty = empty,
          text = kind == "text" and value or nil,
          prompt = decoder_prompt(model, config, index)}
end


local function items_of_tensor(model, tensor, config)
  if model.kind == "causal" then
    fail("an encoder output is of no use to a causal model")
  end
  local batch, count = inputs.as_batch(tensor, model.config.d_model)
  local masks = inputs.masks(config.source_mask, count)
  local items = {}
  for i = 1, count do
    items[i] = {index = i, tensor = batch:narrow(1, i, 1),
                mask = masks and masks[i],
                prompt = decoder_prompt(model, config, i)}
  end
  return items
end


function inputs.read(model, input, config)
  local kind, list = classify(input)
  if kind == "tensor" then return items_of_tensor(model, input, config) end
  local masks = inputs.masks(config.source_mask, #list)
  local items = {}
  for i = 1, #list do
    local item = item_of(model, kind, list[i], i, config)
    item.mask = masks and masks[i]
    inputs.check_mask(item.mask, item.encoder_ids, i)
    items[i] = item
  end
  return items
end


-- Masks for an encoder output in which row i has #sequences[i] positions; nil
-- if all count.
function inputs.padding_masks(sequences, masks)
  local longest, ragged = 0, masks ~= nil
  for _, list in ipairs(sequences) do
    longest = math.max(longest, #list)
  end
  for _, list in ipairs(sequences) do
    ragged = ragged or #list < longest
  end
  if not ragged then return nil end
  local padded = {}
  for i, list in ipairs(sequences) do
    local row = {}
    for j = 1, longest do
      row[j] = j <= #list and (masks and masks[i] and masks[i][j] or 1) or 0
    end
    padded[i] = row
  end
  return padded
end


-- Gives the items their sources: one packed run of the encoder.
function inputs.encode(model, items)
  local sequences, masks, waiting = {}, nil, {}
  for _, item in ipairs(items) do
    if item.tensor then
      local mask = item.mask and {item.mask}
      item.source = model.core:sources(item.tensor, mask)[1]
      item.tensor = nil
    elseif item.ids then
      waiting[#waiting + 1] = item
      sequences[#sequences + 1] = item.ids
      if item.mask then
        masks = masks or {}
        masks[#sequences] = item.mask
      end
    end
  end
  if #waiting == 0 then return end
  local padded = inputs.padding_masks(sequences, masks)
  local output = model.core:encode(sequences, masks)
  for i, source in ipairs(model.core:sources(output, padded)) do
    waiting[i].source = source
  end
end

return inputs
