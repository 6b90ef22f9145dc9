-- processors/guidance.lua: classifier-free guidance (Sanchez et al., "Stay on
-- topic with classifier-free guidance", 2023). The scores of the row are moved
-- away from those that the model gives without the prompt, or with another.
--
-- `unconditional` says where those come from:
--   Logits, or a list of numbers    they are always these
--   function(ids, prompt) -> Logits
--   a session                       which follows the row: it is fed the
--                                   negative prompt, then the new tokens
--   function() -> session           one for each row, opened at its first step
--
-- What a reader would get wrong: a row need not be the last one with one token
-- more. In a beam search the session meets another row at every call, so it
-- goes back to what the two have in common.

local core = require "decant.core"
local objects = require "decant.processors.objects"
local show = require "decant.show"
local types = require "decant.config.types"

local MOST <const> = 2147483647

local guidance = {}

local function is_session(value)
  return type(value) == "table" and value.feed ~= nil
end

-- What the session has to hold for the row: the negative prompt (or the last
-- token of the prompt), then the new tokens.
local function wanted_ids(ids, prompt, negative)
  local wanted = table.move(negative or {ids[prompt]}, 1,
                            negative and #negative or 1, 1, {})
  if #wanted == 0 then
    error("guidance: without a prompt there is no token to begin with; give "
          .. "negative_prompt_ids", 0)
  end
  return table.move(ids, prompt + 1, #ids, #wanted + 1, wanted)
end

-- function(ids, prompt) -> Logits, by a session.
local function follower(session, negative)
  local base, held, begun = session:length(), {}, nil
  return function(ids, prompt)
    begun = prompt or begun or #ids
    local wanted, common = wanted_ids(ids, begun, negative), 0
    while common < #wanted - 1 and held[common + 1] == wanted[common + 1] do
      common = common + 1
    end
    if common < #held then session:truncate(base + common) end
    held = table.move(wanted, 1, common, 1, {})  -- should the feed fail
    local logits = session:feed(table.move(wanted, common + 1, #wanted, 1, {}))
    held = wanted
    return logits
  end
end

-- function(ids, prompt) -> Logits, by whatever was given; one for each row.
local function source_of(given, negative)
  if is_session(given) then return follower(given, negative) end
  if type(given) == "userdata" then return function() return given end end
  local follow
  return function(ids, prompt)
    if not follow then
      local found = given(ids, prompt)
      if not is_session(found) then return found end
      follow = follower(found, negative)
    end
    return follow(ids, prompt)
  end
end

-- The ids as integers (2.0 is 2), or nil where there are none.
local function check_ids(ids)
  if ids == nil then return nil end
  if type(ids) ~= "table" or rawlen(ids) == 0 then
    error("guidance: negative_prompt_ids must be a list of token ids that is "
          .. "not empty", 3)
  end
  local copy = {}
  for i = 1, rawlen(ids) do
    local id = rawget(ids, i)
    copy[i] = math.type(id) and math.tointeger(id)
    if not copy[i] or copy[i] < 0 then
      error(("guidance: negative_prompt_ids[%d] is %s, must be a token id")
            :format(i, show(id)), 3)
    end
  end
  return copy
end

local function check_scale(name, scale)
  if scale == nil then error(name .. ": guidance_scale is missing", 3) end
  local fine, rule = types.guidance_scale(scale)
  if not fine then
    error(("%s: guidance_scale is %s, %s"):format(name, show(scale), rule), 3)
  end
end

local function check_unconditional(name, value)
  if value == nil then error(name .. ": unconditional is missing", 3) end
  if type(value) == "table" and not is_session(value)
     and not objects.callable(value) then
    return objects.call(name .. ": unconditional", 3, core.logits, value)
  end
  if type(value) == "userdata" then
    return objects.check_logits(value, name .. ": unconditional", 3)
  end
  if not is_session(value) and not objects.callable(value) then
    error(("%s: unconditional is a %s, must be Logits, a list of numbers, a "
           .. "session or a function"):format(name, type(value)), 3)
  end
  return value
end

-- The row, guided: `how` as in logits:guide.
local function guide(name, logits, unconditional, scale, how)
  objects.check_logits(unconditional, name .. ": what unconditional gave", 0)
  return objects.call(name, 0, logits.guide, logits, unconditional, scale, how)
end

local arguments = {guidance_scale = true, unconditional = true,
                   negative_prompt_ids = true}

--- u + guidance_scale * (c - u) on the log-probabilities c of the row and u of
-- `unconditional`. A session starts from negative_prompt_ids, else from the
-- last token of the prompt. UnbatchedClassifierFreeGuidanceLogitsProcessor.
function guidance.guidance(given)
  objects.check_names(given, arguments, "guidance")
  local scale = given.guidance_scale
  check_scale("guidance", scale)
  local negative = check_ids(given.negative_prompt_ids)
  local other = check_unconditional("guidance", given.unconditional)
  local used = false
  return objects.new("guidance", function()
    local own = other  -- a session serves one row; others take forks of it
    if is_session(other) and used then own = other:fork() end
    used = true
    local unconditional = source_of(own, negative)
    return function(logits, ids, prompt)
      return guide("guidance", logits, unconditional(ids, prompt), scale)
    end
  end)
end

--- The same on the logits as they are. ClassifierFreeGuidanceLogitsProcessor
-- (there the second half of a batch is the unconditional one).
function guidance.guidance_batched(given)
  objects.check_names(given, {guidance_scale = true, unconditional = true},
                      "guidance_batched")
  local scale = given.guidance_scale
  check_scale("guidance_batched", scale)
  if scale <= 1 then
    error(("guidance_batched: guidance_scale is %s, must be above 1"):format(
          scale), 2)
  end
  local other = check_unconditional("guidance_batched", given.unconditional)
  return objects.new("guidance_batched", function()
    local unconditional = source_of(other)
    return function(logits, ids, prompt)
      return guide("guidance_batched", logits, unconditional(ids, prompt),
                   scale, "logits")
    end
  end)
end

--- c + guidance_scale * (c - u) on the logits. With guidance_top_k the logits
-- stay as they were, but only those are left that are among the best so many
-- of the guided ones. DiaClassifierFreeGuidanceLogitsProcessor.
function guidance.guidance_dia(given)
  objects.check_names(given, {guidance_scale = true, unconditional = true,
                              guidance_top_k = true}, "guidance_dia")
  local scale, k = given.guidance_scale, given.guidance_top_k
  check_scale("guidance_dia", scale)
  if k ~= nil and (math.type(k) ~= "integer" or k < 1 or k > MOST) then
    error(("guidance_dia: guidance_top_k is %s, must be an integer from 1 to "
           .. "%d"):format(show(k), MOST), 2)
  end
  local other = check_unconditional("guidance_dia", given.unconditional)
  return objects.new("guidance_dia", function()
    local unconditional = source_of(other)
    return function(logits, ids, prompt)
      local row = unconditional(ids, prompt)
      if not k then
        return guide("guidance_dia", logits, row, scale, "beyond")
      end
      local best = {}
      local guided = guide("guidance_dia", logits:clone(), row, scale, "beyond")
      for i, top in ipairs(guided:top(k)) do best[i] = top.id end
      return logits:keep(best)
    end
  end)
end

return guidance
