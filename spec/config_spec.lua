-- config: fields, defaults, checks and precedence (DESIGN.md, 2.6).

local config = require "decant.config"

local function message(...)
  local fine, said = pcall(...)
  assert.is_false(fine)
  return (said:gsub("^[^:]+:%d+: ", ""))
end

describe("a config", function()
  it("has the defaults of the design", function()
    local c = config {}
    local want = {
      max_length = 100, min_length = 1, do_sample = false, temperature = 1,
      top_k = 0, top_p = 1, num_beams = 1, repetition_penalty = 1,
      length_penalty = 1, early_stopping = true, pad_token_id = 0,
      bos_token_id = 2, eos_token_id = 3}
    for name, value in pairs(want) do assert.equal(value, c[name], name) end
  end)

  it("tells what was set from what is a default", function()
    local c = config {top_k = 5}
    assert.equal(5, rawget(c, "top_k"))
    assert.is_nil(rawget(c, "top_p"))
    assert.equal(1, c.top_p)
    assert.is_nil(c.min_p)
  end)

  it("names the nearest field for an unknown one", function()
    assert.equal("config: unknown field 'max_lenght', did you mean "
                 .. "'max_length'?", message(config, {max_lenght = 5}))
    assert.equal("config: unknown field 'beams', did you mean 'num_beams'?",
                 message(config, {beams = 5}))
    assert.equal("config: unknown field 'Top_K', did you mean 'top_k'?",
                 message(config, {Top_K = 5}))
    assert.equal("config: unknown field [1]: a config has named fields only",
                 message(config, {5}))
  end)

  it("names field, value and rule", function()
    for _, case in ipairs {
      {{max_length = 0}, "max_length is 0, must be an integer from 1"},
      {{max_length = 2.5}, "max_length is 2.5, must be an integer from 1"},
      {{top_k = "5"}, 'top_k is "5", must be an integer from 0 to 2147483647'},
      {{top_p = 1.5}, "top_p is 1.5, must be a number from 0 to 1"},
      {{temperature = 0},
       "temperature is 0, must be a number above 0 (1.2e-38 to 3.4e38)"},
      {{temperature = -1},
       "temperature is -1, must be a number above 0 (1.2e-38 to 3.4e38)"},
      {{do_sample = 1}, "do_sample is 1, must be true or false"},
      {{early_stopping = "yes"},
       'early_stopping is "yes", must be true, false or "never"'},
      {{eos_token_id = {}},
       "eos_token_id is {}, must be a token id or a list of token ids"},
      {{bad_words_ids = {1, 2}}, "bad_words_ids is {1, 2}, must be a list of "
       .. "lists of token ids, none of them empty"},
      {{suppress_tokens = {1, -1}},
       "suppress_tokens is {1, -1}, must be a list of token ids that is not "
       .. "empty"},
      {{suppress_tokens = {1, nil, 2}},
       "suppress_tokens is {1, nil, 2}, must be a list of token ids that is "
       .. "not empty"},
      {{processors = {5}},
       "processors is {5}, must be a list of functions(logits, ids)"},
      {{stop_strings = ""}, 'stop_strings is "", must be a text (UTF-8) or a '
       .. "list of texts, none of them empty"},
      {{stop_strings = {"a", "\xE2\x82"}}, 'stop_strings is {"a", "\xE2\x82"}'
       .. ", must be a text (UTF-8) or a list of texts, none of them empty"},
      {{max_time = 0}, "max_time is 0, must be a number of seconds above 0"},
      {{seed = 0.5}, "seed is 0.5, must be an integer"},
      {{guidance_scale = 1 / 0},
       "guidance_scale is inf, must be a number from -3.4e38 to 3.4e38"},
      {{negative_prompt_ids = {-1}, guidance_scale = 2},
       "negative_prompt_ids is {-1}, must be a list of token ids or a list of "
       .. "such lists, none of them empty"},
      {{watermarking_config = 5}, "watermarking_config is 5, must be a table"},
      {{watermarking_config = {bias = "2"}}, "watermarking_config is {...}, "
       .. 'its bias is "2", must be a number from -3.4e38 to 3.4e38'},
      {{force_words_ids = {{1, nil, 2}}}, "force_words_ids is {{1, nil, 2}}, "
       .. "must be a list of lists of token ids, or of lists of such lists, "
       .. "none of them empty"},
      {{force_words_ids = {{}}}, "force_words_ids is {{}}, "
       .. "must be a list of lists of token ids, or of lists of such lists, "
       .. "none of them empty"},
      {{dola_layers = "middle"}, 'dola_layers is "middle", must be "low", '
       .. '"high" or a list of layers from 0'},
      {{assistant_model = "small.gguf"},
       'assistant_model is "small.gguf", must be a model'},
      {{utility = "rouge"}, 'utility is "rouge", must be "chrf", "bleu" or a '
       .. "function(hypothesis, reference)"},
      {{penalty_alpha = 2}, "penalty_alpha is 2, must be a number from 0 to 1"},
      {{best_of = 0}, "best_of is 0, must be an integer from 1 to 65536"},
      {{num_beams = 65537},
       "num_beams is 65537, must be an integer from 1 to 65536"},
      {{suppress_tokens = setmetatable({}, {__index = function()
         return 1
       end})}, "suppress_tokens is {}, must be a list of token ids that is not "
       .. "empty"},
    } do
      assert.equal("config: " .. case[2], message(config, case[1]))
    end
    assert.equal("config: a table of fields expected, got number",
                 message(config, 5))
  end)

  it("shows of a wrong value what a line holds", function()
    local endless = setmetatable({}, {__index = function() return 1 end,
                                      __len = function() return 1 << 60 end,
                                      __pairs = function() error "no" end})
    local itself, deep = {}, {}
    itself[1] = itself
    for _ = 1, 100 do deep = {deep} end
    for _, case in ipairs {
      {("x"):rep(1000), ('top_k is "%s..."'):format(("x"):rep(60))},
      {"a\nb", 'top_k is "a\\nb"'}, {itself, "top_k is {{{{...}}}}"},
      {deep, "top_k is {{{{...}}}}"}, {endless, "top_k is {}"},
      {{a = 1}, "top_k is {...}"}, {print, "top_k is function"},
    } do
      assert.equal("config: " .. case[2]
                   .. ", must be an integer from 0 to 2147483647",
                   message(config, {top_k = case[1]}))
    end
    for _, name in ipairs(config.fields) do  -- none asks a metatable
      for _, value in ipairs {endless, itself, deep} do
        if name ~= "processors" or value ~= endless then  -- may be empty
          assert.matches("^config: " .. name .. " is ",
                         message(config, {[name] = value}))
        end
      end
    end
  end)

  it("knows what a float32 and a count of 32 bits hold", function()
    for name, values in pairs {
      temperature = {1e-300, 3.5e38, 1 / 0}, repetition_penalty = {1e300},
      guidance_scale = {-1e300, 3.5e38}, diversity_penalty = {1e39},
      typical_p = {1e-300, 1 - 2^-53}, epsilon_cutoff = {1e-300, 1 - 2^-53},
      eta_cutoff = {1e-40}, top_h = {1e-40},
      top_k = {1e10, math.maxinteger}, threads = {65},
      no_repeat_ngram_size = {math.maxinteger}, min_length = {2^31},
      exponential_decay_length_penalty = {{2^31, 2}, {1, 1e39}},
      sequence_bias = {{{{1}, 1e300}}, {{{1}, 1, 2}}},
    } do
      for _, value in ipairs(values) do
        assert.matches("^config: " .. name .. " is .*, must be ",
                       message(config, {[name] = value}))
      end
    end
    assert.is_table(config {sequence_bias = {{{1}, -1 / 0}},
                            max_new_tokens = math.maxinteger})
  end)

  it("takes 2.0 for 2, in lists too", function()
    local c = config.merge {seed = 7.0, decoder_start_token_id = -0.0,
                            decoder_input_ids = {{3.0}, {4}},
                            eos_token_id = {2.0, 3}, temperature = 0.5,
                            do_sample = true}
    for _, id in ipairs {c.seed, c.decoder_start_token_id,
                         c.decoder_input_ids[1][1], c.eos_token_id[1]} do
      assert.equal("integer", math.type(id))
    end
    assert.equal(0.5, c.temperature)
  end)

  it("takes every field", function()
    local function fn() end
    local values = {
      max_length = 9, max_new_tokens = 9, min_length = 0, min_new_tokens = 1,
      early_stopping = "never", max_time = 0.5, stop_strings = {"a"},
      do_sample = false, num_beams = 4, num_beam_groups = 2,
      diversity_penalty = 1, num_return_sequences = 2, length_penalty = -1,
      strategy = fn, seed = -1, temperature = 0.5, top_k = 1, top_p = 0,
      min_p = 1, top_h = 1, typical_p = 1, epsilon_cutoff = 0,
      eta_cutoff = 0.5, repetition_penalty = 2,
      encoder_repetition_penalty = 2, no_repeat_ngram_size = 2,
      encoder_no_repeat_ngram_size = 2, bad_words_ids = {{1}, {2, 3}},
      renormalize_logits = true, forced_bos_token_id = 1,
      forced_eos_token_id = {1, 2}, remove_invalid_values = true,
      exponential_decay_length_penalty = {5, 1.5}, suppress_tokens = {5},
      begin_suppress_tokens = {1}, sequence_bias = {{{1, 2}, -0.5}},
      prefix_allowed_tokens_fn = fn, processors = {fn}, pad_token_id = 0,
      bos_token_id = 1, eos_token_id = {2, 3}, decoder_start_token_id = 0,
      on_token = fn, threads = 2, batch_size = 8, decoder_input_ids = {0, 5},
      source_mask = {{1, 1, 0}, {1, 1, 1}}, stopping_criteria = {fn},
      top_logprobs = 5, logprobs = true, output_attentions = true,
      replace_unknowns = true,
      guidance_scale = 1.5, negative_prompt_ids = {{1, 2}, {3}},
      watermarking_config = {bias = 1.5, seeding_scheme = "selfhash"},
      coverage_penalty = 0.2, session = {feed = fn},
      force_words_ids = {{1, 2}, {{3}, {4, 5}}}, penalty_alpha = 0.5,
      dola_layers = {0, 2}, assistant_model = {generate = fn, config = {}},
      num_assistant_tokens = 5, assistant_confidence_threshold = 0.5,
      prompt_lookup_num_tokens = 3, max_matching_ngram_size = 2, best_of = 4,
      inner_strategy = "sample", reward = fn, utility = "bleu",
      return_alternatives = true, min_alternative_expansion_prob = 0.1}
    for _, name in ipairs(config.fields) do
      assert.is_not_nil(values[name], name)
    end
    local c = config(values)
    for name, value in pairs(values) do assert.equal(value, c[name]) end
  end)

  it("refuses what contradicts itself", function()
    for _, case in ipairs {
      {{num_beams = 4, num_beam_groups = 3, diversity_penalty = 1},
       "num_beams is 4, must be a multiple of num_beam_groups, which is 3"},
      {{num_beams = 4, num_beam_groups = 2},
       "num_beam_groups is 2: diversity_penalty must be above 0"},
      {{num_beams = 4, num_beam_groups = 2, do_sample = true},
       "num_beam_groups above 1 and do_sample exclude each other"},
      {{num_return_sequences = 2, num_beams = 1},
       "num_return_sequences is 2, must be at most num_beams, which is 1 "
       .. "(only sampling without beams gives more)"},
      {{num_return_sequences = 5, num_beams = 4, do_sample = true},
       "num_return_sequences is 5, must be at most num_beams, which is 4 "
       .. "(only sampling without beams gives more)"},
      {{min_length = 9, max_length = 8},
       "min_length is 9, must be at most max_length, which is 8"},
      {{min_new_tokens = 9, max_new_tokens = 8},
       "min_new_tokens is 9, must be at most max_new_tokens, which is 8"},
      {{num_beams = 1, force_words_ids = {{1}}},
       "force_words_ids needs num_beams above 1"},
      {{num_beams = 4, force_words_ids = {{1}}, do_sample = true},
       "force_words_ids and do_sample exclude each other"},
      {{num_beams = 4, num_beam_groups = 2, diversity_penalty = 1,
        force_words_ids = {{1}}},
       "force_words_ids and num_beam_groups above 1 exclude each other"},
      {{num_beams = 4, penalty_alpha = 0.5, top_k = 4}, "penalty_alpha "
       .. "(contrastive search) and num_beams above 1 exclude each other"},
      {{num_beams = 1, penalty_alpha = 0.5, top_k = 4,
        prompt_lookup_num_tokens = 3}, "penalty_alpha (contrastive search) "
       .. "and prompt_lookup_num_tokens exclude each other"},
      {{num_beams = 1, dola_layers = "low", prompt_lookup_num_tokens = 3},
       "dola_layers and prompt_lookup_num_tokens exclude each other"},
      {{num_beams = 1, penalty_alpha = 0.5}, "penalty_alpha (contrastive "
       .. "search) needs top_k above 1, the number of candidates"},
      {{num_beams = 4, prompt_lookup_num_tokens = 3},
       "prompt_lookup_num_tokens and num_beams above 1 exclude each other"},
      {{num_beams = 1, coverage_penalty = 0.2},
       "coverage_penalty needs num_beams above 1"},
      {{num_beams = 4, coverage_penalty = 0.2, force_words_ids = {{1}}},
       "coverage_penalty (of plain beam search) and force_words_ids exclude "
       .. "each other"},
      {{num_beams = 1, best_of = 4},
       "best_of takes several draws: do_sample must be true"},
      {{num_beams = 1, best_of = 2, do_sample = true,
        num_return_sequences = 3},
       "num_return_sequences must be at most best_of"},
      {{num_beams = 1, do_sample = true, best_of = 2,
        inner_strategy = "best_of_n"}, "inner_strategy must not choose among "
       .. "results itself, as best_of_n and minimum_bayes_risk do"},
      {{num_beams = 1, penalty_alpha = 0.5, top_k = 65537},
       "contrastive search has a row for each of its top_k candidates: top_k "
       .. "must be at most 65536"},
      {{strategy = "beam", assistant_model = {generate = print, config = {}}},
       'assistant_model and strategy "beam" exclude each other'},
      {{num_beams = 1, return_alternatives = true, dola_layers = "low"},
       "return_alternatives and dola_layers exclude each other"},
      {{num_beams = 1, do_sample = true, best_of = 2, strategy = "sample"},
       "best_of goes around inner_strategy, not around strategy"},
    } do
      assert.equal("config: " .. case[2], message(config, case[1]))
    end
    assert.equal(3, config {num_return_sequences = 3, do_sample = true}
                    .num_return_sequences)
  end)

  it("refuses what the chosen mode makes nothing of", function()
    for _, case in ipairs {
      {{temperature = 0.5},
       "temperature is 0.5, but has no effect without do_sample = true"},
      {{top_k = 5, strategy = "greedy"},
       "top_k is 5, but has no effect without do_sample = true"},
      {{top_p = 0.9, num_beams = 4},
       "top_p is 0.9, but has no effect without do_sample = true"},
      {{length_penalty = 0.5},
       "length_penalty is 0.5, but has no effect without a beam search "
       .. "(num_beams above 1)"},
      {{early_stopping = "never", do_sample = true}, "early_stopping is "
       .. "never, but has no effect without a beam search (num_beams above 1)"},
      {{diversity_penalty = 1, num_beams = 2}, "diversity_penalty is 1, but "
       .. 'has no effect without the strategy "diverse_beam" (num_beam_groups '
       .. "above 1)"},
      {{do_sample = true, reward = print},
       "reward has no effect without best_of"},
      {{num_assistant_tokens = 4}, "num_assistant_tokens is 4, but has no "
       .. "effect without assistant_model"},
      {{max_matching_ngram_size = 3}, "max_matching_ngram_size is 3, but has "
       .. "no effect without prompt_lookup_num_tokens"},
      {{min_alternative_expansion_prob = 0.5}, "min_alternative_expansion_prob "
       .. "is 0.5, but has no effect without return_alternatives"},
      {{strategy = "contrastive", num_beams = 4}, "num_beams is 4, but has no "
       .. "effect without a strategy with beams"},
      {{strategy = "beam", force_words_ids = {{1}}}, "force_words_ids has no "
       .. 'effect without the strategy "constrained_beam"'},
      {{strategy = "beam", num_beam_groups = 2, diversity_penalty = 1},
       'diversity_penalty is 1, but has no effect without the strategy '
       .. '"diverse_beam" (num_beam_groups above 1)'},
      {{strategy = "greedy", prompt_lookup_num_tokens = 3},
       "prompt_lookup_num_tokens is 3, but has no effect without the strategy "
       .. '"speculative"'},
      {{strategy = "stochastic_beam", early_stopping = "never"},
       "early_stopping is never, but has no effect without a beam search "
       .. "(num_beams above 1)"},
      {{strategy = "dola", temperature = 0.5},
       "temperature is 0.5, but has no effect without do_sample = true"},
      {{best_of = 4, do_sample = true, early_stopping = false,
        diversity_penalty = 1},
       'diversity_penalty is 1, but has no effect without the strategy '
       .. '"diverse_beam" (num_beam_groups above 1)'},
    } do
      local named = case[1].strategy
      local beside = named and ("; strategy is %q"):format(named) or ""
      assert.equal("config: " .. case[2] .. beside,
                   message(config.merge, case[1]))
    end
  end)

  it("lets stand what acts, changes nothing, or may act", function()
    for _, fine in ipairs {
      {temperature = 0.5, do_sample = true}, {temperature = 1}, {top_k = 0},
      {typical_p = 1}, {early_stopping = false}, {early_stopping = true},
      {length_penalty = 2.0, num_beams = 2}, {temperature = false}, {seed = 5},
      {length_penalty = 2.0, strategy = "beam", num_beams = 1},
      {temperature = 0.5, strategy = function() end},
      {temperature = 0.5, strategy = "mine"},
    } do
      assert.is_table(config.merge(fine))
    end
    local file = {temperature = 0.5, length_penalty = 2.0, top_k = 50}
    assert.is_table(config.merge({}, file))
    file.do_sample, file.num_beams = true, 4
    assert.is_table(config.merge({top_p = 0.5, early_stopping = "never"}, file))
    assert.is_false(pcall(config.merge, {top_p = 0.5, do_sample = false}, file))
  end)

  it("refuses a strategy's name beside the opposite", function()
    for _, case in ipairs {
      {{strategy = "greedy", do_sample = true},
       'strategy "greedy" and do_sample = true exclude each other'},
      {{strategy = "sample", num_beams = 2},
       'strategy "sample" and num_beams = 2 exclude each other'},
      {{strategy = "sample", do_sample = false},
       'strategy "sample" and do_sample = false exclude each other'},
    } do
      assert.equal("config: " .. case[2], message(config.merge, case[1]))
    end
  end)

  it("refuses to force what is banned", function()
    assert.equal("config: forced_eos_token_id is 7, which suppress_tokens bans",
                 message(config.merge, {forced_eos_token_id = {5, 7},
                                        suppress_tokens = {6, 7}}))
  end)

  it("knows no id beyond the vocabulary", function()
    for _, case in ipairs {
      {{eos_token_id = {2, 9}}, "eos_token_id has the id 9"},
      {{bad_words_ids = {{1}, {2, 8}}}, "bad_words_ids has the id 8"},
      {{sequence_bias = {{{8}, 1.0}}}, "sequence_bias has the id 8"},
      {{decoder_input_ids = {{1}, {8}}}, "decoder_input_ids has the id 8"},
      {{suppress_tokens = {100}}, "suppress_tokens has the id 100"},
    } do
      assert.equal("config: " .. case[2] .. "; the ids of the model go from 0 "
                   .. "to 7", message(config.merge, case[1], nil, 1, 8))
    end
    assert.is_table(config.merge({eos_token_id = 7}, {pad_token_id = 8}, 1, 8))
  end)

  it("refuses empty lists and lists with holes", function()
    for _, name in ipairs {"bad_words_ids", "suppress_tokens", "stop_strings",
                           "begin_suppress_tokens", "sequence_bias",
                           "eos_token_id", "forced_eos_token_id",
                           "stopping_criteria"} do
      assert.matches("^config: " .. name .. " is {}, must be",
                     message(config, {[name] = {}}))
    end
    assert.matches("stop_strings is", message(config, {
      stop_strings = {"a", nil, "b"}}))
    assert.matches("bad_words_ids is", message(config, {
      bad_words_ids = {{1}, nil, {2}}}))
  end)

  it("lets the caller's longest row beat the file's shortest", function()
    assert.is_table(config.merge({max_length = 20}, {min_length = 56}))
    assert.equal("config: min_length is 60, must be at most max_length, which "
                 .. "is 50", message(config.merge, {min_length = 60},
                                     {max_length = 50}))
  end)

  it("leaves to the model's file how many beams there are", function()
    local c = config {num_return_sequences = 3}
    assert.equal(3, config.merge(c, {num_beams = 4}).num_return_sequences)
    assert.matches("at most num_beams, which is 2",
                   message(config.merge, c, {num_beams = 2}))
  end)

  it("lets the caller's mode go before the one that the model's file sets",
     function()
       local file = {penalty_alpha = 0.6, top_k = 4}
       local mode = require "decant.mode"
       for name, caller in pairs {
         contrastive = {}, beam = {num_beams = 4},
         sample = {do_sample = true},
         speculative = {prompt_lookup_num_tokens = 3},
         dola = {dola_layers = "low"},
       } do
         assert.equal(name, mode.of(config.merge(caller, file)))
       end
       assert.matches("penalty_alpha", message(config.merge,
                                               {penalty_alpha = 0.6},
                                               {num_beams = 4}))
     end)

  it("knows what the name of a strategy implies", function()
    local c = config {strategy = "beam", num_return_sequences = 3}
    assert.equal(4, c.num_beams)
    assert.equal(2, config {strategy = "beam", num_beams = 2}.num_beams)
    assert.is_true(config {strategy = "sample"}.do_sample)
    local merged = config.merge({strategy = "greedy"},
                                {num_beams = 6, do_sample = true})
    assert.same({1, false}, {merged.num_beams, merged.do_sample})
  end)

  it("is checked when a field is added later", function()
    local c = config {}
    c.top_k = 4
    assert.equal(4, c.top_k)
    assert.equal("config: unknown field 'topk', did you mean 'top_k'?",
                 message(function() c.topk = 4 end))
  end)
end)

describe("merging", function()
  local model = {
    num_beams = 6, max_length = 512, bad_words_ids = {1, 89, 2, 5, 6},
    forced_eos_token_id = 2, eos_token_id = 2, transformers_version = "5",
    early_stopping = false}

  it("puts the caller before the model before the defaults", function()
    local c = config.merge({num_beams = 2}, model)
    assert.equal(2, c.num_beams)
    assert.equal(512, c.max_length)
    assert.equal(2, c.eos_token_id)
    assert.is_false(c.early_stopping)
    assert.equal(1, c.temperature)
    assert.is_nil(c.transformers_version)
    assert.equal(1, config.merge(nil, nil).num_beams)
  end)

  it("unpacks the lists of lists of a GGUF", function()
    assert.same({{89}, {5, 6}}, config.merge({}, model).bad_words_ids)
    for _, broken in ipairs {{2, 5}, {0, 1, 5}, {2147483647, 5}, {-1, 5}} do
      assert.has_error(function()
        config.merge({}, {bad_words_ids = broken})
      end)
    end
  end)

  it("switches off with false what the model sets", function()
    local c = config.merge({forced_eos_token_id = false, num_beams = false,
                            bad_words_ids = false, max_length = false,
                            eos_token_id = false}, model)
    assert.is_nil(c.forced_eos_token_id)
    assert.is_nil(c.bad_words_ids)
    assert.equal(1, c.num_beams)
    assert.equal(100, c.max_length)
    assert.is_false(c.eos_token_id)
  end)

  it("keeps false as a value where it is one", function()
    local c = config.merge({early_stopping = false, do_sample = false},
                           {early_stopping = true, do_sample = true})
    assert.is_false(c.early_stopping)
    assert.is_false(c.do_sample)
  end)

  it("takes a config as the caller's table", function()
    local c = config.merge(config {num_beams = 3}, model)
    assert.equal(3, c.num_beams)
    assert.equal(512, c.max_length)
  end)

  it("lets a length of the caller beat the model's other way to set it",
     function()
    assert.is_nil(config.merge({max_length = 9}, {max_new_tokens = 50})
                  .max_new_tokens)
    assert.equal(50, config.merge({}, {max_new_tokens = 50}).max_new_tokens)
  end)

  it("blames the model's file for what is wrong in it", function()
    assert.equal("config: the model's generation defaults: temperature is 0, "
                 .. "must be a number above 0 (1.2e-38 to 3.4e38)",
                 message(config.merge, {}, {temperature = 0}))
    assert.equal(2, config.merge({temperature = 2, do_sample = true},
                                 {temperature = 0}).temperature)
  end)

  it("refuses contradictions between the two", function()
    assert.has_error(function()
      config.merge({num_return_sequences = 8}, model)
    end)
  end)

  it("counts lengths with the prompt", function()
    local function lengths(c, n) return {config.lengths(config.merge(c), n)} end
    assert.same({100, 1}, lengths({}, 1))
    assert.same({139, 1}, lengths({}, 40))
    assert.same({50, 1}, lengths({max_length = 50}, 40))
    assert.same({49, 1}, lengths({max_new_tokens = 9, max_length = 50}, 40))
    assert.same({139, 43}, lengths({min_new_tokens = 3}, 40))
    assert.is_true(lengths({max_new_tokens = math.maxinteger}, 40)[1] > 2^53)
  end)
end)
