-- The NEON kernels give the bits of this machine's: the core without its
-- bindings and a program that hashes scores (spec/support/hash.c), cross-
-- compiled and run under qemu-user. Debian: gcc-aarch64-linux-gnu,
-- libc6-dev-arm64-cross, qemu-user.

local core = require "decant.core"
local fixtures = require "spec.support.fixtures"
local shell = require "spec.support.shell"
local tiny = require "spec.support.tiny"
local typed = require "spec.support.typed"

local build = os.getenv "DECANT_BUILD" or "build"

local function missing()
  for _, tool in ipairs {"aarch64-linux-gnu-gcc", "qemu-aarch64"} do
    if shell.run("command -v " .. tool).status ~= 0 then return tool end
  end
  if build:find "asan" then return "a build without sanitizers" end
end

local function output(command)
  local result = shell.run(command)
  assert.equal("", result.err)
  assert.equal(0, result.status)
  return result.out
end

-- The hashes that the program `run` computes with an instruction set: for each
-- model one with a cache of floats and one with halves, which is another.
local function hashes(run, isa, length, paths)
  local text = output(("DECANT_ISA=%s %s/hash %d %s"):format(
    isa, run, length, table.concat(paths, " ")))
  local used, lines = text:match "^(%w+)\n(.*)$"
  assert.equal(isa, used)
  local count, hash = 0, (" (%s)"):format(("%x"):rep(16))
  for floats, halves in lines:gmatch("%.gguf" .. hash .. hash .. "\n") do
    assert.not_equal(floats, halves)
    count = count + 1
  end
  assert.equal(#paths, count)
  return lines
end

describe("the kernels for 64-bit ARM", function()
  local here, arm = build, "qemu-aarch64 build-neon"
  local tool = missing()

  setup(function()
    if tool then return end
    output("make -s neon")
    output(("make -s BUILD=%s %s/hash"):format(build, build))
  end)

  -- The emulated hashes are those of every instruction set of this machine.
  local function same_as_here(length, paths)
    local expected = hashes(arm, "neon", length, paths)
    for _, isa in ipairs(core.info().isas) do
      assert.equal(expected, hashes(here, isa, length, paths))
    end
  end

  -- 90 tokens: six tiles of the cache, and more than a window
  it("have the hash of this machine's for every architecture", function()
    if tool then return pending("needs " .. tool) end
    local paths = {}
    for i, name in ipairs(tiny.names) do
      local path = ("%s/arm-%s.gguf"):format(fixtures.folder(), name)
      paths[i] = tiny.write(path, name)
    end
    same_as_here(90, paths)
  end)

  -- 144 tokens: more than one chunk, without and with a window
  it("have the hash of this machine's over two chunks of a timeline",
     function()
    if tool then return pending("needs " .. tool) end
    local paths = {}
    for i, name in ipairs {"llama", "phi3"} do
      local path = ("%s/arm-long-%s.gguf"):format(fixtures.folder(), name)
      paths[i] = tiny.write(path, name, function(model)
        tiny.set(model, name .. ".context_length", 144)
      end)
    end
    same_as_here(144, paths)
  end)

  it("have the hash of this machine's for every weight type", function()
    if tool then return pending("needs " .. tool) end
    local paths = {}
    for i, type in ipairs(typed.types) do paths[i] = typed.gguf(type) end
    same_as_here(10, paths)
  end)
end)
