/*
** rows.c: the userdata decant.Source and decant.Rows, the core of
** lua/decant/session.lua.
**
**   m:rows(n [, source])  -> Rows: n empty timelines that read one source (or
**                            none: a causal model)
**   #rows  rows:length(i)
**   rows:reorder(parents)    row i goes on from row parents[i]; copies nothing
**   rows:truncate(n)         keeps the first n positions of each row; an error
**                            where a sliding window has let go of what the
**                            next position would see
**   rows:fork()              -> Rows with the same past
**   rows:reset()             one empty row
**   rows:save(path)          saved.c
**   rows:close()  __close  __gc
**
**   core.forward({{rows, {ids of row 1, ids of row 2, ...} [, want]}, ...})
**       -> list (a request) of lists (a row) of Logits: appends each row's ids
**       and scores the position behind its last one. A row whose ids are {}
**       stays as it is and gets false. All rows, of any Rows of one model, go
**       through one pass. With `want` (want.c) the list of a request has a
**       field `extras`: a list of the same kind, of tables.
**   core.copied_bytes(m)     bytes of cache copied so far by m's rows
**   core.blocks(m)           blocks of cache in use: of layers that see all
**                            positions, and of windowed ones
*/
#include <string.h>

#include "base/memory.h"
#include "lua/logits.h"
#include "lua/model.h"
#include "lua/want.h"

#define MAX_ROWS 65536


/* ---- sources --------------------------------------------------------------- */

dc_lua_source *dc_new_source (lua_State *L) {
  dc_lua_source *s = lua_newuserdatauv(L, sizeof *s, 0);
  memset(s, 0, sizeof *s);
  luaL_setmetatable(L, DC_LUA_SOURCE);
  return s;
}


dc_lua_source *dc_check_source (lua_State *L, int index, int arg,
                                dc_model *m) {
  dc_lua_source *s = luaL_testudata(L, index, DC_LUA_SOURCE);
  if (s == NULL)
    luaL_argerror(L, arg, lua_pushfstring(L, "a source expected, got %s",
                                          luaL_typename(L, index)));
  luaL_argcheck(L, s->model == m, arg, "the source is of another model");
  return s;
}


static int source_gc (lua_State *L) {
  dc_lua_source *s = luaL_checkudata(L, 1, DC_LUA_SOURCE);
  if (s->model != NULL) {
    dc_timeline_clear(&s->timeline, &s->model->pool);
    dc_model_release(s->model);
    s->model = NULL;
  }
  return 0;
}


static int source_length (lua_State *L) {
  dc_lua_source *s = luaL_checkudata(L, 1, DC_LUA_SOURCE);
  lua_pushinteger(L, (lua_Integer)s->timeline.length);
  return 1;
}


/* ---- rows ------------------------------------------------------------------- */

dc_lua_rows *dc_new_rows (lua_State *L) {
  dc_lua_rows *rows = lua_newuserdatauv(L, sizeof *rows, 1);
  memset(rows, 0, sizeof *rows);
  luaL_setmetatable(L, DC_LUA_ROWS);
  return rows;
}


void dc_rows_open (dc_lua_rows *rows, dc_model *m) {
  rows->model = m;
  m->refs++;
}


static void clear_rows (dc_lua_rows *rows) {
  for (size_t i = 0; i < rows->n; i++)
    dc_timeline_clear(&rows->timelines[i], &rows->model->pool);
  dc_free(rows->timelines);
  rows->timelines = NULL;
  rows->n = 0;
}


bool dc_rows_resize (dc_lua_rows *rows, size_t n) {
  dc_timeline *fresh = dc_alloc_array(n, sizeof *fresh);
  if (fresh == NULL) return false;
  clear_rows(rows);
  rows->timelines = fresh;
  rows->n = n;
  return true;
}


void dc_rows_close (dc_lua_rows *rows) {
  if (rows->model == NULL) return;
  clear_rows(rows);
  dc_model_release(rows->model);
  rows->model = NULL;
}


dc_lua_rows *dc_check_rows (lua_State *L, int arg) {
  dc_lua_rows *rows = luaL_checkudata(L, arg, DC_LUA_ROWS);
  luaL_argcheck(L, rows->model != NULL, arg, "the session is closed");
  return rows;
}


static int rows_close (lua_State *L) {
  dc_rows_close(luaL_checkudata(L, 1, DC_LUA_ROWS));
  return 0;
}


int dc_model_rows (lua_State *L) {
  lua_settop(L, 3);
  lua_Integer n = dc_check_range(L, 2, 1, MAX_ROWS);
  dc_lua_rows *rows = dc_new_rows(L);
  dc_model *m = dc_check_model(L, 1);
  if (!m->hp.arch->causal)
    rows->source = dc_check_source(L, 3, 3, m);
  else
    luaL_argcheck(L, lua_isnil(L, 3), 3, "a causal model reads no source");
  dc_rows_open(rows, m);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, 1);
  if (!dc_rows_resize(rows, (size_t)n))
    return luaL_error(L, "not enough memory for %I rows", (LUAI_UACINT)n);
  return 1;
}


static int rows_count (lua_State *L) {
  lua_pushinteger(L, (lua_Integer)dc_check_rows(L, 1)->n);
  return 1;
}


static int rows_length (lua_State *L) {
  dc_lua_rows *rows = dc_check_rows(L, 1);
  lua_Integer i = lua_isnoneornil(L, 2)
                    ? 1 : dc_check_range(L, 2, 1, (lua_Integer)rows->n);
  lua_pushinteger(L, rows->n == 0
                       ? 0 : (lua_Integer)rows->timelines[i - 1].length);
  return 1;
}


/* Timelines that share the past of rows[parents[i]] (1-based); NULL when
   memory is short. */
static dc_timeline *share_rows (dc_lua_rows *rows, const int32_t *parents,
                                size_t n) {
  dc_timeline *fresh = dc_alloc_array(n, sizeof *fresh);
  if (fresh == NULL) return NULL;
  for (size_t i = 0; i < n; i++) {
    const dc_timeline *from =
      &rows->timelines[parents != NULL ? (size_t)parents[i] - 1 : i];
    if (!dc_timeline_share(&fresh[i], from, &rows->model->pool)) {
      do dc_timeline_clear(&fresh[i], &rows->model->pool); while (i-- > 0);
      dc_free(fresh);
      return NULL;
    }
  }
  return fresh;
}


static int rows_reorder (lua_State *L) {
  size_t n;
  lua_settop(L, 2);
  int32_t *parents = dc_check_ids(L, 2, 2, 0, &n);
  dc_lua_rows *rows = dc_check_rows(L, 1);
  luaL_argcheck(L, n > 0 && n <= MAX_ROWS, 2, "no rows left, or too many");
  for (size_t i = 0; i < n; i++)
    if (parents[i] < 1 || (size_t)parents[i] > rows->n)
      luaL_argerror(L, 2, lua_pushfstring(
        L, "parent %d at position %I: there are rows 1 to %I", (int)parents[i],
        (LUAI_UACINT)i + 1, (LUAI_UACINT)rows->n));
  dc_timeline *fresh = share_rows(rows, parents, n);
  if (fresh == NULL) return luaL_error(L, "not enough memory to reorder");
  clear_rows(rows);
  rows->timelines = fresh;
  rows->n = n;
  lua_settop(L, 1);
  return 1;
}


static int rows_truncate (lua_State *L) {
  dc_lua_rows *rows = dc_check_rows(L, 1);
  lua_Integer n = dc_check_range(L, 2, 0, INT32_MAX);
  const dc_pool *pool = &rows->model->pool;
  for (size_t i = 0; i < rows->n; i++)
    if (!dc_timeline_holds(&rows->timelines[i], pool, (size_t)n))
      luaL_argerror(L, 2, lua_pushfstring(
        L, "position %I would see what has left the sliding window of %I",
        (LUAI_UACINT)n, (LUAI_UACINT)pool->window));
  for (size_t i = 0; i < rows->n; i++)
    dc_timeline_truncate(&rows->timelines[i], &rows->model->pool, (size_t)n);
  lua_settop(L, 1);
  return 1;
}


static int rows_fork (lua_State *L) {
  lua_settop(L, 1);
  dc_lua_rows *copy = dc_new_rows(L);
  dc_lua_rows *rows = dc_check_rows(L, 1);
  dc_rows_open(copy, rows->model);
  copy->source = rows->source;
  lua_getiuservalue(L, 1, 1);
  lua_setiuservalue(L, -2, 1);
  copy->timelines = share_rows(rows, NULL, rows->n);
  if (copy->timelines == NULL)
    return luaL_error(L, "not enough memory to fork");
  copy->n = rows->n;
  return 1;
}


static int rows_reset (lua_State *L) {
  dc_lua_rows *rows = dc_check_rows(L, 1);
  if (!dc_rows_resize(rows, 1)) return luaL_error(L, "not enough memory");
  lua_settop(L, 1);
  return 1;
}


/* ---- forward ---------------------------------------------------------------- */

/* Request i of the list at argument 1: pushes rows, lists of ids and what else
   is wanted, or nil. */
static dc_lua_rows *check_request (lua_State *L, size_t i) {
  lua_rawgeti(L, 1, (lua_Integer)i + 1);
  luaL_argcheck(L, lua_istable(L, -1), 1, "a request is {rows, lists of ids}");
  lua_rawgeti(L, -1, 1);
  lua_rawgeti(L, -2, 2);
  lua_rawgeti(L, -3, 3);
  lua_remove(L, -4);
  dc_lua_rows *rows = luaL_testudata(L, -3, DC_LUA_ROWS);
  luaL_argcheck(L, rows != NULL && rows->model != NULL, 1,
                "the rows of a request are closed or no rows");
  luaL_argcheck(L, lua_istable(L, -2) && lua_rawlen(L, -2) == rows->n, 1,
                lua_pushfstring(L, "a request needs a list of ids for each of "
                                "its %I rows", (LUAI_UACINT)rows->n));
  return rows;
}


/* How many rows all requests have, and the model of which they are. */
static size_t count_rows (lua_State *L, size_t requests, dc_model **model) {
  size_t total = 0;
  *model = NULL;
  for (size_t i = 0; i < requests; i++) {
    dc_lua_rows *rows = check_request(L, i);
    luaL_argcheck(L, *model == NULL || *model == rows->model, 1,
                  "requests of different models");
    *model = rows->model;
    total += rows->n;
    lua_pop(L, 3);
  }
  return total;
}


/* What one pass is made of. It is put together while a finaliser may close,
   or change, all that Lua code can reach. */
typedef struct pass {
  dc_lua_rows *hold;    /* keeps the model */
  size_t total;         /* rows of all requests */
  size_t n;             /* those with ids, which are in: */
  dc_feed *feeds;       /* [total], timelines and sources at the end */
  float **out;          /* [total] */
  struct place {
    dc_lua_rows *rows;
    size_t row;
  } *places;            /* [total] */
  int owners;           /* a table: keeps the ids; has rows seen as keys */
} pass;


/* The rows on the stack at `index`: of the model, and not seen before. */
static void check_new (lua_State *L, const pass *p, int index) {
  const dc_lua_rows *rows = lua_touserdata(L, index);
  luaL_argcheck(L, rows->model == p->hold->model, 1,
                "requests of different models");
  luaL_argcheck(L, rows->n <= p->total - p->n, 1,
                "the requests were changed while they were read");
  lua_pushvalue(L, index);
  luaL_argcheck(L, lua_rawget(L, p->owners) == LUA_TNIL, 1,
                "the same rows are in two requests");
  lua_pushvalue(L, index);
  lua_pushboolean(L, 1);
  lua_rawset(L, p->owners);
  lua_pop(L, 1);
}


/* One row with its ids, on top of the stack; pushes its Logits and the extras,
   or false twice if it has no ids. */
static void add_row (lua_State *L, pass *p, dc_lua_rows *rows, size_t row,
                     const dc_want *want) {
  const dc_model *m = p->hold->model;
  size_t n;
  int32_t *ids = dc_check_ids(L, -1, 1, m->hp.n_vocab, &n);
  lua_rawseti(L, p->owners, (lua_Integer)lua_rawlen(L, p->owners) + 1);
  if (n == 0) {
    lua_pushboolean(L, 0);
    lua_pushboolean(L, 0);
    return;
  }
  luaL_argcheck(L, p->n < p->total, 1,
                "the requests were changed while they were read");
  dc_feed *feed = &p->feeds[p->n];
  p->places[p->n] = (struct place){rows, row};
  p->out[p->n] = dc_push_logits(L, m->hp.n_vocab);
  *feed = (dc_feed){.ids = ids, .n = n, .out = &p->out[p->n++]};
  if (dc_wants(want))
    dc_push_extras(L, want, m, feed,
                   rows->source != NULL ? rows->source->timeline.length : 0,
                   p->owners);
  else
    lua_pushboolean(L, 0);
}


/* The rows of request i; pushes the list of their Logits. */
static void add_request (lua_State *L, pass *p, size_t i) {
  dc_lua_rows *rows = check_request(L, i);
  int lists = lua_gettop(L) - 1, answer = lists + 3;
  size_t n = rows->n;
  check_new(L, p, lists - 1);
  dc_want want = dc_check_want(L, lists + 1, 1, p->hold->model);
  lua_createtable(L, (int)n, 1);
  lua_createtable(L, (int)n, 0);
  for (size_t row = 0; row < n; row++) {
    lua_rawgeti(L, lists, (lua_Integer)row + 1);
    add_row(L, p, rows, row, &want);
    lua_rawseti(L, answer + 1, (lua_Integer)row + 1);
    lua_rawseti(L, answer, (lua_Integer)row + 1);
    lua_pop(L, 1);
  }
  if (dc_wants(&want))
    lua_setfield(L, answer, "extras");
  else
    lua_pop(L, 1);
  lua_replace(L, lists - 1);
  lua_settop(L, lists - 1);
}


/* The timelines, once nothing allocates any more. */
static void find_timelines (lua_State *L, pass *p) {
  for (size_t i = 0; i < p->n; i++) {
    dc_lua_rows *rows = p->places[i].rows;
    luaL_argcheck(L, rows->model != NULL && p->places[i].row < rows->n, 1,
                  "the rows of a request are closed");
    p->feeds[i].timeline = &rows->timelines[p->places[i].row];
    if (rows->source == NULL) continue;
    luaL_argcheck(L, rows->source->model != NULL, 1, "a source is closed");
    p->feeds[i].source = &rows->source->timeline;
  }
}


static void run_pass (lua_State *L, pass *p) {
  dc_error err;
  dc_model *m = p->hold->model;
  size_t before = dc_pool_bytes(&m->pool);
  find_timelines(L, p);
  if (!dc_decode(m, p->feeds, p->n, &err)) dc_raise(L, &err);
  dc_report_memory(L, dc_pool_bytes(&m->pool) - before);
}


static int forward (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  dc_model *m;
  pass p = {.hold = dc_new_rows(L), .owners = 3};
  lua_newtable(L);
  size_t requests = lua_rawlen(L, 1);
  p.total = count_rows(L, requests, &m);
  if (m != NULL) dc_rows_open(p.hold, m);
  p.feeds = dc_push_scratch(L, p.total, sizeof *p.feeds);
  p.out = dc_push_scratch(L, p.total, sizeof *p.out);
  p.places = dc_push_scratch(L, p.total, sizeof *p.places);
  lua_createtable(L, (int)requests, 0);
  for (size_t i = 0; i < requests; i++) {
    add_request(L, &p, i);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  if (p.n > 0) run_pass(L, &p);
  dc_rows_close(p.hold);
  return 1;
}


static int copied_bytes (lua_State *L) {
  lua_pushinteger(L, (lua_Integer)dc_check_model(L, 1)->pool.copied_bytes);
  return 1;
}


static int blocks (lua_State *L) {
  const dc_pool *pool = &dc_check_model(L, 1)->pool;
  for (int r = 0; r < DC_REACHES; r++)
    lua_pushinteger(L, (lua_Integer)pool->shelves[r].n_used);
  return DC_REACHES;
}


void dc_open_rows (lua_State *L) {
  static const luaL_Reg source_methods[] = {
    {"length", source_length}, {"close", source_gc}, {NULL, NULL}
  };
  static const luaL_Reg source_meta[] = {
    {"__gc", source_gc}, {"__close", source_gc}, {"__len", source_length},
    {NULL, NULL}
  };
  static const luaL_Reg methods[] = {
    {"length", rows_length}, {"reorder", rows_reorder},
    {"truncate", rows_truncate}, {"fork", rows_fork}, {"reset", rows_reset},
    {"save", dc_rows_save}, {"close", rows_close}, {NULL, NULL}
  };
  static const luaL_Reg metamethods[] = {
    {"__gc", rows_close}, {"__close", rows_close}, {"__len", rows_count},
    {NULL, NULL}
  };
  static const luaL_Reg functions[] = {
    {"forward", forward}, {"copied_bytes", copied_bytes},
    {"blocks", blocks}, {NULL, NULL}
  };
  dc_new_type(L, DC_LUA_SOURCE, source_methods, source_meta);
  dc_new_type(L, DC_LUA_ROWS, methods, metamethods);
  luaL_setfuncs(L, functions, 0);
}
