/*
** want.h: what a strategy asks of a forward pass beside the scores of the next
** token, as Lua says it and gets it. See want.c.
*/
#ifndef DC_LUA_WANT_H
#define DC_LUA_WANT_H

#include "lua/model.h"

typedef struct dc_want {
  bool every, hidden, attention;
  const uint32_t *layers;  /* [n_layers] */
  size_t n_layers;
} dc_want;

/* The table at `index`, or nothing for nil. Pushes one value, which owns the
   layers. Raises, naming argument `arg`. */
dc_want dc_check_want (lua_State *L, int index, int arg, const dc_model *m);

/* Whether anything is asked for. */
bool dc_wants (const dc_want *want);

/* The Logits on top of the stack are to be those of `feed`, of n ids, whose
   source has n_keys positions. Pushes the table of extras, and aims `feed` at
   it. What the feed needs is kept alive in the table at `owners`. */
void dc_push_extras (lua_State *L, const dc_want *want, const dc_model *m,
                     dc_feed *feed, size_t n_keys, int owners);

#endif
