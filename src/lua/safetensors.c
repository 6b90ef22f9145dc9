/*
** safetensors.c: the safetensors reader.
**
**   core.safetensors(path [, {mmap = true}])  -> Safetensors | nil, message
**     s:tensors()    -> list of {name=, dtype="BF16", shape={...}, bytes=},
**                       shape slowest first
**     s:metadata()   -> table of strings
**     s:bytes(name)  -> the tensor's bytes as a string, nil if absent
**     s:same(name, t, other)  whether tensor `name` and tensor `other` of the
**                       Safetensors t have one dtype and the same bytes
**     s:path()  s:close()  __close  __gc
*/
#include <string.h>

#include "lua/format.h"

typedef struct st_box {
  dc_safetensors *st;  /* NULL: closed */
} st_box;


dc_safetensors *dc_check_safetensors (lua_State *L, int index) {
  st_box *box = luaL_checkudata(L, index, DC_LUA_SAFETENSORS);
  if (box->st == NULL) luaL_error(L, "the safetensors file is closed");
  return box->st;
}


static int st_open (lua_State *L) {
  dc_error err;
  const char *path = dc_check_path(L, 1);
  bool map = dc_check_mmap(L, 2);
  st_box *box = lua_newuserdatauv(L, sizeof *box, 0);
  box->st = NULL;
  luaL_setmetatable(L, DC_LUA_SAFETENSORS);
  if (!dc_st_open(&box->st, path, map, &err)) return dc_push_failure(L, &err);
  dc_report_memory(L, dc_st_held(box->st));
  return 1;
}


static int st_close (lua_State *L) {
  st_box *box = luaL_checkudata(L, 1, DC_LUA_SAFETENSORS);
  dc_st_close(box->st);
  box->st = NULL;
  return 0;
}


static int st_path (lua_State *L) {
  lua_pushstring(L, dc_st_path(dc_check_safetensors(L, 1)));
  return 1;
}


/* Tensor i of the file at argument 1, by value: the file may be closed. */
static void push_info (lua_State *L, size_t i) {
  lua_createtable(L, 0, 4);
  dc_st_tensor t = *dc_st_tensor_at(dc_check_safetensors(L, 1), i);
  lua_pushlstring(L, t.name.data, t.name.size);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, t.dtype->name);
  lua_setfield(L, -2, "dtype");
  dc_push_shape(L, t.shape, t.n_dims, false);
  lua_setfield(L, -2, "shape");
  lua_pushinteger(L, (lua_Integer)t.size);
  lua_setfield(L, -2, "bytes");
}


static int st_tensors (lua_State *L) {
  size_t n = dc_st_n_tensors(dc_check_safetensors(L, 1));
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    push_info(L, i);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}


static int st_metadata (lua_State *L) {
  size_t n = dc_st_n_metadata(dc_check_safetensors(L, 1));
  lua_newtable(L);
  for (size_t i = 0; i < n; i++) {
    dc_string key, value;
    dc_st_metadata_at(dc_check_safetensors(L, 1), i, &key, &value);
    lua_pushlstring(L, key.data, key.size);
    dc_st_metadata_at(dc_check_safetensors(L, 1), i, &key, &value);
    lua_pushlstring(L, value.data, value.size);
    lua_rawset(L, -3);
  }
  return 1;
}


static int st_bytes (lua_State *L) {
  dc_string name;
  name.data = luaL_checklstring(L, 2, &name.size);
  const dc_st_tensor *t = dc_st_tensor_find(dc_check_safetensors(L, 1), name);
  if (t == NULL) lua_pushnil(L);
  else lua_pushlstring(L, (const char *)t->data, t->size);
  return 1;
}


static int st_same (lua_State *L) {
  const dc_st_tensor *found[2];
  for (int i = 0; i < 2; i++) {
    dc_string name;
    name.data = luaL_checklstring(L, 2 * i + 2, &name.size);
    found[i] = dc_st_tensor_find(dc_check_safetensors(L, 2 * i + 1), name);
    luaL_argcheck(L, found[i] != NULL, 2 * i + 2, "no such tensor");
  }
  lua_pushboolean(L, found[0]->dtype == found[1]->dtype &&
                     found[0]->size == found[1]->size &&
                     !memcmp(found[0]->data, found[1]->data, found[0]->size));
  return 1;
}


void dc_open_safetensors (lua_State *L) {
  static const luaL_Reg methods[] = {
    {"tensors", st_tensors}, {"metadata", st_metadata}, {"bytes", st_bytes},
    {"same", st_same},
    {"path", st_path}, {"close", st_close}, {NULL, NULL}
  };
  static const luaL_Reg metamethods[] = {
    {"__close", st_close}, {"__gc", st_close}, {NULL, NULL}
  };
  dc_new_type(L, DC_LUA_SAFETENSORS, methods, metamethods);
  lua_pushcfunction(L, st_open);
  lua_setfield(L, -2, "safetensors");
}
