/*
** processor.c: Processor, a built-in logits processor with its parameters.
**
**   core.processors.NAME(main)        -> Processor, e.g. top_p(0.9)
**   core.processors.NAME{name = ...}  -> Processor, all arguments by name
**   processor(logits [, ids [, prompt [, rng]]])  -> logits, edited in place;
**                                        ids: the row so far; prompt: how many
**                                        of them stand before the new tokens;
**                                        rng: seed and row, for what draws
**   processor.kind                    -> "top_p"
**   core.processor_kind(value)        -> the same; nil if it is no Processor
**   core.watermark_green(watermark, vocab, ids, id)  -> boolean
**
** A few kinds learn from the row (decode/surprise.c). Their metamethod
** __fresh gives the same processor for another row; chain.c asks for it.
*/
#include <string.h>

#include "lua/logits.h"
#include "lua/processor.h"


/* The processor is there, with its metatable, before it is filled: its state
   is zeroed, and what it must free is freed with it. */
static dc_processor *push_processor (lua_State *L, const dc_kind *kind) {
  size_t state = kind->memory != NULL ? kind->memory->state_size : 0;
  dc_processor *p = lua_newuserdatauv(L, sizeof *p + state, 1);
  memset(p, 0, sizeof *p + state);
  p->kind = kind;
  p->state = p + 1;
  luaL_setmetatable(L, DC_LUA_PROCESSOR);
  return p;
}


static void make_table (lua_State *L, dc_processor *p, int object) {
  const dc_memory *memory = p->kind->memory;
  size_t n = memory != NULL && memory->fill != NULL
               ? memory->table_size(p) : 0;
  if (n == 0) return;
  int32_t *table = dc_keep_block(L, object, n, sizeof *table);
  memory->fill(p, table);
  p->table = table;
}


static int build (lua_State *L) {
  const dc_kind *kind = lua_touserdata(L, lua_upvalueindex(1));
  lua_settop(L, 1);
  dc_processor *p = push_processor(L, kind);
  lua_newtable(L);
  lua_setiuservalue(L, 2, 1);
  dc_read_params(L, p, 2);
  make_table(L, p, 2);
  return 1;
}


/* A processor for another row: itself, unless it keeps a state. */
static int processor_fresh (lua_State *L) {
  const dc_processor *p = luaL_checkudata(L, 1, DC_LUA_PROCESSOR);
  lua_settop(L, 1);
  if (p->kind->memory == NULL || p->kind->memory->state_size == 0) return 1;
  dc_processor *copy = push_processor(L, p->kind);
  void *state = copy->state;
  *copy = *p;
  copy->state = state;
  lua_getiuservalue(L, 1, 1);
  lua_setiuservalue(L, 2, 1);
  return 1;
}


static int processor_gc (lua_State *L) {
  dc_processor *p = luaL_checkudata(L, 1, DC_LUA_PROCESSOR);
  const dc_memory *memory = p->kind->memory;
  if (memory != NULL && memory->clear != NULL) memory->clear(p->state);
  if (memory != NULL) memset(p->state, 0, memory->state_size);
  return 0;
}


/* ---- use ---- */

const dc_processor *dc_test_processor (lua_State *L, int index) {
  return luaL_testudata(L, index, DC_LUA_PROCESSOR);
}


void dc_run_processor (lua_State *L, const dc_processor *p, int place,
                       const dc_step *step) {
  dc_error err;
  if (dc_processor_apply(p, step, &err)) return;
  if (place == 0) luaL_error(L, "%s: %s", p->kind->name, err.text);
  luaL_error(L, "processor %d (%s): %s", place, p->kind->name, err.text);
}


/* The arguments count without the processor, which so goes behind them. */
static int processor_call (lua_State *L) {
  const dc_processor *p = luaL_checkudata(L, 1, DC_LUA_PROCESSOR);
  size_t n;
  dc_step step = {.prompt = DC_NO_PROMPT};
  lua_settop(L, 5);
  lua_rotate(L, 1, -1);
  dc_check_logits(L, 1, &n);
  if (!lua_isnil(L, 4)) step.rng = dc_check_rng(L, 4);
  if (!lua_isnil(L, 3))
    step.prompt = (size_t)dc_check_range(L, 3, 0, INT32_MAX);
  if (!lua_isnil(L, 2)) step.ids = dc_check_ids(L, 2, 2, 0, &step.n_ids);
  float *x = dc_check_logits(L, 1, &n);
  step.logits = dc_logits_row_beside(L, x, n, step.n_ids);
  dc_run_processor(L, p, 0, &step);
  lua_settop(L, 1);
  return 1;
}


static int processor_index (lua_State *L) {
  const dc_processor *p = luaL_checkudata(L, 1, DC_LUA_PROCESSOR);
  const char *key = lua_tostring(L, 2);
  if (key == NULL || strcmp(key, "kind") != 0) return 0;
  lua_pushstring(L, p->kind->name);
  return 1;
}


/* core.processor_kind(value) -> its kind, or nil if it is no Processor */
static int processor_kind (lua_State *L) {
  const dc_processor *p = dc_test_processor(L, 1);
  lua_pushstring(L, p != NULL ? p->kind->name : NULL);
  return 1;
}


/* core.watermark_green(watermark, vocab, ids, id) -> whether the watermark
   makes `id` green behind `ids` */
static int watermark_green (lua_State *L) {
  size_t n_ids;
  const dc_processor *p = dc_test_processor(L, 1);
  luaL_argcheck(L, p != NULL && !strcmp(p->kind->name, "watermark"), 1,
                "is no watermark");
  lua_Integer vocab = dc_check_range(L, 2, 1, INT32_MAX);
  const int32_t *ids = dc_check_ids(L, 3, 3, (size_t)vocab, &n_ids);
  lua_Integer id = dc_check_range(L, 4, 0, vocab - 1);
  lua_pushboolean(L, dc_watermark_is_green(p, (size_t)vocab, ids, n_ids,
                                           (int32_t)id));
  return 1;
}


static int processor_tostring (lua_State *L) {
  const dc_processor *p = luaL_checkudata(L, 1, DC_LUA_PROCESSOR);
  lua_pushfstring(L, "decant.Processor: %s", p->kind->name);
  return 1;
}


void dc_open_processor (lua_State *L) {
  static const luaL_Reg metamethods[] = {
    {"__call", processor_call}, {"__index", processor_index},
    {"__tostring", processor_tostring}, {"__fresh", processor_fresh},
    {"__gc", processor_gc}, {NULL, NULL}
  };
  luaL_newmetatable(L, DC_LUA_PROCESSOR);
  luaL_setfuncs(L, metamethods, 0);
  lua_pop(L, 1);
  lua_newtable(L);
  for (const dc_kind *kind = dc_kinds; kind->name != NULL; kind++) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)kind);
    lua_pushcclosure(L, build, 1);
    lua_setfield(L, -2, kind->name);
  }
  lua_setfield(L, -2, "processors");
  lua_pushcfunction(L, processor_kind);
  lua_setfield(L, -2, "processor_kind");
  lua_pushcfunction(L, watermark_green);
  lua_setfield(L, -2, "watermark_green");
  dc_open_chain(L);
}
