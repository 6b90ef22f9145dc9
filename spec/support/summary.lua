-- summary.lua: busted's plain output with one more line at the end:
-- "N passed, N failed, N skipped".

return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.plainTerminal" (options)
  busted.subscribe({"exit"}, function()
    io.write(("%d passed, %d failed, %d skipped\n"):format(
      handler.successesCount, handler.failuresCount + handler.errorsCount,
      handler.pendingsCount))
    io.flush()
  end)
  return handler
end
