/*
** system.c: the module about itself.
**
**   core.threads([n])    -> the thread budget; sets it first if n is given
**   core.threads{n =, wait =}   the same, and how workers wait between steps:
**                           "active" or "passive"; either may be left out
**   core.info()          -> {version=, isa=, isas=, threads=, wait=, openmp=}
**   core.memory()        -> bytes in use outside of Lua
**   core.clock()         -> seconds of a clock that only runs forward
**   core.parallel_from(n)   loops of n operations or more use all threads;
**                           -> what it was (for specs and benchmarks)
*/
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "base/threads.h"
#include "lua/binding.h"
#include "math/kernels.h"

#define DC_VERSION "0.1.0"


static const char *const waits[] = {"active", "passive", NULL};


static void check_fields (lua_State *L) {
  for (lua_pushnil(L); lua_next(L, 1) != 0; lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING
                         ? lua_tostring(L, -2) : luaL_typename(L, -2);
    if (strcmp(name, "n") != 0 && strcmp(name, "wait") != 0)
      luaL_argerror(L, 1, lua_pushfstring(
        L, "unknown field '%s'; known are n, wait", name));
  }
}


/* The field `wait`, or the way that holds now. */
static dc_wait wanted_wait (lua_State *L) {
  if (lua_getfield(L, 1, "wait") == LUA_TNIL) return dc_threads_wait();
  const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  int i = 0;
  while (waits[i] != NULL && strcmp(waits[i], name) != 0) i++;
  luaL_argcheck(L, waits[i] != NULL, 1,
                "wait must be \"active\" or \"passive\"");
  return (dc_wait)i;
}


/* The field n, or what holds now. */
static int wanted_threads (lua_State *L) {
  int fits;
  if (lua_getfield(L, 1, "n") == LUA_TNIL) return dc_threads();
  lua_Integer n = lua_tointegerx(L, -1, &fits);
  luaL_argcheck(L, lua_type(L, -1) == LUA_TNUMBER && fits && n >= 1 &&
                     n <= DC_MAX_THREADS, 1,
                "n must be an integer from 1 to 64");
  return (int)n;
}


static int sys_threads (lua_State *L) {
  if (lua_istable(L, 1)) {
    check_fields(L);
    dc_wait how = wanted_wait(L);
    dc_threads_set(wanted_threads(L));
    dc_threads_set_wait(how);
  }
  else if (!lua_isnoneornil(L, 1))
    dc_threads_set((int)dc_check_range(L, 1, 1, DC_MAX_THREADS));
  lua_pushinteger(L, dc_threads());
  return 1;
}


static int sys_memory (lua_State *L) {
  lua_pushinteger(L, (lua_Integer)dc_memory_used());
  return 1;
}


static int sys_clock (lua_State *L) {
  lua_pushnumber(L, dc_seconds());
  return 1;
}


static int sys_parallel_from (lua_State *L) {
  lua_pushnumber(L, dc_threads_worth(dc_check_finite(L, 1)));
  return 1;
}


static int sys_info (lua_State *L) {
  lua_newtable(L);
  lua_pushliteral(L, DC_VERSION);
  lua_setfield(L, -2, "version");
  lua_pushstring(L, dc_isa_name(dc_kernels_get()->isa));
  lua_setfield(L, -2, "isa");
  lua_newtable(L);
  for (dc_isa i = 0; i < DC_N_ISAS; i++)
    if (dc_kernels_of(i) != NULL) {
      lua_pushstring(L, dc_isa_name(i));
      lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
  lua_setfield(L, -2, "isas");
  lua_pushinteger(L, dc_threads());
  lua_setfield(L, -2, "threads");
  lua_pushstring(L, waits[dc_threads_wait()]);
  lua_setfield(L, -2, "wait");
#if defined(_OPENMP)
  lua_pushinteger(L, _OPENMP);
#else
  lua_pushboolean(L, 0);
#endif
  lua_setfield(L, -2, "openmp");
  return 1;
}


void dc_open_system (lua_State *L) {
  static const luaL_Reg functions[] = {
    {"threads", sys_threads}, {"info", sys_info}, {"memory", sys_memory},
    {"clock", sys_clock},
    {"parallel_from", sys_parallel_from},
    {NULL, NULL}
  };
  luaL_setfuncs(L, functions, 0);
}
