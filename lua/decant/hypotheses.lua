-- decant.hypotheses: the finished rows of one beam search by the rules of
-- transformers before 4.50 (its BeamHypotheses and BeamSearchScorer), which
-- diverse and constrained beams keep to:
--
-- * Whatever end token a row has, it is given with the first of eos_token_id.
-- * A row that reaches its longest length does not finish; what runs then is
--   added at the end (`open`).
-- * The search is done when n rows have finished and either early_stopping is
--   true or the best candidate of the step, finished or not, could not enter.

local beams = require "decant.beams"

local Hypotheses = {}
Hypotheses.__index = Hypotheses

-- Reasons that end the whole search, not one row of it.
local ends_search = {length = true, time = true, cancelled = true}


local function new(n, opts)
  return setmetatable({n = n, opts = opts, done = false}, Hypotheses)
end


-- Keeps a row if it is among the n best; of equal ones the earlier stays.
function Hypotheses:add(ids, score, finish)
  local worth = beams.worth(score, #ids, self.opts)
  local place = #self + 1
  while place > 1 and self[place - 1].score < worth do place = place - 1 end
  if place > self.n then return end
  table.insert(self, place, {ids = ids, score = worth, finish = finish})
  self[self.n + 1] = nil
end


-- The ids of a candidate that has finished, as they are given.
local function finished_ids(candidate, eos)
  local ids = beams.ids_of(candidate)
  if candidate.finish == "eos" and type(eos) == "table" then
    ids[#ids] = eos[1]
  end
  return ids
end


-- Takes what has finished among the first `width` candidates, if `accepts`
-- says so of it. Returns the first `width` that have not, whether this was the
-- last step, and what has finished, taken or not.
function Hypotheses:take(candidates, width, accepts)
  local live, last, ended = {}, false, {}
  for rank, c in ipairs(candidates) do
    last = last or ends_search[c.finish]
    if c.finish and not ends_search[c.finish] then
      ended[#ended + 1] = c
      if rank <= width and (not accepts or accepts(c)) then
        self:add(finished_ids(c, self.opts.eos_token_id), c.score, c.finish)
      end
    elseif #live < width then
      live[#live + 1] = c
    end
    if #live == width then break end
  end
  return live, last, ended
end


-- Whether the step with these candidates, of which n_live go on, was the last
-- that is worth making.
function Hypotheses:judge(candidates, n_live)
  self.done = self.done or n_live == 0
  if self.done or #self < self.n then return end
  local opts = self.opts
  local penalty, early = opts.length_penalty or 1, opts.early_stopping
  if early ~= false and early ~= "never" then
    self.done = true
    return
  end
  local best, length = -math.huge, #candidates[1].parent.ids + 1
  for _, c in ipairs(candidates) do best = math.max(best, c.score) end
  if early == "never" and penalty > 0 then
    length = opts.max_new_tokens or 100
  end
  self.done = self[self.n].score >= beams.worth(best, length, opts)
end


-- Adds beams that still run at the end.
function Hypotheses:open(running)
  for _, beam in ipairs(running) do
    self:add(beam.ids, beam.score, self.opts.stop(beam.ids) or "length")
  end
end


-- The n best of some lists, best first; of equal ones the earlier list's.
local function merge(lists, n)
  local all = {}
  for _, list in ipairs(lists) do table.move(list, 1, #list, #all + 1, all) end
  return beams.best(n, all, "score")
end

return {new = new, merge = merge}
