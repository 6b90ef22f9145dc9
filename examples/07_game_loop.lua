-- 07_game_loop.lua: translating inside a game. Every frame has 16 ms; the
-- translation gets one step of the decoder in each and shows what it has.
-- A coroutine keeps the place between the frames.
--
-- os.clock counts the processor time of all threads: what it runs ahead of a
-- real clock is what decant's workers took of the game's cores. With two
-- threads that wait actively it would be 7 ms a frame (docs/embedding.md).

dofile "examples/setup.lua"
local decant = require "decant"

local FRAME <const> = 1 / 60
-- The other cores belong to the game: a small model needs one thread; for a
-- large one take n = 2 and let the second end with each step.
decant.threads{n = tonumber(arg[2]) or 1, wait = "passive"}

local model <close> = assert(decant.load(arg[1] or "de-en"))
local text = "Der alte Mann wohnt in einem kleinen Haus am Meer."

local translation = coroutine.wrap(function()
  for piece in model:stream(text, {num_beams = 1}) do
    coroutine.yield(piece)
  end
end)

local clock = require "decant.core".clock   -- a game asks its engine
local shown, frames, longest, began = "", 0, 0, clock()
local others = os.clock()            -- processor time of all threads
repeat
  local start = clock()
  local piece = translation()
  local step = clock() - start
  if piece then shown = shown .. piece end
  frames, longest = frames + 1, math.max(longest, step)
  print(("frame %2d  %s"):format(frames, shown))
  repeat until clock() - start >= FRAME       -- the rest of the frame: the game
until not piece
others = math.max(0, os.clock() - others - (clock() - began))

print("translation: " .. shown)
print(("%d frames, longest step %.2f ms of a frame of %.2f ms")
      :format(frames, longest * 1000, FRAME * 1000))
print(("processor time of the other threads: %.2f ms a frame")
      :format(others / frames * 1000))
