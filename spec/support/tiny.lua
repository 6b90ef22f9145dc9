-- tiny.lua: a model of every architecture, some 10 kB each, with weights from
-- a formula, so that nothing is stored: what the specs run, and break.
--
--   tiny.names                      all of them, in order
--   tiny.write(path, name [, edit]) writes a GGUF; edit(model) may change
--                                   model.keys {{key, kind, value}, ...} and
--                                   model.tensors {{name, shape [, type,
--                                   bytes]}, ...} before; the file is written
--                                   whatever they say
--   tiny.set(model, key, value)     changes a key; nil removes it
--   tiny.reshape(model, name, shape)  the same for a tensor
--
-- The numbers of a tensor come from a 32-bit counter generator that begins
-- with a hash of the tensor's name; spec/fixtures/architectures.py has the
-- same formula and gives the same weights to transformers.

local tiny = {}

local D <const>, FF <const>, VOCAB <const>, CONTEXT <const> = 32, 48, 64, 96
local HEADS <const>, KV <const> = 4, 2


-- ---- weights ---------------------------------------------------------------

-- Uniform in -0.5 .. 0.5 times `scale`, plus `middle`; exact in float32.
local function numbers(name, count, scale, middle)
  local state = 2166136261
  for i = 1, #name do
    state = ((state ~ name:byte(i)) * 16777619) & 0xffffffff
  end
  local values, parts = {}, {}
  for i = 1, count do
    state = (state * 1664525 + 1013904223) & 0xffffffff
    values[#values + 1] = ((state >> 16) / 65536 - 0.5) * scale + middle
    if #values == 128 or i == count then
      parts[#parts + 1] = ("<" .. ("f"):rep(#values)):pack(
        table.unpack(values))
      values = {}
    end
  end
  return table.concat(parts)
end


-- Norms lie around 1, factors of RoPE between 1 and 3, the rest around 0.
local function weights(name, shape)
  local count = 1
  for _, n in ipairs(shape) do count = count * n end
  if name:find "rope_f" then return numbers(name, count, 2, 2) end
  if name:find "norm" and name:find "weight" then
    return numbers(name, count, 1, 1)
  end
  if #shape == 1 then return numbers(name, count, 0.5, 0) end
  return numbers(name, count, name:find "embd" and 2 or 0.5, 0)
end


local made = {}

local function bytes_of(name, shape)
  local key = name .. " " .. table.concat(shape, "x")
  made[key] = made[key] or weights(name, shape)
  return made[key]
end


-- ---- architectures ---------------------------------------------------------

-- What differs: see add_layer. rms: norms without bias. head: size of a head
-- if it is not D / HEADS.
local kinds = {
  llama = {rms = true, kv = KV, gate = true, rope = true},
  qwen2 = {rms = true, kv = KV, gate = true, rope = true, qkv_bias = true,
           tied = true},
  qwen3 = {rms = true, kv = KV, gate = true, rope = true, head = 12,
           head_norms = true},
  phi3 = {rms = true, kv = KV, gate = true, rope = true, fused = true,
          fused_gate = true, window = 20, long_rope = true},
  gpt2 = {fused = true, bias = true, learned = true, tied = true},
  gptneox = {fused = true, bias = true, rope = true, rope_dims = 4},
  starcoder2 = {kv = KV, bias = true, rope = true, window = 20, tied = true},
  gemma = {rms = true, kv = 1, gate = true, rope = true, head = 16,
           tied = true},
  gemma2 = {rms = true, kv = KV, gate = true, rope = true, sandwich = true,
            tied = true, window = 20, layers = 4},
  gemma3 = {rms = true, kv = KV, gate = true, rope = true, sandwich = true,
            head_norms = true, tied = true, window = 20, layers = 7},
  t5 = {encoder = true, rms = true, gate = true, relative = true, head = 6},
  mbart = {encoder = true, bias = true, learned = true, norms = true,
           embedding_norm = true, tied = true},
  pegasus = {encoder = true, bias = true, norms = true, tied = true},
  m2m100 = {encoder = true, bias = true, norms = true, tied = true},
  transformer = {encoder = true, bias = true, tied = true},
}

tiny.names = {}
for name in pairs(kinds) do tiny.names[#tiny.names + 1] = name end
table.sort(tiny.names)


local function keys_of(name, kind)
  local keys = {}
  local function add(key, type, value)
    keys[#keys + 1] = {(key:gsub("^A%.", name .. ".")), type, value}
  end
  add("general.architecture", "string", name)
  add("A.vocab_size", "u32", VOCAB)
  add("A.context_length", "u32", CONTEXT)
  add("A.embedding_length", "u32", D)
  add("A.block_count", "u32", kind.layers or 2)
  add("A.feed_forward_length", "u32", FF)
  add("A.attention.head_count", "u32", HEADS)
  add("A.attention.head_count_kv", "u32", kind.kv or HEADS)
  add(kind.rms and "A.attention.layer_norm_rms_epsilon"
      or "A.attention.layer_norm_epsilon", "f32", 1e-5)
  if kind.head then
    add("A.attention.key_length", "u32", kind.head)
    add("A.attention.value_length", "u32", kind.head)
  end
  if kind.rope then
    add("A.rope.dimension_count", "u32", kind.rope_dims or kind.head
        or D // HEADS)
    add("A.rope.freq_base", "f32", 10000)
  end
  if kind.window then add("A.attention.sliding_window", "u32", kind.window) end
  if kind.long_rope then
    add("A.rope.scaling.type", "string", "longrope")
    add("A.rope.scaling.original_context_length", "u32", 48)
    add("A.rope.scaling.attn_factor", "f32", 1.125)
  end
  if kind.relative then
    add("A.attention.relative_buckets_count", "u32", 8)
    add("decant.attention.relative_max_distance", "u32", 20)
  end
  if kind.encoder then add("A.decoder_start_token_id", "u32", 2) end
  if name == "m2m100" then
    add("A.embedding_scale", "f32", 32 ^ 0.5)
    add("decant.pad_token_id", "u32", 1)
  end
  return keys
end


local function tensors_of(kind)
  local tensors = {}
  local head, kv = kind.head or D // HEADS, kind.kv or HEADS
  local function add(tensor, ...)
    tensors[#tensors + 1] = {tensor, {...}}
  end
  local function linear(tensor, rows, columns, bias)
    add(tensor .. ".weight", rows, columns)
    if bias or kind.bias then add(tensor .. ".bias", rows) end
  end
  local function norm(tensor, n)
    add(tensor .. ".weight", n or D)
    if not kind.rms then add(tensor .. ".bias", n or D) end
  end
  local function attention(prefix, out)
    if kind.fused then
      linear(prefix .. "attn_qkv", (HEADS + 2 * kv) * head, D)
    else
      linear(prefix .. "attn_q", HEADS * head, D, kind.qkv_bias)
      linear(prefix .. "attn_k", kv * head, D, kind.qkv_bias)
      linear(prefix .. "attn_v", kv * head, D, kind.qkv_bias)
    end
    linear(prefix .. out, D, HEADS * head)
    norm(prefix .. "attn_norm")
  end
  local function feed_forward(prefix)
    if kind.gate and not kind.fused_gate then
      linear(prefix .. "ffn_gate", FF, D)
    end
    linear(prefix .. "ffn_up", kind.fused_gate and 2 * FF or FF, D)
    linear(prefix .. "ffn_down", D, FF)
    norm(prefix .. "ffn_norm")
  end
  local function layer(prefix, cross)
    attention(prefix, kind.encoder and "attn_o" or "attn_output")
    if cross then attention(prefix .. "cross_", "attn_o") end
    feed_forward(prefix)
    if kind.head_norms then
      norm(prefix .. "attn_q_norm", head)
      norm(prefix .. "attn_k_norm", head)
    end
    if kind.sandwich then
      norm(prefix .. "post_attention_norm")
      norm(prefix .. "post_ffw_norm")
    end
  end
  local function stack(prefix, cross)
    for i = 0, (kind.layers or 2) - 1 do
      layer(("%sblk.%d."):format(prefix, i), cross)
    end
    if kind.relative then add(prefix .. "blk.0.attn_rel_b.weight", 8, HEADS) end
    if kind.learned then add(prefix .. "position_embd.weight", CONTEXT, D) end
    if kind.embedding_norm then norm(prefix .. "embd_norm") end
    if not kind.encoder or kind.norms or kind.rms then
      norm(prefix .. "output_norm")
    end
  end
  add("token_embd.weight", VOCAB, D)
  if not kind.tied then add("output.weight", VOCAB, D) end
  if kind.long_rope then
    add("rope_factors_long.weight", head // 2)
    add("rope_factors_short.weight", head // 2)
  end
  if kind.encoder then
    stack("enc.", false)
    stack("dec.", true)
  else
    stack("", false)
  end
  return tensors
end


-- ---- files -----------------------------------------------------------------

function tiny.set(model, key, value, type)
  for i, each in ipairs(model.keys) do
    if each[1] == key then
      if value == nil then
        table.remove(model.keys, i)
      else
        each[2], each[3] = type or each[2], value
      end
      return
    end
  end
  model.keys[#model.keys + 1] = {key, type, value}
end


function tiny.reshape(model, name, shape)
  for i, each in ipairs(model.tensors) do
    if each[1] == name then
      if shape then each[2] = shape else table.remove(model.tensors, i) end
      return
    end
  end
  model.tensors[#model.tensors + 1] = {name, shape}
end


-- Kinds of values and types of tensors: their ids and how to pack them.
local ids = {u32 = 4, i32 = 5, f32 = 6, bool = 7, string = 8, u64 = 10}
local packing = {u32 = "<I4", i32 = "<i4", f32 = "<f", string = "<s8",
                 u64 = "<i8"}
local types = {f32 = 0, f16 = 1, q8_0 = 8, i32 = 26}

local function packed(kind, value)
  if kind == "bool" then return value and "\1" or "\0" end
  return packing[kind]:pack(value)
end


local function packed_key(name, kind, value)
  local element = kind:match "^(.*)%[%]$"
  if not element then
    return ("<s8I4"):pack(name, ids[kind]) .. packed(kind, value)
  end
  local parts = {("<s8I4I4I8"):pack(name, 9, ids[element], #value)}
  for i, each in ipairs(value) do parts[i + 1] = packed(element, each) end
  return table.concat(parts)
end


-- A GGUF packed by hand, since the module's own writer refuses what its reader
-- would refuse.
local function packed_file(model)
  local head = {("<c4I4I8I8"):pack("GGUF", 3, #model.tensors, #model.keys)}
  local data, offset = {}, 0
  local function pad(n) return ("\0"):rep(-n % 32) end
  for _, key in ipairs(model.keys) do
    head[#head + 1] = packed_key(table.unpack(key, 1, 3))
  end
  for i, tensor in ipairs(model.tensors) do
    local name, shape, type, bytes = table.unpack(tensor, 1, 4)
    bytes = bytes or bytes_of(name, shape)
    head[#head + 1] = ("<s8I4"):pack(name, #shape)
    for j = #shape, 1, -1 do head[#head + 1] = ("<I8"):pack(shape[j]) end
    head[#head + 1] = ("<I4I8"):pack(types[type or "f32"], offset)
    data[i] = bytes .. pad(#bytes)
    offset = offset + #data[i]
  end
  local text = table.concat(head)
  return text .. pad(#text) .. table.concat(data)
end


function tiny.write(path, name, edit)
  local model = {keys = keys_of(name, kinds[name]),
                 tensors = tensors_of(kinds[name])}
  if edit then edit(model) end
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(packed_file(model)))
  return path
end

return tiny
