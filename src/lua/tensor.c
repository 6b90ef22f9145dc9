/*
** tensor.c (lua): decant.Tensor, its life, its elements and its views.
**
**   t[i]                    number on one dimension, view on more; nil at #t+1
**   t[i] = x                number, or Tensor that broadcasts to the row
**   #t                      size of the first dimension
**   t:shape([dim])  t:dim()  t:numel()  t:is_contiguous()
**   t:view(sizes...)        same elements in another shape (t is contiguous)
**   t:reshape(sizes...)     view if t is contiguous, else a copy
**   t:narrow(dim, start, length)  t:select(dim, index)  t:transpose(d1, d2)
**   t:clone()  t:contiguous()  t:close()
**   t:totable()  tostring(t)                     in tensor_table.c
**   arithmetic, reductions                       in tensor_ops.c, _reduce.c
**
** Dimensions and indices count from 1; a negative dimension counts from the
** last. The shape of a userdata never changes, but a finaliser may close it
** whenever Lua allocates: every function checks its Tensors again after the
** last push, before it touches their elements.
*/
#include "lua/tensor.h"

#include <string.h>

#include "tensor/ops.h"


static dc_tensor *push_closed (lua_State *L) {
  dc_tensor *t = lua_newuserdatauv(L, sizeof *t, 0);
  memset(t, 0, sizeof *t);
  luaL_setmetatable(L, DC_LUA_TENSOR);
  return t;
}


void dc_check_memory (lua_State *L, bool ok) {
  if (!ok) luaL_error(L, "not enough memory");
}


dc_tensor *dc_push_tensor (lua_State *L, int n_dims, const size_t *shape) {
  static const size_t one = 1;
  if (n_dims == 0) return dc_push_tensor(L, 1, &one);
  dc_tensor *t = push_closed(L);
  size_t bytes;
  if (!dc_shape_bytes(n_dims, shape, &bytes))
    luaL_error(L, "shape %s is too large", dc_show_shape(n_dims, shape).text);
  dc_report_memory(L, bytes);
  if (!dc_tensor_new(t, n_dims, shape)) {
    lua_gc(L, LUA_GCCOLLECT);  /* as Lua does for its own memory */
    dc_check_memory(L, dc_tensor_new(t, n_dims, shape));
  }
  return t;
}


dc_tensor *dc_check_tensor (lua_State *L, int arg) {
  dc_tensor *t = luaL_checkudata(L, arg, DC_LUA_TENSOR);
  luaL_argcheck(L, t->storage != NULL, arg, "the Tensor is closed");
  return t;
}


bool dc_is_tensor (lua_State *L, int index) {
  return luaL_testudata(L, index, DC_LUA_TENSOR) != NULL;
}


dc_tensor *dc_push_view (lua_State *L, int arg) {
  dc_tensor *view = push_closed(L);
  dc_tensor_share(view, dc_check_tensor(L, arg));
  return view;
}


/* Pushes a contiguous copy. */
static dc_tensor *push_clone (lua_State *L, int arg) {
  dc_tensor *t = dc_check_tensor(L, arg);
  dc_tensor *copy = dc_push_tensor(L, t->n_dims, t->shape);
  dc_check_memory(L, dc_tensor_copy(copy, dc_check_tensor(L, arg)));
  return copy;
}


const float *dc_contiguous_data (lua_State *L, int arg, const dc_tensor **t) {
  const dc_tensor *owner = dc_check_tensor(L, arg);
  if (dc_tensor_is_contiguous(owner)) lua_pushvalue(L, arg);
  else owner = push_clone(L, arg);
  if (t != NULL) *t = owner;
  return owner->data;
}


int dc_check_dim (lua_State *L, int arg, const dc_tensor *t) {
  lua_Integer dim = luaL_checkinteger(L, arg), n = t->n_dims;
  if (dim == 0 || dim < -n || dim > n)
    luaL_argerror(L, arg, lua_pushfstring(L, "dimension %I of a Tensor of "
                  "shape %s must be from 1 to %I or from -%I to -1",
                  (LUAI_UACINT)dim, DC_SHAPE_OF(t), (LUAI_UACINT)n,
                  (LUAI_UACINT)n));
  return (int)(dim < 0 ? dim + n : dim - 1);
}


int dc_opt_dim (lua_State *L, int arg, const dc_tensor *t, int missing) {
  if (!lua_isnoneornil(L, arg)) return dc_check_dim(L, arg, t);
  return missing < 0 ? t->n_dims + missing : missing - 1;
}


/* The size on top of the stack; popped. */
static size_t pop_size (lua_State *L, int arg, lua_Integer place, bool infer) {
  int is_integer;
  lua_Integer size = lua_tointegerx(L, -1, &is_integer);
  if (!is_integer || lua_type(L, -1) != LUA_TNUMBER ||
      size < (infer ? -1 : 0)) {
    const char *shown = dc_show(L, -1);
    luaL_argerror(L, arg, lua_pushfstring(L, "size %s of dimension %I must be "
                  "an integer from 0%s", shown, (LUAI_UACINT)place,
                  infer ? " or -1" : ""));
  }
  lua_pop(L, 1);
  return (size_t)size;  /* -1 is DC_INFER */
}


int dc_check_shape (lua_State *L, int arg, size_t *shape, bool infer) {
  bool table = lua_istable(L, arg);
  lua_Integer n = table ? (lua_Integer)lua_rawlen(L, arg)
                        : lua_gettop(L) - arg + 1;
  if (n < 1 || n > DC_MAX_DIMS)
    luaL_argerror(L, arg, lua_pushfstring(L, "a Tensor has 1 to %d "
                  "dimensions, not %I", DC_MAX_DIMS, (LUAI_UACINT)n));
  for (lua_Integer i = 1; i <= n; i++) {
    int at = table ? arg : arg + (int)i - 1;
    if (table) lua_rawgeti(L, arg, i);
    else lua_pushvalue(L, at);
    shape[i - 1] = pop_size(L, at, i, infer);
  }
  return (int)n;
}


void dc_tensor_to_number (lua_State *L, bool integer) {
  float value = ((dc_tensor *)lua_touserdata(L, -1))->data[0];
  lua_pop(L, 1);
  if (integer) lua_pushinteger(L, (lua_Integer)value);
  else lua_pushnumber(L, value);
}


/*
** Elements
*/

/* The key as an index from 0; false if it is one past the end. */
static bool check_index (lua_State *L, const dc_tensor *t, int dim, int arg,
                         size_t *index) {
  int is_integer;
  lua_Integer i = lua_tointegerx(L, arg, &is_integer);
  if (lua_type(L, arg) != LUA_TNUMBER)
    luaL_error(L, "a Tensor is indexed by integers, not by a %s",
               luaL_typename(L, arg));
  if (!is_integer)
    luaL_error(L, "index %s is no integer", dc_show(L, arg));
  if (i < 1 || (size_t)(i - 1) > t->shape[dim])
    luaL_error(L, "index %I is out of range: dimension %d of shape %s goes "
               "from 1 to %I", (LUAI_UACINT)i, dim + 1, DC_SHAPE_OF(t),
               (LUAI_UACINT)t->shape[dim]);
  *index = (size_t)(i - 1);
  return *index < t->shape[dim];
}


/* Pushes what is at `index` of dimension `dim`. */
static void push_element (lua_State *L, int arg, int dim, size_t index) {
  const dc_tensor *t = dc_check_tensor(L, arg);
  if (t->n_dims == 1) lua_pushnumber(L, t->data[index * t->strides[0]]);
  else dc_tensor_select(dc_push_view(L, arg), dim, index);
}


static int t_index (lua_State *L) {
  size_t index;
  if (lua_type(L, 2) == LUA_TSTRING) {  /* a method */
    lua_settop(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    return 1;
  }
  if (!check_index(L, dc_check_tensor(L, 1), 0, 2, &index)) lua_pushnil(L);
  else push_element(L, 1, 0, index);
  return 1;
}


/* t[index] = the Tensor at argument 3, spread over the row. */
static void copy_to_row (lua_State *L, dc_tensor *t, size_t index) {
  const dc_tensor *x = dc_check_tensor(L, 3);
  dc_tensor row = *t;
  dc_error err;
  dc_tensor_select(&row, 0, index);
  if (!dc_broadcasts_to(x, &row, &err)) luaL_error(L, "%s", err.text);
  dc_check_memory(L, dc_tensor_copy(&row, x));
}


static int t_newindex (lua_State *L) {
  dc_tensor *t = dc_check_tensor(L, 1);
  size_t index;
  if (lua_type(L, 2) == LUA_TSTRING)
    return luaL_error(L, "a Tensor has no field '%s' to set",
                      lua_tostring(L, 2));
  if (!check_index(L, t, 0, 2, &index))
    return luaL_error(L, "index %I is out of range: a Tensor of shape %s does "
                      "not grow", (LUAI_UACINT)index + 1, DC_SHAPE_OF(t));
  if (lua_type(L, 3) == LUA_TNUMBER) {
    float value = (float)lua_tonumber(L, 3);
    dc_tensor row = *t, number = dc_tensor_of_number(&value);
    dc_tensor_select(&row, 0, index);
    dc_check_memory(L, dc_tensor_copy(&row, &number));
  }
  else if (t->n_dims > 1 && dc_is_tensor(L, 3))
    copy_to_row(L, t, index);
  else
    return luaL_error(L, "a Tensor of shape %s takes %s, not %s",
                      DC_SHAPE_OF(t), t->n_dims == 1 ? "numbers"
                      : "numbers and Tensors", luaL_typename(L, 3));
  return 0;
}


static int t_len (lua_State *L) {
  lua_pushinteger(L, (lua_Integer)dc_check_tensor(L, 1)->shape[0]);
  return 1;
}


/*
** Shape and views
*/

static int t_shape (lua_State *L) {
  const dc_tensor *t = dc_check_tensor(L, 1);
  if (!lua_isnoneornil(L, 2)) {
    lua_pushinteger(L, (lua_Integer)t->shape[dc_check_dim(L, 2, t)]);
    return 1;
  }
  lua_createtable(L, t->n_dims, 0);
  for (int d = 0; d < t->n_dims; d++) {
    lua_pushinteger(L, (lua_Integer)t->shape[d]);
    lua_rawseti(L, -2, d + 1);
  }
  return 1;
}


static int t_dim (lua_State *L) {
  lua_pushinteger(L, dc_check_tensor(L, 1)->n_dims);
  return 1;
}


static int t_numel (lua_State *L) {
  lua_pushinteger(L, (lua_Integer)dc_tensor_numel(dc_check_tensor(L, 1)));
  return 1;
}


static int t_is_contiguous (lua_State *L) {
  lua_pushboolean(L, dc_tensor_is_contiguous(dc_check_tensor(L, 1)));
  return 1;
}


/* The sizes that argument 2 and on give to t, with -1 replaced. */
static int check_new_shape (lua_State *L, const dc_tensor *t, size_t *shape) {
  dc_error err;
  int n = dc_check_shape(L, 2, shape, true);
  if (!dc_shape_infer(n, shape, dc_tensor_numel(t), &err))
    luaL_argerror(L, 2, err.text);
  return n;
}


static int t_view (lua_State *L) {
  const dc_tensor *t = dc_check_tensor(L, 1);
  size_t shape[DC_MAX_DIMS];
  int n = check_new_shape(L, t, shape);
  luaL_argcheck(L, dc_tensor_is_contiguous(t), 1, "view needs a contiguous "
                "Tensor; reshape copies where that is needed");
  dc_tensor_reshape(dc_push_view(L, 1), n, shape);
  return 1;
}


static int t_reshape (lua_State *L) {
  const dc_tensor *t = dc_check_tensor(L, 1);
  size_t shape[DC_MAX_DIMS];
  int n = check_new_shape(L, t, shape);
  bool contiguous = dc_tensor_is_contiguous(t);
  dc_tensor_reshape(contiguous ? dc_push_view(L, 1) : push_clone(L, 1), n,
                    shape);
  return 1;
}


static int t_narrow (lua_State *L) {
  const dc_tensor *t = dc_check_tensor(L, 1);
  int dim = dc_check_dim(L, 2, t);
  lua_Integer size = (lua_Integer)t->shape[dim];
  lua_Integer start = dc_check_range(L, 3, 1, size + 1);
  lua_Integer length = dc_check_range(L, 4, 0, size - start + 1);
  dc_tensor_narrow(dc_push_view(L, 1), dim, (size_t)start - 1, (size_t)length);
  return 1;
}


static int t_select (lua_State *L) {
  const dc_tensor *t = dc_check_tensor(L, 1);
  int dim = dc_check_dim(L, 2, t);
  luaL_argcheck(L, t->shape[dim] > 0, 2, "the dimension is empty");
  lua_Integer index = dc_check_range(L, 3, 1, (lua_Integer)t->shape[dim]);
  push_element(L, 1, dim, (size_t)index - 1);
  return 1;
}


static int t_transpose (lua_State *L) {
  const dc_tensor *t = dc_check_tensor(L, 1);
  luaL_argcheck(L, t->n_dims > 1 || !lua_isnoneornil(L, 2), 1, "one "
                "dimension has nothing to change places with");
  int dim1 = dc_opt_dim(L, 2, t, -2), dim2 = dc_opt_dim(L, 3, t, -1);
  dc_tensor_transpose(dc_push_view(L, 1), dim1, dim2);
  return 1;
}


static int t_contiguous (lua_State *L) {
  dc_contiguous_data(L, 1, NULL);
  return 1;
}


static int t_clone (lua_State *L) {
  push_clone(L, 1);
  return 1;
}


static int t_close (lua_State *L) {
  dc_tensor_close(luaL_checkudata(L, 1, DC_LUA_TENSOR));
  return 0;
}


static const luaL_Reg methods[] = {
  {"shape", t_shape}, {"dim", t_dim}, {"numel", t_numel},
  {"is_contiguous", t_is_contiguous}, {"view", t_view},
  {"reshape", t_reshape}, {"narrow", t_narrow}, {"select", t_select},
  {"transpose", t_transpose}, {"contiguous", t_contiguous},
  {"clone", t_clone}, {"close", t_close}, {"totable", dc_tensor_totable},
  {NULL, NULL}
};

static const luaL_Reg metamethods[] = {
  {"__newindex", t_newindex}, {"__len", t_len},
  {"__tostring", dc_tensor_tostring}, {"__gc", t_close}, {"__close", t_close},
  {NULL, NULL}
};


void dc_open_tensor (lua_State *L) {
  dc_new_type(L, DC_LUA_TENSOR, methods, metamethods);
  luaL_getmetatable(L, DC_LUA_TENSOR);
  luaL_setfuncs(L, dc_tensor_operators, 0);
  lua_getfield(L, -1, "__index");
  luaL_setfuncs(L, dc_tensor_arithmetic, 0);
  luaL_setfuncs(L, dc_tensor_reductions, 0);
  lua_pushcclosure(L, t_index, 1);  /* methods by name, elements by number */
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  luaL_setfuncs(L, dc_tensor_constructors, 0);
}
