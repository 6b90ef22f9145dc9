-- What the factories of processors refuse, and what processors do with rows
-- that are banned, broken or foreign.

local core = require "decant.core"
local processors = require "decant.processors"

local inf, nan = math.huge, 0 / 0

local good = require "spec.support.processor_arguments"
local show = require "decant.show"

-- The arguments of `name` with one changed; `none` takes it away.
local none = {}
local function changed(name, key, value)
  local args = {}
  for each, x in pairs(good[name]) do args[each] = x end
  if value == none then value = nil end
  args[key] = value
  return args
end

local function message(name, args)
  local fine, said = pcall(processors[name], args)
  assert.is_false(fine, name .. " took it")
  return said
end

-- What each argument must not be, whatever the factory.
local wrong_numbers = {nan, inf, -inf, "0.5", true}
local wrong_counts = {-1, 1.5, nan, 2^40, "2", true}
local wrong_ids = {-1, 1.5, 2^40, "2", true, {-1}, {1, "2"}, {1, 2.5},
                   {1, nil, 3}, {a = 1}}

local required = {
  temperature = {"temperature"}, top_k = {"top_k"}, top_p = {"top_p"},
  dynamic_temperature = {"temperature", "range"}, top_h = {"top_h"},
  min_p = {"min_p"}, typical_p = {"typical_p"}, top_n_sigma = {"top_n_sigma"},
  epsilon_cutoff = {"epsilon_cutoff"}, eta_cutoff = {"eta_cutoff"},
  xtc = {"probability"}, adaptive_p = {"target"},
  repetition_penalty = {"penalty"}, frequency_penalty = {"penalty"},
  presence_penalty = {"penalty"}, encoder_repetition_penalty = {"penalty"},
  no_repeat_ngram = {"ngram_size"}, encoder_no_repeat_ngram = {"ngram_size"},
  dry = {"multiplier"}, bad_words = {"bad_words_ids"},
  begin_suppress_tokens = {"tokens", "begin_index"},
  prefix_bias = {"prefix_bias_beta", "prefix"},
  min_length = {"min_length", "eos_token_id"},
  min_new_tokens = {"min_new_tokens", "prompt_length", "eos_token_id"},
  forced_eos = {"max_length", "eos_token_id"},
  exponential_decay = {"factor", "start", "input_length", "eos_token_id"},
  bark_eos = {"min_eos_p", "eos_token_id"}, synthid = {"keys", "ngram_len"},
}

describe("a factory", function()
  it("takes what it should", function()
    for name, args in pairs(good) do
      assert.equal(name, processors[name](args).kind)
    end
    for name in pairs(core.processors) do
      assert.is_table(good[name], name .. " has no row here")
    end
  end)

  it("names an argument that is missing", function()
    for name, keys in pairs(required) do
      for _, key in ipairs(keys) do
        assert.matches(key .. " is missing",
                       message(name, changed(name, key, none)), 1, true)
      end
    end
  end)

  it("names an argument of a wrong type or out of every range", function()
    for name, args in pairs(good) do
      for key, value in pairs(args) do
        local kind = math.type(value)
        local lists = type(value) == "table" or key:find "_token_id$"
        local wrong = lists and {5.5, "x", true} or kind and wrong_counts
        if kind == "float" or key == "penalty" or key == "bias" and kind
           or key == "probability" or key == "target" or key == "tau"
           or key == "multiplier" or key == "base" or key == "temperature"
           or key == "exponent" or key == "top_n_sigma" then
          wrong = wrong_numbers
        end
        if key == "seed" then wrong = {1.5, "3", true} end
        for _, bad in ipairs(wrong or {}) do
          assert.matches(key, message(name, changed(name, key, bad)), 1, true)
        end
      end
      assert.matches("unknown argument 'no_such'",
                     message(name, changed(name, "no_such", 1)), 1, true)
    end
  end)

  it("is named in what it says", function()
    assert.matches("^bad argument #1 to 'decant.processors.top_k' %(",
                   message("top_k", {top_k = 0}))
  end)

  it("knows the range of its numbers", function()
    for _, case in ipairs {
      {"temperature", "temperature", {0, -1, 1e-39, 1e39}},
      {"dynamic_temperature", "range", {-0.1}},
      {"dynamic_temperature", "exponent", {-1}},
      {"top_k", "top_k", {0}}, {"top_k", "min_tokens_to_keep", {0}},
      {"top_p", "top_p", {-0.1, 1.1}}, {"min_p", "min_p", {-0.1, 1.1}},
      {"top_h", "top_h", {0, 1.1}}, {"typical_p", "typical_p", {0, 1}},
      {"epsilon_cutoff", "epsilon_cutoff", {0, 1}},
      {"eta_cutoff", "eta_cutoff", {0, 1}},
      {"top_n_sigma", "top_n_sigma", {0, -1}},
      {"xtc", "probability", {-0.1, 1.1}}, {"xtc", "threshold", {-0.1, 1.1}},
      {"mirostat", "tau", {0, -1}}, {"mirostat", "eta", {-1}},
      {"mirostat", "m", {1, 0}}, {"mirostat_v2", "tau", {0}},
      {"adaptive_p", "target", {-0.1, 1.1}},
      {"adaptive_p", "decay", {-0.1, 1, 0.995}},
      {"repetition_penalty", "penalty", {0, -1}},
      {"encoder_repetition_penalty", "penalty", {0, -1}},
      {"no_repeat_ngram", "ngram_size", {0}},
      {"dry", "multiplier", {-1}}, {"dry", "base", {0.5}},
      {"dry", "allowed_length", {0}},
      {"prefix_bias", "prefix_bias_beta", {0, 1}},
      {"forced_eos", "max_length", {0}},
      {"exponential_decay", "factor", {0, -1}},
      {"bark_eos", "min_eos_p", {0, 1.1}},
      {"watermark", "greenlist_ratio", {0, 1}},
      {"watermark", "context_width", {0}}, {"watermark", "vocab_size", {0}},
      {"watermark", "hashing_key", {2^32}},
      {"watermark", "seeding_scheme", {"righthash", 5}},
      {"watermark", "vocab_size", {2^24 + 1}},
      {"frequency_penalty", "penalty", {1e39}},
      {"synthid", "ngram_len", {0, 1025}},
      {"synthid", "context_history_size", {0}},
      {"synthid", "sampling_table_size", {0, 2^24 + 1}},
      {"synthid", "skip_first_ngram_calls", {1}},
    } do
      for _, value in ipairs(case[3]) do
        assert.matches(case[2] .. " is " .. show(value) .. ", must be ",
                       message(case[1], changed(case[1], case[2], value)), 1,
                       true)
      end
    end
  end)

  it("reads lists of ids to the last one", function()
    for name, args in pairs(good) do
      for key in pairs(args) do
        if key == "tokens" or key == "prefix" or key == "keys"
           or key:find "_token_id$" or key == "encoder_input_ids" then
          for _, bad in ipairs(wrong_ids) do
            assert.matches(key, message(name, changed(name, key, bad)), 1,
                           true)
          end
        end
      end
    end
    for name, key in pairs {
      bad_words = "bad_words_ids", suppress_sequences = "suppress_sequences",
      dry = "sequence_breakers"
    } do
      for _, bad in ipairs {{1}, {{}}, {{1}, {2, -1}}, {{1, nil, 2}},
                            {{1}, a = {2}}, {{"1"}}} do
        assert.matches(key, message(name, changed(name, key, bad)), 1, true)
      end
    end
    for _, bad in ipairs {{1}, {{{1}}}, {{{1}, "2"}}, {{{}, 2}},
                          {{{1}, nan}}, {{{1}, inf}}, {{{1}, 1e39}},
                          {{{-1}, 2}}} do
      assert.matches("sequence_bias",
                     message("sequence_bias", {sequence_bias = bad}), 1, true)
    end
    for _, bad in ipairs {{[-1] = 2}, {[1.5] = 2}, {[1] = nan}, {[1] = "2"},
                          {[1] = 1e39}} do
      assert.matches("bias", message("bias", {bias = bad}), 1, true)
    end
  end)

  it("refuses an empty list that would do nothing", function()
    for name, key in pairs {
      bad_words = "bad_words_ids", suppress_sequences = "suppress_sequences",
      sequence_bias = "sequence_bias", bias = "bias", synthid = "keys",
      suppress_tokens = "tokens", begin_suppress_tokens = "tokens",
      prefix_bias = "prefix", min_length = "eos_token_id",
      forced_bos = "bos_token_id", bark_eos = "eos_token_id",
    } do
      assert.matches(key .. " is empty",
                     message(name, changed(name, key, {})), 1, true)
    end
    assert.equal("dry", processors.dry(changed("dry", "sequence_breakers",
                                               {})).kind)
  end)
end)

describe("a processor that is C", function()
  local ids = {1, 2, 1}

  -- Those that force, or that turn bans into numbers.
  local forces = {remove_invalid_values = true, forced_eos = true,
                  synthid = true, prefix_bias = true, bark_eos = true}

  it("leaves a row alone in which everything is banned", function()
    for name, args in pairs(good) do
      if not forces[name] then
        local p = processors[name](args)
        local logits = p(core.logits {-inf, -inf, -inf, -inf}, ids)
        assert.equal(0, logits:allowed(), name)
        assert.has_error(function() logits:argmax() end,
                         "no token is allowed: every logit is -inf")
      end
    end
  end)

  it("says so where it cannot", function()
    for _, name in ipairs {"synthid", "prefix_bias", "bark_eos"} do
      assert.has_error(function()
        processors[name](good[name])(core.logits {-inf, -inf, -inf, -inf}, {})
      end, name .. ": no token is allowed: every logit is -inf")
    end
  end)

  it("names an id that the vocabulary has not", function()
    local small = core.logits {1, 2}
    for _, name in ipairs {"bad_words", "suppress_sequences", "sequence_bias",
                           "bark_eos", "exponential_decay", "forced_eos"} do
      assert.has_error(function()
        processors[name](good[name])(small, {0, 0})
      end, nil, name)
    end
    assert.has_error(function()
      processors.prefix_bias {prefix_bias_beta = 0.5, prefix = {9}}(small, {})
    end, "prefix_bias: id 9 is not in the vocabulary (0 to 1)")
  end)

  it("passes over ids of the row that the vocabulary has not", function()
    for _, name in ipairs {
      "repetition_penalty", "frequency_penalty", "presence_penalty",
      "no_repeat_ngram", "dry", "mirostat", "mirostat_v2", "adaptive_p",
      "watermark", "synthid", "xtc"} do
      local p = processors[name](good[name])
      local logits = core.logits {1, 2, 3, 4}
      p(logits, {99, 2147483646, 99})
      assert.equal(logits, p(logits, {99, 2147483646, 99, 99}))
    end
  end)

  it("says where there is a NaN, if it asks for probabilities", function()
    for _, name in ipairs {
      "top_k", "top_p", "top_h", "min_p", "typical_p", "epsilon_cutoff",
      "eta_cutoff", "top_n_sigma", "xtc", "mirostat", "mirostat_v2",
      "adaptive_p", "dynamic_temperature", "renormalize", "bark_eos",
      "prefix_bias", "synthid"} do
      assert.has_error(function()
        processors[name](good[name])(core.logits {1, nan, 2, 3}, {})
      end, name .. ": the logit of id 1 is NaN")
    end
  end)

  it("works on a vocabulary of one token", function()
    for name, args in pairs(good) do
      local few = {bad_words = true, suppress_sequences = true,
                   sequence_bias = true, bias = true, prefix_bias = true,
                   forced_bos = true, forced_eos = true, bark_eos = true,
                   exponential_decay = true, watermark = true}
      if not few[name] then
        assert.equal(1, #processors[name](args)(core.logits {2}, {0}))
      end
    end
  end)

  it("asks for Logits, ids, a prompt's length and an Rng", function()
    local p, row = processors.top_k(1), core.logits {1}
    for _, call in ipairs {
      function() p() end, function() p({}) end, function() p(row, 5) end,
      function() p(row, {"a"}) end, function() p(row, {-1}) end,
      function() p(row, {}, -1) end, function() p(row, {}, "x") end,
      function() p(row, {}, 0, 5) end,
    } do
      assert.has_error(call)
    end
  end)
end)

describe("a processor that is Lua", function()
  local row = {1, 2, 3, 4}

  -- What each says of an argument, or of what a function gave it.
  it("is refused with its name, what and why", function()
    local u = core.logits(row)
    for _, case in ipairs {
      {"dry", {multiplier = -1},
       "dry: multiplier is -1, must be from 0 to 3.4e38"},
      {"dry", {multiplier = 1, sequence_breakers = {"a"}, tokenizer = true},
       "dry: sequence_breakers that are texts need a tokenizer"},
      {"guidance", {guidance_scale = 2, unconditional = {}},
       "guidance: unconditional: must hold at least one number"},
      {"guidance", {guidance_scale = 2, unconditional = core.rng(1)},
       "guidance: unconditional: Logits expected, got userdata"},
      {"guidance", {guidance_scale = 1e300, unconditional = u},
       "guidance: guidance_scale is 1e+300, must be a number from -3.4e38 to "
       .. "3.4e38"},
      {"guidance_dia", {guidance_scale = 2, unconditional = u,
                        guidance_top_k = 2^31},
       "guidance_dia: guidance_top_k is 2147483648.0, must be an integer from "
       .. "1 to 2147483647"},
      {"prefix_allowed", setmetatable({}, {__call = 5}),
       "prefix_allowed: prefix_allowed_tokens_fn is a nil, must be a "
       .. "function(ids, batch_index)"},
      {"chain", {5},
       "chain: processor 1 is a number, must be a function(logits, ids)"},
      {"watermark_detector", {vocab_size = 9, bias = 1e39},
       "watermark_detector: bias is 1e+39, must be a number from -3.4e38 to "
       .. "3.4e38"},
      {"watermark_detector", {vocab_size = 9, bos_token_id = "x"},
       'watermark_detector: bos_token_id is "x", must be a token id (from 0)'},
      {"from_config", 5, "from_config: a config expected, got a number"},
    } do
      assert.has_error(function() processors[case[1]](case[2]) end, case[3])
    end
    assert.has_error(function()
      processors.from_config({}, {vocab = "x"})
    end, 'from_config: vocab is "x", must be an integer')
    for weights, said in pairs {
      [{5}] = "coverage: row 1 is a number, must be a list of weights",
      [{{1, "x"}}] = 'coverage: row 1, weight 2 is "x", must be a number',
    } do
      assert.has_error(function() processors.coverage(weights, 1) end, said)
    end
  end)

  it("says what a function of the caller gave it", function()
    local function fails(p, said)
      assert.has_error(function() p(core.logits(row), {1}, 1) end, said)
    end
    local function gives(value) return function() return value end end
    fails(processors.prefix_allowed(gives {9}),
          "prefix_allowed: what the function returned: id 9 at position 1 is "
          .. "no integer from 0 to 3 (the vocabulary)")
    fails(processors.guidance {guidance_scale = 2, unconditional = gives(5)},
          "guidance: what unconditional gave: Logits expected, got number")
    fails(processors.guidance {guidance_scale = 2,
                               unconditional = core.logits {1}},
          "guidance: has 1 logits, must have 4")
    fails(processors.guidance {guidance_scale = 3e38,
                               unconditional = core.logits {0, 9, 0, 0}},
          "guidance: the score of id 0 becomes inf with a guidance_scale of "
          .. "3e+38")
  end)

  it("asks for Logits and ids when it is called alone", function()
    local top = processors.top_k(2)
    for name, p in pairs {
      prefix_allowed = processors.prefix_allowed(print),
      when = processors.when(print, top),
      guidance = processors.guidance {guidance_scale = 2,
                                      unconditional = core.logits(row)},
    } do
      assert.has_error(function() p(5, {}) end,
                       name .. ": Logits expected, got number")
      assert.has_error(function() p(core.logits(row), 5) end,
                       name .. ": a list of the row's ids expected, got number")
    end
    for _, p in ipairs {top, processors.chain {top}} do
      assert.error_matches(function() p(5) end, "bad argument #1 to 'p'")
      assert.error_matches(function() p(core.logits(row), 5) end,
                           "bad argument #2 to 'p'")
    end
    assert.error_matches(function() top(core.logits(row), {}, -1) end,
                         "bad argument #3 to 'top'")
    assert.error_matches(function() top(core.logits(row), {}, 0, 5) end,
                         "bad argument #4 to 'top'")
  end)
end)

describe("a beam step", function()
  it("names the row and the id of an infinite score", function()
    local rows = {core.logits {0, 1}, core.logits {0, inf}}
    for _, step in ipairs {core.beam_candidates, core.beam_sample} do
      assert.error_matches(function() step(rows, {0, 0}, 2, core.rng(1)) end,
                           "row 2: the logit of id 1 is inf, and a search "
                           .. "adds scores up: they must be finite")
      assert.error_matches(function() step(rows, {inf, 0}, 2, core.rng(1)) end,
                           "the score of row 1 is inf")
    end
  end)
end)
