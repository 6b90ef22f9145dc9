-- plan.lua: which tensor of the checkpoint becomes which of the GGUF.
--
--   plan(checkpoint, where, family, h, type) -> tensors, notes
--     tensors: list of {name, type, shape, source}, ready for the writer, in
--              the order of the file
--     notes:   sentences about what was left out, for the user
--
-- The architecture's table has `stacks` of layers and `parts` beside them; a
-- part is a list of rows, and a row is
--
--   {"self_attn.q_proj", "attn_q", "q", "d", ...}
--     name in the checkpoint, name in the GGUF, rows, columns: a matrix
--     [rows, columns] called .weight, sizes by their names in h. Without
--     columns it is a norm [rows].
--     bias = true or KEY    there is a .bias [rows] too; KEY: if h[KEY] says so
--                           (family.bias is the default)
--     swap = NAME           rows in another order: h.swaps[NAME] = {a, b, n},
--                           [.., a, b, n rows] with a and b exchanged
--     transposed = true     the checkpoint has [columns, rows]
--     plus = x              is added to every element
--     table = true          positions and the like: f32, no bias
--     skip = FIELD          the checkpoint has family[FIELD] rows in front of
--                           those that are wanted
--     only = KEY            a row for models whose h[KEY] is true
--
-- Every tensor is accounted for: one that is missing, misshapen or of no known
-- use ends the conversion with its name, because a weight that goes astray
-- gives a model that runs and is wrong.

local failure = require "decant.convert.fail"
local types = require "decant.convert.types"
local fail = failure.fail

local FLOATS = {F32 = true, F16 = true, BF16 = true}

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

-- `changes` are those of the writer: first, swap, plus.
function Plan:add(name, type, shape, tensor, changes)
  local source = {safetensors = tensor.file, name = tensor.name}
  for key, value in pairs(changes or {}) do source[key] = value end
  self.tensors[#self.tensors + 1] = {name = name, type = type, shape = shape,
                                     source = source}
end

-- h.swaps[NAME] for rows of `columns` elements.
function Plan:swap(row, columns)
  if not row.swap then return nil end
  local a, b, n = table.unpack(self.h.swaps[row.swap])
  return {a, b, n * columns}
end

function Plan:matrix(row, source, name, rows, columns)
  local shape = {rows, columns}
  local changes = {swap = self:swap(row, columns), plus = row.plus}
  local stored = shape
  if row.transposed then
    stored, changes.swap = {columns, rows}, {columns, rows, 1}
  elseif row.skip then
    local skipped = self.family[row.skip]
    stored, changes.first = {rows + skipped, columns}, skipped + 1
  end
  local tensor = self:take(source, stored)
  self:add(name, row.table and "f32" or types.matrix(self.type, columns),
           shape, tensor, changes)
end

function Plan:vector(row, source, name, size)
  self:add(name, "f32", {size}, self:take(source, {size}),
           {swap = self:swap(row, 1), plus = row.plus})
end

function Plan:has_bias(row)
  local bias = row.bias
  if bias == nil then bias = self.family.bias end
  if type(bias) == "string" then return self.h[bias] end
  return bias and not row.table
end

function Plan:row(row, source, target)
  local h = self.h
  if row.only and not h[row.only] then return end
  local from, to = self.prefix .. source .. row[1], target .. row[2]
  local rows, columns = h[row[3]], h[row[4]]
  if columns then
    self:matrix(row, from .. ".weight", to .. ".weight", rows, columns)
  else
    self:vector(row, from .. ".weight", to .. ".weight", rows)
  end
  if self:has_bias(row) then
    self:vector({swap = row.swap}, from .. ".bias", to .. ".bias", rows)
  end
end

function Plan:parts(parts, source, target)
  for _, part in ipairs(parts) do
    for _, row in ipairs(part) do self:row(row, source, target) end
  end
end

function Plan:stack(stack)
  for layer = 0, self.h[stack.count] - 1 do
    self:parts(stack.parts, stack.source:format(layer),
               stack.target:format(layer))
  end
end

-- A copy of the embeddings under another name: accounted for if it is equal;
-- returns it if it is not, or if it is kept all the same.
function Plan:copy_of(embeddings, name, keep)
  if name == embeddings.name or not self.checkpoint:find(name) then return end
  local tensor = self:take(name, embeddings.shape)
  if keep or not tensor.file:same(name, embeddings.file, embeddings.name) then
    return tensor
  end
  self:note("%s equals %s and is stored once", name, embeddings.name)
end

-- One table serves every stack and, unless the head says other numbers, the
-- output. Which name it goes by depends on who saved the file.
function Plan:embeddings()
  local h, family = self.h, self.family
  local first
  for _, name in ipairs(family.embeddings) do
    if self.checkpoint:find(self.prefix .. name) then
      first = first or self.prefix .. name
    end
  end
  first = first or self.prefix .. family.embeddings[1]
  local shape = {h.vocab_size, h.d}
  local shared = self:take(first, shape)
  for _, name in ipairs(family.embeddings) do
    name = self.prefix .. name
    if self:copy_of(shared, name) then
      fail("%s: tensor %s differs from %s: an embedding table for each side "
           .. "is not supported", self.where, name, first)
    end
  end
  local type = types.matrix(self.type, h.d)
  self:add("token_embd.weight", type, shape, shared)
  if not h.tied then self:take(family.head, shape) end
  local output = self:copy_of(shared, family.head, h.keep_head)
                 or h.keep_head and shared
  if output and h.no_head then
    fail("%s: tensor %s is there, but %s", self.where, family.head, h.no_head)
  end
  if output then self:add("output.weight", type, shape, output) end
end

-- Absent where the file was saved without the head: then it is zero.
function Plan:output_bias()
  local name, size = self.family.output_bias, self.h.vocab_size
  if not name or not self.checkpoint:find(name) then return end
  self:add("output.bias", "f32", {size}, self:take(name, {1, size}, {size}))
end

-- What config.json alone says.
function Plan:made()
  for _, tensor in ipairs(self.h.made) do
    self.tensors[#self.tensors + 1] = {
      name = tensor.name, type = "f32", shape = tensor.shape,
      source = tensor.bytes,
    }
  end
end

-- All tensors whose name matches.
function Plan:ignore(pattern)
  local first, count = nil, 0
  for _, tensor in ipairs(self.checkpoint.tensors) do
    local name = tensor.name
    local _, behind = name:find(self.prefix, 1, true)
    if behind and name:sub(1, behind) == self.prefix
       and name:sub(behind + 1):find(pattern) and not self.used[name] then
      self.used[name] = true
      first, count = first or name, count + 1
    end
  end
  if count == 1 then
    self:note("%s is ignored", first)
  elseif count > 1 then
    self:note("%s and %d more like it are ignored", first, count - 1)
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

-- Files saved from the model without its head lack the first part of the
-- names: "model." or the like.
local function prefix_of(checkpoint, family)
  for _, prefix in ipairs(family.prefixes) do
    for _, name in ipairs(family.embeddings) do
      if checkpoint:find(prefix .. name) then return prefix end
    end
  end
  return family.prefixes[1]
end

local function plan(checkpoint, where, family, h, type)
  local self = setmetatable({
    checkpoint = checkpoint, where = where, family = family, h = h,
    type = type, prefix = prefix_of(checkpoint, family),
    tensors = {}, notes = {}, used = {},
  }, Plan)
  self:embeddings()
  self:made()
  self:parts(family.parts, "", "")
  for _, stack in ipairs(family.stacks) do self:stack(stack) end
  self:output_bias()
  for _, pattern in ipairs(family.ignored) do self:ignore(pattern) end
  self:check_unused()
  return self.tensors, self.notes
end

return plan
