/*
** tensor.h (lua): the userdata decant.Tensor, for the other bindings, and what
** the files of the Tensor binding share.
*/
#ifndef DC_LUA_TENSOR_H
#define DC_LUA_TENSOR_H

#include "lua/binding.h"
#include "tensor/tensor.h"

/* Pushes a new contiguous Tensor of zeros. n_dims 0 gives one of shape [1].
   Raises when memory is short. May run the collector, and with it finalisers:
   data pointers taken before are to be taken again. */
dc_tensor *dc_push_tensor (lua_State *L, int n_dims, const size_t *shape);

/* The open Tensor at argument `arg`, else an error. */
dc_tensor *dc_check_tensor (lua_State *L, int arg);

/* Whether the value is a Tensor (open or closed). */
bool dc_is_tensor (lua_State *L, int index);

/* The elements of the Tensor at `arg` as one contiguous block, last dimension
   fastest. Pushes the value that owns the block: the Tensor itself, or a
   contiguous copy. *t, if asked for, gets the shape that belongs to it. */
const float *dc_contiguous_data (lua_State *L, int arg, const dc_tensor **t);

/* --- Among the files of the Tensor binding --- */

/* Pushes a second Tensor on the elements of the one at `arg`; the caller then
   narrows it. */
dc_tensor *dc_push_view (lua_State *L, int arg);

/* A dimension of t at `arg`: 1..n from the front or -1..-n from the back (or
   `missing`, counted likewise, if the argument is none or nil), from 0. */
int dc_check_dim (lua_State *L, int arg, const dc_tensor *t);
int dc_opt_dim (lua_State *L, int arg, const dc_tensor *t, int missing);

/* Sizes at `arg`: one table of them, or the arguments from there on, whose
   number is returned. -1 becomes DC_INFER if `infer` is set. */
int dc_check_shape (lua_State *L, int arg, size_t *shape, bool infer);

/* "not enough memory", unless ok. */
void dc_check_memory (lua_State *L, bool ok);

/* Replaces the Tensor on top of the stack by its one number, as an integer if
   `integer` is set. */
void dc_tensor_to_number (lua_State *L, bool integer);

extern const luaL_Reg dc_tensor_arithmetic[];   /* tensor_ops.c: methods */
extern const luaL_Reg dc_tensor_operators[];    /* metamethods */
extern const luaL_Reg dc_tensor_reductions[];   /* tensor_reduce.c */
extern const luaL_Reg dc_tensor_constructors[]; /* tensor_table.c: of core */
int dc_tensor_totable (lua_State *L);
int dc_tensor_tostring (lua_State *L);

#endif
