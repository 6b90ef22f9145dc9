-- processors/prefix_allowed.lua: constrained decoding by a function.

local objects = require "decant.processors.objects"
local show = require "decant.show"

local known = {prefix_allowed_tokens_fn = true, batch_index = true,
               num_beams = true}

local RETURNED <const> = "prefix_allowed: what the function returned"

local function check_positive(given, name)
  local value = given[name]
  if value ~= nil and (math.type(value) ~= "integer" or value < 1) then
    error(("prefix_allowed: %s is %s, must be an integer from 1"):format(
          name, show(value)), 3)
  end
  return value or 1
end

--- Only what fn(ids, batch_index) lists stays; an empty list is an error.
-- Where nothing of it is allowed any more, all of it gets score 0 (not with
-- num_beams > 1: there it would lift a dead beam above the others).
-- PrefixConstrainedLogitsProcessor. batch_index counts from 1.
return function(given)
  if type(given) ~= "table" or objects.callable(given) then
    given = {prefix_allowed_tokens_fn = given}
  end
  objects.check_names(given, known, "prefix_allowed")
  local fn = given.prefix_allowed_tokens_fn
  local index = check_positive(given, "batch_index")
  local rescue = check_positive(given, "num_beams") == 1
  if not objects.callable(fn) then
    error("prefix_allowed: prefix_allowed_tokens_fn is a " .. type(fn)
          .. ", must be a function(ids, batch_index)", 2)
  end
  local function apply(logits, ids)
    local allowed = fn(ids, index)
    if type(allowed) ~= "table" or rawlen(allowed) == 0 then
      error("prefix_allowed: the function must return a list of ids that is "
            .. "not empty", 0)
    end
    objects.call(RETURNED, 0, logits.keep, logits, allowed)
    if rescue and logits:allowed() == 0 then
      for i = 1, rawlen(allowed) do logits[rawget(allowed, i)] = 0 end
    end
    return logits
  end
  return objects.new("prefix_allowed", function() return apply end)
end
