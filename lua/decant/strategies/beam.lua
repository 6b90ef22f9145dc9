-- Beam search, and with opts.do_sample beam sampling: the num_beams best rows
-- go on side by side. The rules are those of transformers >= 4.50
-- (generate.md, section 3.3):
--
-- * Of all continuations of all K beams the best max(2, 1 + n_eos) * K are
--   candidates; only those among the first K may finish.
-- * The score of a finished row is its sum of log-probabilities divided by
--   length ^ length_penalty; the length counts new tokens, the end included.
-- * The search ends when no running row can beat the worst of K finished ones
--   any more ("never" judges that at the longest length), when K are finished
--   and early_stopping is true, or when every candidate has stopped.
--
-- Returns the best num_return_sequences hypotheses {ids, score, finish}. What
-- is emitted is the best one, at the end: before, nothing is decided.

local beams = require "decant.beams"
local options = require "decant.options"


local function number_of_candidates(eos, width)
  local n_eos = type(eos) == "table" and #eos or (eos and 1 or 0)
  return math.max(2, 1 + n_eos) * width
end


return function(session, prompt, opts)
  opts = options(opts)
  if (opts.num_beam_groups or 1) > 1 then
    error(("num_beam_groups is %d; the beam search of decant has no groups, "
           .. "must be 1"):format(opts.num_beam_groups), 0)
  end
  local width, penalty = opts.num_beams or 4, opts.length_penalty or 1
  local early = opts.early_stopping ~= false and (opts.early_stopping or true)
  local longest = early == "never" and penalty > 0 and opts.max_new_tokens
  local count = number_of_candidates(opts.eos_token_id, width)
  local running, slots = beams.start(width), beams.empty_slots(width)
  local rows = {session:feed(prompt)}

  while true do
    local candidates = beams.expand(running, rows, opts, count)
    running = beams.go_on(candidates, width)
    slots = beams.finish(slots, candidates, penalty)

    local best, worst = running[1], slots[width]
    local reach = beams.penalised(best.score, longest or #best.ids, penalty)
    local hopeless = reach <= worst.score
    local full = early == true and worst.finish
    if hopeless or full or beams.all_stopped(candidates) then break end
    rows = beams.advance(session, running)
  end

  local found = beams.hypotheses(slots, running, penalty,
                                 opts.num_return_sequences or 1)
  for _, id in ipairs(found[1].ids) do opts.emit(id) end
  return found
end
