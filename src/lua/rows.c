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
**   core.copied_bytes(m)     bytes of cache copied so far by m's rows
**   core.blocks(m)           blocks of cache in use: of layers that see all
**                            positions, and of windowed ones
*/
#include <string.h>

#include "base/memory.h"
#include "lua/model.h"

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
  luaL_argcheck(L, !s->closed, arg, "the source is closed");
  luaL_argcheck(L, s->model == m, arg, "the source is of another model");
  return s;
}


static void let_go_unread (dc_lua_source *s) {
  if (!s->closed || s->readers > 0 || s->model == NULL) return;
  dc_timeline_clear(&s->timeline, &s->model->pool);
  dc_model_release(s->model);
  s->model = NULL;
}


static int source_close (lua_State *L) {
  dc_lua_source *s = luaL_checkudata(L, 1, DC_LUA_SOURCE);
  s->closed = true;
  let_go_unread(s);
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


void dc_rows_open (dc_lua_rows *rows, dc_model *m, dc_lua_source *source) {
  rows->model = m;
  rows->source = source;
  m->refs++;
  if (source != NULL) source->readers++;
}


static void clear_timelines (dc_timeline *timelines, size_t n, dc_model *m) {
  for (size_t i = 0; i < n; i++) dc_timeline_clear(&timelines[i], &m->pool);
}


static void clear_rows (dc_lua_rows *rows) {
  clear_timelines(rows->timelines, rows->n, rows->model);
  dc_free(rows->timelines);
  dc_free(rows->spare);
  rows->timelines = rows->spare = NULL;
  rows->n = rows->n_spare = 0;
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
  if (rows->source != NULL) {
    rows->source->readers--;
    let_go_unread(rows->source);
    rows->source = NULL;
  }
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
  dc_lua_source *source = NULL;
  if (!m->hp.arch->causal)
    source = dc_check_source(L, 3, 3, m);
  else
    luaL_argcheck(L, lua_isnil(L, 3), 3, "a causal model reads no source");
  dc_rows_open(rows, m, source);
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


/* Makes n empty timelines share the past of the parents of rows (from 1; NULL:
   each of its own); false when memory is short, then they are empty again. */
static bool share_rows (const dc_lua_rows *rows, const int32_t *parents,
                        dc_timeline *to, size_t n) {
  for (size_t i = 0; i < n; i++) {
    size_t parent = parents != NULL ? (size_t)parents[i] - 1 : i;
    if (!dc_timeline_share(&to[i], &rows->timelines[parent],
                           &rows->model->pool)) {
      clear_timelines(to, i + 1, rows->model);
      return false;
    }
  }
  return true;
}


/* The spare timelines become the rows, and these the spare ones: a search
   reorders at every token, and so allocates nothing. */
static bool reorder (dc_lua_rows *rows, const int32_t *parents, size_t n) {
  if (rows->n_spare < n) {
    dc_timeline *more = dc_alloc_array(n, sizeof *more);
    if (more == NULL) return false;
    dc_free(rows->spare);
    rows->spare = more;
    rows->n_spare = n;
  }
  dc_timeline *old = rows->timelines;
  size_t n_old = rows->n;
  if (!share_rows(rows, parents, rows->spare, n)) return false;
  clear_timelines(old, n_old, rows->model);
  rows->timelines = rows->spare;
  rows->n = n;
  rows->spare = old;
  rows->n_spare = n_old;
  return true;
}


static int rows_reorder (lua_State *L) {
  int32_t few[16];
  lua_settop(L, 2);
  size_t n = dc_check_list(L, 2, 2);
  int32_t *parents = dc_few_or_scratch(L, few, sizeof few, n, sizeof *parents);
  dc_read_ids(L, 2, 2, 0, parents, n);
  dc_lua_rows *rows = dc_check_rows(L, 1);
  luaL_argcheck(L, n > 0 && n <= MAX_ROWS, 2, "no rows left, or too many");
  for (size_t i = 0; i < n; i++)
    if (parents[i] < 1 || (size_t)parents[i] > rows->n)
      luaL_argerror(L, 2, lua_pushfstring(
        L, "parent %d at position %I: there are rows 1 to %I", (int)parents[i],
        (LUAI_UACINT)i + 1, (LUAI_UACINT)rows->n));
  if (!reorder(rows, parents, n))
    return luaL_error(L, "not enough memory to reorder");
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
  dc_rows_open(copy, rows->model, rows->source);
  lua_getiuservalue(L, 1, 1);
  lua_setiuservalue(L, -2, 1);
  if (!dc_rows_resize(copy, rows->n) ||
      !share_rows(rows, NULL, copy->timelines, rows->n))
    return luaL_error(L, "not enough memory to fork");
  return 1;
}


static int rows_reset (lua_State *L) {
  dc_lua_rows *rows = dc_check_rows(L, 1);
  if (!dc_rows_resize(rows, 1)) return luaL_error(L, "not enough memory");
  lua_settop(L, 1);
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
    {"length", source_length}, {"close", source_close}, {NULL, NULL}
  };
  static const luaL_Reg source_meta[] = {
    {"__gc", source_close}, {"__close", source_close},
    {"__len", source_length}, {NULL, NULL}
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
    {"copied_bytes", copied_bytes}, {"blocks", blocks}, {NULL, NULL}
  };
  dc_new_type(L, DC_LUA_SOURCE, source_methods, source_meta);
  dc_new_type(L, DC_LUA_ROWS, methods, metamethods);
  luaL_setfuncs(L, functions, 0);
  dc_open_forward(L);
  dc_open_step(L);
}
