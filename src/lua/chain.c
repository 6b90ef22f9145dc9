/*
** chain.c: Chain, a list of processors run one after the other on each row at
** each step. Built-in ones (Processor) are C and run without a Lua call;
** anything else callable gets (logits, ids, prompt, rng): a fresh list of the
** whole row, how many of its ids stand before the new tokens, and the row's
** draws (nil where they are not known).
**
**   core.chain(list [, prompt [, rng]])  -> Chain; prompt: the ids that stand
**                                         in front of what is generated; rng:
**                                         seed and row for what draws
**   chain(logits, ids [, whole])       -> logits, edited in place. The row is
**                                         prompt .. ids, or ids alone where
**                                         whole is true
**   #chain                             -> how many processors
**
** A chain belongs to one row. What keeps a state for its row has a metamethod
** __fresh, a function(self) that returns the same for another row: every chain
** takes a fresh one. A chain in the list, unless it has a prompt of its own,
** is taken apart into its processors.
**
** A Lua processor may yield and may raise. The chain keeps nothing between
** two calls but a buffer; a call that comes back from Lua code reads the row
** anew if another call has used the buffer since.
*/
#include <string.h>

#include "lua/logits.h"
#include "lua/processor.h"

/* User values of a chain. */
enum { LIST = 1, PROMPT, BUFFER, RNG };

typedef struct chain {
  int32_t *row;      /* the BUFFER: [room] */
  size_t room;
  size_t n_row;      /* ids in it now */
  lua_Integer calls; /* serial number of the reading that filled it */
  const int32_t *prompt;  /* NULL: none was given */
  size_t n_prompt;
  const dc_rng *rng;      /* NULL: none was given */
  size_t n;
  const dc_processor *step[];  /* [n]; NULL: a Lua value in LIST */
} chain;

/* A call's stack: its arguments, then the serial number of the reading. */
enum { SELF = 1, LOGITS, IDS, WHOLE, SERIAL };


/* ---- the row ---- */

static void make_room (lua_State *L, chain *c, size_t n) {
  if (n <= c->room) return;
  size_t room = n < 64 ? 64 : n + n / 2;
  int32_t *row = dc_push_scratch(L, room, sizeof *row);
  lua_setiuservalue(L, SELF, BUFFER);
  c->row = row;
  c->room = room;
}


/* Reads prompt .. ids into the buffer and notes whose reading it is. */
static void read_row (lua_State *L, chain *c) {
  size_t start = lua_toboolean(L, WHOLE) ? 0 : c->n_prompt;
  size_t n = lua_rawlen(L, IDS);
  make_room(L, c, start + n);
  if (start > 0) memcpy(c->row, c->prompt, start * sizeof *c->row);
  for (size_t i = 0; i < n; i++) {
    int is_integer;
    lua_rawgeti(L, IDS, (lua_Integer)i + 1);
    lua_Integer id = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || id < 0 || id > INT32_MAX ||
        lua_type(L, -1) != LUA_TNUMBER)
      luaL_argerror(L, IDS - 1, lua_pushfstring(L, "id %s at position %I is "
        "no integer from 0", dc_show(L, -1),
        (LUAI_UACINT)i + 1));
    c->row[start + i] = (int32_t)id;
    lua_pop(L, 1);
  }
  c->n_row = start + n;
  lua_pushinteger(L, ++c->calls);
  lua_replace(L, SERIAL);
}


/* ---- a call ---- */

/* What a built-in processor sees of the row in the buffer. */
static dc_step step_of (lua_State *L, const chain *c, float *x, size_t n) {
  size_t prompt = c->prompt != NULL ? c->n_prompt : DC_NO_PROMPT;
  return (dc_step){dc_logits_row_beside(L, x, n, c->n_row), c->row, c->n_row,
                   prompt, c->rng};
}


/* After a Lua processor: it may return nothing or the logits. */
static void check_result (lua_State *L, lua_KContext i) {
  if (!lua_isnil(L, -1) && !lua_rawequal(L, -1, LOGITS))
    luaL_error(L, "processor %I returned a %s: it must edit the logits in "
               "place and return nothing or these logits", (LUAI_UACINT)i,
               luaL_typename(L, -1));
  lua_settop(L, SERIAL);
}


/* Pushes the Lua processor i and its arguments. The buffer is on the stack
   meanwhile: making a table may run a finaliser that calls this chain. The
   processor may keep the logits, so nothing writes over them any more. */
static void push_call (lua_State *L, chain *c, size_t i) {
  dc_hold_logits(L, LOGITS);
  lua_getiuservalue(L, SELF, BUFFER);
  lua_getiuservalue(L, SELF, LIST);
  lua_rawgeti(L, -1, (lua_Integer)i + 1);
  lua_replace(L, -2);
  lua_pushvalue(L, LOGITS);
  dc_push_ids(L, c->row, c->n_row);
  if (c->prompt != NULL)
    lua_pushinteger(L, (lua_Integer)c->n_prompt);
  else
    lua_pushnil(L);
  lua_getiuservalue(L, SELF, RNG);
}


/* Runs the processors behind number `at`; enters again here after a yield. */
static int run (lua_State *L, int status, lua_KContext at) {
  chain *c = lua_touserdata(L, SELF);
  size_t n;
  float *x = dc_check_logits(L, LOGITS, &n);
  if (status == LUA_YIELD) check_result(L, at);
  for (size_t i = (size_t)at; i < c->n; i++) {
    /* the scratch, once and for all: nothing allocates behind read_row */
    size_t room = c->n_prompt + lua_rawlen(L, IDS);
    dc_logits_row_beside(L, x, n, room > c->n_row ? room : c->n_row);
    lua_Integer mine = lua_tointeger(L, SERIAL);
    if (mine == 0 || mine != c->calls) read_row(L, c);
    if (c->step[i] != NULL) {
      dc_step step = step_of(L, c, x, n);
      dc_run_processor(L, c->step[i], (int)i + 1, &step);
    } else {
      push_call(L, c, i);
      lua_callk(L, 4, 1, (lua_KContext)i + 1, run);
      check_result(L, (lua_KContext)i + 1);
    }
  }
  lua_settop(L, LOGITS);
  return 1;
}


/* Arguments count without the chain. */
static void check_argument (lua_State *L, int index, bool fine,
                            const char *wanted) {
  if (!fine)
    luaL_argerror(L, index - 1, lua_pushfstring(L, "%s expected, got %s",
                                                wanted,
                                                luaL_typename(L, index)));
}


static int chain_call (lua_State *L) {
  luaL_checkudata(L, SELF, DC_LUA_CHAIN);
  lua_settop(L, WHOLE);
  check_argument(L, LOGITS, luaL_testudata(L, LOGITS, DC_LUA_LOGITS) != NULL,
                 DC_LUA_LOGITS);
  if (lua_isnil(L, IDS)) {
    lua_newtable(L);
    lua_replace(L, IDS);
  }
  check_argument(L, IDS, lua_istable(L, IDS), "a table of token ids");
  lua_pushinteger(L, 0);  /* no reading yet: they count from 1 */
  return run(L, LUA_OK, 0);
}


/* ---- building ---- */

/* Replaces the value on top of the stack by a fresh one for this chain. */
static void freshen (lua_State *L) {
  if (luaL_getmetafield(L, -1, "__fresh") == LUA_TNIL) return;
  lua_insert(L, -2);
  lua_call(L, 1, 1);
}


/* Appends the processors of the list at the top of the stack, those of chains
   in it one by one, to the list at `flat`. */
static void flatten (lua_State *L, int flat, size_t n) {
  int list = lua_gettop(L);
  luaL_checkstack(L, 6, "chains in chains in chains");
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, list, (lua_Integer)i + 1);
    const chain *inner = luaL_testudata(L, -1, DC_LUA_CHAIN);
    if (inner != NULL && inner->prompt == NULL) {
      lua_getiuservalue(L, -1, LIST);
      flatten(L, flat, inner->n);
    } else {
      freshen(L);
      if (dc_test_processor(L, -1) == NULL && !dc_is_callable(L, -1))
        luaL_argerror(L, 1, lua_pushfstring(L, "processor %I is a %s, "
          "must be a function(logits, ids)", (LUAI_UACINT)i + 1,
          luaL_typename(L, -1)));
      lua_pushvalue(L, -1);
      lua_rawseti(L, flat, (lua_Integer)lua_rawlen(L, flat) + 1);
    }
    lua_settop(L, list);
  }
}


static int new_chain (lua_State *L) {
  size_t keys = 0;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 3);
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) keys++;
  luaL_argcheck(L, keys == lua_rawlen(L, 1), 1,
                "the list has a hole or a key that is no position");
  lua_newtable(L);
  lua_pushvalue(L, 1);
  flatten(L, 4, lua_rawlen(L, 1));
  lua_settop(L, 4);
  size_t n = lua_rawlen(L, 4);
  chain *c = lua_newuserdatauv(L, sizeof *c + n * sizeof *c->step, 4);
  memset(c, 0, sizeof *c + n * sizeof *c->step);
  c->n = n;
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, 4, (lua_Integer)i + 1);
    c->step[i] = dc_test_processor(L, -1);
    lua_pop(L, 1);
  }
  lua_pushvalue(L, 4);
  lua_setiuservalue(L, 5, LIST);
  if (!lua_isnil(L, 2)) {
    c->prompt = dc_check_ids(L, 2, 2, 0, &c->n_prompt);
    lua_setiuservalue(L, 5, PROMPT);
  }
  if (!lua_isnil(L, 3)) {
    c->rng = dc_check_rng(L, 3);
    lua_pushvalue(L, 3);
    lua_setiuservalue(L, 5, RNG);
  }
  luaL_setmetatable(L, DC_LUA_CHAIN);
  return 1;
}


static int chain_tostring (lua_State *L) {
  chain *c = luaL_checkudata(L, 1, DC_LUA_CHAIN);
  lua_pushfstring(L, "decant.Chain (%I processors)", (LUAI_UACINT)c->n);
  return 1;
}


static int chain_len (lua_State *L) {
  chain *c = luaL_checkudata(L, 1, DC_LUA_CHAIN);
  lua_pushinteger(L, (lua_Integer)c->n);
  return 1;
}


void dc_open_chain (lua_State *L) {
  static const luaL_Reg metamethods[] = {
    {"__call", chain_call}, {"__len", chain_len},
    {"__tostring", chain_tostring}, {NULL, NULL}
  };
  luaL_newmetatable(L, DC_LUA_CHAIN);
  luaL_setfuncs(L, metamethods, 0);
  lua_pop(L, 1);
  lua_pushcfunction(L, new_chain);
  lua_setfield(L, -2, "chain");
}
