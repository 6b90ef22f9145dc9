/*
** chain.c: Chain, a list of processors run one after the other on each row at
** each step. Built-in ones (Processor) are C and run without a Lua call;
** anything else callable gets (logits, ids), ids being a fresh list of the
** whole row.
**
**   core.chain(list [, prompt])        -> Chain; prompt: the ids that stand
**                                         in front of what is generated
**   chain(logits, ids [, whole])       -> logits, edited in place. The row is
**                                         prompt .. ids, or ids alone where
**                                         whole is true
**   #chain                             -> how many processors
**
** A Lua processor may yield and may raise. The chain keeps nothing between
** two calls but a buffer; a call that comes back from Lua code reads the row
** anew if another call has used the buffer since.
*/
#include <string.h>

#include "lua/logits.h"
#include "lua/processor.h"

/* User values of a chain. */
enum { LIST = 1, PROMPT, BUFFER };

typedef struct chain {
  int32_t *row;      /* the BUFFER: [room] */
  size_t room;
  size_t n_row;      /* ids in it now */
  lua_Integer calls; /* serial number of the reading that filled it */
  const int32_t *prompt;
  size_t n_prompt;
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
        "no integer from 0", luaL_tolstring(L, -1, NULL),
        (LUAI_UACINT)i + 1));
    c->row[start + i] = (int32_t)id;
    lua_pop(L, 1);
  }
  c->n_row = start + n;
  lua_pushinteger(L, ++c->calls);
  lua_replace(L, SERIAL);
}


/* ---- a call ---- */

/* After a Lua processor: it may return nothing or the logits. */
static void check_result (lua_State *L, lua_KContext i) {
  if (!lua_isnil(L, -1) && !lua_rawequal(L, -1, LOGITS))
    luaL_error(L, "processor %I returned a %s: it must edit the logits in "
               "place and return nothing or these logits", (LUAI_UACINT)i,
               luaL_typename(L, -1));
  lua_settop(L, SERIAL);
}


/* Pushes the Lua processor i and its arguments. The buffer is on the stack
   meanwhile: making a table may run a finaliser that calls this chain. */
static void push_call (lua_State *L, chain *c, size_t i) {
  lua_getiuservalue(L, SELF, BUFFER);
  lua_getiuservalue(L, SELF, LIST);
  lua_rawgeti(L, -1, (lua_Integer)i + 1);
  lua_replace(L, -2);
  lua_pushvalue(L, LOGITS);
  dc_push_ids(L, c->row, c->n_row);
}


/* Runs the processors behind number `at`; enters again here after a yield. */
static int run (lua_State *L, int status, lua_KContext at) {
  chain *c = lua_touserdata(L, SELF);
  size_t n;
  float *x = dc_check_logits(L, LOGITS, &n);
  if (status == LUA_YIELD) check_result(L, at);
  for (size_t i = (size_t)at; i < c->n; i++) {
    dc_logits_row(L, x, n);  /* from here to the end nothing allocates */
    lua_Integer mine = lua_tointeger(L, SERIAL);
    if (mine == 0 || mine != c->calls) read_row(L, c);
    if (c->step[i] != NULL) {
      dc_run_processor(L, c->step[i], (int)i + 1, x, n, c->row, c->n_row);
    } else {
      push_call(L, c, i);
      lua_callk(L, 2, 1, (lua_KContext)i + 1, run);
      check_result(L, (lua_KContext)i + 1);
    }
  }
  lua_settop(L, LOGITS);
  return 1;
}


static int chain_call (lua_State *L) {
  luaL_checkudata(L, SELF, DC_LUA_CHAIN);
  dc_check_called(L, SELF);
  lua_settop(L, WHOLE);
  if (lua_isnil(L, IDS)) {
    lua_newtable(L);
    lua_replace(L, IDS);
  }
  luaL_checktype(L, IDS, LUA_TTABLE);
  lua_pushinteger(L, 0);  /* no reading yet: they count from 1 */
  return run(L, LUA_OK, 0);
}


/* ---- building ---- */

static bool is_callable (lua_State *L, int index) {
  if (lua_isfunction(L, index)) return true;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}


static int new_chain (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  size_t n = lua_rawlen(L, 1);
  if (n > INT32_MAX) return luaL_argerror(L, 1, "is too long");
  chain *c = lua_newuserdatauv(L, sizeof *c + n * sizeof *c->step, 3);
  memset(c, 0, sizeof *c + n * sizeof *c->step);
  c->n = n;
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, 1, (lua_Integer)i + 1);
    c->step[i] = dc_test_processor(L, -1);
    if (c->step[i] == NULL && !is_callable(L, -1))
      return luaL_argerror(L, 1, lua_pushfstring(L, "processor %I is a %s, "
        "must be a function(logits, ids)", (LUAI_UACINT)i + 1,
        luaL_typename(L, -1)));
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setiuservalue(L, 3, LIST);
  if (!lua_isnil(L, 2)) {
    c->prompt = dc_check_ids(L, 2, 2, 0, &c->n_prompt);
    lua_setiuservalue(L, 3, PROMPT);
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
