-- Diverse beam search (Vijayakumar et al. 2016): num_beam_groups searches of
-- num_beams / num_beam_groups beams each. In every step a group pays
-- diversity_penalty for each time that an earlier group has just said a token.
-- All groups share one forward pass.
--
-- Rules: transformers' group beam search (generate.md, section 3.5), each
-- group with the bookkeeping of hypotheses.lua. A group that is done says
-- pad_token_id to the others, as there.
--
-- Returns the best num_return_sequences hypotheses of all groups.

local beams = require "decant.beams"
local hypotheses = require "decant.hypotheses"
local options = require "decant.options"


-- An edit of log-probabilities: less for each time that a token is in `said`.
-- (In floats: a penalty that is an integer would run over.)
local function avoid(said, penalty)
  local bias = {}
  for _, id in ipairs(said) do bias[id] = (bias[id] or 0.0) - penalty end
  return function(logits) logits:bias(bias) end
end


-- One step of a group; returns whether it is the last one of the search.
local function step(group, rows, opts, width, said)
  local candidates = beams.expand(group.running, rows, opts, width,
                                  avoid(said, opts.diversity_penalty or 0.5))
  local live, last = group.found:take(candidates, width)
  group.found:judge(candidates, #live)
  group.running = beams.become(live)
  return last
end


-- What the groups that are not done go on with, and all their finished rows.
local function survey(groups)
  local running, found = {}, {}
  for i, group in ipairs(groups) do
    local live = group.found.done and {} or group.running
    table.move(live, 1, #live, #running + 1, running)
    found[i] = group.found
  end
  return running, found
end


return function(session, prompt, opts)
  opts = options(opts)
  local n_groups = opts.num_beam_groups or 2
  local width = (opts.num_beams or 4) // n_groups
  local groups, told, last = {}, 0, false
  for i = 1, n_groups do
    groups[i] = {running = beams.start(width),
                 found = hypotheses.new(width, opts)}
  end
  local rows = {(session:feed(prompt))}

  while true do
    local said = {}
    for _, group in ipairs(groups) do
      local pads = group.found.done
      if not pads then last = step(group, rows, opts, width, said) or last end
      for i = 1, pads and width or #group.running do
        said[#said + 1] = pads and (opts.pad_token_id or 0)
                          or group.running[i].id
      end
    end
    local running, found = survey(groups)
    if last or #running == 0 then break end
    told = beams.emit(running, hypotheses.merge(found, 1), told, opts)
    rows = beams.advance(session, running, nil, rows)
  end

  local _, found = survey(groups)
  for _, group in ipairs(groups) do
    if not group.found.done then group.found:open(group.running) end
  end
  return beams.emit_rest(hypotheses.merge(found, opts.num_return_sequences
                                                 or 1), told, opts)
end
