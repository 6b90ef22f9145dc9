-- `make install` and `luarocks make`, into directories that are removed again.
-- What they compile stays in build-rock/ and build-serial/ for the next time.

local shell = require "spec.support.shell"
local models = require "spec.support.models"
local run, quote = shell.run, shell.quote

-- A command with nothing of ours in its environment.
local CLEAN <const> = "env -i PATH=\"$PATH\" "

local dir

setup(function() dir = shell.directory() end)
teardown(function() run("rm -r " .. quote(dir)) end)

describe("make install", function()
  local prefix

  setup(function()
    prefix = dir .. "/with space"
    local result = run(shell.plain .. "make install PREFIX=" .. quote(prefix))
    assert.equal(0, result.status, result.err)
  end)

  it("puts every file where the README says", function()
    for _, path in ipairs {
      "/lib/lua/5.4/decant/core.so", "/share/lua/5.4/decant/init.lua",
      "/share/lua/5.4/decant/strategies/greedy.lua", "/bin/decant",
    } do
      assert.is_true(shell.exists(prefix .. path), path)
    end
    if shell.exists(models.bundled) then
      assert.is_true(shell.exists(prefix .. "/share/decant/" .. models.bundled))
    end
  end)

  it("makes a program that runs from anywhere without being told anything",
  function()
    local program = CLEAN .. quote(prefix .. "/bin/decant")
    local result = run("cd / && " .. program .. " info")
    assert.equal("", result.err)
    assert.equal(0, result.status)
    assert.truthy(result.out:find "version +%d")
    if shell.exists(models.bundled) then
      result = run("cd / && " .. program .. " translate Danke.")
      assert.equal(0, result.status, result.err)
      assert.truthy(result.out:find "^[^\n]+\n$")
    end
  end)

  it("makes a library that works with LUA_PATH and LUA_CPATH", function()
    local result = run(([[cd / && env -i PATH="$PATH" \
      LUA_PATH=%s LUA_CPATH=%s %s -e '
        local decant = require "decant"
        io.write(decant.info().version, " ",
                 decant.load "de-en" and "loads" or "does not load")']])
      :format(quote(prefix .. "/share/lua/5.4/?.lua;" .. prefix
                    .. "/share/lua/5.4/?/init.lua"),
              quote(prefix .. "/lib/lua/5.4/?.so"), arg[-1] or "lua5.4"))
    local loads = shell.exists(models.bundled) and "loads" or "does not load"
    assert.equal("", result.err)
    assert.truthy(result.out:find("^%d[%d.]* " .. loads .. "$"), result.out)
  end)
end)

describe("luarocks make", function()
  it("installs a rock that works", function()
    if run "command -v luarocks".status ~= 0 then
      return pending "luarocks is not installed"
    end
    if shell.sanitized then return pending "not under sanitizers" end
    local tree = dir .. "/rocks"
    local result = run(([[HOME=%s luarocks --lua-version=5.4 make \
      --deps-mode=none --tree %s rockspec/decant-dev-1.rockspec]])
      :format(quote(dir), quote(tree)))
    assert.equal(0, result.status, result.out .. result.err)
    result = run("cd / && " .. CLEAN .. quote(tree .. "/bin/decant") .. " info")
    assert.equal(0, result.status, result.err)
    result = run(([[cd / && env -i PATH="$PATH" LUA_PATH=%s LUA_CPATH=%s %s \
      -e 'io.write(require "decant".load "de-en" and "loads" or "no")']])
      :format(quote(tree .. "/share/lua/5.4/?.lua;" .. tree
                    .. "/share/lua/5.4/?/init.lua"),
              quote(tree .. "/lib/lua/5.4/?.so"), arg[-1] or "lua5.4"))
    assert.equal(shell.exists(models.bundled) and "loads" or "no", result.out,
                 result.err)
  end)
end)

describe("the checkout", function()
  it("builds without OpenMP", function()
    if shell.sanitized then return pending "not under sanitizers" end
    local result = run "make OPENMP=0 CFLAGS='-O0 -fPIC' BUILD=build-serial"
    assert.equal(0, result.status, result.err)
    result = run(([[LUA_CPATH='./build-serial/lib/?.so' %s -e '
      io.write(tostring(require "decant.core".info().openmp))']])
      :format(arg[-1] or "lua5.4"))
    assert.equal("false", result.out, result.err)
  end)
end)
