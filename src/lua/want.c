/*
** want.c: the extras of a forward pass.
**
**   want.every      -> extras.every      list of Logits: after each position
**   want.hidden     -> extras.hidden     Tensor [n, d_model]: the decoder's last
**                                        states, behind the final norm
**   want.layers = {0, 2}
**                   -> extras.layers     {Logits, Logits}: early exits of the
**                                        last position, from the states that go
**                                        into these layers (0: the embeddings)
**   want.attention  -> extras.attention  Tensor [n, source length]: mean over
**                                        the cross-attention's heads and layers
**
** A field that is not wanted is nil in the extras.
*/
#include "lua/want.h"

#include <string.h>

#include "lua/logits.h"
#include "lua/tensor.h"


static bool get_flag (lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  bool set = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return set;
}


/* Pushes the owner of the numbers. */
static const uint32_t *check_layers (lua_State *L, int index, int arg,
                                     uint32_t n_layers, size_t *n) {
  lua_getfield(L, index, "layers");
  if (lua_isnil(L, -1)) {
    *n = 0;
    return NULL;
  }
  int32_t *layers = dc_check_ids(L, -1, arg, n_layers, n);
  lua_remove(L, -2);
  return (const uint32_t *)layers;  /* none is below 0 */
}


dc_want dc_check_want (lua_State *L, int index, int arg, const dc_model *m) {
  dc_want want = {0};
  index = lua_absindex(L, index);
  if (lua_isnil(L, index)) {
    lua_pushnil(L);
    return want;
  }
  luaL_argcheck(L, lua_istable(L, index), arg, "what is wanted is no table");
  want.every = get_flag(L, index, "every");
  want.hidden = get_flag(L, index, "hidden");
  want.attention = get_flag(L, index, "attention");
  luaL_argcheck(L, !want.attention || !m->hp.arch->causal, arg,
                "attention is that to a source; a causal model has none");
  want.layers = check_layers(L, index, arg, m->hp.decoder.n_layers,
                             &want.n_layers);
  return want;
}


bool dc_wants (const dc_want *want) {
  return want->every || want->hidden || want->attention || want->n_layers > 0;
}


/* Zeroed memory that lives as long as the table at `owners`. */
static void *kept (lua_State *L, int owners, size_t count, size_t size) {
  void *memory = dc_push_scratch(L, count, size);
  lua_rawseti(L, owners, (lua_Integer)lua_rawlen(L, owners) + 1);
  return memory;
}


static void push_every (lua_State *L, dc_feed *feed, int last, size_t vocab,
                        int owners) {
  float *scores = feed->out[0];
  feed->every = true;
  feed->out = kept(L, owners, feed->n, sizeof *feed->out);
  lua_createtable(L, (int)feed->n, 0);
  for (size_t i = 0; i + 1 < feed->n; i++) {
    feed->out[i] = dc_push_logits(L, vocab);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  feed->out[feed->n - 1] = scores;
  lua_pushvalue(L, last);
  lua_rawseti(L, -2, (lua_Integer)feed->n);
}


static void push_layers (lua_State *L, const dc_want *want, dc_taps *taps,
                         size_t vocab, int owners) {
  uint32_t *layers = kept(L, owners, want->n_layers, sizeof *layers);
  memcpy(layers, want->layers, want->n_layers * sizeof *layers);
  taps->n_layers = want->n_layers;
  taps->layers = layers;
  taps->early = kept(L, owners, want->n_layers, sizeof *taps->early);
  lua_createtable(L, (int)want->n_layers, 0);
  for (size_t i = 0; i < want->n_layers; i++) {
    taps->early[i] = dc_push_logits(L, vocab);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}


static float *push_matrix (lua_State *L, size_t rows, size_t columns) {
  size_t shape[] = {rows, columns};
  return dc_push_tensor(L, 2, shape)->data;
}


void dc_push_extras (lua_State *L, const dc_want *want, const dc_model *m,
                     dc_feed *feed, size_t n_keys, int owners) {
  int last = lua_gettop(L);
  dc_taps *taps = kept(L, owners, 1, sizeof *taps);
  feed->taps = taps;
  lua_createtable(L, 0, 4);
  if (want->every) {
    push_every(L, feed, last, m->hp.n_vocab, owners);
    lua_setfield(L, -2, "every");
  }
  if (want->n_layers > 0) {
    push_layers(L, want, taps, m->hp.n_vocab, owners);
    lua_setfield(L, -2, "layers");
  }
  if (want->hidden) {
    taps->hidden = push_matrix(L, feed->n, m->hp.d_model);
    lua_setfield(L, -2, "hidden");
  }
  if (want->attention) {
    taps->attention = push_matrix(L, feed->n, n_keys);
    lua_setfield(L, -2, "attention");
  }
}
