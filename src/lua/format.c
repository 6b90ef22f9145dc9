/*
** format.c: model files, and the GGUF reader.
**
**   core.gguf(path [, {mmap = true}])  -> GGUF | nil, message
**     g:keys()       -> list of key names, in file order
**     g:get(key)     -> value, nil if absent; arrays as tables, arrays of u8
**                       as a string
**     g:type(key)    -> "u32", "string", "i32[]", ...; nil if absent
**     g:tensors()    -> list of {name=, type="q8_0", shape={...}, bytes=},
**                       shape slowest first (row-major, as in Python)
**     g:bytes(name)  -> the tensor's bytes as a string, nil if absent
**     g:path()  g:version()  g:close()  __close  __gc
**
** core.safetensors is in safetensors.c, core.gguf_writer in gguf_writer.c.
*/
#include "lua/format.h"

#include <string.h>

#include "format/gguf.h"
#include "math/types.h"

typedef struct gguf_box {
  dc_gguf *g;  /* NULL: closed */
} gguf_box;


bool dc_check_mmap (lua_State *L, int arg) {
  bool map = true;
  if (!lua_isnoneornil(L, arg)) {
    luaL_checktype(L, arg, LUA_TTABLE);
    if (lua_getfield(L, arg, "mmap") != LUA_TNIL) map = lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  return map;
}


void dc_push_shape (lua_State *L, const uint64_t *shape, int n,
                    bool reversed) {
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushinteger(L, (lua_Integer)shape[reversed ? n - 1 - i : i]);
    lua_rawseti(L, -2, i + 1);
  }
}


dc_gguf *dc_check_gguf (lua_State *L, int index) {
  gguf_box *box = luaL_checkudata(L, index, DC_LUA_GGUF);
  if (box->g == NULL) luaL_error(L, "the GGUF file is closed");
  return box->g;
}


static dc_gguf *check_gguf (lua_State *L) {
  return dc_check_gguf(L, 1);
}


static const dc_gguf_value *find_key (lua_State *L) {
  dc_string key;
  key.data = luaL_checklstring(L, 2, &key.size);
  return dc_gguf_find(check_gguf(L), key);
}


static int gguf_open (lua_State *L) {
  dc_error err;
  const char *path = dc_check_path(L, 1);
  bool map = dc_check_mmap(L, 2);
  gguf_box *box = lua_newuserdatauv(L, sizeof *box, 0);
  box->g = NULL;
  luaL_setmetatable(L, DC_LUA_GGUF);
  if (!dc_gguf_open(&box->g, path, map, &err)) return dc_push_failure(L, &err);
  dc_report_memory(L, dc_gguf_held(box->g));
  return 1;
}


static int gguf_close (lua_State *L) {
  gguf_box *box = luaL_checkudata(L, 1, DC_LUA_GGUF);
  dc_gguf_close(box->g);
  box->g = NULL;
  return 0;
}


static int gguf_path (lua_State *L) {
  lua_pushstring(L, dc_gguf_path(check_gguf(L)));
  return 1;
}


static int gguf_version (lua_State *L) {
  lua_pushinteger(L, dc_gguf_version(check_gguf(L)));
  return 1;
}


static int gguf_keys (lua_State *L) {
  size_t n = dc_gguf_n_keys(check_gguf(L));
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    dc_string key = dc_gguf_key_at(check_gguf(L), i)->key;
    lua_pushlstring(L, key.data, key.size);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}


void dc_push_gguf_element (lua_State *L, const dc_gguf_array *array,
                           size_t i) {
  int64_t n;
  if (array->kind == DC_GGUF_STRING) {
    dc_string text = dc_gguf_array_string(array, i);
    lua_pushlstring(L, text.data, text.size);
  }
  else if (array->kind == DC_GGUF_F32 || array->kind == DC_GGUF_F64)
    lua_pushnumber(L, dc_gguf_array_float(array, i));
  else if (!dc_gguf_array_int(array, i, &n))
    lua_pushnumber(L, (lua_Number)(uint64_t)n);
  else if (array->kind == DC_GGUF_BOOL)
    lua_pushboolean(L, n != 0);
  else
    lua_pushinteger(L, n);
}


static int gguf_get (lua_State *L) {
  const dc_gguf_value *v = find_key(L);
  if (v == NULL) return lua_pushnil(L), 1;
  dc_gguf_array array = dc_gguf_as_array(v);
  if (v->kind != DC_GGUF_ARRAY) {
    dc_push_gguf_element(L, &array, 0);
    return 1;
  }
  if (array.kind == DC_GGUF_U8) {
    lua_pushlstring(L, (const char *)array.data, array.count);
    return 1;
  }
  lua_createtable(L, array.count > INT32_MAX ? 0 : (int)array.count, 0);
  for (size_t i = 0; i < array.count; i++) {
    check_gguf(L);
    dc_push_gguf_element(L, &array, i);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}


static int gguf_type (lua_State *L) {
  const dc_gguf_value *v = find_key(L);
  if (v == NULL)
    lua_pushnil(L);
  else if (v->kind == DC_GGUF_ARRAY)
    lua_pushfstring(L, "%s[]", dc_gguf_kind_name(v->array.kind));
  else
    lua_pushstring(L, dc_gguf_kind_name(v->kind));
  return 1;
}


/* Tensor i of the file at argument 1, by value: the file may be closed. */
static void push_tensor_info (lua_State *L, size_t i) {
  lua_createtable(L, 0, 4);
  dc_gguf_tensor t = *dc_gguf_tensor_at(check_gguf(L), i);
  lua_pushlstring(L, t.name.data, t.name.size);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, dc_type_of(t.type)->name);
  lua_setfield(L, -2, "type");
  dc_push_shape(L, t.shape, t.n_dims, true);
  lua_setfield(L, -2, "shape");
  lua_pushinteger(L, (lua_Integer)t.size);
  lua_setfield(L, -2, "bytes");
}


static int gguf_tensors (lua_State *L) {
  size_t n = dc_gguf_n_tensors(check_gguf(L));
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    push_tensor_info(L, i);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}


static int gguf_bytes (lua_State *L) {
  const char *name = luaL_checkstring(L, 2);
  const dc_gguf_tensor *t = dc_gguf_tensor_find(check_gguf(L), name);
  if (t == NULL) lua_pushnil(L);
  else lua_pushlstring(L, (const char *)t->data, t->size);
  return 1;
}


void dc_open_format (lua_State *L) {
  static const luaL_Reg methods[] = {
    {"keys", gguf_keys}, {"get", gguf_get}, {"type", gguf_type},
    {"tensors", gguf_tensors}, {"bytes", gguf_bytes}, {"path", gguf_path},
    {"version", gguf_version}, {"close", gguf_close}, {NULL, NULL}
  };
  static const luaL_Reg metamethods[] = {
    {"__close", gguf_close}, {"__gc", gguf_close}, {NULL, NULL}
  };
  dc_new_type(L, DC_LUA_GGUF, methods, metamethods);
  lua_pushcfunction(L, gguf_open);
  lua_setfield(L, -2, "gguf");
  dc_open_safetensors(L);
  dc_open_gguf_writer(L);
}
