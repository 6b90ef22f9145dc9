-- inspect.lua: what a model file holds, without loading the model.
--
--   inspect(path [, {context = n, cache_type = "f16"}])
--     -> text, facts | nil, message
--     path     a GGUF, a .safetensors file, an .index.json, or a directory
--              with one of the latter
--     context  positions to count the cache for (default: the model's)
--     text     for people, lines ended by "\n"
--     facts    the same as a table; see gguf_facts and weight_facts
--
-- Weights of a GGUF are used where they lie in the mapped file, or from a
-- packed copy that takes about as much. The cache holds float32.

local core = require "decant.core"
local checkpoint = require "decant.checkpoint"
local failure = require "decant.convert.fail"
local files = require "decant.convert.files"
local fail, shown = failure.fail, failure.shown

-- Of one cached number, by the type that decant.load is asked for.
local CACHE_BYTES = {f32 = 4, f16 = 2}

-- Bytes for people. Integers only: %f follows the host's locale.
local function size_text(n)
  local unit = 1
  for _, name in ipairs {"B", "KiB", "MiB"} do
    if n < 1024 * unit then
      if unit == 1 then return ("%d B"):format(n) end
      return ("%d.%d %s"):format(n // unit, n % unit * 10 // unit, name)
    end
    unit = unit * 1024
  end
  return ("%d.%d GiB"):format(n // unit, n % unit * 10 // unit)
end

local function plural(n, noun)
  return ("%d %s%s"):format(n, noun, n == 1 and "" or "s")
end

-- Text of a file on one line, whole if it is short.
local function plain(value)
  if type(value) ~= "string" then return tostring(value) end
  return shown(value):sub(2, -2)
end

local Lines = {}
Lines.__index = Lines

function Lines:add(label, format, ...)
  self[#self + 1] = ("%-14s%s\n"):format(label, format:format(...))
end

-- {{type=, count=, bytes=}, ...} by type, the largest share first.
local function type_totals(tensors, key)
  local totals, by_type = {}, {}
  for _, tensor in ipairs(tensors) do
    local name = tensor[key]
    local total = by_type[name]
    if not total then
      total = {type = name, count = 0, bytes = 0}
      by_type[name] = total
      totals[#totals + 1] = total
    end
    total.count = total.count + 1
    total.bytes = total.bytes + tensor.bytes
  end
  table.sort(totals, function(a, b)
    if a.bytes ~= b.bytes then return a.bytes > b.bytes end
    return a.type < b.type
  end)
  return totals
end

local function sum_bytes(totals)
  local sum = 0
  for _, total in ipairs(totals) do sum = sum + total.bytes end
  return sum
end

local function add_totals(lines, totals)
  for i, total in ipairs(totals) do
    lines:add(i == 1 and "weights" or "", "%-6s %s, %s", total.type,
              plural(total.count, "tensor"), size_text(total.bytes))
  end
end

-- Sizes of the architecture under short names; absent keys stay absent.
local SIZES = {
  layers = "A.block_count", decoder_layers = "A.decoder_block_count",
  d_model = "A.embedding_length", heads = "A.attention.head_count",
  decoder_heads = "decant.decoder.attention.head_count",
  kv_heads = "A.attention.head_count_kv",
  head_size = "A.attention.key_length",
  feed_forward = "A.feed_forward_length",
  decoder_feed_forward = "decant.decoder.feed_forward_length",
  context = "A.context_length", vocabulary = "A.vocab_size",
}

local function sizes_of(gguf, architecture)
  local sizes = {}
  for name, key in pairs(SIZES) do
    local value = gguf:get((key:gsub("^A%.", architecture .. ".")))
    if math.type(value) == "integer" then sizes[name] = value end
  end
  return sizes
end

-- Bytes of the keys and values of one row of `context` positions: those of
-- the row itself (layers with a sliding window keep `held` positions, if those
-- are fewer), and for an encoder-decoder those of its source. Nothing of an
-- architecture that decant does not run.
local function cache_of(cache, kind, context, type)
  if not cache or not context then return {} end
  local position = cache.width * CACHE_BYTES[type]
  local held = math.min(context, cache.room)
  return {
    context = context, type = type,
    windowed = cache.windowed > 0 and cache.windowed or nil,
    held = cache.windowed > 0 and held or nil,
    row = position * (cache.full * context + cache.windowed * held),
    source = kind == "seq2seq" and position * cache.full * context or nil,
  }
end

local SPECIAL = {"bos", "eos", "padding", "unknown"}
local NO_TOKEN = 0xffffffff  -- -1 as a u32: there is none

local function tokenizer_of(gguf)
  local tokens = gguf:get "tokenizer.ggml.tokens"
  local found = {model = gguf:get "tokenizer.ggml.model" or "none",
                 pieces = type(tokens) == "table" and #tokens or 0,
                 special = {}}
  for _, name in ipairs(SPECIAL) do
    local id = gguf:get("tokenizer.ggml." .. name .. "_token_id")
    if id ~= NO_TOKEN then found.special[name] = id end
  end
  return found
end

local function generation_of(gguf)
  local fields = {}
  for _, key in ipairs(gguf:keys()) do
    local name = key:match "^decant%.generation%.(.+)$"
    if name then fields[name] = gguf:get(key) end
  end
  return fields
end

-- {format = "gguf", version, file_bytes, architecture, name, kind, sizes,
--  tokenizer = {model, pieces, special}, generation, types, weight_bytes,
--  packed_bytes, cache = {context, type, row, source, windowed, held}}
local function gguf_facts(path, gguf, opts)
  local architecture = gguf:get "general.architecture"
  if type(architecture) ~= "string" then
    fail("%s: general.architecture is missing", path)
  end
  local sizes = sizes_of(gguf, architecture)
  local kind = core.architectures()[architecture]
               or sizes.decoder_layers and "seq2seq" or "causal"
  if kind == "seq2seq" then  -- T5's files may say it once for both
    sizes.decoder_layers = sizes.decoder_layers or sizes.layers
  end
  local types = type_totals(gguf:tensors(), "type")
  local memory = core.cache_sizes(gguf)
  return {
    format = "gguf", version = gguf:version(),
    file_bytes = core.file_info(path).size, architecture = architecture,
    name = gguf:get "general.name", sizes = sizes,
    kind = kind,
    tokenizer = tokenizer_of(gguf), generation = generation_of(gguf),
    types = types, weight_bytes = sum_bytes(types),
    packed_bytes = memory and memory.packed,
    cache = cache_of(memory, kind, opts.context or sizes.context,
                     opts.cache_type or "f32"),
  }
end

-- "6 + 3" where encoder and decoder have a number each.
local function both(sizes, name)
  local one, other = sizes[name], sizes["decoder_" .. name]
  if not other then return tostring(one or "?") end
  return ("%s + %d"):format(one or "?", other)
end

local function add_tokenizer(lines, tokenizer)
  if tokenizer.model == "none" then
    return lines:add("tokenizer", "none (works on ids)")
  end
  local parts = {("%s, %s"):format(plain(tokenizer.model),
                                   plural(tokenizer.pieces, "piece"))}
  for _, name in ipairs(SPECIAL) do
    local id = tokenizer.special[name]
    if id then parts[#parts + 1] = ("%s %s"):format(name, plain(id)) end
  end
  lines:add("tokenizer", "%s", table.concat(parts, ", "))
end

local function value_text(value)
  if type(value) ~= "table" then return plain(value) end
  local shown_values = {}
  for i = 1, math.min(#value, 8) do shown_values[i] = plain(value[i]) end
  if #value > 8 then shown_values[9] = "..." end
  return table.concat(shown_values, " ")
end

local function add_generation(lines, fields)
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    lines:add(i == 1 and "generation" or "", "%s = %s", plain(name),
              value_text(fields[name]))
  end
end

local function add_memory(lines, facts)
  lines:add("memory", "weights %s, used where they lie in the file",
            size_text(facts.weight_bytes))
  if facts.packed_bytes then
    lines:add("", "or from a packed copy of %s", size_text(facts.packed_bytes))
  end
  local cache = facts.cache
  if not cache.row then return end
  lines:add("", "cache %s a row at %s", size_text(cache.row),
            plural(cache.context, "position"))
  if cache.held and cache.held < cache.context then
    lines:add("", "(sliding windows: %s keep %d of them)",
              plural(cache.windowed, "layer"), cache.held)
  end
  if cache.source then
    lines:add("", "and %s a source of %s", size_text(cache.source),
              plural(cache.context, "position"))
  end
end

local function gguf_text(path, facts)
  local lines = setmetatable({}, Lines)
  local sizes = facts.sizes
  lines:add("file", "%s: GGUF v%d, %s", plain(path), facts.version,
            size_text(facts.file_bytes))
  lines:add("architecture", "%s (%s)", plain(facts.architecture), facts.kind)
  if facts.name then lines:add("name", "%s", plain(facts.name)) end
  lines:add("layers", "%s", both(sizes, "layers"))
  lines:add("width", "%s, heads %s, feed-forward %s", sizes.d_model or "?",
            both(sizes, "heads"), both(sizes, "feed_forward"))
  lines:add("vocabulary", "%s", sizes.vocabulary or facts.tokenizer.pieces)
  lines:add("context", "%s", sizes.context or "?")
  add_tokenizer(lines, facts.tokenizer)
  add_totals(lines, facts.types)
  add_memory(lines, facts)
  add_generation(lines, facts.generation)
  return table.concat(lines)
end

local function inspect_gguf(path, opts)
  local gguf <close>, message = core.gguf(path)
  if not gguf then fail("%s", message) end
  local facts = gguf_facts(path, gguf, opts)
  return gguf_text(path, facts), facts
end

-- {format = "safetensors", files, file_bytes, metadata, types, weight_bytes,
--  tensors = {{name, dtype, shape, bytes}, ...}}
local function weight_facts(weights)
  local facts = {format = "safetensors", files = #weights.files,
                 file_bytes = 0, metadata = {}, tensors = {}}
  for _, file in ipairs(weights.files) do
    facts.file_bytes = facts.file_bytes + core.file_info(file:path()).size
    for key, value in pairs(file:metadata()) do facts.metadata[key] = value end
  end
  for i, t in ipairs(weights.tensors) do
    facts.tensors[i] = {name = t.name, dtype = t.dtype, shape = t.shape,
                        bytes = t.bytes}
  end
  facts.types = type_totals(facts.tensors, "dtype")
  facts.weight_bytes = sum_bytes(facts.types)
  return facts
end

local function add_metadata(lines, metadata)
  local keys = {}
  for key in pairs(metadata) do keys[#keys + 1] = key end
  table.sort(keys)
  for i, key in ipairs(keys) do
    lines:add(i == 1 and "metadata" or "", "%s = %s", plain(key),
              plain(metadata[key]))
  end
end

local function weight_text(path, facts)
  local lines = setmetatable({}, Lines)
  lines:add("file", "%s: safetensors, %s, %s", plain(path),
            plural(facts.files, "file"), size_text(facts.file_bytes))
  add_metadata(lines, facts.metadata)
  add_totals(lines, facts.types)
  for i, t in ipairs(facts.tensors) do
    lines:add(i == 1 and "tensors" or "", "%s %s [%s], %s", plain(t.name),
              t.dtype, table.concat(t.shape, ", "), size_text(t.bytes))
  end
  return table.concat(lines)
end

local function inspect_weights(path, open)
  local weights <close>, message = open(path)
  if not weights then fail("%s", message) end
  local facts = weight_facts(weights)
  return weight_text(path, facts), facts
end

local function first_bytes(path)
  local file <close> = io.open(path, "rb")
  return file and file:read(4) or ""
end

local function inspect(path, opts)
  local kind = files.kind(path)
  if not kind then fail("%s", select(2, core.file_info(path))) end
  if kind == "directory" then return inspect_weights(path, checkpoint.open) end
  if kind ~= "file" then fail("%s: is not a regular file", path) end
  if first_bytes(path) == "GGUF" then return inspect_gguf(path, opts) end
  if path:find "%.safetensors$" then
    return inspect_weights(path, checkpoint.file)
  end
  if path:find "%.index%.json$" then
    return inspect_weights(path, checkpoint.index)
  end
  fail("%s: is neither a GGUF nor a .safetensors nor an .index.json", path)
end

return function(path, opts)
  if type(path) ~= "string" then
    error("inspect: path is " .. type(path) .. ", must be a string", 2)
  end
  local context = opts and opts.context
  if context ~= nil and (math.type(context) ~= "integer" or context < 1) then
    error("inspect: context = " .. tostring(context)
          .. ", must be an integer from 1", 2)
  end
  local cache_type = opts and opts.cache_type
  if cache_type ~= nil and not CACHE_BYTES[cache_type] then
    error("inspect: cache_type = " .. tostring(cache_type)
          .. ", must be 'f32' or 'f16'", 2)
  end
  return failure.catch(inspect, path, opts or {})
end
