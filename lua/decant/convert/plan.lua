-- plan.lua: which tensor of the checkpoint becomes which of the GGUF.
--
--   plan(checkpoint, where, family, h, type) -> tensors, notes
--     tensors: list of {name, type, shape, source (of the checkpoint)
--              [, first = row]} in the order of the file
--     notes:   sentences about what was left out, for the user
--
-- Every tensor is accounted for: one that is missing, misshapen or of no known
-- use ends the conversion with its name, because a weight that goes astray
-- gives a model that runs and is wrong.

local failure = require "decant.convert.fail"
local fail = failure.fail

local FLOATS = {F32 = true, F16 = true, BF16 = true}

-- Row sizes that q8_0 blocks do not divide go to f16.
local Q8_0_BLOCK = 32

local function shape_text(shape)
  return "[" .. table.concat(shape, ", ") .. "]"
end

local function same_shape(a, b)
  if #a ~= #b then return false end
  for i = 1, #a do
    if a[i] ~= b[i] then return false end
  end
  return true
end

-- A Plan in the making: checkpoint, where (for messages), prefix of the
-- tensors' names, type asked for, and used: names that are accounted for.
local Plan = {}
Plan.__index = Plan

function Plan:note(format, ...)
  self.notes[#self.notes + 1] = format:format(...)
end

-- The checkpoint's tensor, shape and dtype checked. `shape` is what
-- config.json asks for; `other` is a second form of it.
function Plan:take(name, shape, other)
  local tensor = self.checkpoint:find(name)
  if not tensor then
    fail("%s: tensor %s is missing (%s by config.json)", self.where, name,
         shape_text(shape))
  end
  if not same_shape(tensor.shape, shape)
     and not (other and same_shape(tensor.shape, other)) then
    fail("%s: tensor %s is %s, config.json makes it %s", self.where, name,
         shape_text(tensor.shape), shape_text(shape))
  end
  if not FLOATS[tensor.dtype] then
    fail("%s: tensor %s is of type %s, supported are F32, F16 and BF16",
         self.where, name, tensor.dtype)
  end
  self.used[name] = true
  return tensor
end

-- A matrix gets the type asked for, if that fits its rows.
function Plan:matrix_type(columns)
  if self.type == "q8_0" and columns % Q8_0_BLOCK ~= 0 then return "f16" end
  return self.type
end

function Plan:add(name, type, shape, source, first)
  self.tensors[#self.tensors + 1] = {name = name, type = type, shape = shape,
                                     source = source, first = first}
end

function Plan:matrix(source, name, rows, columns)
  local shape = {rows, columns}
  local tensor = self:take(self.prefix .. source, shape)
  self:add(name, self:matrix_type(columns), shape, tensor)
end

function Plan:vector(source, name, size)
  local tensor = self:take(self.prefix .. source, {size})
  self:add(name, "f32", {size}, tensor)
end

function Plan:norm(source, name, size)
  self:vector(source .. ".weight", name .. ".weight", size)
  self:vector(source .. ".bias", name .. ".bias", size)
end

-- Reads a row of the tables in seq2seq.lua.
function Plan:part(row, source, name, sizes)
  local from, to = source .. row[1], name .. row[2]
  local rows, columns = sizes[row[3]], sizes[row[4]]
  if not columns then return self:norm(from, to, rows) end
  self:matrix(from .. ".weight", to .. ".weight", rows, columns)
  self:vector(from .. ".bias", to .. ".bias", rows)
end

-- Bart's table begins with rows that no position uses.
function Plan:positions(stack)
  local family, h = self.family, self.h
  if family.positions ~= "learned" then return end
  local skipped = family.position_offset
  local name = self.prefix .. stack.source .. ".embed_positions.weight"
  local tensor = self:take(name, {h.max_position_embeddings + skipped,
                                  h.d_model})
  self:add(stack.target .. ".position_embd.weight", "f32",
           {h.max_position_embeddings, h.d_model}, tensor, skipped + 1)
end

function Plan:stack(stack)
  local family, h = self.family, self.h
  local sizes = {d = h.d_model, ff = h[stack.ff]}
  self:positions(stack)
  if family.embedding_norm then
    self:norm(stack.source .. "." .. family.embedding_norm,
              stack.target .. ".embd_norm", h.d_model)
  end
  for layer = 0, h[stack.layers] - 1 do
    local source = ("%s.layers.%d."):format(stack.source, layer)
    local name = ("%s.blk.%d."):format(stack.target, layer)
    for _, part in ipairs(stack.parts) do
      for _, row in ipairs(part) do self:part(row, source, name, sizes) end
    end
  end
end

local function same_numbers(a, b)
  return a.dtype == b.dtype and a.file:bytes(a.name) == b.file:bytes(b.name)
end

-- A copy of the embeddings under another name: accounted for if it is equal;
-- returns it if it is not.
function Plan:copy_of(embeddings, name)
  if name == embeddings.name or not self.checkpoint:find(name) then return end
  local tensor = self:take(name, embeddings.shape)
  if not same_numbers(tensor, embeddings) then return tensor end
  self:note("%s equals %s and is stored once", name, embeddings.name)
end

-- One table serves encoder, decoder and, unless lm_head.weight says other
-- numbers, the output. Which name it goes by depends on who saved the file.
function Plan:embeddings()
  local h = self.h
  local names = {self.prefix .. "shared.weight",
                 self.prefix .. "encoder.embed_tokens.weight",
                 self.prefix .. "decoder.embed_tokens.weight"}
  local first = names[1]
  for i = #names, 1, -1 do
    if self.checkpoint:find(names[i]) then first = names[i] end
  end
  local shape = {h.vocab_size, h.d_model}
  local shared = self:take(first, shape)
  for _, name in ipairs(names) do
    if self:copy_of(shared, name) then
      fail("%s: tensor %s differs from %s: an embedding table for each side "
           .. "is not supported", self.where, name, first)
    end
  end
  local type = self:matrix_type(h.d_model)
  self:add("token_embd.weight", type, shape, shared)
  if not h.tied then self:take("lm_head.weight", shape) end
  local output = self:copy_of(shared, "lm_head.weight")
  if output then self:add("output.weight", type, shape, output) end
end

-- Absent where the file was saved without the head: then it is zero.
function Plan:output_bias()
  local name, size = "final_logits_bias", self.h.vocab_size
  if not self.checkpoint:find(name) then return end
  self:add("output.bias", "f32", {size}, self:take(name, {1, size}, {size}))
end

function Plan:ignore(names)
  for _, name in ipairs(names) do
    local full = self.prefix .. name
    if self.checkpoint:find(full) then
      self.used[full] = true
      self:note("%s is ignored", full)
    end
  end
end

function Plan:check_unused()
  local unused = {}
  for _, tensor in ipairs(self.checkpoint.tensors) do
    if not self.used[tensor.name] then unused[#unused + 1] = tensor.name end
  end
  if #unused == 0 then return end
  local more = #unused > 5 and (" and %d more"):format(#unused - 5) or ""
  fail("%s: %s has no use for %s%s", self.where, self.family.name,
       table.concat(unused, ", ", 1, math.min(#unused, 5)), more)
end

-- Files saved from the model without its head lack "model." in front.
local function prefix_of(checkpoint)
  return checkpoint:find "shared.weight" and "" or "model."
end

local function plan(checkpoint, where, family, h, type)
  local self = setmetatable({
    checkpoint = checkpoint, where = where, family = family, h = h,
    type = type, prefix = prefix_of(checkpoint),
    tensors = {}, notes = {}, used = {},
  }, Plan)
  self:embeddings()
  for _, stack in ipairs(family.stacks) do self:stack(stack) end
  self:output_bias()
  self:ignore(family.ignored)
  self:check_unused()
  return self.tensors, self.notes
end

return plan
