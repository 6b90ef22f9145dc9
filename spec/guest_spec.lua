-- decant inside somebody else's process (DESIGN, section 5): a C program,
-- spec/support/host.c, embeds it and says what it saw.

local shell = require "spec.support.shell"
local models = require "spec.support.models"
local run, quote = shell.run, shell.quote

local LUA <const> = quote(arg[-1] or "lua5.4")
local SCRIPT <const> = "spec/support/guest.lua"
local CORE <const> = shell.build .. "/lib/decant/core.so"
local CFLAGS <const> = "-std=c11 -D_GNU_SOURCE -O1 $(pkg-config --cflags "
                       .. "lua5.4) spec/support/host.c"
local LIBS <const> = "$(pkg-config --libs lua5.4) -ldl -lpthread -lm"

local dir, model, temporary

local function compile(name, rest)
  local line = ("%scc -o %s/%s %s %s"):format(shell.plain, quote(dir), name,
                                              CFLAGS, rest)
  local result = run(line)
  assert(result.status == 0, result.err)
end

-- What the host answers, on whichever output. opts: name of the program
-- ("host"), script, model (false: none), env (more of the environment).
local function host(mode, opts)
  opts = opts or {}
  local words, arg_of_mode = mode:match "^(%S+)%s*(.*)$"
  local result = run(([[
    export GUEST_MODEL=%s LUA_PATH='./lua/?.lua;./lua/?/init.lua' \
           LUA_CPATH='./%s/lib/?.so' OMP_WAIT_POLICY=passive %s
    %s/%s %s %s %s]]):format(
      quote(opts.model ~= false and model or ""), shell.build, opts.env or "",
      quote(dir), opts.name or "host", words, quote(opts.script or SCRIPT),
      arg_of_mode))
  if result.signal then return "signal " .. result.signal end
  return result.out .. result.err
end

-- A locale of our own, so that none need be installed: LC_NUMERIC with a
-- comma, nothing else.
local function make_locale()
  shell.write(dir .. "/comma", [[
comment_char %
escape_char /
LC_NUMERIC
decimal_point "<U002C>"
thousands_sep "<U002E>"
grouping 3;3
END LC_NUMERIC
]])
  shell.write(dir .. "/characters", [[
<code_set_name> COMMA
<mb_cur_min> 1
<mb_cur_max> 1
<escape_char> /
<comment_char> %
CHARMAP
<U0000> /x00 NULL
<U002C> /x2c COMMA
<U002E> /x2e FULL STOP
END CHARMAP
]])
  local made = run(([[cd %s && %slocaledef -c -i comma -f characters ./xx_XX
    test -f xx_XX/LC_NUMERIC]]):format(quote(dir), shell.plain))
  return made.status == 0
end

setup(function()
  dir = shell.directory()
  model, temporary = models.any()
  compile("host", LIBS)
end)

teardown(function()
  run("rm -r " .. quote(dir))
  if temporary then os.remove(model) end
end)

describe("the module", function()
  it("exports luaopen_decant_core and nothing else", function()
    local result = run("nm -D --defined-only " .. CORE
                       .. " | grep -v ' [AwW] ' | awk '{print $3}'")
    -- Sanitizers add their own.
    local names = {}
    for name in result.out:gmatch "%S+" do
      if not name:find "^_?_[aul]?b?san" then names[#names + 1] = name end
    end
    assert.same({"luaopen_decant_core"}, names)
  end)

  it("neither prints, exits, nor changes locale, signals or random numbers",
  function()
    if shell.sanitized then return pending "sanitizers use some of these" end
    local result = run("nm -D --undefined-only " .. CORE)
    local forbidden = {
      "exit", "_exit", "abort", "__assert_fail", "quick_exit", "atexit",
      "printf", "fprintf", "__printf_chk", "__fprintf_chk", "vprintf", "puts",
      "fputs", "putchar", "perror", "stdout", "stderr", "setlocale", "signal",
      "sigaction", "system", "popen", "srand", "rand", "chdir", "umask",
      "setenv", "putenv", "strtod", "strtof", "atof", "longjmp", "fesetround",
      "omp_set_num_threads",
    }
    local used = {}
    for name in result.out:gmatch "U ([%w_]+)" do used[name] = true end
    assert.is_true(used.lua_newuserdatauv)
    for _, name in ipairs(forbidden) do assert.is_nil(used[name], name) end
  end)

  it("prints nothing when it is loaded and used", function()
    local result = run(([[
      GUEST_MODEL=%s LUA_PATH='./lua/?.lua;./lua/?/init.lua' \
      LUA_CPATH='./%s/lib/?.so' %s %s]]):format(quote(model or ""),
      shell.build, LUA, SCRIPT))
    assert.same({0, "", ""}, {result.status, result.out, result.err})
  end)
end)

describe("a host in C", function()
  it("opens and closes 1,000 states that compute on two threads", function()
    local threads = require "decant.core".info().openmp and 2 or 1
    assert.equal(("1000 states, %d threads\n"):format(threads),
                 host("cycle 1000", {model = false}))
  end)

  it("finds all memory given back after lua_close", function()
    assert.equal("0 bytes left, 0 outside\n", host "memory")
  end)

  it("keeps its float mode", function()
    assert.equal("control same, denormals kept\n", host "float")
  end)

  it("forks after use: child and parent go on with the same results",
  function()
    assert.equal("child status 0, parent same\n", host "fork")
  end)

  it("gets the same results in a locale with a decimal comma", function()
    if not make_locale() then return pending "localedef made no locale" end
    assert.equal("point ',', results same\n",
                 host("locale xx_XX", {env = "LOCPATH=" .. quote(dir)}))
  end)

  it("converts to the same bytes in such a locale", function()
    local source = models.zoo .. "marian"
    if not shell.exists(source .. "/config.json") then
      return pending "needs ../shared"
    end
    if not make_locale() then return pending "localedef made no locale" end
    shell.write(dir .. "/convert.lua", [[
      assert(os.setlocale(arg[3], "numeric"))
      assert(require "decant".convert(arg[1], arg[2]))
      io.write(("%.1f"):format(0.5))]])
    for name, shown in pairs {C = "0.5", xx_XX = "0,5"} do
      local result = run(([[
        LOCPATH=%s LUA_PATH='./lua/?.lua;./lua/?/init.lua;;' \
        LUA_CPATH='./%s/lib/?.so;;' %s %s/convert.lua %s %s/%s.gguf %s]])
        :format(quote(dir), shell.build, LUA, quote(dir), source, quote(dir),
                name, name))
      assert.equal(shown, result.out, result.err)
    end
    assert.is_true(shell.read(dir .. "/C.gguf")
                   == shell.read(dir .. "/xx_XX.gguf"))
  end)

  it("stops it by a count hook and goes on afterwards", function()
    for _, n in ipairs {50, 5000, 20000} do
      assert.equal("stopped and went on\n",
                   host("interrupt " .. n, {model = false}))
    end
  end)
end)

describe("a static host", function()
  it("takes the module from package.preload, without io, os and dlopen",
  function()
    local flags = shell.sanitized and " -fsanitize=address,undefined" or ""
    compile("static", ("-DDECANT_STATIC $(find %s -name '*.o') %s -fopenmp%s")
                      :format(shell.build, LIBS, flags))
    local wanted = host "once"
    assert.truthy(wanted:find "^%x")
    local script = dir .. "/static.lua"
    shell.write(script, ("_G.MODEL_PATH = %q\n"):format(model or "")
                        .. shell.read(SCRIPT))
    assert.equal(wanted, host("once", {name = "static", script = script}))
  end)
end)
