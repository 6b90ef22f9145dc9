-- luarocks make rockspec/decant-dev-1.rockspec
-- Everything that LuaRocks may choose goes to the Makefile by name; flags that
-- the code cannot do without are the Makefile's own. The bundled models lie
-- beside the Lua files, the one place that LuaRocks keeps apart for us.
rockspec_format = "3.0"
package = "decant"
version = "dev-1"
source = {
  url = "git+file://.",
}
description = {
  summary = "Transformer inference inside Lua: translation in one line",
  detailed = [[
decant loads a model file and gives text, one token at a time, on the CPU:
strategies and processors are Lua functions, everything else is C with OpenMP.
The same input gives the same bits, whatever the threads, the batch and the
instruction set.]],
  license = "MIT",
  labels = {"machine-learning", "translation", "transformer"},
}
supported_platforms = {"linux"}
dependencies = {
  "lua >= 5.4, < 5.5",
}
build = {
  type = "make",
  build_variables = {
    BUILD = "build-rock",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    LUA = "$(LUA)",
    LUA_INCDIR = "$(LUA_INCDIR)",
  },
  install_variables = {
    BUILD = "build-rock",
    LUA = "$(LUA)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    PREFIX = "$(PREFIX)",
    INST_BINDIR = "$(BINDIR)",
    INST_LIBDIR = "$(LIBDIR)",
    INST_LUADIR = "$(LUADIR)",
    INST_MODELS = "$(LUADIR)/decant/models",
  },
  copy_directories = {"docs"},
}
test = {
  type = "command",
  script = "spec/run.lua",
}
