-- The processors against ../shared/reference/processors.jsonl, which is the
-- output of transformers 5.23 (its maker: models/hf-zoo/make.py there), and
-- against goldens of ../shared/reference/generate.md, section 4.

local json = require "dkjson"
local core = require "decant.core"
local processors = require "decant.processors"

local inf = math.huge

-- ---- the reference file ----

local words = {["inf"] = inf, ["-inf"] = -inf, ["nan"] = 0 / 0}

local function numbers(row)
  local result = {}
  for i, x in ipairs(row) do result[i] = words[x] or x end
  return result
end

local function float(x) return (string.unpack("f", string.pack("f", x))) end

local function by_formula(f)
  local row = {}
  for i = 0, f.vocab - 1 do
    row[i + 1] = float((i * f.A + f.B) % 32003 / 200 - 80)
  end
  return row
end

local cases, total = {}, 0
for line in io.lines "../shared/reference/processors.jsonl" do
  local case = json.decode(line, 1, nil, nil, nil)
  local of_kind = cases[case.processor] or {}
  of_kind[#of_kind + 1], cases[case.processor] = case, of_kind
  total = total + 1
end

-- 1e-5 relative, and what one rounding of a float32 sum near 1 makes of its
-- logarithm.
local function is_close(got, want)
  if want == got then return true end
  return math.abs(got - want) <= 1e-5 * math.abs(want) + 2^-23
end

-- nil, or what differs between the Logits and the expected row.
local function difference(logits, want, tie_dependent)
  local got = {}
  for i = 1, #logits do got[i] = logits[i - 1] end
  if #got ~= #want then return "length" end
  if tie_dependent then
    table.sort(got)
    table.sort(want)
  end
  for i = 1, #want do
    if not is_close(got[i], want[i]) then
      return ("id %d: %.9g, expected %.9g"):format(i - 1, got[i], want[i])
    end
  end
end

-- The same for a case that lists who survives, or a few values.
local function long_difference(logits, case)
  for id, value in pairs(case.expected_at or {}) do
    if not is_close(logits[tonumber(id)], value) then return "id " .. id end
  end
  if not case.expected_finite then return end
  local survives = {}
  for _, id in ipairs(case.expected_finite) do survives[id] = true end
  for id = 0, #logits - 1 do
    if (logits[id] > -inf) ~= (survives[id] or false) then
      return "id " .. id
    end
  end
end

local halves = {guidance_batched = true, guidance_dia = true}

-- The arguments for row r (from 1) of n rows.
local function arguments(case, r, n)
  local args = {}
  for key, value in pairs(case.args) do args[key] = value end
  local source = args.encoder_input_ids
  if source then
    args.encoder_input_ids = source[(r - 1) * #source // n + 1]
  end
  local ignored = args.prompt_ignore_length
  if type(ignored) == "table" then args.prompt_ignore_length = ignored[r] end
  if args.allowed then
    local item = (r - 1) // args.num_beams + 1
    args.prefix_allowed_tokens_fn = function(_, index)
      assert.equal(item, index)
      return case.args.allowed[item]
    end
    args.batch_index, args.allowed = item, nil
  end
  return args
end

local function run_row(name, case, r)
  local scores = case.scores or {by_formula(case.scores_formula)}
  local logits = core.logits(numbers(scores[r]))
  local args = arguments(case, r, #scores)
  if halves[name] then  -- the second half of the rows is unconditional
    args.unconditional = numbers(scores[#scores // 2 + r])
  end
  local processor = processors[name](args)
  assert.equal(logits, processor(logits, case.input_ids[r]))
  if case.scores_formula then return long_difference(logits, case) end
  return difference(logits, numbers(case.expected[r]), case.tie_dependent)
end

local function run_case(name, case)
  if case.error then
    if pcall(run_row, name, case, 1) then return "no error" end
    return
  end
  for r = 1, #case.input_ids do
    local wrong = run_row(name, case, r)
    if wrong then return wrong end
  end
end

local counts = {
  top_k = 17, top_p = 19, min_p = 16, top_h = 14, typical_p = 18,
  epsilon_cutoff = 16, eta_cutoff = 16, temperature = 12, renormalize = 9,
  repetition_penalty = 18, no_repeat_ngram = 17, bad_words = 16,
  sequence_bias = 17, forced_eos = 9, encoder_repetition_penalty = 12,
  encoder_no_repeat_ngram = 12, prefix_allowed = 10, min_length = 12,
  min_new_tokens = 12, forced_bos = 8, suppress_tokens = 8,
  begin_suppress_tokens = 8, exponential_decay = 12,
  remove_invalid_values = 6, guidance = 10, guidance_batched = 6,
  guidance_dia = 6, bark_eos = 6, watermark = 13,
}

describe("the processors of the reference file", function()
  for name, count in pairs(counts) do
    it(("agree with transformers in all %d cases of %s"):format(count, name),
       function()
      local wrong = {}
      assert.equal(count, #cases[name])
      for _, case in ipairs(cases[name]) do
        local difference_ = run_case(name, case)
        if difference_ then
          wrong[#wrong + 1] = case.id .. ": " .. difference_
        end
      end
      assert.same({}, wrong)
    end)
  end

  it("are chained from a config in transformers' order", function()
    local class = {
      sequence_bias = "SequenceBiasLogitsProcessor",
      repetition_penalty = "RepetitionPenaltyLogitsProcessor",
      no_repeat_ngram = "NoRepeatNGramLogitsProcessor",
      bad_words = "NoBadWordsLogitsProcessor",
      min_length = "MinLengthLogitsProcessor",
      remove_invalid_values = "InfNanRemoveLogitsProcessor",
      exponential_decay = "ExponentialDecayLengthPenalty",
      suppress_tokens = "SuppressTokensLogitsProcessor",
      temperature = "TemperatureLogitsWarper", top_k = "TopKLogitsWarper",
      top_p = "TopPLogitsWarper", typical_p = "TypicalLogitsWarper",
      epsilon_cutoff = "EpsilonLogitsWarper",
      renormalize = "LogitNormalization",
    }
    assert.equal(14, #cases.chain)
    for _, case in ipairs(cases.chain) do
      local context = {prompt_length = case.args.prompt_length}
      local list = processors.from_config(case.args, context)
      local order = {}
      for i, processor in ipairs(list) do order[i] = class[processor.kind] end
      assert.same(case.order, order)
      local logits = core.logits(numbers(case.scores[1]))
      core.chain(list)(logits, case.input_ids[1])
      assert.is_nil(difference(logits, numbers(case.expected[1])))
    end
  end)

  -- Case p75 of what make.py gives with seed 14: of the tokens 18435 and 22682
  -- one is 0.6374994 below the entropy, the other 0.6375021 above it.
  it("tell apart which of two tokens is nearer to the entropy by 3e-6",
     function()
       local logits = core.logits(by_formula {A = 10007, B = 18177,
                                              vocab = 32000})
       processors.typical_p(0.502)(logits)
       assert.equal(255, logits:allowed())
       assert.is_true(logits[18435] > -inf)
       assert.equal(-inf, logits[22682])
  end)

  -- A case is a series of calls on one growing row: alone, where the first
  -- call shows the prompt's length, and in a chain, which knows it.
  it("agree with transformers in all 8 cases of synthid", function()
    assert.equal(8, #cases.synthid)
    for _, case in ipairs(cases.synthid) do
      local alone = processors.synthid(case.args)
      local prompt = case.calls[1].input_ids[1]
      local chain = core.chain({alone}, prompt)
      for _, call in ipairs(case.calls) do
        local ids, scores = call.input_ids[1], numbers(call.scores[1])
        local want = numbers(call.expected[1])
        assert.is_nil(difference(alone(core.logits(scores), ids), want))
        local new = table.move(ids, #prompt + 1, #ids, 1, {})
        assert.is_nil(difference(chain(core.logits(scores), new), want))
      end
    end
  end)

  it("are all there", function()
    local known = 14 + 8
    for _, count in pairs(counts) do known = known + count end
    assert.equal(377, total)
    assert.equal(377, known)
  end)
end)

-- ---- goldens of generate.md, section 4 (its number in the text) ----

local function logs(p)
  local row = {}
  for i, x in ipairs(p) do row[i] = math.log(x) end
  return core.logits(row)
end

local function allowed(logits)
  local ids = {}
  for id = 0, #logits - 1 do
    if logits[id] > -inf then ids[#ids + 1] = id end
  end
  return ids
end

local function uniform(n)
  local row = {}
  for i = 1, n do row[i] = 1 / n end
  return core.logits(row)
end

local function ramp(first, last, factor)
  local row = {}
  for x = first, last do row[#row + 1] = x * (factor or 1) end
  return core.logits(row)
end

describe("a filter", function()
  local r, r100 = {-5, 4, 1}, {-5, 4, 100}

  local function kept(processor, range)
    return #allowed(processor(ramp(range[1], range[2], range[3])))
  end

  it("top_k keeps ties with the last one (6, 7)", function()
    assert.same({7, 8, 9}, allowed(processors.top_k(3)(ramp(0, 9))))
    local p = processors.top_k {top_k = 1, min_tokens_to_keep = 3}
    assert.equal(5, #allowed(p(uniform(5))))
    assert.same({2, 3, 4}, allowed(p(ramp(0, 4))))
  end)

  it("top_k finds any rank without a sort", function()
    local list, sorted = {}, {}
    for i = 1, 2000 do list[i] = (i * 7919) % 1500 - 700 end
    table.move(list, 1, 2000, 1, sorted)
    table.sort(sorted, function(a, b) return a > b end)
    for _, k in ipairs {1, 255, 256, 257, 700, 701, 1999, 2000, 3000} do
      local count, least = 0, sorted[math.min(k, 2000)]
      for _, x in ipairs(list) do count = count + (x >= least and 1 or 0) end
      assert.equal(count, processors.top_k(k)(core.logits(list)):allowed())
    end
  end)

  it("top_p compares float32 sums (8, 9)", function()
    local p = processors.top_p(0.8)
    assert.same({0, 3}, allowed(p(logs {.3, .1, .1, .5})))
    assert.same({1, 2, 3}, allowed(p(logs {.15, .3, .3, .25})))
    local two = processors.top_p {top_p = 0.9, min_tokens_to_keep = 2}
    assert.equal(3, kept(two, r))
    assert.equal(2, kept(two, r100))
  end)

  it("top_h shares out the entropy (10 to 13)", function()
    local h = processors.top_h
    assert.same({0}, allowed(h(0.3)(logs {.97, .01, .01, .01})))
    assert.same({0, 1}, allowed(h(0.7)(logs {.4, .3, .2, .1})))
    assert.equal(4, #allowed(h(1)(logs {.25, .25, .25, .25})))
    assert.same({0}, allowed(h(0.4)(logs {.75, .25, 0, 0})))
  end)

  it("min_p goes by the highest probability (14, 15)", function()
    local p = processors.min_p(0.05)
    assert.same({0, 2}, allowed(p(logs {.9, .0274, .047, .0274})))
    assert.equal(4, #allowed(p(logs {.15, .3, .3, .25})))
    local two = processors.min_p {min_p = 0.9, min_tokens_to_keep = 2}
    assert.equal(2, kept(two, r))
    assert.equal(2, kept(two, r100))
  end)

  it("typical_p may drop the most probable (16, 17)", function()
    local p = processors.typical_p(0.5)
    assert.same({0}, allowed(p(logs {.97, .01, .01, .01})))
    assert.same({1, 2, 3}, allowed(p(logs {.4, .2, .2, .2})))
    local two = processors.typical_p {typical_p = 0.7, min_tokens_to_keep = 2}
    assert.equal(2, kept(two, r))
    assert.equal(2, kept(two, r100))
  end)

  it("epsilon and eta cut by probability (18, 19)", function()
    local e = processors.epsilon_cutoff(0.1)
    assert.same({0}, allowed(e(logs {.87, .099, .001, .03})))
    assert.equal(4, #allowed(e(logs {.4, .299, .101, .2})))
    local two = {epsilon_cutoff = 0.05, min_tokens_to_keep = 2}
    assert.equal(3, kept(processors.epsilon_cutoff(two), r))
    assert.equal(2, kept(processors.epsilon_cutoff(two), r100))
    local eta = processors.eta_cutoff(0.0625)
    assert.same({1, 2, 3}, allowed(eta(logs {0, .1, .8, .1})))
    assert.same({2}, allowed(eta(logs {.01, .04, .9, .05})))
  end)

  it("leaves a row alone in which nothing is allowed", function()
    for _, p in ipairs {
      processors.top_k(1), processors.top_p(0.5), processors.min_p(0.5),
      processors.typical_p(0.5), processors.top_h(0.5),
      processors.epsilon_cutoff(0.5), processors.eta_cutoff(0.5),
      processors.temperature(0.1), processors.renormalize(),
    } do
      assert.equal(0, p(core.logits {-inf, -inf, -inf}):allowed())
    end
  end)

  it("says where there is a NaN", function()
    for _, name in ipairs {"top_k", "top_p", "min_p", "typical_p", "top_h",
                           "epsilon_cutoff", "eta_cutoff"} do
      local p = processors[name](name == "top_k" and 1 or 0.5)
      assert.has_error(function() p(core.logits {1, 0 / 0, 2}) end,
                       name .. ": the logit of id 1 is NaN")
    end
  end)
end)

describe("a processor", function()
  it("counts the row's ids (30)", function()
    local p = processors.exponential_decay {
      start = 5, factor = 1.1, eos_token_id = 0, input_length = 2}
    local ids = {}
    for i = 1, 20 do ids[i] = 1 end
    assert.near(0.1726136, p(core.logits {.05, 0}, ids)[0], 1e-6)
    assert.near(0.0726136, p(core.logits {-.05, 0}, ids)[0], 1e-6)
    assert.near(0.05, p(core.logits {.05, 0}, {1, 1})[0], 1e-8)
  end)

  it("takes its main argument or all of them by name", function()
    local a = processors.top_p(0.9)(logs {.5, .3, .15, .05})
    local b = processors.top_p {top_p = 0.9, min_tokens_to_keep = 1}(
      logs {.5, .3, .15, .05})
    assert.same(a:totable(), b:totable())
    assert.equal("top_p", processors.top_p(0.9).kind)
    local p = processors.bias {[1] = 2.5}
    assert.equal(3.5, p(core.logits {0, 1})[1])
    assert.equal(2, processors.suppress_tokens {1}(core.logits {0, 1, 2})
                    :allowed())
  end)

  it("is refused with what, value and rule", function()
    local function message(...)
      local fine, said = pcall(...)
      assert.is_false(fine)
      return (said:gsub("^.-%((.*)%)$", "%1"))
    end
    local p = processors
    assert.equal("top_p is 1.5, must be from 0 to 1", message(p.top_p, 1.5))
    assert.equal('top_p is "0.5", must be from 0 to 1', message(p.top_p, "0.5"))
    assert.equal("top_k is 0, must be an integer from 1 to 2147483647",
                 message(p.top_k, 0))
    assert.equal("top_k is 2.5, must be an integer from 1 to 2147483647",
                 message(p.top_k, 2.5))
    assert.equal("top_k is missing", message(p.top_k))
    assert.equal("top_p is missing", message(p.top_p, {}))
    assert.equal("unknown argument 'k'", message(p.top_k, {k = 2}))
    assert.equal("eos_token_id is missing", message(p.min_length, 3))
    assert.equal("tokens: the list has a hole or a key that is no position",
                 message(p.suppress_tokens, {1, nil, 3, nil}))
    assert.equal("tokens[2] is -1, must be a token id (an integer from 0)",
                 message(p.suppress_tokens, {1, -1}))
    assert.equal("bad_words_ids[2] is empty", message(p.bad_words, {{1}, {}}))
    assert.equal("bad_words_ids[1] is a number, must be a list",
                 message(p.bad_words, {1}))
    assert.equal("sequence_bias[1]: the bias is inf, must be a number from "
                 .. "-3.4e38 to 3.4e38, or -inf",
                 message(p.sequence_bias, {{{1}, inf}}))
    assert.equal("renormalize takes no argument", message(p.renormalize, 1))
  end)

  it("is refused at use when an id is not in the vocabulary", function()
    local p = processors.forced_bos(7)
    assert.has_error(function() p(core.logits {1, 2}, {0}) end,
                     "forced_bos: id 7 is not in the vocabulary (0 to 1)")
    assert.has_error(function()
      processors.bad_words {{5}}(core.logits {1, 2}, {})
    end, "bad_words: id 5 is not in the vocabulary (0 to 1)")
  end)

  it("asks for Logits and ids", function()
    local p = processors.top_k(1)
    assert.has_error(function() p({}) end)
    assert.has_error(function() p(core.logits {1}, {"a"}) end)
    assert.has_error(function() p(core.logits {1}, {-1}) end)
  end)
end)

describe("prefix_allowed", function()
  it("refuses an empty list and no function", function()
    local p = processors.prefix_allowed(function() return {} end)
    assert.has_error(function() p(core.logits {1, 2}, {}) end)
    assert.has_error(function() processors.prefix_allowed(5) end)
  end)
end)

describe("from_config", function()
  local function kinds(config, context)
    local names = {}
    for i, p in ipairs(processors.from_config(config, context)) do
      names[i] = core.processor_kind(p) or type(p)
    end
    return names
  end

  it("gives nothing for a config that asks for nothing", function()
    assert.same({}, kinds {temperature = 1, top_k = 0, top_p = 1,
                           repetition_penalty = 1, min_length = 0,
                           do_sample = true, suppress_tokens = {}})
  end)

  it("puts the user's in front of the filters", function()
    local function mine() end
    assert.same({"no_repeat_ngram", "function", "bias", "top_k",
                 "renormalize"},
                kinds {no_repeat_ngram_size = 2, do_sample = true, top_k = 3,
                       renormalize_logits = true,
                       processors = {mine, processors.bias {[0] = 1}}})
  end)

  it("lets a user's built-in take the place of the config's", function()
    local mine = processors.top_k(7)
    local list = processors.from_config {
      do_sample = true, top_k = 3, top_p = 0.5, processors = {mine}}
    assert.equal(2, #list)
    assert.equal(mine, list[1])
  end)

  it("leaves the filters out when it does not sample", function()
    assert.same({}, kinds {temperature = 2, top_k = 3, top_p = 0.5})
  end)

  it("bans the end up to min_length or min_new_tokens", function()
    local config = {min_length = 4, min_new_tokens = 3, eos_token_id = 2}
    assert.same({"min_new_tokens"}, kinds(config, {prompt_length = 1}))
    config.min_new_tokens = nil
    assert.same({"min_length"}, kinds(config))
    config.eos_token_id = false
    assert.same({}, kinds(config))
  end)

  it("keeps one token more than there are ends in beam sampling", function()
    local config = {do_sample = true, top_k = 1, eos_token_id = {3, 4}}
    local function count(context)
      local chain = core.chain(processors.from_config(config, context))
      return chain(ramp(0, 9), {}):allowed()
    end
    assert.equal(1, count {})
    assert.equal(3, count {beams = true})
    config.eos_token_id = nil
    assert.equal(2, count {beams = true})
  end)

  it("suppresses at the beginning behind a forced first token", function()
    local config = {begin_suppress_tokens = {1}, forced_bos_token_id = 0}
    local chain = core.chain(processors.from_config(config,
                                                    {prompt_length = 1}))
    assert.equal(-inf, chain(core.logits {0, 0, 0}, {0, 0})[1])
    assert.equal(0, chain(core.logits {0, 0, 0}, {0, 0, 0})[1])
  end)
end)
