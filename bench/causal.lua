-- causal.lua: decant's side of bench/decode.lua, with the calls that a user
-- has: session:feed and session:forward. bench/llama.py answers the same
-- commands, one a line, each with one line:
--
--   load PATH [CACHE]  -> ok: CACHE is the type of keys and values
--   threads N          -> ok
--   prefill N          -> seconds, best id: N tokens at once, on a new timeline
--   decode DEPTH N     -> seconds: N tokens, one by one, after DEPTH others
--   rows R N           -> seconds: N times one token for each of R timelines
--   info               -> what it is, one line
--
-- Ids are fixed, and nobody chooses the next one: the time is that of the
-- model, its scores included, and of handing them to the caller. The packed
-- copy of the weights is made by load, which is not timed here.

package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
package.cpath = "./build/lib/?.so;" .. package.cpath

local decant = require "decant"
local clock = require "decant.core".clock

local CHUNK <const> = 512   -- of a prompt that is not timed
local PROMPT <const> = 16   -- before each of several timelines

local model, one, many  -- many[r]: a session of r timelines


local function ids_from(first, n)
  local ids = {}
  for i = 1, n do ids[i] = (first + i) * 7919 % model.config.vocab end
  return ids
end


-- The one timeline, holding `depth` tokens.
local function fill(depth)
  if one:length() > depth then one:truncate(depth) end
  while one:length() < depth do
    one:feed(ids_from(one:length(), math.min(CHUNK, depth - one:length())))
  end
end


-- r timelines, each holding a prompt of its own.
local function timelines(r)
  if not many[r] then
    many[r] = model:session{rows = r}
    local prompts = {}
    for row = 1, r do prompts[row] = ids_from(row * 1000, PROMPT) end
    many[r]:forward(prompts)
  end
  many[r]:truncate(PROMPT)
  return many[r]
end


local commands = {}

function commands.load(path, cache)
  model, one, many = nil, nil, {}
  collectgarbage()
  model = assert(decant.load(path, {cache_type = cache, pack = true}))
  one = model:session()
  return "ok"
end

function commands.threads(n)
  decant.threads(n)
  return "ok"
end

function commands.prefill(n)
  one:reset()
  local ids = ids_from(0, n)
  local began = clock()
  local logits = one:feed(ids)
  return ("%.6f %d"):format(clock() - began, logits:argmax())
end

function commands.decode(depth, n)
  fill(depth)
  local ids = ids_from(depth, n)
  local began = clock()
  for i = 1, n do one:feed(ids[i]) end
  return ("%.6f"):format(clock() - began)
end

function commands.rows(r, n)
  local session = timelines(r)
  local began = clock()
  for i = 1, n do
    local rows = {}
    for row = 1, r do rows[row] = {(row * 100 + i) % model.config.vocab} end
    session:forward(rows)
  end
  return ("%.6f"):format(clock() - began)
end

function commands.info()
  return ("decant, %s"):format(decant.info().isa)
end


io.stdout:setvbuf "line"
for line in io.lines() do
  local words = {}
  for word in line:gmatch "%S+" do
    words[#words + 1] = math.tointeger(tonumber(word)) or word
  end
  io.write(commands[words[1]](table.unpack(words, 2)), "\n")
end
