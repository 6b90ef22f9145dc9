-- decant.results: the list that generate returns, and what it can do.
--
--   results[i]        {ids =, text =, score =, finish =, input =, ...}
--   results.seed      the seed, if anything was drawn
--   results:tensor()  all ids as a Tensor [results, longest], filled up with
--                     pad_token_id

local core = require "decant.core"

local Results = {}
Results.__index = Results


function Results:tensor()
  if #self == 0 then error("there are no results to make a Tensor of", 2) end
  local longest, rows = 1, {}
  for _, result in ipairs(self) do longest = math.max(longest, #result.ids) end
  for i, result in ipairs(self) do
    local ids = table.move(result.ids, 1, #result.ids, 1, {})
    for j = #ids + 1, longest do ids[j] = self.pad_token_id end
    rows[i] = ids
  end
  return core.tensor(rows)
end


local function new(list, call)
  list.seed = call.config.do_sample and call.seed or nil
  list.pad_token_id = call.config.pad_token_id or 0
  return setmetatable(list, Results)
end

return {new = new}
