/*
** forward.c: core.forward, one pass over rows of any number of sessions.
**
**   core.forward({{rows, {ids of row 1, ids of row 2, ...} [, want [, into]]},
**                 ...})
**       -> list (a request) of lists (a row) of Logits: appends each row's ids
**       and scores the position behind its last one. A row whose ids are {}
**       stays as it is and gets false. All rows, of any Rows of one model, go
**       through one pass. Or nil, message: then nothing has changed, and who
**       asked for many rows may ask for each alone.
**       want (want.c): then the list of a request has a field `extras`, a list
**       of the same kind, of tables.
**       into: a Logits (of row 1) or a list of them (row i: the i-th) to write
**       the scores over and to answer with. One that is held (logits.h) is left
**       as it is; that row gets a new one, as without `into`.
**
** A pass is put together while it allocates, so while a finaliser may close,
** or change, all that Lua code can reach: what was read stays read, and where
** the rows lie is looked up last, when nothing allocates any more.
**
** This is done at every token, so the memory for it is kept: one object, an
** upvalue of `body`. A call takes it out of there and puts it back at its
** end; after an error, or where a finaliser makes a pass in between, there is
** none, and another one is made.
*/
#include <string.h>

#include "lua/logits.h"
#include "lua/model.h"
#include "lua/want.h"

#define DC_LUA_PASS "decant.Pass"
#define MAX_REQUESTS 65536

/* User values of a pass: the owners of its arrays. */
enum { FEEDS = 1, PLACES, IDS };

typedef struct pass {
  dc_model *model;      /* holds a reference during a call, else NULL */
  size_t total;         /* rows of all requests */
  size_t n;             /* those with ids, which are in: */
  dc_feed *feeds;       /* [total], timelines and sources at the end */
  struct place {
    dc_lua_rows *rows;
    size_t row, request;
    dc_lua_logits *scores;
  } *places;            /* [total] */
  int32_t *ids;         /* [total_ids] */
  size_t total_ids, n_ids;
  size_t max_rows, max_ids;  /* room for so many */
} pass;

/* A call's stack: its argument, the pass, its answers, what keeps extras. */
enum { REQUESTS = 1, PASS, ANSWERS, OWNERS };


/* ---- the object ------------------------------------------------------------ */

static void let_go (pass *p) {
  if (p->model != NULL) dc_model_release(p->model);
  p->model = NULL;
}


static int pass_gc (lua_State *L) {
  let_go(luaL_checkudata(L, 1, DC_LUA_PASS));
  return 0;
}


/* Pushes the pass that is kept, or a new one. */
static pass *take_pass (lua_State *L) {
  pass *p = lua_touserdata(L, lua_upvalueindex(1));
  if (p != NULL) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushnil(L);
    lua_replace(L, lua_upvalueindex(1));
  } else {
    p = lua_newuserdatauv(L, sizeof *p, 3);
    memset(p, 0, sizeof *p);
    luaL_setmetatable(L, DC_LUA_PASS);
  }
  p->total = p->n = p->total_ids = p->n_ids = 0;
  return p;
}


static void put_back (lua_State *L, pass *p) {
  let_go(p);
  lua_pushvalue(L, PASS);
  lua_replace(L, lua_upvalueindex(1));
}


static void *room (lua_State *L, int owner, size_t count, size_t size) {
  void *block = dc_push_scratch(L, count, size);
  lua_setiuservalue(L, PASS, owner);
  return block;
}


static void make_room (lua_State *L, pass *p) {
  if (p->total > p->max_rows) {
    p->max_rows = 0;
    p->feeds = room(L, FEEDS, p->total, sizeof *p->feeds);
    p->places = room(L, PLACES, p->total, sizeof *p->places);
    p->max_rows = p->total;
  }
  if (p->total_ids > p->max_ids) {
    p->max_ids = 0;
    p->ids = room(L, IDS, p->total_ids, sizeof *p->ids);
    p->max_ids = p->total_ids;
  }
}


/* ---- requests -------------------------------------------------------------- */

/* Pushes request i: rows, lists of ids, what else is wanted, or nil, and what
   to write over, or nil. */
static dc_lua_rows *check_request (lua_State *L, size_t i) {
  lua_rawgeti(L, REQUESTS, (lua_Integer)i + 1);
  luaL_argcheck(L, lua_istable(L, -1), 1, "a request is {rows, lists of ids}");
  for (int field = 1; field <= 4; field++) lua_rawgeti(L, -field, field);
  lua_remove(L, -5);
  dc_lua_rows *rows = luaL_testudata(L, -4, DC_LUA_ROWS);
  luaL_argcheck(L, rows != NULL && rows->model != NULL, 1,
                "the rows of a request are closed or no rows");
  luaL_argcheck(L, lua_istable(L, -3) && lua_rawlen(L, -3) == rows->n, 1,
                lua_pushfstring(L, "a request needs a list of ids for each of "
                                "its %I rows", (LUAI_UACINT)rows->n));
  return rows;
}


/* How many rows and ids there are, and the model of all of them. */
static void count (lua_State *L, pass *p, size_t requests) {
  dc_model *m = NULL;
  for (size_t i = 0; i < requests; i++) {
    dc_lua_rows *rows = check_request(L, i);
    luaL_argcheck(L, m == NULL || m == rows->model, 1,
                  "requests of different models");
    m = rows->model;
    p->total += rows->n;
    for (size_t row = 0; row < rows->n; row++) {
      lua_rawgeti(L, -3, (lua_Integer)row + 1);
      p->total_ids += lua_rawlen(L, -1);
      lua_pop(L, 1);
    }
    lua_pop(L, 4);
  }
  p->model = m;
  if (m != NULL) m->refs++;
}


static void check_unchanged (lua_State *L, bool unchanged) {
  luaL_argcheck(L, unchanged, 1,
                "the requests were changed while they were read");
}


/* One row with its ids, on top of the stack; pushes its Logits, or false if it
   has no ids. Returns its feed, or NULL. */
static dc_feed *add_row (lua_State *L, pass *p, dc_lua_rows *rows, size_t row,
                         int into) {
  size_t vocab = p->model->hp.n_vocab, n = dc_check_list(L, -1, 1);
  if (n == 0) {
    lua_pushboolean(L, 0);
    return NULL;
  }
  check_unchanged(L, p->n < p->total && n <= p->total_ids - p->n_ids);
  int32_t *ids = p->ids + p->n_ids;
  dc_read_ids(L, -1, 1, vocab, ids, n);
  p->n_ids += n;
  struct place *place = &p->places[p->n];
  dc_feed *feed = &p->feeds[p->n++];
  dc_lua_logits *scores = dc_push_scores(L, into, row, vocab);
  luaL_argcheck(L, scores != NULL, 1,
                "what is to be written over is no Logits of this model");
  *place = (struct place){.rows = rows, .row = row, .scores = scores};
  *feed = (dc_feed){.ids = ids, .n = n, .out = &place->scores->x};
  return feed;
}


static void push_extras_list (lua_State *L, size_t n) {
  if (lua_isnil(L, OWNERS)) {
    lua_newtable(L);
    lua_replace(L, OWNERS);
  }
  lua_createtable(L, (int)n, 0);
}


/* Pushes what else is wanted of the row whose Logits lie on top, or false. */
static void add_extras (lua_State *L, const pass *p, const dc_want *want,
                        dc_feed *feed, const dc_lua_rows *rows) {
  const dc_lua_source *source = rows->source;
  if (feed == NULL) lua_pushboolean(L, 0);
  else dc_push_extras(L, want, p->model, feed,
                      source != NULL ? source->timeline.length : 0, OWNERS);
}


/* The rows of request i; pushes them, to keep them until the end of the call,
   and the list of their Logits. */
static void add_request (lua_State *L, pass *p, size_t i) {
  int bottom = lua_gettop(L), lists = bottom + 2, into = bottom + 4;
  dc_lua_rows *rows = check_request(L, i);
  size_t n = rows->n, first = p->n;
  luaL_argcheck(L, rows->model == p->model, 1, "requests of different models");
  check_unchanged(L, n <= p->total - p->n);
  dc_want want = dc_check_want(L, bottom + 3, 1, p->model);
  bool more = dc_wants(&want);
  lua_createtable(L, (int)n, more);
  int answer = lua_gettop(L);
  if (more) push_extras_list(L, n);
  for (size_t row = 0; row < n; row++) {
    lua_rawgeti(L, lists, (lua_Integer)row + 1);
    dc_feed *feed = add_row(L, p, rows, row, into);
    if (more) {
      add_extras(L, p, &want, feed, rows);
      lua_rawseti(L, answer + 1, (lua_Integer)row + 1);
    }
    lua_rawseti(L, answer, (lua_Integer)row + 1);
    lua_pop(L, 1);
  }
  if (more) lua_setfield(L, answer, "extras");
  while (first < p->n) p->places[first++].request = i;
  lua_replace(L, lists);
  lua_settop(L, lists);
}


/* ---- the pass -------------------------------------------------------------- */

/* The timelines, once nothing allocates any more. No two requests have the
   same ones. */
static void find_timelines (lua_State *L, pass *p) {
  for (size_t i = 0; i < p->n; i++) p->places[i].rows->request = SIZE_MAX;
  for (size_t i = 0; i < p->n; i++) {
    struct place *place = &p->places[i];
    dc_lua_rows *rows = place->rows;
    luaL_argcheck(L, rows->model != NULL && place->row < rows->n, 1,
                  "the rows of a request are closed");
    if (rows->request == SIZE_MAX) rows->request = place->request;
    luaL_argcheck(L, rows->request == place->request, 1,
                  "the same rows are in two requests");
    p->feeds[i].timeline = &rows->timelines[place->row];
    if (rows->source != NULL)
      p->feeds[i].source = &rows->source->timeline;
  }
}


static void run_pass (lua_State *L, pass *p) {
  dc_error err;
  size_t before = dc_pool_bytes(&p->model->pool);
  find_timelines(L, p);
  if (!dc_decode(p->model, p->feeds, p->n, &err)) dc_raise(L, &err);
  for (size_t i = 0; i < p->n; i++) p->places[i].scores->held = false;
  dc_report_memory(L, dc_pool_bytes(&p->model->pool) - before);
}


/* The second argument: where to say that whatever is raised from here on is
   the pass's own failure. */
static int body (lua_State *L) {
  bool *inside = lua_touserdata(L, REQUESTS + 1);
  *inside = true;
  luaL_checktype(L, REQUESTS, LUA_TTABLE);
  lua_settop(L, REQUESTS);
  size_t requests = lua_rawlen(L, REQUESTS);
  luaL_argcheck(L, requests <= MAX_REQUESTS, 1, "too many requests");
  luaL_checkstack(L, (int)requests + LUA_MINSTACK, "too many requests");
  pass *p = take_pass(L);
  count(L, p, requests);
  make_room(L, p);
  lua_createtable(L, (int)requests, 0);
  lua_pushnil(L);  /* OWNERS, for who wants more than scores */
  for (size_t i = 0; i < requests; i++) {
    add_request(L, p, i);
    lua_rawseti(L, ANSWERS, (lua_Integer)i + 1);
  }
  if (p->n > 0) run_pass(L, p);
  put_back(L, p);
  lua_settop(L, ANSWERS);
  *inside = false;
  return 1;
}


/* Hooks raise, too (Ctrl-C, a host's limit of time): when `body` is entered and
   when it returns, its work done. Such an error is no failure of the pass, so
   it goes on to whoever protects the whole run: nobody may ask again. */
static int forward (lua_State *L) {
  bool inside = false;
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_pushlightuserdata(L, &inside);
  if (lua_pcall(L, 2, 1, 0) == LUA_OK) return 1;
  if (!inside) return lua_error(L);
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}


void dc_open_forward (lua_State *L) {
  static const luaL_Reg methods[] = {{NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", pass_gc}, {NULL, NULL}};
  dc_new_type(L, DC_LUA_PASS, methods, metamethods);
  lua_pushnil(L);  /* no pass yet */
  lua_pushcclosure(L, body, 1);
  lua_pushcclosure(L, forward, 1);
  lua_setfield(L, -2, "forward");
}
