/* binding.c: see binding.h. */
#include "lua/binding.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/size.h"


int dc_push_failure (lua_State *L, const dc_error *err) {
  lua_pushnil(L);
  lua_pushstring(L, err->text);
  return 2;
}


int dc_raise (lua_State *L, const dc_error *err) {
  return luaL_error(L, "%s", err->text);
}


const char *dc_check_path (lua_State *L, int arg) {
  size_t size;
  luaL_checktype(L, arg, LUA_TSTRING);  /* a number is no name */
  const char *path = lua_tolstring(L, arg, &size);
  luaL_argcheck(L, strlen(path) == size, arg, "a path holds no NUL byte");
  return path;
}


lua_Integer dc_check_range (lua_State *L, int arg, lua_Integer min,
                            lua_Integer max) {
  lua_Integer n = luaL_checkinteger(L, arg);
  if (n < min || n > max)
    luaL_argerror(L, arg, lua_pushfstring(L, "is %I, must be from %I to %I",
                                          (LUAI_UACINT)n, (LUAI_UACINT)min,
                                          (LUAI_UACINT)max));
  return n;
}


double dc_check_finite (lua_State *L, int arg) {
  double x = luaL_checknumber(L, arg);
  luaL_argcheck(L, isfinite(x), arg, "must be a finite number");
  return x;
}


bool dc_to_bias (lua_State *L, int index, float *bias) {
  double b = lua_tonumber(L, index);
  bool fine = lua_type(L, index) == LUA_TNUMBER &&
              (b == -INFINITY || fabs(b) <= FLT_MAX);
  if (fine) *bias = (float)b;
  return fine;
}


float dc_check_float (lua_State *L, int arg) {
  double x = luaL_checknumber(L, arg);
  if (!(fabs(x) <= FLT_MAX))
    luaL_argerror(L, arg, lua_pushfstring(L, "is %f, must be from -3.4e38 to "
                                          "3.4e38", x));
  return (float)x;
}


#define SHOWN 60  /* bytes of a text */

/* Whether luaL_tolstring would show an address. */
static bool is_nameless (lua_State *L, int index) {
  int type = lua_type(L, index);
  if (type != LUA_TTABLE && type != LUA_TFUNCTION && type != LUA_TTHREAD)
    return false;
  if (luaL_getmetafield(L, index, "__tostring") == LUA_TNIL) return true;
  lua_pop(L, 1);
  return false;
}


const char *dc_show (lua_State *L, int index) {
  if (is_nameless(L, index))
    return lua_pushstring(L, luaL_typename(L, index));
  if (lua_type(L, index) != LUA_TSTRING) return luaL_tolstring(L, index, NULL);
  size_t n;
  const char *text = lua_tolstring(L, index, &n);
  lua_pushlstring(L, text, n < SHOWN ? n : SHOWN);
  lua_pushfstring(L, "\"%s%s\"", lua_tostring(L, -1), n > SHOWN ? "..." : "");
  lua_remove(L, -2);
  return lua_tostring(L, -1);
}


bool dc_is_callable (lua_State *L, int index) {
  if (lua_isfunction(L, index)) return true;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL) return false;
  bool callable = lua_isfunction(L, -1);
  lua_pop(L, 1);
  return callable;
}


void *dc_push_scratch (lua_State *L, size_t count, size_t size) {
  size_t bytes = 0;
  if (!dc_size_mul(count, size, &bytes) || bytes > PTRDIFF_MAX)
    luaL_error(L, "not enough memory");
  void *block = lua_newuserdatauv(L, bytes, 0);
  memset(block, 0, bytes);
  return block;
}


void *dc_few_or_scratch (lua_State *L, void *few, size_t bytes, size_t count,
                         size_t size) {
  return count <= bytes / size ? few : dc_push_scratch(L, count, size);
}


static void bad_id (lua_State *L, int arg, size_t position, size_t vocab) {
  const char *shown = dc_show(L, -1);
  const char *message =
    vocab > 0
      ? lua_pushfstring(L, "id %s at position %I is no integer from 0 to %I "
                        "(the vocabulary)", shown, (LUAI_UACINT)position,
                        (LUAI_UACINT)vocab - 1)
      : lua_pushfstring(L, "id %s at position %I is no integer from 0", shown,
                        (LUAI_UACINT)position);
  luaL_argerror(L, arg, message);
}


size_t dc_check_list (lua_State *L, int index, int arg) {
  if (!lua_istable(L, index))
    luaL_argerror(L, arg, lua_pushfstring(L, "a table of token ids expected, "
                                          "got %s", luaL_typename(L, index)));
  return lua_rawlen(L, index);
}


int32_t dc_read_id (lua_State *L, int arg, size_t position, size_t vocab) {
  int is_integer;
  lua_Integer end = vocab > 0 ? (lua_Integer)vocab : INT32_MAX;
  lua_Integer id = lua_tointegerx(L, -1, &is_integer);
  if (!is_integer || lua_type(L, -1) != LUA_TNUMBER || id < 0 || id >= end)
    bad_id(L, arg, position, vocab);
  return (int32_t)id;
}


void dc_read_ids (lua_State *L, int index, int arg, size_t vocab, int32_t *ids,
                  size_t n) {
  index = lua_absindex(L, index);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, index, (lua_Integer)i + 1);
    ids[i] = dc_read_id(L, arg, i + 1, vocab);
    lua_pop(L, 1);
  }
}


int32_t *dc_check_ids (lua_State *L, int index, int arg, size_t vocab,
                       size_t *n) {
  index = lua_absindex(L, index);
  size_t count = dc_check_list(L, index, arg);
  int32_t *ids = dc_push_scratch(L, count, sizeof *ids);
  dc_read_ids(L, index, arg, vocab, ids, count);
  *n = count;
  return ids;
}


void dc_push_ids (lua_State *L, const int32_t *ids, size_t n) {
  lua_createtable(L, n > INT32_MAX ? 0 : (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    lua_pushinteger(L, ids[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}


void dc_new_type (lua_State *L, const char *name, const luaL_Reg *methods,
                  const luaL_Reg *metamethods) {
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  luaL_setfuncs(L, metamethods, 0);
  lua_pop(L, 1);
}


void dc_report_memory (lua_State *L, size_t bytes) {
  size_t kilobytes = bytes / 1024;
  if (kilobytes > 0 && lua_gc(L, LUA_GCISRUNNING))
    lua_gc(L, LUA_GCSTEP, kilobytes > INT32_MAX ? INT32_MAX : (int)kilobytes);
}
