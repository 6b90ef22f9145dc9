/*
** logits.h: rows of scores as Lua values, for the bindings that make or read
** them, and the parts of the decoding library that logits.c opens.
*/
#ifndef DC_LUA_LOGITS_H
#define DC_LUA_LOGITS_H

#include "decode/logits.h"
#include "lua/binding.h"
#include "math/rng.h"

/* A Logits. It is held while somebody relies on what is in it: for ever by a
   processor in Lua that was shown it and may have kept it, during a pass by the
   pass that writes to it. */
typedef struct dc_lua_logits {
  float *x;  /* [n], inside of the userdata */
  size_t n;
  bool held;
} dc_lua_logits;

/* Pushes a new Logits of n zeros. */
float *dc_push_logits (lua_State *L, size_t n);

/* Pushes the Logits of n entries that a pass writes scores to, held until it is
   through (where it fails, for good): the one at `into` (of a list: the i-th,
   from 0), or a new one where that is nil, false or held. NULL, and nothing
   pushed, if it is none of n. */
dc_lua_logits *dc_push_scores (lua_State *L, int into, size_t i, size_t n);

/* From now on nothing writes over the Logits at `index`. */
void dc_hold_logits (lua_State *L, int index);

/* The floats of the Logits at argument `arg`, else an error. */
float *dc_check_logits (lua_State *L, int arg, size_t *n);

/* The same for any value: NULL if it is no Logits. */
float *dc_test_logits (lua_State *L, int index, size_t *n);

/* A row with scratch, for the functions of decode/. The scratch belongs to
   the state and is good until the next call of Lua code. Pushes nothing. */
dc_logits dc_logits_row (lua_State *L, float *x, size_t n);

/* The same with a scratch of ids that has room for n_ids, too. */
dc_logits dc_logits_row_beside (lua_State *L, float *x, size_t n,
                                size_t n_ids);

/* The Rng at argument `arg`, else an error. */
dc_rng *dc_check_rng (lua_State *L, int arg);

void dc_open_rng (lua_State *L);   /* core.rng */
void dc_open_beam (lua_State *L);  /* core.beam_candidates, core.beam_sample */

#endif
