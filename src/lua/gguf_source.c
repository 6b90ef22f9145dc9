/*
** gguf_source.c: what a tensor that is written is made of. The source argument
** of w:tensor (gguf_writer.c) is
**
**   a string             the bytes as they shall stand in the file
**   {safetensors = s, name = "...", ...}  or
**   {gguf = g, name = "...", ...}
**                        a tensor of an open file, converted to the new type
**     first, last        only these of its rows, counted from 1
**     swap = {a, b, n}   seen as [.., a, b, n], with a and b exchanged (see
**                        format/convert.h)
**     plus               a number that is added to every element
*/
#include <math.h>

#include "lua/format.h"

/* The bytes of a tensor, and how many rows they are cut into. */
typedef struct found {
  dc_gguf_source source;
  uint64_t rows;
} found;


/* A field of the table at `arg` as an integer in 1..max. */
static uint64_t check_row (lua_State *L, int arg, const char *field,
                           uint64_t normal, uint64_t max) {
  uint64_t row = normal;
  if (lua_getfield(L, arg, field) != LUA_TNIL) {
    int is_integer;
    lua_Integer n = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || n < 1 || (uint64_t)n > max)
      luaL_argerror(L, arg, lua_pushfstring(L, "%s must be from 1 to %I",
                                            field, (LUAI_UACINT)max));
    row = (uint64_t)n;
  }
  lua_pop(L, 1);
  return row;
}


static void cut_rows (lua_State *L, int arg, found *f) {
  if (f->rows == 0) return;
  uint64_t first = check_row(L, arg, "first", 1, f->rows);
  uint64_t last = check_row(L, arg, "last", f->rows, f->rows);
  luaL_argcheck(L, first <= last, arg, "first must not be above last");
  size_t row = f->source.size / (size_t)f->rows;
  f->source.data = (const char *)f->source.data + (size_t)(first - 1) * row;
  f->source.size = (size_t)(last - first + 1) * row;
}


static size_t swap_axis (lua_State *L, int arg, lua_Integer i) {
  int is_integer;
  lua_rawgeti(L, -1, i);
  lua_Integer n = lua_tointegerx(L, -1, &is_integer);
  luaL_argcheck(L, is_integer && n >= 1, arg,
                "swap holds three integers from 1");
  lua_pop(L, 1);
  return (size_t)n;
}


static void take_changes (lua_State *L, int arg, dc_gguf_source *source) {
  if (lua_getfield(L, arg, "swap") != LUA_TNIL) {
    luaL_argcheck(L, lua_istable(L, -1), arg, "swap must be a table");
    source->swap = (dc_swap){swap_axis(L, arg, 1), swap_axis(L, arg, 2),
                             swap_axis(L, arg, 3)};
  }
  if (lua_getfield(L, arg, "plus") != LUA_TNIL) {
    luaL_argcheck(L, lua_isnumber(L, -1) && isfinite(lua_tonumber(L, -1)),
                  arg, "plus must be a finite number");
    source->plus = (float)lua_tonumber(L, -1);
  }
  lua_pop(L, 2);
}


/* Raises. */
static void no_tensor (lua_State *L, int arg, dc_string name) {
  luaL_argerror(L, arg, lua_pushfstring(L, "no tensor '%s' in the file",
                                        name.data));
}


static found in_safetensors (lua_State *L, int arg, dc_string name) {
  const dc_st_tensor *t = dc_st_tensor_find(dc_check_safetensors(L, -1), name);
  if (t == NULL) no_tensor(L, arg, name);
  if (t->dtype->type < 0)
    luaL_argerror(L, arg, lua_pushfstring(L, "its dtype is %s, which GGUF does "
                                          "not have", t->dtype->name));
  return (found){
    .source = {.type = (uint32_t)t->dtype->type, .data = t->data,
               .size = t->size},
    .rows = t->n_dims > 0 ? t->shape[0] : 1
  };
}


static found in_gguf (lua_State *L, int arg, dc_string name) {
  const dc_gguf_tensor *t = dc_gguf_tensor_find(dc_check_gguf(L, -1),
                                                name.data);
  if (t == NULL) no_tensor(L, arg, name);
  return (found){
    .source = {.type = t->type, .data = t->data, .size = t->size},
    .rows = t->shape[t->n_dims - 1]
  };
}


dc_gguf_source dc_check_gguf_source (lua_State *L, int arg, dc_type type) {
  dc_string name;
  if (lua_type(L, arg) == LUA_TSTRING) {
    dc_gguf_source source = {.type = (uint32_t)type};
    source.data = lua_tolstring(L, arg, &source.size);
    lua_pushvalue(L, arg);
    return source;
  }
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_getfield(L, arg, "name");
  luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, arg,
                "name of a tensor expected in it");
  name.data = lua_tolstring(L, -1, &name.size);
  bool gguf = lua_getfield(L, arg, "gguf") != LUA_TNIL;
  if (!gguf) lua_getfield(L, arg, "safetensors");
  luaL_argcheck(L, luaL_testudata(L, -1, gguf ? DC_LUA_GGUF
                                              : DC_LUA_SAFETENSORS) != NULL,
                arg, "an open file expected in it, as safetensors or gguf");
  found f = gguf ? in_gguf(L, arg, name) : in_safetensors(L, arg, name);
  cut_rows(L, arg, &f);
  take_changes(L, arg, &f.source);
  return f.source;
}


void dc_check_source_open (lua_State *L, int index) {
  if (luaL_testudata(L, index, DC_LUA_GGUF) != NULL) dc_check_gguf(L, index);
  else dc_check_safetensors(L, index);
}
