-- replace_unknowns: the source's token in place of an unknown one.

local decant = require "decant"
local fixtures = require "spec.support.fixtures"
local hf = require "spec.support.hf"
local reread = require "decant.reread"
local toy = require "spec.support.toy"

local UNK <const> = 3


-- ---- words as tokens: the values of spec/support/unknowns.py ----

-- A tokenizer of the words "t4" to "t79" and the special tokens <s>, <pad>,
-- </s>, <unk>; everything else is unknown.
local words = {bos = 0, pad = 1, eos = 2, unk = UNK}

function words.piece(_, id)
  return ({[0] = "<s>", "<pad>", "</s>", "<unk>"})[id] or "t" .. id
end

function words:encode(text)
  local ids = {}
  for word in text:gmatch "%S+" do
    ids[#ids + 1] = tonumber(word:match "^t(%d+)$") or self.unk
  end
  ids[#ids + 1] = self.eos
  return ids
end

function words.surfaces(_, text)
  local list = {}
  for word in text:gmatch "%S+" do list[#list + 1] = word end
  list[#list + 1] = ""
  return list
end

function words:decode(ids, options)
  local list = {}
  for _, id in ipairs(ids) do
    if type(id) == "table" then
      list[#list + 1] = id[1]
    elseif id >= self.unk or options and options.special then
      list[#list + 1] = self:piece(id)
    end
  end
  return table.concat(list, " ")
end

function words:stream()
  local space = ""
  return function(id)
    local word = id and self:decode{id} or ""
    if word == "" then return "" end
    word, space = space .. word, " "
    return word
  end
end


-- The bart model of hf-zoo with one decoder layer.
local function small_bart()
  local dir = hf.copy "bart"
  hf.edit_json(dir .. "/config.json", function(c) c.decoder_layers = 1 end)
  hf.edit_tensors(dir, function(tensors)
    for name in pairs(tensors) do
      if name:find "decoder%.layers%.1%." then tensors[name] = nil end
    end
  end)
  local path = fixtures.folder() .. "/bart-1.gguf"
  assert(decant.convert(dir, path, {type = "f32"}))
  hf.clean()
  local model = assert(decant.load(path))
  model.tokenizer = words
  return model
end

-- A strategy that writes these ids, whatever the model wants.
local function dictated(ids)
  return function(_, _, opts)
    for _, id in ipairs(ids) do opts.emit(id) end
    return ids, "length"
  end
end

-- {source, what the model writes, what it writes where it is dictated}
local expected = {
  {"t9 t8 t22 t17 t50 t61 t12",
   "t61 t9 t9 t50 t12 t50 t4 t4 t61 t50",
   "t9 t9 t10 t9 t12 t44 t12 t9 t61 t50"},
  {"snow t6 t7 t40 man",
   "t75 t71 t44 t44 t44 t44 t44 t44 t44 t44",
   "t9 t40 t10 snow t7 t44 t12 snow t61 t40"},
  {"t44 snow t21 snow man t24 t25",
   "t21 t25 t44 t24 t44 t24 t4 t44 t25 t44",
   "t9 t44 t10 t25 t44 t44 t12 t25 t61 t21"},
  {"t70 t71 snow t4",
   "t75 t71 t44 t44 t44 t44 t44 t44 t44 t44",
   "t9 t4 t10 t4 t71 t44 t12 t70 t61 t4"},
}
local DICTATED <const> = {9, UNK, 10, UNK, UNK, 44, 12, UNK, 61, UNK}


describe("an unknown token", function()
  local model
  local sources, config = {}, {replace_unknowns = true, max_new_tokens = 10,
                               min_new_tokens = 1,
                               sequence_bias = {{{UNK}, 8.0}}}
  setup(function()
    model = small_bart()
    for i, case in ipairs(expected) do sources[i] = case[1] end
  end)
  teardown(function() model:close() end)

  local function with(changes)
    for name, value in pairs(config) do
      if changes[name] == nil then changes[name] = value end
    end
    return changes
  end

  it("becomes the source's token that CTranslate2 takes", function()
    for _, case in ipairs(expected) do
      assert.equal(case[2], model:generate(case[1], config)[1].text)
      local strategy = dictated(DICTATED)
      local result = model:generate(case[1], with{strategy = strategy})[1]
      assert.equal(case[3], result.text)
      assert.same({2, table.unpack(DICTATED)}, result.ids)
    end
  end)

  it("becomes the same in a list as alone", function()
    for i, result in ipairs(model:generate(sources, config)) do
      assert.equal(expected[i][2], result.text)
    end
  end)

  it("stays what it is unless that is asked for", function()
    local result = model:generate(sources[1], with{replace_unknowns = false})[1]
    assert.equal("<unk> <unk> <unk> <unk> <unk> <unk> t4 t4 t61 <unk>",
                 result.text)
  end)

  it("of a source of ids stays unknown where the source is", function()
    local strategy = dictated(DICTATED)
    local result = model:generate(words:encode(sources[2]),
                                  with{strategy = strategy})[1]
    assert.equal((expected[2][3]:gsub("snow", "<unk>")), result.text)
  end)

  it("becomes no special token and none that is masked", function()
    local ids = {0, 9, 8, 22, 17, 50, 61, 12, 2}
    for hidden = 2, 8 do
      local mask = {1, 1, 1, 1, 1, 1, 1, 1, 1}
      mask[hidden] = 0
      local result = model:generate(ids, with{
        source_mask = mask, strategy = dictated {UNK, 60, UNK, UNK, 61, UNK},
        output_attentions = true})[1]
      local left = table.move(ids, 1, #ids, 1, {})
      table.remove(left, hidden)
      local want = {}
      for i, row in ipairs(result.cross_attentions:totable()) do
        local best, id = 0, result.ids[i + 1]
        for j = 2, id == UNK and #left - 1 or 0 do
          if row[j] > best then best, id = row[j], left[j] end
        end
        want[i] = "t" .. id
      end
      assert.equal(table.concat(want, " "), result.text)
    end
    local marks = model:generate({0, 2}, with{strategy = dictated {UNK, 9}})
    assert.equal("<unk> t9", marks[1].text)
  end)

  it("of a forced prefix stays", function()
    local result = model:generate(sources[1], with{
      decoder_input_ids = {2, UNK, 10}, strategy = dictated {UNK, 9}})[1]
    assert.truthy(result.text:find "^<unk> t10 t%d+ t9$")
  end)

  -- A model that writes unknown tokens; what it reads hangs on the position.
  local function doubtful(tokenizer)
    local weights = {{0.9, 0.3, 0.3, 0.1}, {0.5, 0.1, 0.1, 0.3}}
    return toy.model{
      kind = "seq2seq", vocab = 10, tokenizer = tokenizer, decoder_start = 2,
      scores = function() return {0, 0, 0, 9, 0, 0, 0, 0, 0, 0} end,
      attention = function(past) return weights[#past] or {0, 0.4, 0.4, 0} end}
  end

  it("goes to the first of equal weights, and to no language", function()
    local french = setmetatable({piece = function(_, id)
      return id == 4 and ">>fr<<" or words:piece(id)
    end}, {__index = words})
    local scripted = doubtful(french)
    local function text(changes)
      changes.replace_unknowns, changes.max_length = true, 20
      return scripted:generate({4, 5, 6, 7}, changes)[1].text
    end
    assert.equal("t5 t7", text{strategy = dictated {UNK, UNK}})
    -- behind a prompt of two
    assert.equal("t9 t7 t5", text{strategy = dictated {UNK, UNK},
                                  decoder_input_ids = {2, 9}})
  end)

  it("leaves no session open, also where its row is cancelled", function()
    local scripted = doubtful(words)
    local fields = {replace_unknowns = true, max_new_tokens = 6}
    assert.equal("t4 t4 t5 t5 t5 t5",
                 scripted:generate({4, 5, 6, 7}, fields)[1].text)
    assert.equal(0, scripted.core.open_rows)
    local queue <close> = scripted:queue()
    local ticket = queue:push({4, 5, 6, 7}, fields)
    for _ = 1, 4 do queue:step() end
    queue:cancel(ticket)
    assert.equal("t4 t4 t5 t5", select(2, queue:take())[1].text)
    assert.equal(0, scripted.core.open_rows)
  end)

  it("is what a reward and a utility see, too", function()
    local seen = {}
    local results = model:generate(sources[3], with{
      best_of = 2, do_sample = true, seed = 5, top_k = 3,
      num_return_sequences = 2,
      reward = function(text)
        seen[text] = true
        return #text
      end})
    assert.is_true(seen[results[1].text] and seen[results[2].text])
    assert.falsy(results[1].text:find("<unk>", 1, true))
  end)

  it("has no effect where there is nothing to take from", function()
    local function wrong(message, broken, input, changes)
      assert.error_matches(function()
        broken:generate(input, with(changes or {}))
      end, message)
    end
    wrong("config: replace_unknowns has no effect on a causal model",
          toy.model(), {1}, {sequence_bias = false})
    wrong("config: replace_unknowns needs the source as a text or as ids, "
          .. "which an encoder output does not tell", model,
          model:encode(words:encode(sources[1])))
    local plain <close> = assert(decant.load(fixtures.gguf("bart", "f32")))
    wrong("config: replace_unknowns needs a tokenizer, and this model has none",
          plain, {5, 6, 2})
    plain.tokenizer = setmetatable({unk = false}, {__index = words})
    wrong("config: replace_unknowns has no effect: the tokenizer has no "
          .. "unknown token", plain, {5, 6, 2})
    wrong("replace_unknowns is 1, must be true or false", model, sources[1],
          {replace_unknowns = 1})
  end)
end)


describe("a reader", function()
  it("tells of each row what it tells of the row alone", function()
    local model <close> = assert(decant.load(fixtures.gguf("bart", "f32")))
    local source = model.core:sources(model:encode {5, 6, 7, 2})[1]
    local long = {}
    for i = 1, 40 do long[i] = 4 + i * 7 % 70 end
    local function up_to(n) return table.move(long, 1, n, 1, {}) end
    local function fresh()
      return reread.open(model, source, {2, 8}, {attention = true})
    end
    local function told(reader, ids, into)
      reader:read(ids, function(i, _, read)
        into[table.concat(ids, " ", 1, i)] = read:totable()
      end)
    end
    local reader <close>, all = fresh(), {}
    for _, ids in ipairs{up_to(3), up_to(40), up_to(37), {long[1], 9}, {9},
                         {9}, {9, 9, 10}, {9, 9}, {9, 9, 11}, {9, 9, 11, 12},
                         up_to(36)} do
      local alone, own <close> = {}, fresh()
      told(reader, ids, all)
      told(own, ids, alone)
      for i = 1, #ids do
        local key = table.concat(ids, " ", 1, i)
        assert.same(alone[key], all[key], key)
      end
    end
  end)
end)


-- ---- the bundled model, whose tokenizer is Marian's ----

describe("replaced unknown tokens", function()
  local model, tokenizer, unk
  local SOURCE <const> = "Der Hund sieht \u{2603} und \u{141}\u{f3}d\u{17a}."
  setup(function()
    model = assert(decant.load "de-en")
    tokenizer = model.tokenizer
    unk = tokenizer.unk
  end)
  teardown(function() model:close() end)

  local function config(changes)
    changes.replace_unknowns = true
    changes.sequence_bias = {{{unk}, 9.0}}
    changes.max_new_tokens = changes.max_new_tokens or 16
    return changes
  end

  -- The text by the attention that the result tells, if it has an unknown one.
  local function text_of(result, source)
    local surfaces, ids = tokenizer:surfaces(source), result.ids
    local rows, shown, some = result.cross_attentions, {}, false
    for i = 1, #ids do shown[i] = ids[i] end
    for i = 2, #ids do
      if ids[i] == unk then
        local row, best = rows[i - 1]:totable(), nil
        for j = 1, #row - 1 do
          if not best or row[j] > row[best] then best = j end
        end
        shown[i], some = {surfaces[best]}, true
      end
    end
    return tokenizer:decode(shown), some
  end

  -- What DoLa has ruled out no bias brings back.
  local function insist(logits, ids)
    if #ids == 3 then logits[unk] = 100 end
  end

  local strategies = {
    {}, {do_sample = true, seed = 3}, {num_beams = 4},
    {num_beams = 3, num_return_sequences = 3},
    {num_beams = 4, coverage_penalty = 0.1},
    {strategy = "diverse_beam"}, {strategy = "stochastic_beam", seed = 5},
    {strategy = "contrastive"}, {dola_layers = "low", processors = {insist}},
    {prompt_lookup_num_tokens = 3}, {best_of = 3, do_sample = true, seed = 4},
    {return_alternatives = true, num_return_sequences = 2},
    -- runs that ask side by side
    {best_of = 4, num_return_sequences = 4, do_sample = true, seed = 4,
     stop_strings = "no such text"},
    {num_beams = 4, num_return_sequences = 4, stop_strings = "no such text"},
  }

  it("are the source's most read ones for every strategy, and what was heard "
     .. "meanwhile is the text", function()
    for _, fields in ipairs(strategies) do
      local heard = {}
      fields = config(fields)
      fields.output_attentions = true
      fields.on_token = function(_, piece) heard[#heard + 1] = piece end
      local some = false
      for i, result in ipairs(model:generate(SOURCE, fields)) do
        local text, has = text_of(result, SOURCE)
        assert.equal(text, result.text)
        if i == 1 then assert.equal(text, table.concat(heard)) end
        some = some or has
      end
      assert.is_true(some, fields.strategy)
    end
  end)

  it("show a symbol that neither side knows as it stands in the source",
     function()
    local result = model:generate(SOURCE, config{})[1]
    assert.truthy(result.text:find("\u{2603}", 1, true))
    assert.falsy(tokenizer:decode(result.ids):find("\u{2603}", 1, true))
    assert.equal(result.text, model:translate(SOURCE, config{}))
    local heard = {}
    for piece in model:stream(SOURCE, config{}) do heard[#heard + 1] = piece end
    assert.equal(result.text, table.concat(heard))
  end)

  it("are the same alone, in a list and in a queue", function()
    local sources = {SOURCE, "Ein \u{2660}, zwei \u{2666} und ein Haus.",
                     "\u{2603}", "Guten Tag."}
    local fields = config{num_beams = 3, num_return_sequences = 2}
    local all = model:generate(sources, fields)
    local queue <close> = model:queue{rows = 4}
    for _, source in ipairs(sources) do queue:push(source, fields) end
    for i, source in ipairs(sources) do
      local alone = model:generate(source, fields)
      for j = 1, 2 do
        assert.equal(alone[j].text, all[2 * i - 2 + j].text)
      end
    end
    for ticket, results in queue:results() do
      for j = 1, 2 do
        assert.equal(all[2 * ticket - 2 + j].text, results[j].text)
      end
    end
  end)

  it("count for stop strings, also in beams", function()
    for _, fields in ipairs{{}, {num_beams = 3}} do
      local heard = {}
      fields = config(fields)
      fields.stop_strings = {"\u{2603}", "\u{17a}"}
      fields.output_attentions = true
      fields.on_token = function(_, piece) heard[#heard + 1] = piece end
      local result = model:generate(SOURCE, fields)[1]
      assert.equal("stop", result.finish)
      assert.equal(result.text .. "\u{2603}", (text_of(result, SOURCE)))
      assert.equal(result.text, table.concat(heard))
    end
  end)

  it("are there in what was decided before a cancel", function()
    local queue <close> = model:queue()
    local ticket = queue:push(SOURCE, config{})
    for _ = 1, 10 do queue:step() end
    assert.is_true(queue:cancel(ticket))
    local _, results = queue:take()
    local text = model:generate(SOURCE, config{})[1].text
    assert.equal("cancelled", results[1].finish)
    assert.truthy(results[1].text:find("\u{2603}", 1, true))
    assert.equal(text:sub(1, #results[1].text), results[1].text)
    -- a model that is gone is asked nothing more
    local other = assert(decant.load "de-en")
    local orphan <close> = other:queue()
    ticket = orphan:push(SOURCE, config{})
    for _ = 1, 10 do orphan:step() end
    other:close()
    assert.is_true(orphan:cancel(ticket))
    assert.equal("cancelled", select(2, orphan:take())[1].finish)
  end)
end)
