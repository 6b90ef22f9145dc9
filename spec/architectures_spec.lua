-- Every architecture against transformers and torch in float64: the logits of
-- spec/fixtures/architectures.jsonl, made by architectures.py beside it, of
-- the models of support/tiny.lua.

local core = require "decant.core"
local fixtures = require "spec.support.fixtures"
local tiny = require "spec.support.tiny"

-- Relative to the largest logit of a row (float32 against float64).
local BOUND <const> = 2e-5

local function set(model, pairs_)
  for _, each in ipairs(pairs_) do
    tiny.set(model, each[1], each[3], each[2])
  end
end

-- Llama 3's factors by which slow columns turn slower (factor 8, low 1, high
-- 4, original context 24), as converters write them.
local function llama3_factors()
  local factors = {}
  for i = 0, 3 do
    local wave = 2 * math.pi / 10000 ^ (-2 * i / 8)
    local smooth = (24 / wave - 1) / (4 - 1)
    factors[i + 1] = wave < 24 / 4 and 1 or wave > 24 and 8
                     or 1 / ((1 - smooth) / 8 + smooth)
  end
  return ("<ffff"):pack(table.unpack(factors))
end

-- What makes a variant of the tiny model of its architecture.
local edits = {
  ["llama-window"] = function(model)
    set(model, {{"llama.attention.sliding_window", "u32", 20}})
  end,
  ["llama-llama3"] = function(model)
    table.insert(model.tensors,
                 {"rope_freqs.weight", {4}, "f32", llama3_factors()})
  end,
  ["qwen2-yarn"] = function(model)
    set(model, {{"qwen2.rope.scaling.type", "string", "yarn"},
                {"qwen2.rope.scaling.factor", "f32", 4},
                {"qwen2.rope.scaling.original_context_length", "u32", 24}})
  end,
  ["qwen2-linear"] = function(model)
    set(model, {{"qwen2.rope.scaling.type", "string", "linear"},
                {"qwen2.rope.scaling.factor", "f32", 3}})
  end,
  gemma3 = function(model)
    set(model, {{"gemma3.rope.freq_base", "f32", 1e6}})
  end,
  ["gemma3-linear"] = function(model)
    set(model, {{"gemma3.rope.freq_base", "f32", 1e6},
                {"gemma3.rope.scaling.type", "string", "linear"},
                {"gemma3.rope.scaling.factor", "f32", 8}})
  end,
  ["gptneox-sequential"] = function(model)
    set(model, {{"gptneox.use_parallel_residual", "bool", false},
                {"decant.activation", "string", "gelu"}})
  end,
  ["t5-plain"] = function(model)
    tiny.reshape(model, "output.weight", nil)
    for _, side in ipairs {"enc", "dec"} do
      for i = 0, 1 do
        tiny.reshape(model, ("%s.blk.%d.ffn_gate.weight"):format(side, i), nil)
      end
    end
  end,
  ["transformer-heads"] = function(model)
    set(model, {{"decant.decoder.attention.head_count", "u32", 2}})
    tiny.set(model, "transformer.attention.head_count_kv", nil)
  end,
  ["transformer-pre"] = function(model)
    set(model, {{"decant.norm_place", "string", "pre"}})
    for _, side in ipairs {"enc", "dec"} do
      table.insert(model.tensors, {side .. ".output_norm.weight", {32}})
      table.insert(model.tensors, {side .. ".output_norm.bias", {32}})
    end
  end,
}

-- longrope chooses its factors by the context that a model is loaded with.
local contexts = {["phi3-short"] = 40}

local function difference(row, expected)
  local worst, largest = 0, 0
  for id, value in ipairs(expected) do
    largest = math.max(largest, math.abs(value))
    worst = math.max(worst, math.abs(row[id] - value))
  end
  return worst / largest
end

describe("the architecture", function()
  for _, row in ipairs(fixtures.json_lines "spec/fixtures/architectures.jsonl")
  do
    it(row.variant .. " scores as its reference", function()
      local path = fixtures.folder() .. "/" .. row.variant .. ".gguf"
      tiny.write(path, row.variant:match "^%w+", edits[row.variant])
      local model <close> = assert(core.load(path, {
        context = contexts[row.variant]}))
      local sources = row.source and model:sources(model:encode {row.source})
      local logits = model:decode({row.ids}, sources)
      for position, expected in pairs(row.logits) do
        local off = difference(logits[1][math.tointeger(position)], expected)
        if os.getenv "SHOW" then print(row.variant, position, off) end
        assert.is_true(off < BOUND, position .. ": " .. off)
      end
    end)
  end

  -- as in llama.cpp, where every kind of scaling has a factor
  it("phi3 divides by the factor beside longrope, too", function()
    local ids, path = {1, 9, 30, 4, 17, 8}, fixtures.folder() .. "/long.gguf"
    local function logits_with(factor, times)
      tiny.write(path, "phi3", function(model)
        tiny.set(model, "phi3.rope.scaling.factor", factor, "f32")
        for _, tensor in ipairs(model.tensors) do
          if tensor[1]:find "^rope_factors" then
            tensor[3], tensor[4] = "f32", ("f"):pack(times):rep(tensor[2][1])
          end
        end
      end)
      local model <close> = assert(core.load(path))
      local last = model:decode({ids})[1][#ids]
      return {last[1], last[2], last[3]}
    end
    assert.same(logits_with(1, 8), logits_with(4, 2))
    assert.not_same(logits_with(1, 2), logits_with(4, 2))
  end)

  it("table has a tiny model of each, and the spec no others", function()
    local seen = {}
    for line in io.lines "src/model/architectures.c" do
      local name = line:match '{%.name = "([%w]+)"'
      if name then seen[name] = true end
    end
    for _, name in ipairs(tiny.names) do
      assert.is_true(seen[name], name)
      seen[name] = nil
    end
    -- these have goldens in ../shared/models
    assert.same({marian = true, bart = true}, seen)
  end)
end)
