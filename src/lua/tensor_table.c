/*
** tensor_table.c: Tensors from Lua tables and back, and as text.
**
**   core.tensor(nested)            shape as the table is nested
**   core.tensor(flat, shape)       numbers in order, last dimension fastest
**   core.zeros(sizes...)  core.ones(sizes...)     sizes or one table of them
**   core.full(shape, value)        shape: a table, or one size
**   t:totable()                    nested tables of numbers
**   tostring(t)                    shape and a few values
**
** Tables are read raw. Each level is measured again while it is read, so that
** no table, however ragged, writes outside of the Tensor.
*/
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lua/tensor.h"
#include "tensor/ops.h"

#define SHOWN_ENDS 3  /* values shown at each end of a long dimension */


/* "[2][1]": a place in a nested table, for messages. */
static const char *push_place (lua_State *L, int depth, const size_t *at) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int d = 0; d < depth; d++) {
    lua_pushfstring(L, "[%I]", (LUAI_UACINT)at[d] + 1);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}


/* Measures along the first entries: the shape, if the table is regular. */
static int measure (lua_State *L, size_t *shape) {
  int n_dims = 0;
  lua_pushvalue(L, 1);
  while (lua_istable(L, -1)) {
    if (n_dims == DC_MAX_DIMS)
      luaL_argerror(L, 1, lua_pushfstring(L, "tables nested deeper than the "
                    "%d dimensions of a Tensor", DC_MAX_DIMS));
    shape[n_dims++] = lua_rawlen(L, -1);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
  }
  lua_pop(L, 1);
  return n_dims;
}


static float *read_number (lua_State *L, int depth, const size_t *at,
                           float *out) {
  const char *type = luaL_typename(L, -1);
  if (lua_type(L, -1) != LUA_TNUMBER)
    luaL_argerror(L, 1, lua_pushfstring(L, "entry %s is a %s, must be a "
                  "number", push_place(L, depth, at), type));
  *out = (float)lua_tonumber(L, -1);
  return out + 1;
}


/* Reads the value on top of the stack, which is at place at[0..depth-1], to
   out; returns the end of what was written. */
static float *read_level (lua_State *L, const dc_tensor *t, int depth,
                          size_t *at, float *out) {
  if (depth == t->n_dims) return read_number(L, depth, at, out);
  const char *type = luaL_typename(L, -1);
  if (!lua_istable(L, -1))
    luaL_argerror(L, 1, lua_pushfstring(L, "entry %s is a %s, must be a table "
                  "of %I as in the first entry", push_place(L, depth, at),
                  type, (LUAI_UACINT)t->shape[depth]));
  size_t n = lua_rawlen(L, -1);
  if (n != t->shape[depth])
    luaL_argerror(L, 1, lua_pushfstring(L, "ragged table: entry %s holds %I, "
                  "the first one holds %I", push_place(L, depth, at),
                  (LUAI_UACINT)n, (LUAI_UACINT)t->shape[depth]));
  for (at[depth] = 0; at[depth] < n; at[depth]++) {
    lua_rawgeti(L, -1, (lua_Integer)at[depth] + 1);
    out = read_level(L, t, depth + 1, at, out);
    lua_pop(L, 1);
  }
  return out;
}


static int tensor_from_flat (lua_State *L) {
  size_t shape[DC_MAX_DIMS], at[DC_MAX_DIMS], n = lua_rawlen(L, 1);
  dc_error err;
  luaL_checktype(L, 2, LUA_TTABLE);
  int n_dims = dc_check_shape(L, 2, shape, true);
  if (!dc_shape_infer(n_dims, shape, n, &err)) luaL_argerror(L, 2, err.text);
  dc_tensor *t = dc_push_tensor(L, 1, &n);
  lua_pushvalue(L, 1);
  read_level(L, t, 0, at, t->data);
  lua_pop(L, 1);
  dc_tensor_reshape(t, n_dims, shape);
  return 1;
}


static int core_tensor (lua_State *L) {
  size_t shape[DC_MAX_DIMS], at[DC_MAX_DIMS];
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) return tensor_from_flat(L);
  int n_dims = measure(L, shape);
  dc_tensor *t = dc_push_tensor(L, n_dims, shape);
  lua_pushvalue(L, 1);
  read_level(L, t, 0, at, t->data);
  lua_pop(L, 1);
  return 1;
}


/* A new Tensor of the shape at argument 1, full of `value`. */
static int filled (lua_State *L, float value) {
  size_t shape[DC_MAX_DIMS];
  int n_dims = dc_check_shape(L, 1, shape, false);
  dc_tensor *t = dc_push_tensor(L, n_dims, shape);
  dc_tensor number = dc_tensor_of_number(&value);
  if (value != 0) dc_check_memory(L, dc_tensor_copy(t, &number));
  return 1;
}


static int core_zeros (lua_State *L) {
  return filled(L, 0);
}


static int core_ones (lua_State *L) {
  return filled(L, 1);
}


static int core_full (lua_State *L) {
  float value = (float)luaL_checknumber(L, 2);
  lua_settop(L, 1);
  return filled(L, value);
}


/* Pushes t as nested tables. */
static void push_table (lua_State *L, const dc_tensor *t) {
  size_t n = t->shape[0];
  luaL_checkstack(L, 3, "nested tables");
  lua_createtable(L, n > INT32_MAX ? 0 : (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    dc_tensor row = *t;
    dc_tensor_select(&row, 0, i);
    if (row.n_dims == 0) lua_pushnumber(L, *row.data);
    else push_table(L, &row);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}


/* The view on the stack keeps the elements alive whatever a finaliser does
   while the tables are made. */
int dc_tensor_totable (lua_State *L) {
  dc_check_tensor(L, 1);
  push_table(L, dc_push_view(L, 1));
  return 1;
}


/* A value in at most 6 digits; the decimal point is a point in any locale. */
static void add_value (luaL_Buffer *b, float value) {
  char text[64];
  bool point = false;
  if (isnan(value)) strcpy(text, "nan");  /* without a sign */
  else snprintf(text, sizeof text, "%.6g", (double)value);
  for (const char *c = text; *c != '\0'; c++) {
    bool plain = strchr("+-0123456789abcdefghijklmnopqrstuvwxyz", *c) != NULL;
    if (plain) luaL_addchar(b, *c);
    else if (!point) luaL_addchar(b, '.');
    point = point || !plain;
  }
}


static void add_values (luaL_Buffer *b, const dc_tensor *t) {
  size_t n = t->shape[0], ends = t->n_dims == 1 ? SHOWN_ENDS : 1;
  luaL_addchar(b, '{');
  for (size_t i = 0; i < n; i++) {
    dc_tensor row = *t;
    if (i > 0) luaL_addstring(b, ", ");
    if (i == ends && n > 2 * ends + 1) {
      luaL_addstring(b, "..., ");
      i = n - ends;
    }
    dc_tensor_select(&row, 0, i);
    if (row.n_dims == 0) add_value(b, *row.data);
    else add_values(b, &row);
  }
  luaL_addchar(b, '}');
}


int dc_tensor_tostring (lua_State *L) {
  dc_tensor *t = luaL_checkudata(L, 1, DC_LUA_TENSOR);
  luaL_Buffer b;
  if (t->storage == NULL) {
    lua_pushliteral(L, "Tensor (closed)");
    return 1;
  }
  t = dc_push_view(L, 1);
  luaL_buffinit(L, &b);
  luaL_addstring(&b, "Tensor ");
  luaL_addstring(&b, DC_SHAPE_OF(t));
  luaL_addchar(&b, ' ');
  add_values(&b, t);
  luaL_pushresult(&b);
  return 1;
}


const luaL_Reg dc_tensor_constructors[] = {
  {"tensor", core_tensor}, {"zeros", core_zeros}, {"ones", core_ones},
  {"full", core_full}, {NULL, NULL}
};
