/*
** tensor_reduce.c: what decant.Tensor does along one dimension.
**
**   t:sum([dim [, keepdim]])  t:mean(...)   number without dim, else a Tensor
**   t:max([dim [, keepdim]])                number; or values, indices
**   t:argmax([dim [, keepdim]])             integer; or a Tensor of indices
**   t:topk(k [, dim = -1])                  values, indices; the largest first
**   t:softmax([dim = -1])  t:log_softmax    in place; return t
**
** keepdim leaves the dimension in place with size 1. What would have no
** dimension left is a number. Indices count from 1; without dim argmax counts
** all elements, last dimension fastest. Index Tensors hold floats, which are
** exact to MAX_INDEX.
*/
#include "lua/tensor.h"
#include "math/kernels.h"
#include "tensor/ops.h"

#define MAX_INDEX (1u << 24)

typedef enum result {VALUES, INDICES} result;


/* Where 0-based indices become 1-based. */
static void count_from_one (lua_State *L, dc_tensor *indices) {
  float value = 1;
  dc_tensor one = dc_tensor_of_number(&value);
  dc_check_memory(L, dc_tensor_zip(indices, indices, &one,
                                   dc_kernels_get()->add));
}


static void check_exact (lua_State *L, int arg, size_t size) {
  luaL_argcheck(L, size <= MAX_INDEX, arg, "the dimension is too long for "
                "exact indices (16777216)");
}


static bool whole (lua_State *L) {
  return lua_isnoneornil(L, 2);
}


/* All elements of argument 1, side by side. Pushes their owner. */
static const float *all (lua_State *L, size_t *n) {
  const dc_tensor *t;
  const float *data = dc_contiguous_data(L, 1, &t);
  *n = dc_tensor_numel(t);
  return data;
}


static const float *all_but_none (lua_State *L, size_t *n) {
  const float *data = all(L, n);
  luaL_argcheck(L, *n > 0, 1, "an empty Tensor has no largest element");
  return data;
}


/* Pushes f of each line along the dimension at argument 2. */
static void push_along (lua_State *L, dc_reducer f, result kind) {
  const dc_tensor *t = dc_check_tensor(L, 1);
  int dim = dc_check_dim(L, 2, t);
  dc_tensor rest = *t;
  if (lua_toboolean(L, 3)) rest.shape[dim] = 1;
  else dc_tensor_select(&rest, dim, 0);
  if (kind == INDICES) check_exact(L, 2, t->shape[dim]);
  dc_tensor *out = dc_push_tensor(L, rest.n_dims, rest.shape);
  t = dc_check_tensor(L, 1);
  dc_check_memory(L, dc_tensor_reduce(out, t, dim, f));
  if (kind == INDICES) count_from_one(L, out);
  if (rest.n_dims == 0) dc_tensor_to_number(L, kind == INDICES);
}


/* The same for what an empty line does not have. */
static void push_best_along (lua_State *L, dc_reducer f, result kind) {
  const dc_tensor *t = dc_check_tensor(L, 1);
  luaL_argcheck(L, t->shape[dc_check_dim(L, 2, t)] > 0, 2,
                "an empty dimension has no largest element");
  push_along(L, f, kind);
}


static int t_sum (lua_State *L) {
  size_t n;
  if (!whole(L)) push_along(L, dc_kernels_get()->sum, VALUES);
  else {
    const float *data = all(L, &n);
    lua_pushnumber(L, dc_kernels_get()->sum(data, n));
  }
  return 1;
}


static int t_mean (lua_State *L) {
  size_t n;
  if (!whole(L)) push_along(L, dc_row_mean, VALUES);
  else {
    const float *data = all(L, &n);
    lua_pushnumber(L, dc_row_mean(data, n));
  }
  return 1;
}


static int t_max (lua_State *L) {
  size_t n;
  lua_settop(L, 3);  /* the values must not be taken for keepdim */
  if (whole(L)) {
    const float *data = all_but_none(L, &n);
    lua_pushnumber(L, dc_row_max(data, n));
    return 1;
  }
  push_best_along(L, dc_row_max, VALUES);
  push_best_along(L, dc_row_argmax_float, INDICES);
  return 2;
}


static int t_argmax (lua_State *L) {
  size_t n;
  if (!whole(L)) push_best_along(L, dc_row_argmax_float, INDICES);
  else {
    const float *data = all_but_none(L, &n);
    lua_pushinteger(L, (lua_Integer)dc_row_argmax(data, n) + 1);
  }
  return 1;
}


static int t_topk (lua_State *L) {
  const dc_tensor *t = dc_check_tensor(L, 1);
  int dim = dc_opt_dim(L, 3, t, -1);
  dc_tensor shape = *t;
  lua_Integer k = dc_check_range(L, 2, 0, (lua_Integer)t->shape[dim]);
  check_exact(L, 3, t->shape[dim]);
  shape.shape[dim] = (size_t)k;
  dc_tensor *values = dc_push_tensor(L, shape.n_dims, shape.shape);
  dc_tensor *indices = dc_push_tensor(L, shape.n_dims, shape.shape);
  t = dc_check_tensor(L, 1);
  dc_check_memory(L, dc_tensor_topk(values, indices, t, dim, (size_t)k));
  count_from_one(L, indices);
  return 2;
}


static int each_line (lua_State *L, dc_row_map f) {
  dc_tensor *t = dc_check_tensor(L, 1);
  int dim = dc_opt_dim(L, 2, t, -1);
  dc_check_memory(L, dc_tensor_each_line(t, dim, f));
  lua_settop(L, 1);
  return 1;
}


static int t_softmax (lua_State *L) {
  return each_line(L, dc_row_softmax);
}


static int t_log_softmax (lua_State *L) {
  return each_line(L, dc_row_log_softmax);
}


const luaL_Reg dc_tensor_reductions[] = {
  {"sum", t_sum}, {"mean", t_mean}, {"max", t_max}, {"argmax", t_argmax},
  {"topk", t_topk}, {"softmax", t_softmax}, {"log_softmax", t_log_softmax},
  {NULL, NULL}
};
