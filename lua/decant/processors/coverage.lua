-- processors/coverage.lua: the coverage penalty of beam searches.

local inputs = require "decant.inputs"
local show = require "decant.show"

local function check_row(attention, i)
  local row, source = attention[i], attention[1]
  if type(row) ~= "table" then
    error(("coverage: row %d is a %s, must be a list of weights"):format(
          i, type(row)), 3)
  elseif rawlen(row) ~= rawlen(source) then
    error(("coverage: row %d has %d weights, row 1 has %d"):format(
          i, rawlen(row), rawlen(source)), 3)
  end
  for j = 1, rawlen(row) do
    if not math.type(row[j]) then
      error(("coverage: row %d, weight %d is %s, must be a number"):format(
            i, j, show(row[j])), 3)
    end
  end
end

--- coefficient * sum over the source of log(min(sum over the target of the
-- attention, 1)): what a hypothesis loses for source tokens that it has not
-- looked at. attention: one row of weights for each new token, a list of lists
-- or a Tensor [new tokens, source]. The result is added to the hypothesis'
-- score. Wu et al., "Google's neural machine translation system", 2016;
-- CTranslate2 coverage_penalty.
return function(attention, coefficient)
  if inputs.is_tensor(attention) then attention = attention:totable() end
  if type(attention) ~= "table" then
    error("coverage: rows of attention expected, got a " .. type(attention), 2)
  elseif rawlen(attention) == 0 then
    error("coverage: there are no rows of attention", 2)
  elseif type(coefficient) ~= "number" then
    error("coverage: the coefficient is a " .. type(coefficient)
          .. ", must be a number", 2)
  end
  for i = 1, rawlen(attention) do check_row(attention, i) end
  local penalty, source = 0, #attention[1]
  for j = 1, source do
    local covered = 0
    for i = 1, #attention do covered = covered + attention[i][j] end
    penalty = penalty + math.log(math.min(covered, 1))
  end
  return coefficient * penalty
end
