-- roofline.lua: draws bench/roofline.svg from build/bench/results.tsv, where
-- bench/decode.lua left its figures: for each kind of work what was reached and
-- what the machine allows (Williams, Waterman and Patterson 2009).
--
-- Across: multiply-adds that the work does for each byte that it reads, weights
-- and cache; up: multiply-adds a second; both logarithmic. On the left memory
-- is the roof, on the right the processor. Discs are decant, rings llama.cpp.

package.path = "./lua/?.lua;./lua/?/init.lua;./?.lua;" .. package.path
package.cpath = "./build/lib/?.so;" .. package.cpath

local decant = require "decant"
local measure = require "bench.measure"

local WIDTH <const>, HEIGHT <const> = 760, 470
local LEFT <const>, RIGHT <const>, TOP <const>, BOTTOM <const> = 60, 20, 20, 50
local X_MIN <const>, X_MAX <const> = 0.25, 2048
local Y_MIN <const>, Y_MAX <const> = 4, 1024

local colors = {q8_0 = "#1f6fb4", q4_0 = "#c8551b", f16 = "#2e8540"}


-- ---- drawing ----

local svg = {}

local function draw(format, ...) svg[#svg + 1] = format:format(...) end

local function x_of(intensity)
  return LEFT + (WIDTH - LEFT - RIGHT) * math.log(intensity / X_MIN)
         / math.log(X_MAX / X_MIN)
end

local function y_of(speed)
  return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * math.log(speed / Y_MIN)
         / math.log(Y_MAX / Y_MIN)
end

local function text(x, y, anchor, color, string)
  draw('<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s" ' ..
       'stroke="#fff" stroke-width="3" paint-order="stroke">%s</text>',
       x, y, anchor, color, string)
end

local function line(x1, y1, x2, y2, style)
  draw('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>', x1, y1, x2, y2,
       style)
end


-- ---- the paper ----

local function grid()
  draw('<rect width="%d" height="%d" fill="#fff"/>', WIDTH, HEIGHT)
  local x = X_MIN
  while x <= X_MAX do
    line(x_of(x), TOP, x_of(x), HEIGHT - BOTTOM, 'stroke="#eee"')
    text(x_of(x), HEIGHT - BOTTOM + 16, "middle", "#555", ("%g"):format(x))
    x = x * 4
  end
  local y = Y_MIN
  while y <= Y_MAX do
    line(LEFT, y_of(y), WIDTH - RIGHT, y_of(y), 'stroke="#eee"')
    text(LEFT - 8, y_of(y) + 4, "end", "#555", ("%g"):format(y))
    y = y * 4
  end
  text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "middle", "#333",
       "multiply-adds for each byte read")
  draw('<text transform="translate(16,%.1f) rotate(-90)" ' ..
       'text-anchor="middle" fill="#333">multiply-adds a ns</text>',
       (TOP + HEIGHT - BOTTOM) / 2)
end

-- A processor's limit, as far left as `memory` lets it be reached.
local function ceiling(label, peak, memory)
  line(x_of(math.max(peak / memory, X_MIN)), y_of(peak), WIDTH - RIGHT,
       y_of(peak), 'stroke="#333" stroke-width="1.5"')
  text(WIDTH - RIGHT - 4, y_of(peak) - 6, "end", "#333",
       ("%s, %.0f"):format(label, peak))
end

-- A memory's limit: as many multiply-adds as its bytes feed, up to the peak.
local function slope(label, memory, peak, style)
  local first, last = math.max(X_MIN, Y_MIN / memory), peak / memory
  line(x_of(first), y_of(first * memory), x_of(last), y_of(peak), style)
  text(x_of(last) - 12, y_of(peak) - 6, "end", "#333",
       ("%s, %.0f GB/s"):format(label, memory))
end

-- What decode.lua measured beside the work, with so many threads.
local function limits(of)
  local memory = of["read-large"] or of.read
  local peak = of.int8 or of.f32
  ceiling("f32", of.f32, memory)
  if of.int8 then ceiling("int8", peak, memory) end
  slope("memory", memory, peak, 'stroke="#333" stroke-width="1.5"')
  if of["read-large"] then  -- a mapped file has small pages
    local first = math.max(X_MIN, Y_MIN / of.read)
    line(x_of(first), y_of(first * of.read), x_of(peak / of.read), y_of(peak),
         'stroke="#999" stroke-dasharray="5 4"')
  end
end


-- ---- what was reached ----

-- Rows of results.tsv: list of {work =, weights =, intensity =, [engine] =
-- multiply-adds a ns} with so many threads, the latest counting; and the
-- median of each limit.
local function results(threads)
  local points, order, found = {}, {}, {}
  for row in io.lines(measure.WORK .. "/results.tsv") do
    local work, weights, with, engine, speed, macs, bytes =
      row:match(("([^\t]+)\t?"):rep(7))
    local key, value = work .. "\t" .. weights, tonumber(speed)
    if tonumber(with) ~= threads then goto next end
    if work == "limit" then
      found[engine] = found[engine] or {}
      table.insert(found[engine], value)
      goto next
    end
    if not points[key] then
      points[key] = {work = work, weights = weights}
      order[#order + 1] = points[key]
    end
    points[key].intensity = macs / bytes
    points[key][engine] = value * macs / 1e9
    ::next::
  end
  for name, list in pairs(found) do found[name] = measure.median(list) end
  return order, found
end

-- Where the label of a point stands: labels of neighbours keep apart.
local function place(p)
  if p.work:find "depth" then return 9, 14, "start" end
  if p.work == "4 rows" then return -9, 18, "end" end
  if p.work == "one row" and p.weights == "f16" then return -4, 44, "start" end
  if not p.work:find "prefill" then
    return 9, p.weights == "q4_0" and 14 or 3, "start"
  end
  if p.weights == "q4_0" then return 8, -10, "middle" end
  return -9, 4, "end"
end

local function point(p)
  local x, color = x_of(p.intensity), colors[p.weights]
  local y, peer = y_of(p.decant), p["llama.cpp"]
  if peer then
    line(x, y, x, y_of(peer),
         ('stroke="%s" stroke-opacity="0.5"'):format(color))
    draw('<circle cx="%.1f" cy="%.1f" r="4.5" fill="#fff" stroke="%s" ' ..
         'stroke-width="1.5"/>', x, y_of(peer), color)
  end
  draw('<circle cx="%.1f" cy="%.1f" r="5" fill="%s"/>', x, y, color)
  local right, down, anchor = place(p)
  text(x + right, y + down, anchor, color, p.work .. ", " .. p.weights)
end

local function legend(threads)
  local x, y = WIDTH - RIGHT - 250, HEIGHT - BOTTOM - 58
  draw('<circle cx="%d" cy="%d" r="5" fill="#555"/>', x, y - 4)
  text(x + 12, y, "start", "#333", ("decant, %d threads"):format(threads))
  draw('<circle cx="%d" cy="%d" r="4.5" fill="#fff" stroke="#555" ' ..
       'stroke-width="1.5"/>', x, y + 14)
  text(x + 12, y + 18, "start", "#333", "llama.cpp, same file")
  line(x - 8, y + 32, x + 8, y + 32, 'stroke="#999" stroke-dasharray="5 4"')
  text(x + 12, y + 36, "start", "#333", "memory in pages of 4 KB (a mapping)")
end


local threads = decant.info().threads
local points, machine = results(threads)
draw('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" ' ..
     'font-family="sans-serif" font-size="12">', WIDTH, HEIGHT)
draw('<title>Reached and possible speed of a decoder of 135M weights</title>')
grid()
limits(machine)
for _, p in ipairs(points) do point(p) end
legend(threads)
draw '</svg>'
local file <close> = assert(io.open("bench/roofline.svg", "w"))
file:write(table.concat(svg, "\n"), "\n")
