/*
** step.c: what nearly every pass is: one token more in each row of one session,
** for its next scores.
**
**   core.step(rows, id [, into])              -> Logits: of the only row
**   core.step_all(rows, {id, ...} [, into])   -> list of Logits, one a row
**       as core.forward (forward.c) does it; into: a Logits, or a list of them.
**       Returns nothing, and has done nothing, where this is no such pass: not
**       one id of the vocabulary a row, more than MOST rows, no room in the
**       context, something else than Logits of this model in `into`. Then
**       core.forward does it, or says what is wrong.
**
** It needs neither a list of requests nor memory for them. (Lua's own memory is
** cold where a pass has just read all weights: a token of a small model that
** goes through core.forward costs 3 % more.)
*/
#include "lua/logits.h"
#include "lua/model.h"

#define MOST 16

/* A call's stack: its arguments. */
enum { ROWS = 1, IDS, INTO };


/* The value on top, which is popped, as a token id; false if it is none. */
static bool pop_id (lua_State *L, size_t vocab, int32_t *id) {
  lua_Integer given = lua_tointeger(L, -1);
  bool fine = lua_isinteger(L, -1) && given >= 0 && (size_t)given < vocab;
  lua_pop(L, 1);
  *id = fine ? (int32_t)given : 0;
  return fine;
}


/* Reads an id for each of n rows. */
static bool read_list (lua_State *L, size_t vocab, int32_t *ids, size_t n) {
  if (!lua_istable(L, IDS) || lua_rawlen(L, IDS) != n) return false;
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, IDS, (lua_Integer)i + 1);
    if (!pop_id(L, vocab, &ids[i])) return false;
  }
  return true;
}


static bool has_room (const dc_lua_rows *rows) {
  for (size_t i = 0; i < rows->n; i++)
    if (rows->timelines[i].length >= rows->model->context) return false;
  return true;
}


/* What allocates (and so may run a finaliser that closes or changes the rows)
   is done; now they are looked at. */
static void run_step (lua_State *L, dc_lua_rows *rows, size_t n,
                      const int32_t *ids, dc_lua_logits **scores) {
  dc_error err;
  dc_feed feeds[MOST];
  dc_model *m = rows->model;
  luaL_argcheck(L, m != NULL && rows->n == n && has_room(rows), ROWS,
                "the rows were closed or changed during the call");
  for (size_t i = 0; i < n; i++)
    feeds[i] = (dc_feed){
      .timeline = &rows->timelines[i], .ids = &ids[i], .n = 1,
      .source = rows->source != NULL ? &rows->source->timeline : NULL,
      .out = &scores[i]->x};
  size_t before = dc_pool_bytes(&m->pool);
  if (!dc_decode(m, feeds, n, &err)) dc_raise(L, &err);
  for (size_t i = 0; i < n; i++) scores[i]->held = false;
  dc_report_memory(L, dc_pool_bytes(&m->pool) - before);
}


static int step (lua_State *L) {
  int32_t id;
  lua_settop(L, INTO);
  dc_lua_rows *rows = dc_check_rows(L, ROWS);
  size_t vocab = rows->model->hp.n_vocab;
  lua_pushvalue(L, IDS);
  if (!pop_id(L, vocab, &id) || rows->n != 1 || !has_room(rows)) return 0;
  dc_lua_logits *scores = dc_push_scores(L, INTO, 0, vocab);
  if (scores == NULL) return 0;
  run_step(L, rows, 1, &id, &scores);
  return 1;
}


static int step_all (lua_State *L) {
  int32_t ids[MOST];
  dc_lua_logits *scores[MOST];
  lua_settop(L, INTO);
  dc_lua_rows *rows = dc_check_rows(L, ROWS);
  size_t n = rows->n, vocab = rows->model->hp.n_vocab;
  if (n > MOST || !read_list(L, vocab, ids, n) || !has_room(rows)) return 0;
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    scores[i] = dc_push_scores(L, INTO, i, vocab);
    if (scores[i] == NULL) return 0;
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  run_step(L, rows, n, ids, scores);
  return 1;
}


void dc_open_step (lua_State *L) {
  static const luaL_Reg functions[] = {
    {"step", step}, {"step_all", step_all}, {NULL, NULL}
  };
  luaL_setfuncs(L, functions, 0);
}
