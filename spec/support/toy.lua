-- toy.lua: what the specs drive strategies, scheduler and generate with.
--
--   toy.scripted {7, 8, 9}   a session that wants exactly these tokens and
--                            notes in `asked` what it was fed
--   toy.T                    the Markov model of reference/generate.md, 4.2:
--                            the scores after token t are T[t]
--   toy.model(options)       a Model on it, with a pure Lua core; options:
--                            kind, scores(row, source), tokenizer, vocab,
--                            hidden(row), attention(row), early(row, layer)
--   toy.session(options)     a Session on it
--   toy.texts(found)         the ids of hypotheses, "4 2 | 3 4 2"
--   toy.assert_scores(expected, found)
--
-- The fake core has the interface of src/lua/model.c (hparams, tokenizer,
-- encode, sources, rows, ...); model.engine counts its passes and rows.

local assert = require "luassert"
local core = require "decant.core"
local session = require "decant.session"

local toy = {}

-- 0 pad, 1 bos, 2 eos. T[1][2] is raised by 4e-6, as section 4.2 says: equal
-- scores went to the higher id in the library.
toy.T = {
  [0] = {-9, -9, .1, 0, -.4, 2},
  {-9, -9, -1, -1, -.7, -.9},
  {-9, -9, -.8, .3, -1.2, -1.7},
  {-9, -9, -.4, .9, 1.2, -.3},
  {-9, -9, 1, -.4, .6, -.8},
  {-9, -9, 1.2, 1.8, -1.1, .2},
}


function toy.scripted(wanted, vocab)
  local scripted = {asked = {}}
  function scripted:feed(ids)
    self.asked[#self.asked + 1] = type(ids) == "table" and ids or {ids}
    local scores = {}
    for id = 0, (vocab or 10) - 1 do scores[id + 1] = 0 end
    scores[(wanted[#self.asked] or 0) + 1] = 20
    return core.logits(scores)
  end
  return scripted
end


-- ---- the core's Rows: timelines of ids instead of a KV cache ----

local Rows = {}
Rows.__index = Rows

local function copy(list)
  return table.move(list, 1, #list, 1, {})
end

local function rows_of(model, timelines, source)
  model.open_rows = model.open_rows + 1
  return setmetatable({model = model, timelines = timelines, source = source},
                      Rows)
end

function Rows:__len() return #self.timelines end

function Rows:length(i) return #self.timelines[i] end

function Rows:reorder(parents)
  local timelines = {}
  for i, parent in ipairs(parents) do
    timelines[i] = copy(self.timelines[parent])
  end
  self.timelines = timelines
end

function Rows:truncate(n)
  for _, line in ipairs(self.timelines) do
    for i = #line, n + 1, -1 do line[i] = nil end
  end
end

function Rows:fork()
  local timelines = {}
  for i, line in ipairs(self.timelines) do timelines[i] = copy(line) end
  return rows_of(self.model, timelines, self.source)
end

function Rows:reset() self:truncate(0) end

function Rows:close()
  if self.closed then return end
  self.closed = true
  self.model.open_rows = self.model.open_rows - 1
end


-- ---- the core's Model ----

local Core = {}
Core.__index = Core

function Core:hparams() return self.config end

function Core:tokenizer() return self.own_tokenizer end

function Core:close() self.closed = true end

-- An "encoder output" is the ids themselves: a Tensor [batch, longest, 1],
-- 0 beyond a row's length.
function Core:encode(lists, masks)
  self.encoded[#self.encoded + 1] = {lists = lists, masks = masks}
  local longest, rows = 0, {}
  for _, ids in ipairs(lists) do longest = math.max(longest, #ids) end
  for i, ids in ipairs(lists) do
    rows[i] = {}
    for j = 1, longest do rows[i][j] = {ids[j] or 0} end
  end
  return core.tensor(rows)
end

-- A source is the list of its ids where the mask lets them count.
local Source = {}
Source.__index = Source
function Source.close() end

function Core:sources(output, masks)
  local sources = {}
  for i, rows in ipairs(output:totable()) do
    sources[i] = setmetatable({}, Source)
    for j, row in ipairs(rows) do
      if not masks or masks[i][j] == 1 then
        table.insert(sources[i], math.tointeger(row[1]))
      end
    end
    table.insert(self.sourced, #sources[i])
  end
  return sources
end

function Core:decode(lists, sources)
  local longest, out = 0, {}
  for _, ids in ipairs(lists) do longest = math.max(longest, #ids) end
  for i, ids in ipairs(lists) do
    out[i] = {}
    for j = 1, longest do
      local line = table.move(ids, 1, j, 1, {})
      local scores = j <= #ids and self.scores(line, sources and sources[i])
      out[i][j] = {}
      for k = 1, self.config.vocab do
        out[i][j][k] = scores and scores[k] or 0
      end
    end
  end
  return core.tensor(out)
end

function Core:rows(n, source)
  local timelines = {}
  for i = 1, n do timelines[i] = {} end
  return rows_of(self, timelines, source)
end


-- What is wanted of one row beside the next scores (session.lua): every;
-- hidden and attention, if options.hidden or options.attention makes the
-- numbers of a position; layers by options.early.
local function extras_of(model, line, fed, source, want)
  local extras = {}
  if want.every then extras.every = {} end
  for _, kind in ipairs{"hidden", "attention"} do
    if want[kind] then extras[kind] = {} end
  end
  for i = #line - #fed + 1, #line do
    local past = table.move(line, 1, i, 1, {})
    if want.every then
      table.insert(extras.every, core.logits(model.scores(past, source)))
    end
    for _, kind in ipairs{"hidden", "attention"} do
      if want[kind] then table.insert(extras[kind], model[kind](past)) end
    end
  end
  for _, kind in ipairs{"hidden", "attention"} do
    if want[kind] then extras[kind] = core.tensor(extras[kind]) end
  end
  for i, layer in ipairs(want.layers or {}) do
    extras.layers = extras.layers or {}
    extras.layers[i] = core.logits(model.early(line, layer))
  end
  return extras
end


-- One pass: appends, then the scores after the last token of each row.
local function forward(model, requests)
  local answers = {}
  for i, request in ipairs(requests) do
    local rows, ids, want = request[1], request[2], request[3]
    assert(not rows.closed, "the rows are closed")
    answers[i] = {extras = want and {}}
    for j, line in ipairs(rows.timelines) do
      table.move(ids[j], 1, #ids[j], #line + 1, line)
      answers[i][j] = #ids[j] > 0 and
        core.logits(model.scores(line, rows.source)) or false
      if want then
        answers[i].extras[j] = #ids[j] > 0 and
          extras_of(model, line, ids[j], rows.source, want)
      end
    end
  end
  return answers
end


local function markov(line) return toy.T[line[#line]] end


function toy.core_model(options)
  local model = setmetatable({
    scores = options.scores or markov, own_tokenizer = options.tokenizer,
    hidden = options.hidden, attention = options.attention,
    early = options.early,
    encoded = {}, sourced = {}, open_rows = 0,
    config = {
      architecture = "toy", kind = options.kind or "causal",
      vocab = options.vocab or 6, context = options.context,
      decoder_start = options.decoder_start,
      generation = options.generation or
        {pad_token_id = 0, bos_token_id = 1, eos_token_id = 2},
    },
  }, Core)
  local engine = {passes = 0, rows = {}}
  function engine.forward(requests)
    engine.passes = engine.passes + 1
    local rows = 0
    for _, request in ipairs(requests) do rows = rows + #request[1] end
    engine.rows[engine.passes] = rows
    return forward(model, requests)
  end
  return model, engine
end


function toy.model(options)
  local handle, engine = toy.core_model(options or {})
  return require("decant.model").new(handle, engine)
end


-- A Session, its engine and its core model.
function toy.session(options)
  options = options or {}
  local handle, engine = toy.core_model(options)
  local timelines = session.new(handle:rows(options.rows or 1), engine,
                                handle.config)
  return timelines, engine, handle
end


-- A tokenizer of single bytes: id = byte; ids 0 (eos, which encode appends) to
-- 3 are special and have no text.
toy.tokenizer = {eos = 0, bos = 1, pad = 3}

local function text_of(id)
  return id > 3 and string.char(id) or ""
end

function toy.tokenizer:encode(text, options)
  local ids = {text:byte(1, -1)}
  if not options or options.eos ~= false then ids[#ids + 1] = self.eos end
  return ids
end

function toy.tokenizer.decode(_, ids)
  local bytes = {}
  for _, id in ipairs(ids) do
    bytes[#bytes + 1] = text_of(id)
  end
  return table.concat(bytes)
end

function toy.tokenizer.stream()
  local held = ""
  return function(id)
    held = held .. (id and text_of(id) or "")
    if id and not utf8.len(held) then return "" end
    local piece = held
    held = ""
    return piece
  end
end

-- ---- what was found ----

-- The ids of hypotheses or results, as generate.md writes them: "4 2 | 3 4 2".
function toy.texts(found)
  local list = {}
  for i, hypothesis in ipairs(found) do
    list[i] = table.concat(hypothesis.ids, " ")
  end
  return table.concat(list, " | ")
end


-- Scores as they are written there.
function toy.assert_scores(expected, found)
  for i, score in ipairs(expected) do
    assert.near(score, found[i].score, 1.1e-6)
  end
end


return toy
