/*
** tensor_ops.c: the arithmetic of decant.Tensor.
**
**   a + b  a - b  a * b  a / b  -a      new; one of a, b may be a number
**   t:add(x) sub mul div                in place, x spread over t; return t
**   t:fill(number)  t:copy(x)  t:masked_fill(mask, number)
**   t:exp() log tanh relu sqrt silu gelu
**   t:matmul(u)                         new; a number for two 1-D Tensors
**   t:equal(u)                          same shape and elements
**   t:allclose(x [, rtol = 1e-5 [, atol = 1e-8]])
*/
#include "lua/tensor.h"
#include "math/kernels.h"
#include "tensor/ops.h"

/* A number or Tensor argument. The number's tensor points into the struct. */
typedef struct operand {
  float value;
  dc_tensor number;
} operand;


static const dc_tensor *check_operand (lua_State *L, int arg, operand *o) {
  if (dc_is_tensor(L, arg)) return dc_check_tensor(L, arg);
  if (lua_type(L, arg) != LUA_TNUMBER)
    luaL_typeerror(L, arg, "number or Tensor");
  o->value = (float)lua_tonumber(L, arg);
  o->number = dc_tensor_of_number(&o->value);
  return &o->number;
}


/* The operand at `arg`, which must spread over t. */
static const dc_tensor *check_spread (lua_State *L, int arg, operand *o,
                                      const dc_tensor *t) {
  dc_error err;
  const dc_tensor *x = check_operand(L, arg, o);
  if (!dc_broadcasts_to(x, t, &err)) luaL_argerror(L, arg, err.text);
  return x;
}


static int return_self (lua_State *L) {
  lua_settop(L, 1);
  return 1;
}


/* A new Tensor. The operands are looked at again after it was pushed. */
static int operate (lua_State *L, dc_zip kernel) {
  operand left, right;
  dc_error err;
  int n_dims;
  size_t shape[DC_MAX_DIMS];
  const dc_tensor *a = check_operand(L, 1, &left);
  const dc_tensor *b = check_operand(L, 2, &right);
  if (!dc_broadcast_shape(a, b, &n_dims, shape, &err))
    luaL_argerror(L, 2, err.text);
  dc_tensor *out = dc_push_tensor(L, n_dims, shape);
  a = check_operand(L, 1, &left);
  b = check_operand(L, 2, &right);
  dc_check_memory(L, dc_tensor_zip(out, a, b, kernel));
  return 1;
}

static int op_add (lua_State *L) { return operate(L, dc_kernels_get()->add); }
static int op_sub (lua_State *L) { return operate(L, dc_kernels_get()->sub); }
static int op_mul (lua_State *L) { return operate(L, dc_kernels_get()->mul); }
static int op_div (lua_State *L) { return operate(L, dc_kernels_get()->div); }


/* Lua passes the operand twice. */
static int op_unm (lua_State *L) {
  lua_settop(L, 1);
  lua_pushinteger(L, -1);
  return op_mul(L);
}


/* t = kernel(t, x) in place. */
static int update (lua_State *L, dc_zip kernel) {
  operand o;
  dc_tensor *t = dc_check_tensor(L, 1);
  const dc_tensor *x = check_spread(L, 2, &o, t);
  dc_check_memory(L, dc_tensor_zip(t, t, x, kernel));
  return return_self(L);
}

static int t_add (lua_State *L) { return update(L, dc_kernels_get()->add); }
static int t_sub (lua_State *L) { return update(L, dc_kernels_get()->sub); }
static int t_mul (lua_State *L) { return update(L, dc_kernels_get()->mul); }
static int t_div (lua_State *L) { return update(L, dc_kernels_get()->div); }


static int t_copy (lua_State *L) {
  operand o;
  dc_tensor *t = dc_check_tensor(L, 1);
  dc_check_memory(L, dc_tensor_copy(t, check_spread(L, 2, &o, t)));
  return return_self(L);
}


static int t_fill (lua_State *L) {
  luaL_checknumber(L, 2);
  return t_copy(L);
}


static int t_masked_fill (lua_State *L) {
  operand o;
  dc_tensor *t = dc_check_tensor(L, 1);
  dc_check_tensor(L, 2);
  const dc_tensor *mask = check_spread(L, 2, &o, t);
  float value = (float)luaL_checknumber(L, 3);
  dc_check_memory(L, dc_tensor_masked_fill(t, mask, value));
  return return_self(L);
}


/* t = kernel(t) in place. */
static int map (lua_State *L, dc_map kernel) {
  dc_tensor_map(dc_check_tensor(L, 1), kernel);
  return return_self(L);
}

static int t_exp (lua_State *L) { return map(L, dc_kernels_get()->exp); }
static int t_log (lua_State *L) { return map(L, dc_kernels_get()->log); }
static int t_tanh (lua_State *L) { return map(L, dc_kernels_get()->tanh); }
static int t_relu (lua_State *L) { return map(L, dc_kernels_get()->relu); }
static int t_silu (lua_State *L) { return map(L, dc_kernels_get()->silu); }
static int t_gelu (lua_State *L) { return map(L, dc_kernels_get()->gelu); }
static int t_sqrt (lua_State *L) { return map(L, dc_sqrt_row); }


static int t_matmul (lua_State *L) {
  dc_error err;
  int n_dims;
  size_t shape[DC_MAX_DIMS];
  const dc_tensor *a = dc_check_tensor(L, 1), *b = dc_check_tensor(L, 2);
  if (!dc_matmul_shape(a, b, &n_dims, shape, &err))
    luaL_argerror(L, 2, err.text);
  dc_tensor *out = dc_push_tensor(L, n_dims, shape);
  a = dc_check_tensor(L, 1);
  b = dc_check_tensor(L, 2);
  dc_check_memory(L, dc_matmul(out, a, b));
  if (n_dims == 0) dc_tensor_to_number(L, false);
  return 1;
}


static int t_equal (lua_State *L) {
  const dc_tensor *a = dc_check_tensor(L, 1), *b = dc_check_tensor(L, 2);
  lua_pushboolean(L, dc_tensor_equal(a, b));
  return 1;
}


static int t_allclose (lua_State *L) {
  operand o;
  dc_error err;
  int n_dims;
  size_t shape[DC_MAX_DIMS];
  const dc_tensor *a = dc_check_tensor(L, 1), *b = check_operand(L, 2, &o);
  double rtol = luaL_optnumber(L, 3, 1e-5), atol = luaL_optnumber(L, 4, 1e-8);
  luaL_argcheck(L, rtol >= 0, 3, "rtol must not be negative");
  luaL_argcheck(L, atol >= 0, 4, "atol must not be negative");
  if (!dc_broadcast_shape(a, b, &n_dims, shape, &err))
    luaL_argerror(L, 2, err.text);
  lua_pushboolean(L, dc_tensor_allclose(a, b, rtol, atol));
  return 1;
}


const luaL_Reg dc_tensor_operators[] = {
  {"__add", op_add}, {"__sub", op_sub}, {"__mul", op_mul}, {"__div", op_div},
  {"__unm", op_unm}, {NULL, NULL}
};

const luaL_Reg dc_tensor_arithmetic[] = {
  {"add", t_add}, {"sub", t_sub}, {"mul", t_mul}, {"div", t_div},
  {"copy", t_copy}, {"fill", t_fill}, {"masked_fill", t_masked_fill},
  {"exp", t_exp}, {"log", t_log}, {"tanh", t_tanh}, {"relu", t_relu},
  {"silu", t_silu}, {"gelu", t_gelu}, {"sqrt", t_sqrt},
  {"matmul", t_matmul}, {"equal", t_equal}, {"allclose", t_allclose},
  {NULL, NULL}
};
