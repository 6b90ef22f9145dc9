-- Beam search, and with opts.do_sample beam sampling: the num_beams best rows
-- go on side by side. The rules are those of transformers >= 4.50
-- (generate.md, section 3.3):
--
-- * Of all continuations of all K beams the best max(2, 1 + n_eos) * K are
--   candidates; only those among the first K may finish.
-- * The score of a finished row is its sum of log-probabilities divided by
--   length ^ length_penalty; the length counts new tokens, the end included.
--   coverage_penalty, if set, takes off what the row did not look at.
-- * The search ends when no running row can beat the worst of K finished ones
--   any more ("never" judges that at the longest length), when K are finished
--   and early_stopping is true, or when every candidate has stopped.
--
-- Returns the best num_return_sequences hypotheses {ids, score, finish}. A
-- token is emitted as soon as every row that may still win has it.

local beams = require "decant.beams"
local options = require "decant.options"

local attention <const> = {attention = true}


-- Adds the attention of the step just made to what each beam has looked at.
local function look(running, extras)
  for i, beam in ipairs(running) do
    beam.coverage = beam.coverage + extras[i].attention[1]
  end
end


return function(session, prompt, opts)
  opts = options(opts)
  local width = opts.num_beams or 4
  local early = opts.early_stopping ~= false and (opts.early_stopping or true)
  local longest = early == "never" and (opts.length_penalty or 1) > 0
                  and opts.max_new_tokens
  local want = (opts.coverage_penalty or 0) ~= 0 and attention or nil
  local running, slots, told = beams.start(width), beams.empty_slots(width), 0
  local logits, extras = session:feed(prompt, want)
  local rows = {logits}
  for _, beam in ipairs(want and running or {}) do
    beam.coverage = extras.attention[#prompt]
  end

  while true do
    local candidates = beams.expand(running, rows, opts, width)
    slots = beams.finish(slots, candidates, opts)
    running = beams.go_on(candidates, width)
    told = beams.emit(running, slots, told, opts)

    local best, worst = running[1], slots[width]
    local reach = beams.worth(best.score, longest or #best.ids, opts)
    local hopeless = reach <= worst.score
    local full = early == true and worst.finish
    if hopeless or full or beams.all_stopped(candidates) then break end
    rows, extras = beams.advance(session, running, want, rows)
    if want then look(running, extras) end
  end

  local found = beams.hypotheses(slots, running, opts,
                                 opts.num_return_sequences or 1)
  return beams.emit_rest(found, told, opts)
end
