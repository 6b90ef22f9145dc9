-- 07_game_loop.lua: translating inside a game. Every frame has 16 ms; the
-- translation gets one step of the decoder in each and shows what it has.
-- A coroutine keeps the place between the frames.

dofile "examples/setup.lua"
local decant = require "decant"

local FRAME <const> = 1 / 60
decant.threads(1)                  -- the other cores belong to the game

local model <close> = assert(decant.load(arg[1] or "de-en"))
local text = "Der alte Mann wohnt in einem kleinen Haus am Meer."

local translation = coroutine.wrap(function()
  for piece in model:stream(text, {num_beams = 1}) do
    coroutine.yield(piece)
  end
end)

local shown, frames, longest = "", 0, 0
repeat
  local start = os.clock()         -- processor time; a game asks its engine
  local piece = translation()
  local step = os.clock() - start
  if piece then shown = shown .. piece end
  frames, longest = frames + 1, math.max(longest, step)
  print(("frame %2d  %s"):format(frames, shown))
  repeat until os.clock() - start >= FRAME    -- the rest of the frame: the game
until not piece

print("translation: " .. shown)
print(("%d frames, longest step %.2f ms of a frame of %.2f ms")
      :format(frames, longest * 1000, FRAME * 1000))
