-- processors/coverage.lua: the coverage penalty of beam searches.

--- coefficient * sum over the source of log(min(sum over the target of the
-- attention, 1)): what a hypothesis loses for source tokens that it has not
-- looked at. attention: one row of weights for each new token, a list of lists
-- or a Tensor [new tokens, source]. The result is added to the hypothesis'
-- score. Wu et al., "Google's neural machine translation system", 2016;
-- CTranslate2 coverage_penalty.
return function(attention, coefficient)
  if type(attention) ~= "table" and type(attention) ~= "userdata" then
    error("coverage: rows of attention expected, got a " .. type(attention), 2)
  elseif #attention == 0 then
    error("coverage: there are no rows of attention", 2)
  elseif type(coefficient) ~= "number" then
    error("coverage: the coefficient is a " .. type(coefficient)
          .. ", must be a number", 2)
  end
  local penalty, source = 0, #attention[1]
  for j = 1, source do
    local covered = 0
    for i = 1, #attention do
      if #attention[i] ~= source then
        error(("coverage: row %d has %d weights, row 1 has %d"):format(
              i, #attention[i], source), 2)
      end
      covered = covered + attention[i][j]
    end
    penalty = penalty + math.log(math.min(covered, 1))
  end
  return coefficient * penalty
end
