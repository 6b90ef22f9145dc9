-- How decant.convert reads config.json: the defaults of each class, and what
-- it refuses.

local dkjson = require "dkjson"
local failure = require "decant.convert.fail"
local files = require "decant.convert.files"
local read_hparams = require "decant.convert.hparams"

local families = {}
for _, group in ipairs {"seq2seq", "t5", "llama", "gpt"} do
  for name, family in pairs(require("decant.convert." .. group)) do
    families[name] = family
  end
end

-- As files.json decodes it.
local function json(text)
  return assert(dkjson.decode(text, 1, files.null))
end

local function read(name, config)
  return failure.catch(read_hparams, "config.json", config, families[name])
end

describe("config.json may leave out what equals the default of", function()
  -- spec/fixtures/class_configs.jsonl, made by class_configs.py beside it, has
  -- what transformers 5.23 writes when it leaves out nothing.
  for line in io.lines "spec/fixtures/class_configs.jsonl" do
    local config = json(line)
    it(config.model_type, function()
      local whole = assert(read(config.model_type, config))
      local empty = assert(read(config.model_type, {}))
      assert.is_true(#whole.keys > 6)
      assert.same(whole.keys, empty.keys)
      assert.same(whole.made, empty.made)
      assert.equal(whole.tied, empty.tied)
    end)
  end
end)

describe("config.json is refused", function()
  -- {model_type, config.json, message}
  local cases = {
    {"llama", '{"hidden_size": 0}', "hidden_size = 0, must be an integer"},
    {"llama", '{"num_attention_heads": 7}',
     "num_attention_heads = 7 does not divide hidden_size = 4096"},
    {"llama", '{"num_key_value_heads": 5}',
     "num_key_value_heads = 5 does not divide num_attention_heads = 32"},
    {"llama", '{"head_dim": 7}', "7 of the 7 columns of a head turn"},
    {"llama", '{"rms_norm_eps": 0}',
     "rms_norm_eps = 0, must be a number between 0 and 1"},
    {"llama", '{"rms_norm_eps": "1e-5"}', 'rms_norm_eps = "1e-5", must be'},
    {"llama", '{"attention_bias": 1}', "attention_bias = 1, must be true or"},
    {"llama", '{"hidden_act": "tanh"}', 'hidden_act = "tanh", supported are'},
    {"llama", '{"rope_theta": -1}', "rope_theta = -1, must be a number above"},
    {"llama", '{"rope_parameters": {"rope_theta": "x"}}',
     'rope_parameters.rope_theta = "x", must be a number from 1'},
    {"llama", '{"rope_scaling": {"type": "ntk", "factor": 2}}',
     'rope_scaling.rope_type = "ntk", supported are default, dynamic'},
    {"llama", '{"rope_scaling": {"rope_type": "linear"}}',
     "rope_scaling.factor is missing"},
    {"llama", '{"rope_scaling": {"rope_type": "linear", "factor": 0}}',
     'rope_scaling.factor = "0", must be a number from 0.001'},
    {"llama", '{"rope_scaling": {"rope_type": "llama3", "factor": 8,'
              .. '"low_freq_factor": 4, "high_freq_factor": 4,'
              .. '"original_max_position_embeddings": 8192}}',
     "rope_scaling.low_freq_factor = 4 is not below high_freq_factor = 4"},
    {"llama", '{"rope_scaling": {"rope_type": "yarn", "factor": 4,'
              .. '"truncate": false}}', "rope_scaling.truncate = false"},
    {"phi3", '{"rope_scaling": {"type": "longrope", "long_factor": [1],'
             .. '"short_factor": [1]}}',
     "rope_scaling.long_factor must be a list of 48 numbers"},
    {"phi3", '{"partial_rotary_factor": 0}', "partial_rotary_factor = 0, must"},
    {"gpt_neox", '{"rotary_pct": 2}', "192 of the 96 columns of a head turn"},
    {"gpt_neox", '{"attention_bias": "no"}', 'attention_bias = "no", must be'},
    {"qwen3", '{"attention_bias": 0}', "attention_bias = 0, must be true or"},
    {"starcoder2", '{"use_bias": {}}', "use_bias = "},
    {"gemma2", '{"layer_types": ["full_attention"]}',
     "layer_types = array, must be a list of 26 names"},
    {"gemma2", '{"num_hidden_layers": 1, "layer_types": ["linear"]}',
     'layer_types = "linear", supported are sliding_attention and'},
    {"gemma2", '{"query_pre_attn_scalar": 0}', "query_pre_attn_scalar = 0"},
    {"mistral", '{"sliding_window": 0}',
     "sliding_window = 0, must be an integer from 1"},
    {"qwen2", '{"use_sliding_window": true, "max_window_layers": -1}',
     "max_window_layers = -1, must be an integer from 0"},
    {"gpt2", '{"scale_attn_by_inverse_layer_idx": true}',
     "scale_attn_by_inverse_layer_idx = true is not supported for gpt2"},
    {"gpt2", '{"n_head": 5}', "n_head = 5 does not divide n_embd = 768"},
    {"t5", '{"feed_forward_proj": "gated-tanh"}',
     'feed_forward_proj = "gated-tanh", supported are gelu'},
    {"t5", '{"scale_decoder_outputs": 1}', "scale_decoder_outputs = "},
    {"m2m_100", '{"pad_token_id": 128112}',
     "pad_token_id = 128112, must be an integer from 0 to 128111"},
    {"llama", '{"hidden_size": 9223372036854775808}', "hidden_size = "},
    {"llama", '{"hidden_size": 1e300}', "hidden_size = "},
    {"llama", '{"hidden_size": [[4096]]}', "hidden_size = "},
    {"llama", '{"num_hidden_layers": 0}', "num_hidden_layers = 0, must be an"},
    {"llama", '{"num_hidden_layers": 9223372036854775807}',
     "num_hidden_layers = 9223372036854775807, must be an integer"},
    {"llama", '{"vocab_size": -1}', "vocab_size = -1, must be an integer"},
    {"llama", '{"max_position_embeddings": 1e999}',
     "max_position_embeddings = "},
    {"llama", '{"head_dim": 0}', "head_dim = 0, must be an integer from 1"},
    {"llama", '{"rope_scaling": [[]]}',
     "rope_scaling = array, must be an object or null"},
    {"llama", '{"rope_parameters": 3}',
     "rope_parameters = 3, must be an object or null"},
    {"llama", '{"rope_scaling": {"rope_type": {}, "factor": 2}}',
     "rope_scaling.rope_type = "},
    {"llama", '{"rope_theta": 1e999}', "rope_theta = "},
    {"gemma2", '{"layer_types": [["full_attention"]]}', "layer_types = "},
    {"mistral", '{"sliding_window": 1e10}', "sliding_window = "},
    {"t5", '{"relative_attention_num_buckets": 0}',
     "relative_attention_num_buckets = 0, must be an integer"},
    {"mbart", '{"normalize_before": false}',
     "normalize_before = false is not supported for mbart, only true"},
  }

  for _, case in ipairs(cases) do
    it("for " .. case[1] .. ": " .. case[2], function()
      local ok, message = read(case[1], json(case[2]))
      assert.is_nil(ok)
      assert.truthy(message:find("config.json: ", 1, true) == 1, message)
      assert.truthy(message:find(case[3], 1, true), message)
    end)
  end
end)

local function keys(name, text)
  local found = {}
  for _, row in ipairs(assert(read(name, json(text))).keys) do
    found[row[1]] = row[3]
  end
  return found
end

-- The runtime multiplies by 0.1 ln(factor) + 1 by itself.
describe("yarn's factor of the scores", function()
  local function factor(more)
    return keys("llama", '{"rope_scaling": {"rope_type": "yarn", "factor": 4,'
                         .. '"original_max_position_embeddings": 1024'
                         .. more .. "}}")["llama.rope.scaling.attn_factor"]
  end

  local usual = 0.1 * math.log(4) + 1

  it("is left to the runtime if the file says nothing", function()
    assert.is_nil(factor "")
  end)

  it("is relative to the runtime's if it is given", function()
    assert.near(1.5 / usual, factor ', "attention_factor": 1.5', 1e-12)
  end)

  it("is made of mscale and mscale_all_dim", function()
    local expected = (0.2 * math.log(4) + 1) / (0.05 * math.log(4) + 1)
    assert.near(expected / usual,
                factor ', "mscale": 2.0, "mscale_all_dim": 0.5', 1e-12)
  end)
end)

describe("config.json's null", function()

  it("is no window where the class has one", function()
    assert.equal(4096, keys("mistral", "{}")
                 ["llama.attention.sliding_window"])
    assert.is_nil(keys("mistral", '{"sliding_window": null}')
                  ["llama.attention.sliding_window"])
  end)

  it("is no cap where the class has one", function()
    assert.equal(50.0, keys("gemma2", "{}")["gemma2.attn_logit_softcapping"])
    assert.equal(0, keys("gemma2", '{"attn_logit_softcapping": null}')
                 ["gemma2.attn_logit_softcapping"])
  end)

  it("is a head's part of the width where the class has a size", function()
    assert.equal(4096 // 32, keys("gemma2", '{"head_dim": null, '
      .. '"hidden_size": 4096, "num_attention_heads": 32}')
      ["gemma2.attention.key_length"])
  end)

  it("counts as missing elsewhere", function()
    assert.equal(3072, keys("gpt2", '{"n_inner": null}')
                 ["gpt2.feed_forward_length"])
    assert.equal(32, keys("llama", '{"num_key_value_heads": null}')
                 ["llama.attention.head_count_kv"])
  end)
end)
