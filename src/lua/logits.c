/*
** logits.c: Logits, one row of scores keyed by token id, from 0.
**
**   core.logits(list)                  -> Logits; list[1] is id 0 (or, where
**                                         there is a list[0], that is id 0)
**   logits[id]  logits[id] = x  #logits  tostring(logits)
**
** In place, returning the row:
**   logits:temperature(t)  :top_k(k [, keep])  :top_p(p [, keep])
**         :min_p(p [, keep])  :typical(mass [, keep])
**         :repetition_penalty(p, ids)  :bias{[id] = b}  :suppress{ids}
**         :keep{ids}  :softmax()  :log_softmax()
**         :guide(other, scale [, "log_probabilities" | "logits" | "beyond"])
**         :hold()         no pass writes over it (forward.c, into)
**
** Questions:
**   logits:argmax()         -> id
**   logits:sample(rng | u)  -> id, probability     (u: a number in [0, 1))
**   logits:top(n)           -> {{id=, prob=, logit=}, ...}, allowed ones only
**   logits:probability(id)  -> number
**   logits:log_probability(id) -> number: the entry of log_softmax()
**   logits:allowed()        -> how many are not -inf
**   logits:clone()          -> Logits
**   logits:totable()        -> table with the keys 0 to #logits - 1
*/
#include "lua/logits.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "math/kernels.h"

/* ---- what other bindings use ---- */

/* Room for n floats where the vectors of the kernels begin. */
#define ALIGNMENT 64

static size_t aligned_size (size_t n) {
  return ALIGNMENT + (n * sizeof(float) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}


static float *align (void *block) {
  uintptr_t at = (uintptr_t)block + ALIGNMENT - 1;
  return (float *)(at / ALIGNMENT * ALIGNMENT);
}


float *dc_push_logits (lua_State *L, size_t n) {
  if (n > INT32_MAX) luaL_error(L, "too many logits");
  size_t size = sizeof(dc_lua_logits) + aligned_size(n);
  dc_lua_logits *row = lua_newuserdatauv(L, size, 0);
  memset(row, 0, size);
  row->x = align(row + 1);
  row->n = n;
  luaL_setmetatable(L, DC_LUA_LOGITS);
  return row->x;
}


float *dc_test_logits (lua_State *L, int index, size_t *n) {
  dc_lua_logits *row = luaL_testudata(L, index, DC_LUA_LOGITS);
  if (row == NULL) return NULL;
  *n = row->n;
  return row->x;
}


float *dc_check_logits (lua_State *L, int arg, size_t *n) {
  dc_lua_logits *row = luaL_checkudata(L, arg, DC_LUA_LOGITS);
  *n = row->n;
  return row->x;
}


dc_lua_logits *dc_push_scores (lua_State *L, int into, size_t i, size_t n) {
  dc_lua_logits *row = NULL;
  if (lua_istable(L, into))
    lua_rawgeti(L, into, (lua_Integer)i + 1);
  else
    lua_pushvalue(L, into);
  if (lua_toboolean(L, -1)) {
    row = luaL_testudata(L, -1, DC_LUA_LOGITS);
    if (row == NULL || row->n != n) {
      lua_pop(L, 1);
      return NULL;
    }
  }
  if (row == NULL || row->held) {
    lua_pop(L, 1);
    dc_push_logits(L, n);
    row = lua_touserdata(L, -1);
  }
  row->held = true;
  return row;
}


void dc_hold_logits (lua_State *L, int index) {
  ((dc_lua_logits *)luaL_checkudata(L, index, DC_LUA_LOGITS))->held = true;
}


static const char scratch_key;  /* its address names the registry's slot */

dc_logits dc_logits_row (lua_State *L, float *x, size_t n) {
  return dc_logits_row_beside(L, x, n, 0);
}


dc_logits dc_logits_row_beside (lua_State *L, float *x, size_t n,
                                size_t n_ids) {
  size_t size = 2 * aligned_size(n) +
                (n > n_ids ? n : n_ids) * sizeof(int32_t);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &scratch_key);
  char *block = lua_touserdata(L, -1);
  if (block == NULL || lua_rawlen(L, -1) < size) {
    lua_pop(L, 1);
    block = lua_newuserdatauv(L, size, 0);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &scratch_key);
  }
  lua_pop(L, 1);  /* the registry keeps it */
  float *a = align(block), *b = align(a + n);
  return (dc_logits){x, n, a, b, (int32_t *)(void *)(b + n)};
}


/* ---- arguments ---- */

/* Last among the arguments that allocate: a finaliser may run Lua code. */
static dc_logits check_row (lua_State *L) {
  size_t n;
  float *x = dc_check_logits(L, 1, &n);
  return dc_logits_row(L, x, n);
}


/* The method's result: self, or the error. */
static int self_or_raise (lua_State *L, bool fine, const dc_error *err) {
  if (!fine) return dc_raise(L, err);
  lua_settop(L, 1);
  return 1;
}


/* A number in min..max (both inside) with float precision. */
static double check_number (lua_State *L, int arg, double min, double max,
                            const char *rule) {
  double x = luaL_checknumber(L, arg);
  if (!(x >= min && x <= max))
    luaL_argerror(L, arg, lua_pushfstring(L, "is %f, must be %s", x, rule));
  return x;
}


static float check_positive (lua_State *L, int arg) {
  return (float)check_number(L, arg, FLT_MIN, FLT_MAX,
                             "above 0 (at least 1.2e-38)");
}


static size_t opt_keep (lua_State *L, int arg) {
  return lua_isnoneornil(L, arg)
           ? 1 : (size_t)dc_check_range(L, arg, 1, INT32_MAX);
}


/* The value at `index` as an id; as an index of the row it is no argument. */
static size_t check_id (lua_State *L, int index, size_t n) {
  int is_integer;
  lua_Integer id = lua_tointegerx(L, index, &is_integer);
  if (!is_integer || id < 0 || (size_t)id >= n)
    luaL_error(L, "token id %s is out of range, must be from 0 to %I",
               dc_show(L, index), (LUAI_UACINT)n - 1);
  return (size_t)id;
}


/* ---- in place ---- */

static int row_temperature (lua_State *L) {
  dc_logits row = check_row(L);
  dc_logits_temperature(&row, check_positive(L, 2));
  return self_or_raise(L, true, NULL);
}


static int row_top_k (lua_State *L) {
  dc_error err;
  dc_logits row = check_row(L);
  size_t k = (size_t)dc_check_range(L, 2, 1, INT32_MAX);
  size_t keep = opt_keep(L, 3);
  return self_or_raise(L, dc_logits_top_k(&row, k > keep ? k : keep, &err),
                       &err);
}


static int row_top_p (lua_State *L) {
  dc_error err;
  dc_logits row = check_row(L);
  double p = check_number(L, 2, 0, 1, "from 0 to 1");
  return self_or_raise(L, dc_logits_top_p(&row, p, opt_keep(L, 3), &err),
                       &err);
}


static int row_min_p (lua_State *L) {
  dc_error err;
  dc_logits row = check_row(L);
  float m = (float)check_number(L, 2, 0, 1, "from 0 to 1");
  return self_or_raise(L, dc_logits_min_p(&row, m, opt_keep(L, 3), &err),
                       &err);
}


static int row_typical (lua_State *L) {
  dc_error err;
  dc_logits row = check_row(L);
  float mass = (float)check_number(L, 2, FLT_MIN, 1 - FLT_EPSILON / 2,
                                   "above 0 and below 1");
  return self_or_raise(L, dc_logits_typical(&row, mass, opt_keep(L, 3), &err),
                       &err);
}


static int row_repetition_penalty (lua_State *L) {
  size_t n, n_ids;
  dc_check_logits(L, 1, &n);
  float p = check_positive(L, 2);
  int32_t *ids = dc_check_ids(L, 3, 3, n, &n_ids);
  dc_logits row = check_row(L);
  dc_logits_penalize(&row, p, ids, n_ids);
  return self_or_raise(L, true, NULL);
}


/* All entries are checked before the first one is used. */
static int row_bias (lua_State *L) {
  dc_logits row = check_row(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  for (int apply = 0; apply <= 1; apply++) {
    lua_pushnil(L);
    while (lua_next(L, 2)) {
      int is_integer = lua_isinteger(L, -2);
      lua_Integer id = is_integer ? lua_tointeger(L, -2) : -1;
      float bias = 0;
      if (id < 0 || (size_t)id >= row.n)
        return luaL_argerror(L, 2, lua_pushfstring(L, "token id %s is out of "
          "range, must be from 0 to %I", dc_show(L, -2),
          (LUAI_UACINT)row.n - 1));
      if (!dc_to_bias(L, -1, &bias))
        return luaL_argerror(L, 2, lua_pushfstring(L, "the bias of id %I is "
          "%s, " DC_BIAS_RULE, (LUAI_UACINT)id,
          dc_show(L, -1)));
      if (apply) row.x[id] += bias;
      lua_pop(L, 1);
    }
  }
  return self_or_raise(L, true, NULL);
}


static int row_suppress (lua_State *L) {
  size_t n, n_ids;
  float *x = dc_check_logits(L, 1, &n);
  int32_t *ids = dc_check_ids(L, 2, 2, n, &n_ids);
  for (size_t i = 0; i < n_ids; i++) x[ids[i]] = -INFINITY;
  return self_or_raise(L, true, NULL);
}


static int row_keep (lua_State *L) {
  size_t n, n_ids;
  dc_check_logits(L, 1, &n);
  int32_t *ids = dc_check_ids(L, 2, 2, n, &n_ids);
  dc_logits row = check_row(L);
  dc_logits_keep(&row, ids, n_ids);
  return self_or_raise(L, true, NULL);
}


static int row_softmax (lua_State *L) {
  dc_error err;
  dc_logits row = check_row(L);
  return self_or_raise(L, dc_logits_softmax(&row, &err), &err);
}


static int row_log_softmax (lua_State *L) {
  dc_error err;
  dc_logits row = check_row(L);
  return self_or_raise(L, dc_logits_log_softmax(&row, &err), &err);
}


static int row_guide (lua_State *L) {
  size_t n, n_given;
  dc_error err;
  dc_check_logits(L, 1, &n);
  float *given = dc_check_logits(L, 2, &n_given);
  float scale = dc_check_float(L, 3);
  static const char *const names[] = {"log_probabilities", "logits", "beyond",
                                      NULL};
  dc_guidance how = (dc_guidance)luaL_checkoption(L, 4, names[0], names);
  if (n_given != n)
    luaL_argerror(L, 2, lua_pushfstring(L, "has %I logits, must have %I",
                                        (LUAI_UACINT)n_given,
                                        (LUAI_UACINT)n));
  float *other = dc_push_scratch(L, n, sizeof *other);
  dc_logits row = check_row(L);
  memcpy(other, given, n * sizeof *other);
  return self_or_raise(L, dc_logits_guide(&row, other, scale, how, &err),
                       &err);
}


static int row_hold (lua_State *L) {
  dc_hold_logits(L, 1);
  return self_or_raise(L, true, NULL);
}


/* ---- questions ---- */

/* Needs no scratch, as row_log_probability. */
static int row_argmax (lua_State *L) {
  size_t id;
  dc_error err;
  dc_logits row = {0};
  row.x = dc_check_logits(L, 1, &row.n);
  if (!dc_logits_argmax(&row, &id, &err)) return dc_raise(L, &err);
  lua_pushinteger(L, (lua_Integer)id);
  return 1;
}


static int row_sample (lua_State *L) {
  size_t id = 0;
  float probability;
  dc_error err;
  dc_logits row = check_row(L);
  double u = lua_type(L, 2) == LUA_TNUMBER
               ? check_number(L, 2, 0, 1 - DBL_EPSILON / 2, "in [0, 1)")
               : dc_rng_uniform(dc_check_rng(L, 2));
  if (!dc_logits_draw(&row, u, &id, &probability, &err))
    return dc_raise(L, &err);
  lua_pushinteger(L, (lua_Integer)id);
  lua_pushnumber(L, probability);
  return 2;
}


typedef struct entry {
  int32_t id;
  float probability, logit;
} entry;


static void push_entry (lua_State *L, const entry *e) {
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, e->id);
  lua_setfield(L, -2, "id");
  lua_pushnumber(L, e->probability);
  lua_setfield(L, -2, "prob");
  lua_pushnumber(L, e->logit);
  lua_setfield(L, -2, "logit");
}


static int row_top (lua_State *L) {
  size_t n;
  dc_error err;
  dc_check_logits(L, 1, &n);
  size_t count = (size_t)dc_check_range(L, 2, 1, INT32_MAX);
  entry *list = dc_push_scratch(L, count < n ? count : n, sizeof *list);
  dc_logits row = check_row(L);
  if (!dc_logits_top(&row, &count, &err)) return dc_raise(L, &err);
  for (size_t i = 0; i < count; i++) {
    int32_t id = row.ids[i];
    list[i] = (entry){id, row.a[id], row.x[id]};
  }
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    push_entry(L, &list[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}


static int row_probability (lua_State *L) {
  dc_error err;
  dc_logits row = check_row(L);
  size_t id = check_id(L, 2, row.n);
  if (!dc_logits_probabilities(&row, &err)) return dc_raise(L, &err);
  lua_pushnumber(L, row.a[id]);
  return 1;
}


/* Needs no scratch. */
static int row_log_probability (lua_State *L) {
  dc_error err;
  float logprob;
  dc_logits row = {0};
  row.x = dc_check_logits(L, 1, &row.n);
  if (!dc_logits_log_probability(&row, check_id(L, 2, row.n), &logprob, &err))
    return dc_raise(L, &err);
  lua_pushnumber(L, logprob);
  return 1;
}


static int row_allowed (lua_State *L) {
  size_t n;
  lua_Integer count = 0;
  float *x = dc_check_logits(L, 1, &n);
  for (size_t id = 0; id < n; id++) count += x[id] != -INFINITY;
  lua_pushinteger(L, count);
  return 1;
}


static int row_clone (lua_State *L) {
  size_t n;
  float *x = dc_check_logits(L, 1, &n);
  memcpy(dc_push_logits(L, n), x, n * sizeof *x);
  return 1;
}


static int row_totable (lua_State *L) {
  size_t n;
  float *x = dc_check_logits(L, 1, &n);
  lua_createtable(L, (int)n, 1);
  for (size_t id = 0; id < n; id++) {
    lua_pushnumber(L, x[id]);
    lua_rawseti(L, -2, (lua_Integer)id);
  }
  return 1;
}


static int row_len (lua_State *L) {
  size_t n;
  dc_check_logits(L, 1, &n);
  lua_pushinteger(L, (lua_Integer)n);
  return 1;
}


static int row_tostring (lua_State *L) {
  size_t id;
  dc_error err;
  dc_logits row = check_row(L);
  if (dc_logits_argmax(&row, &id, &err))
    lua_pushfstring(L, "decant.Logits (%I tokens, best %I with %f)",
                    (LUAI_UACINT)row.n, (LUAI_UACINT)id,
                    (lua_Number)row.x[id]);
  else
    lua_pushfstring(L, "decant.Logits (%I tokens, %s)", (LUAI_UACINT)row.n,
                    err.text);
  return 1;
}


/* A number is an id; everything else is looked up among the methods. */
static int row_index (lua_State *L) {
  size_t n;
  float *x = dc_check_logits(L, 1, &n);
  if (lua_type(L, 2) == LUA_TNUMBER)
    lua_pushnumber(L, x[check_id(L, 2, n)]);
  else
    lua_rawget(L, lua_upvalueindex(1));
  return 1;
}


static int row_newindex (lua_State *L) {
  size_t n;
  float *x = dc_check_logits(L, 1, &n);
  size_t id = check_id(L, 2, n);
  luaL_checktype(L, 3, LUA_TNUMBER);
  x[id] = (float)lua_tonumber(L, 3);
  return 0;
}


/* ---- the module ---- */

static int new_logits (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  int first = lua_rawgeti(L, 1, 0) == LUA_TNIL;  /* the index of id 0 */
  size_t n = lua_rawlen(L, 1) + (first ? 0 : 1);
  luaL_argcheck(L, n > 0, 1, "must hold at least one number");
  float *x = dc_push_logits(L, n);
  for (size_t id = 0; id < n; id++) {
    lua_Integer at = (lua_Integer)id + first;
    if (lua_rawgeti(L, 1, at) != LUA_TNUMBER)
      luaL_argerror(L, 1, lua_pushfstring(L, "[%I] is a %s, must be a number",
                                          (LUAI_UACINT)at,
                                          luaL_typename(L, -1)));
    x[id] = (float)lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  return 1;
}


static const luaL_Reg methods[] = {
  {"temperature", row_temperature}, {"top_k", row_top_k},
  {"top_p", row_top_p}, {"min_p", row_min_p}, {"typical", row_typical},
  {"repetition_penalty", row_repetition_penalty}, {"bias", row_bias},
  {"suppress", row_suppress}, {"keep", row_keep}, {"softmax", row_softmax},
  {"log_softmax", row_log_softmax}, {"guide", row_guide},
  {"hold", row_hold},
  {"argmax", row_argmax}, {"sample", row_sample}, {"top", row_top},
  {"probability", row_probability},
  {"log_probability", row_log_probability}, {"allowed", row_allowed},
  {"clone", row_clone}, {"totable", row_totable}, {NULL, NULL}
};

static const luaL_Reg metamethods[] = {
  {"__newindex", row_newindex}, {"__len", row_len},
  {"__tostring", row_tostring}, {NULL, NULL}
};


void dc_open_logits (lua_State *L) {
  dc_new_type(L, DC_LUA_LOGITS, methods, metamethods);
  luaL_getmetatable(L, DC_LUA_LOGITS);
  lua_getfield(L, -1, "__index");
  lua_pushcclosure(L, row_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_pushcfunction(L, new_logits);
  lua_setfield(L, -2, "logits");
  dc_open_rng(L);
  dc_open_beam(L);
}
