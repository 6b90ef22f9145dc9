/*
** model.c: the userdata decant.Model, the core of lua/decant/model.lua.
**
**   core.load(path [, opts])    -> Model | nil, message
**       opts: mmap (true), pack, context, threads, vocab_only, cache_type,
**       tokenizer (false: the model works on ids),
**       progress = function(done, total), false cancels
**   m:hparams()      -> table of what the file says
**   m:tokenizer()    -> Tokenizer | nil
**   m:encode(lists [, masks])   -> Tensor [#lists, longest, d_model]; rows of
**                       masked positions and behind a list's end are 0
**   m:sources(tensor [, masks]) -> list of Source, one for each [len, d_model]
**   m:decode(lists [, sources]) -> Tensor [#lists, longest, vocab]: the scores
**                       after every position, in one causal pass
**   m:rows(n [, source])        -> Rows (rows.c)
**   m:restore(path)             -> Rows | nil, message (saved.c)
**   m:close()  __close  __gc
**
** A causal model has no sources; the others need them. lists: a list of lists
** of ids. masks: a list of lists of 0 and 1, or a
** Tensor; what is missing counts as 0. Masked positions are left out of the
** computation altogether; the others keep their places.
*/
#include "lua/model.h"

#include <string.h>

#include "lua/tensor.h"
#include "lua/tokenizer.h"


/* ---- arguments ------------------------------------------------------------ */

dc_model *dc_check_open_model (lua_State *L, int arg) {
  dc_lua_model *m = luaL_checkudata(L, arg, DC_LUA_MODEL);
  luaL_argcheck(L, m->model != NULL, arg, "the model is closed");
  return m->model;
}


dc_model *dc_check_model (lua_State *L, int arg) {
  dc_model *m = dc_check_open_model(L, arg);
  luaL_argcheck(L, !m->vocab_only, arg,
                "the model was loaded with vocab_only: it has no weights");
  return m;
}


dc_model *dc_check_seq2seq (lua_State *L, int arg) {
  dc_model *m = dc_check_model(L, arg);
  luaL_argcheck(L, !m->hp.arch->causal, arg,
                "a causal model has no encoder and no sources");
  return m;
}


/* Rows that hold the model at argument 1 to the end of a call. */
static dc_lua_rows *hold_model (lua_State *L) {
  dc_lua_rows *hold = dc_new_rows(L);
  dc_rows_open(hold, dc_check_model(L, 1), NULL);
  return hold;
}


dc_lua_ids *dc_check_id_lists (lua_State *L, int arg, size_t vocab,
                               size_t *count) {
  luaL_checktype(L, arg, LUA_TTABLE);
  size_t n = lua_rawlen(L, arg);
  dc_lua_ids *lists = dc_push_scratch(L, n, sizeof *lists);
  lua_createtable(L, n > INT32_MAX ? 0 : (int)n, 0);  /* owns the ids */
  int owners = lua_gettop(L);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, arg, (lua_Integer)i + 1);
    lists[i].ids = dc_check_ids(L, -1, arg, vocab, &lists[i].n);
    lua_rawseti(L, owners, (lua_Integer)i + 1);
    lua_pop(L, 1);
  }
  *count = n;
  return lists;
}


/* Which of n positions of sequence i are real, by the masks at `arg` (0: no
   masks, all of them). Fills slots, returns how many. */
static size_t real_slots (lua_State *L, int arg, size_t i, size_t n,
                          size_t *slots) {
  size_t kept = 0;
  if (arg == 0) {
    for (size_t j = 0; j < n; j++) slots[j] = j;
    return n;
  }
  lua_geti(L, arg, (lua_Integer)i + 1);
  bool tensor = dc_is_tensor(L, -1);
  if (!tensor && !lua_istable(L, -1))
    luaL_argerror(L, arg, lua_pushfstring(L, "no mask for sequence %I",
                                          (LUAI_UACINT)i + 1));
  for (size_t j = 0; j < n; j++) {
    lua_Number real = 0;
    if (!tensor || j < dc_check_tensor(L, lua_gettop(L))->shape[0]) {
      lua_geti(L, -1, (lua_Integer)j + 1);
      real = lua_isboolean(L, -1) ? lua_toboolean(L, -1) : lua_tonumber(L, -1);
      lua_pop(L, 1);
    }
    luaL_argcheck(L, real == 0 || real == 1, arg, "a mask holds 0 and 1 only");
    if (real == 1) slots[kept++] = j;
  }
  lua_pop(L, 1);
  return kept;
}


/* ---- load and close ------------------------------------------------------- */

/* Raises what is wrong with an option: the value on top. */
static void bad_option (lua_State *L, int arg, const char *name,
                        const char *rule) {
  const char *shown = dc_show(L, -1);
  luaL_argerror(L, arg, lua_pushfstring(L, "%s is %s, %s", name, shown, rule));
}


static bool get_flag (lua_State *L, int arg, const char *name, bool missing) {
  bool set = missing;
  if (lua_getfield(L, arg, name) != LUA_TNIL) {
    if (!lua_isboolean(L, -1))
      bad_option(L, arg, name, "must be true or false");
    set = lua_toboolean(L, -1);
  }
  lua_pop(L, 1);
  return set;
}


/* 0 where there is none. */
static lua_Integer get_count (lua_State *L, int arg, const char *name,
                              lua_Integer max, const char *rule) {
  lua_Integer n = 0;
  if (lua_getfield(L, arg, name) != LUA_TNIL) {
    int fine = lua_type(L, -1) == LUA_TNUMBER;
    if (fine) n = lua_tointegerx(L, -1, &fine);
    if (!fine || n < 1 || n > max) bad_option(L, arg, name, rule);
  }
  lua_pop(L, 1);
  return n;
}


static dc_type get_cache_type (lua_State *L, int arg) {
  dc_type type = DC_F32;
  if (lua_getfield(L, arg, "cache_type") != LUA_TNIL) {
    bool text = lua_type(L, -1) == LUA_TSTRING;
    const char *name = text ? lua_tostring(L, -1) : "";
    if (!strcmp(name, "f16")) type = DC_F16;
    else if (strcmp(name, "f32"))
      bad_option(L, arg, "cache_type", "must be 'f32' or 'f16'");
  }
  lua_pop(L, 1);
  return type;
}


static dc_model_options check_options (lua_State *L, int arg) {
  dc_model_options o = {.map = true, .pack_most = DC_PACK_MOST};
  if (lua_isnoneornil(L, arg)) return o;
  luaL_checktype(L, arg, LUA_TTABLE);
  o.map = get_flag(L, arg, "mmap", true);
  o.pack_now = get_flag(L, arg, "pack", false);
  if (o.pack_now) o.pack_most = SIZE_MAX;
  else if (!get_flag(L, arg, "pack", true)) o.pack_most = 0;
  o.cache_type = get_cache_type(L, arg);
  o.vocab_only = get_flag(L, arg, "vocab_only", false);
  o.ids_only = !get_flag(L, arg, "tokenizer", true);
  o.context = (size_t)get_count(L, arg, "context", LUA_MAXINTEGER,
                                "must be an integer of at least 1");
  o.threads = (int)get_count(L, arg, "threads", 64,
                             "must be an integer from 1 to 64");
  if (lua_getfield(L, arg, "progress") != LUA_TNIL && !dc_is_callable(L, -1))
    bad_option(L, arg, "progress", "must be a function(done, total)");
  lua_pop(L, 1);
  return o;
}


/* Whether the caller wants to go on. */
static bool report_progress (lua_State *L, int arg, size_t done,
                             size_t total) {
  bool go_on = true;
  if (lua_istable(L, arg) &&
      lua_getfield(L, arg, "progress") != LUA_TNIL) {
    lua_pushinteger(L, (lua_Integer)done);
    lua_pushinteger(L, (lua_Integer)total);
    lua_call(L, 2, 1);
    go_on = lua_isnil(L, -1) || lua_toboolean(L, -1);
  }
  lua_settop(L, 3);
  return go_on;
}


static int model_load (lua_State *L) {
  const char *path = dc_check_path(L, 1);
  dc_model_options options = check_options(L, 2);
  dc_error err;
  lua_settop(L, 2);
  dc_lua_model *m = lua_newuserdatauv(L, sizeof *m, 1);
  m->model = NULL;
  luaL_setmetatable(L, DC_LUA_MODEL);
  if (!dc_model_open(&m->model, path, &options, &err))
    return dc_push_failure(L, &err);
  size_t bytes = m->model->weight_bytes;
  if (!report_progress(L, 2, 0, bytes) ||
      !report_progress(L, 2, bytes, bytes)) {
    dc_model_release(m->model);
    m->model = NULL;
    dc_fail(&err, "%.400s: cancelled", path);
    return dc_push_failure(L, &err);
  }
  if (m->model->tokenizer != NULL) {
    dc_tokenizer **slot = dc_push_tokenizer(L);
    *slot = m->model->tokenizer;
    m->model->tokenizer = NULL;
    lua_setiuservalue(L, 3, 1);
    dc_report_memory(L, dc_tokenizer_bytes(*slot));
  }
  return 1;
}


static int model_close (lua_State *L) {
  dc_lua_model *m = luaL_checkudata(L, 1, DC_LUA_MODEL);
  dc_model_release(m->model);
  m->model = NULL;
  return 0;
}


static int model_tokenizer (lua_State *L) {
  luaL_checkudata(L, 1, DC_LUA_MODEL);
  lua_getiuservalue(L, 1, 1);
  return 1;
}


/* ---- encoder --------------------------------------------------------------- */

static int model_encode (lua_State *L) {
  size_t count, longest = 0, total = 0;
  int masks = lua_isnoneornil(L, 3) ? 0 : 3;
  lua_settop(L, 3);
  dc_lua_rows *hold = hold_model(L);
  dc_model *m = dc_check_seq2seq(L, 1);
  dc_lua_ids *lists = dc_check_id_lists(L, 2, m->hp.n_vocab, &count);
  luaL_argcheck(L, count > 0, 2, "is empty, there must be a sequence");
  for (size_t i = 0; i < count; i++) {
    if (lists[i].n > longest) longest = lists[i].n;
    total += lists[i].n;
  }
  luaL_argcheck(L, longest > 0, 2, "every sequence is empty");
  if (longest > m->context)
    luaL_argerror(L, 2, lua_pushfstring(
      L, "a sequence of %I tokens exceeds the context of %I",
      (LUAI_UACINT)longest, (LUAI_UACINT)m->context));
  size_t shape[] = {count, longest, m->hp.d_model};
  size_t *slots = dc_push_scratch(L, total, sizeof *slots);
  size_t *places = dc_push_scratch(L, total, sizeof *places);
  int32_t *ids = dc_push_scratch(L, total, sizeof *ids);
  dc_sequence *sequences = dc_push_scratch(L, count, sizeof *sequences);
  float *out = dc_push_tensor(L, 3, shape)->data;
  for (size_t i = 0; i < count; i++) {
    size_t kept = real_slots(L, masks, i, lists[i].n, slots);
    dc_number_places(&m->hp, lists[i].ids, lists[i].n, places);
    for (size_t j = 0; j < kept; j++) {
      ids[j] = lists[i].ids[slots[j]];
      places[j] = places[slots[j]];  /* slots ascend */
    }
    sequences[i] = (dc_sequence){ids, slots, places, kept,
                                 out + i * longest * m->hp.d_model};
    slots += kept;
    places += kept;
    ids += kept;
  }
  dc_error err;
  if (!dc_encode(m, sequences, count, &err)) return dc_raise(L, &err);
  dc_rows_close(hold);
  return 1;
}


/* Pushes a Source that is empty yet. */
static dc_timeline *push_source (lua_State *L, dc_model *m) {
  dc_lua_source *s = dc_new_source(L);
  s->model = m;
  m->refs++;
  return &s->timeline;
}


static void make_sources (lua_State *L, dc_model *m, const dc_source *sources,
                          size_t count) {
  dc_error err;
  size_t before = dc_pool_bytes(&m->pool);
  if (!dc_sources_make(m, sources, count, &err)) dc_raise(L, &err);
  dc_report_memory(L, dc_pool_bytes(&m->pool) - before);
}


static int model_sources (lua_State *L) {
  const dc_tensor *t;
  int masks = lua_isnoneornil(L, 3) ? 0 : 3;
  lua_settop(L, 3);
  dc_lua_rows *hold = hold_model(L);
  dc_model *m = dc_check_seq2seq(L, 1);
  dc_tensor *view = dc_push_view(L, 2);  /* holds the elements */
  const float *data = dc_contiguous_data(L, lua_gettop(L), &t);
  size_t d = m->hp.d_model;
  if (t->n_dims < 2 || t->n_dims > 3 || t->shape[t->n_dims - 1] != d)
    luaL_argerror(L, 2, lua_pushfstring(
      L, "an encoder output is [batch, length, %I] or [length, %I]",
      (LUAI_UACINT)d, (LUAI_UACINT)d));
  size_t count = t->n_dims == 3 ? t->shape[0] : 1;
  size_t length = t->shape[t->n_dims - 2];
  size_t *slots = dc_push_scratch(L, length, sizeof *slots);
  dc_source *sources = dc_push_scratch(L, count, sizeof *sources);
  float *real = dc_push_scratch(L, masks ? count * length * d : 0,
                                sizeof *real);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++, real += masks ? length * d : 0) {
    const float *rows = data + i * length * d;
    size_t n = real_slots(L, masks, i, length, slots);
    for (size_t j = 0; masks && j < n; j++)
      memcpy(real + j * d, rows + slots[j] * d, d * sizeof *real);
    sources[i] = (dc_source){push_source(L, m), masks ? real : rows, n};
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  make_sources(L, m, sources, count);
  dc_tensor_close(view);
  dc_rows_close(hold);
  return 1;
}


/* ---- teacher forcing -------------------------------------------------------- */

/* The source of sequence i of the list at argument 3; NULL for a causal
   model. */
static const dc_timeline *source_of (lua_State *L, dc_model *m, size_t i) {
  if (m->hp.arch->causal) return NULL;
  lua_rawgeti(L, 3, (lua_Integer)i + 1);
  dc_lua_source *s = dc_check_source(L, -1, 3, m);
  lua_pop(L, 1);
  return &s->timeline;
}


static void check_sources (lua_State *L, const dc_model *m, size_t count) {
  if (m->hp.arch->causal) {
    luaL_argcheck(L, lua_isnil(L, 3), 3, "a causal model reads no source");
    return;
  }
  luaL_checktype(L, 3, LUA_TTABLE);
  if (lua_rawlen(L, 3) != count)
    luaL_argerror(L, 3, lua_pushfstring(
      L, "%I sources for %I sequences", (LUAI_UACINT)lua_rawlen(L, 3),
      (LUAI_UACINT)count));
}


static int model_decode (lua_State *L) {
  size_t count, longest = 0;
  lua_settop(L, 3);
  dc_lua_rows *rows = hold_model(L);
  dc_model *m = rows->model;
  size_t vocab = m->hp.n_vocab;
  dc_lua_ids *lists = dc_check_id_lists(L, 2, vocab, &count);
  luaL_argcheck(L, count > 0, 2, "is empty, there must be a sequence");
  check_sources(L, m, count);
  for (size_t i = 0; i < count; i++)
    if (lists[i].n > longest) longest = lists[i].n;
  luaL_argcheck(L, longest > 0, 2, "every sequence is empty");
  size_t shape[] = {count, longest, vocab};
  dc_feed *steps = dc_push_scratch(L, count, sizeof *steps);
  float **out = dc_push_scratch(L, count * longest, sizeof *out);
  float *data = dc_push_tensor(L, 3, shape)->data;
  dc_error err;
  if (!dc_rows_resize(rows, count))
    return luaL_error(L, "not enough memory for %I rows", (LUAI_UACINT)count);
  for (size_t i = 0; i < count; i++) {
    for (size_t j = 0; j < longest; j++)
      out[i * longest + j] = data + (i * longest + j) * vocab;
    steps[i] = (dc_feed){
      .timeline = &rows->timelines[i], .source = source_of(L, m, i),
      .ids = lists[i].ids, .n = lists[i].n, .out = out + i * longest,
      .every = true,
    };
  }
  bool ok = dc_decode(m, steps, count, &err);
  dc_rows_close(rows);
  if (!ok) return dc_raise(L, &err);
  return 1;
}


static int model_tostring (lua_State *L) {
  dc_lua_model *m = luaL_checkudata(L, 1, DC_LUA_MODEL);
  if (m->model == NULL)
    lua_pushliteral(L, "decant.Model (closed)");
  else
    lua_pushfstring(L, "decant.Model (%s)", dc_gguf_path(m->model->file));
  return 1;
}


void dc_open_model (lua_State *L) {
  static const luaL_Reg methods[] = {
    {"hparams", dc_model_hparams}, {"tokenizer", model_tokenizer},
    {"encode", model_encode}, {"sources", model_sources},
    {"decode", model_decode}, {"rows", dc_model_rows},
    {"restore", dc_model_restore},
    {"close", model_close}, {NULL, NULL}
  };
  static const luaL_Reg metamethods[] = {
    {"__gc", model_close}, {"__close", model_close},
    {"__tostring", model_tostring}, {NULL, NULL}
  };
  static const luaL_Reg functions[] = {
    {"load", model_load}, {"architectures", dc_model_architectures},
    {"cache_sizes", dc_model_cache_sizes}, {NULL, NULL}
  };
  dc_new_type(L, DC_LUA_MODEL, methods, metamethods);
  luaL_setfuncs(L, functions, 0);
  dc_open_rows(L);
}
