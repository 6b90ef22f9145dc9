/*
** tokenizer.c: the Tokenizer userdata.
**
**   core.tokenizer(path)         -> Tokenizer | nil, message
**   t:encode(text [, options])   -> ids
**       options: bos, eos, special (booleans), side ("source" | "target")
**   t:pieces(text [, options])   -> the piece of each id; an unknown one is the
**                                   text it stands for (Marian: "<unk>")
**   t:surfaces(text [, options]) -> the stretch of the normalised text that
**                                   each id stands for; "" where there is none
**   t:normalize(text [, {side=}]) -> text as the model sees it
**   t:split(text)                -> the stretches that the text is cut into
**                                   before the model works on them
**   t:decode(ids [, options])    -> text
**   t:stream([options])          -> function (id | nil) -> text
**       whole characters; nil (or nothing) ends the text and gives the rest
**       In place of an id there may be {text}, written as `surfaces` has it.
**       options: special (boolean), after (ids that the text goes on from)
**   t:piece(id)  t:id(piece) -> id | nil   #t   t:close()
**   t.bos t.eos t.pad t.unk      -> id | nil;  t.kind -> "marian", "unigram",
**                                   "bpe", "byte-bpe"
**   t.eog                        -> the ids that end a generation, a list
*/
#include "lua/tokenizer.h"

#include <string.h>

#include "lua/binding.h"

#define SCRATCH "decant.TokenizerScratch"
#define DECODER "decant.TokenizerDecoder"

typedef struct box {
  dc_tokenizer *tokenizer;  /* NULL: closed */
  dc_encoding scratch;      /* kept from one text to the next */
  bool busy;                /* a call (or one that raised) has it in use */
} box;

#define KEPT 65536  /* bytes of scratch memory; what is more is given back */


/* ---- userdata ----------------------------------------------------------- */

static box *new_box (lua_State *L) {
  box *b = lua_newuserdatauv(L, sizeof *b, 0);
  memset(b, 0, sizeof *b);
  luaL_setmetatable(L, DC_LUA_TOKENIZER);
  return b;
}


dc_tokenizer **dc_push_tokenizer (lua_State *L) {
  return &new_box(L)->tokenizer;
}


static const dc_tokenizer *check_open (lua_State *L, int arg) {
  box *b = luaL_checkudata(L, arg, DC_LUA_TOKENIZER);
  luaL_argcheck(L, b->tokenizer != NULL, arg, "the tokenizer is closed");
  return b->tokenizer;
}


static dc_string check_text (lua_State *L, int arg) {
  dc_string s;
  s.data = luaL_checklstring(L, arg, &s.size);
  return s;
}


/* Memory that encoding fills; pushes one value. It belongs to the tokenizer at
   argument 1 or, when that one's is in use (a finaliser may call us while we
   push results), to the collector: pushing may raise. */
static dc_encoding *push_encoding (lua_State *L) {
  box *b = luaL_checkudata(L, 1, DC_LUA_TOKENIZER);
  if (!b->busy) {
    lua_pushnil(L);
    b->busy = true;
    dc_encoding_clear(&b->scratch);
    return &b->scratch;
  }
  dc_encoding *e = lua_newuserdatauv(L, sizeof *e, 0);
  memset(e, 0, sizeof *e);
  luaL_setmetatable(L, SCRATCH);
  return e;
}


static void release (lua_State *L, dc_encoding *e) {
  box *b = lua_touserdata(L, 1);
  if (e != &b->scratch) {
    dc_encoding_free(e);
    return;
  }
  b->busy = false;
  if (b->tokenizer == NULL || dc_encoding_bytes(e) > KEPT)
    dc_encoding_free(e);
}


static int scratch_gc (lua_State *L) {
  dc_encoding_free(luaL_checkudata(L, 1, SCRATCH));
  return 0;
}


/* ---- options ------------------------------------------------------------ */

enum { BOS = 1, EOS = 2, SPECIAL = 4, SIDE = 8, AFTER = 16 };

static const struct option {
  const char *name;
  unsigned bit;
} option_list[] = {
  {"bos", BOS}, {"eos", EOS}, {"special", SPECIAL}, {"side", SIDE},
  {"after", AFTER}
};

#define N_OPTIONS (sizeof option_list / sizeof option_list[0])


static void check_side (lua_State *L, int arg, dc_side *side) {
  const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  bool target = !strcmp(name, "target");
  if (!target && strcmp(name, "source") != 0)
    luaL_argerror(L, arg, "side must be \"source\" or \"target\"");
  *side = target ? DC_TARGET : DC_SOURCE;
}


/* One option, its value on top of the stack. */
static void take_option (lua_State *L, int arg, const struct option *option,
                         dc_encode_options *o) {
  if (option->bit == AFTER) return;  /* see go_on */
  if (option->bit == SIDE) {
    check_side(L, arg, &o->side);
    return;
  }
  if (!lua_isboolean(L, -1))
    luaL_argerror(L, arg, lua_pushfstring(L, "%s must be true or false, got "
                                          "%s", option->name,
                                          luaL_typename(L, -1)));
  bool *field = option->bit == BOS ? &o->bos
                : option->bit == EOS ? &o->eos : &o->special;
  *field = lua_toboolean(L, -1);
}


static const struct option *find_option (lua_State *L, unsigned allowed) {
  const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
  for (size_t i = 0; i < N_OPTIONS; i++)
    if ((option_list[i].bit & allowed) && !strcmp(name, option_list[i].name))
      return &option_list[i];
  return NULL;
}


/* The table of options at `arg`, if there is one, over what *o says. */
static void check_options (lua_State *L, int arg, unsigned allowed,
                           dc_encode_options *o) {
  if (lua_isnoneornil(L, arg)) return;
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, arg)) {
    const struct option *option = find_option(L, allowed);
    if (option == NULL)
      luaL_argerror(L, arg, lua_pushfstring(L, "unknown option '%s'",
                                            luaL_tolstring(L, -2, NULL)));
    take_option(L, arg, option, o);
    lua_pop(L, 1);
  }
}


static dc_encode_options encode_options (lua_State *L, int arg,
                                         const dc_tokenizer *t) {
  dc_encode_options o = dc_tokenizer_defaults(t);
  check_options(L, arg, BOS | EOS | SPECIAL | SIDE, &o);
  luaL_argcheck(L, !o.bos || dc_tokenizer_has_bos(t), arg,
                "bos: this tokenizer has no such token");
  luaL_argcheck(L, !o.eos || dc_tokenizer_has_eos(t), arg,
                "eos: this tokenizer has no such token");
  return o;
}


/* ---- text -> ids -------------------------------------------------------- */

/* Gives the memory back, and raises what `err` says. */
static void fail (lua_State *L, dc_encoding *e, const dc_error *err) {
  release(L, e);
  dc_raise(L, err);
}


/* The arguments (t, text, options) encoded; pushes one value. All that a
   caller can get wrong is checked before the memory is taken. */
static dc_encoding *encode (lua_State *L) {
  dc_error err;
  lua_settop(L, 3);
  dc_string text = check_text(L, 2);
  dc_encode_options o = encode_options(L, 3, check_open(L, 1));
  dc_encoding *e = push_encoding(L);
  if (!dc_tokenizer_encode(check_open(L, 1), text, &o, e, &err))
    fail(L, e, &err);
  return e;
}


static void new_list (lua_State *L, size_t n) {
  lua_createtable(L, n > INT32_MAX ? 0 : (int)n, 0);
}


static int t_encode (lua_State *L) {
  dc_encoding *e = encode(L);
  new_list(L, e->n);
  for (size_t i = 0; i < e->n; i++) {
    lua_pushinteger(L, e->spans[i].id);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  release(L, e);
  return 1;
}


static dc_string span_text (const dc_encoding *e, const dc_span *span) {
  if (span->size == 0) return (dc_string){"", 0};
  return (dc_string){e->text.data + span->start, span->size};
}


/* The arguments (t, text, options) encoded: the list of the pieces, or of the
   stretches that they stand for. */
static int push_texts (lua_State *L, bool surfaces) {
  dc_encoding *e = encode(L);
  new_list(L, e->n);
  for (size_t i = 0; i < e->n; i++) {
    const dc_span *span = &e->spans[i];
    dc_string text = surfaces || span->verbatim
                       ? span_text(e, span)
                       : dc_tokenizer_piece(check_open(L, 1), span->id);
    lua_pushlstring(L, text.data, text.size);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  release(L, e);
  return 1;
}


static int t_pieces (lua_State *L) {
  return push_texts(L, false);
}


static int t_surfaces (lua_State *L) {
  return push_texts(L, true);
}


static int t_split (lua_State *L) {
  dc_error err;
  dc_string text = check_text(L, 2);
  check_open(L, 1);
  dc_encoding *e = push_encoding(L);
  if (!dc_tokenizer_split(check_open(L, 1), text, e, &err)) fail(L, e, &err);
  new_list(L, e->n);
  for (size_t i = 0; i < e->n; i++) {
    lua_pushlstring(L, e->text.data + e->spans[i].start, e->spans[i].size);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  release(L, e);
  return 1;
}


static int t_normalize (lua_State *L) {
  dc_error err;
  dc_encode_options o = {0};
  dc_string text = check_text(L, 2);
  check_options(L, 3, SIDE, &o);
  check_open(L, 1);
  dc_encoding *e = push_encoding(L);
  if (!dc_tokenizer_normalize(check_open(L, 1), text, o.side, &e->text, &err))
    fail(L, e, &err);
  lua_pushlstring(L, e->text.size > 0 ? e->text.data : "", e->text.size);
  release(L, e);
  return 1;
}


/* ---- ids -> text -------------------------------------------------------- */

/* The option `after`, if it is there: d goes on behind these ids. */
static void go_on (lua_State *L, int arg, dc_decoder *d) {
  dc_error err;
  size_t n;
  if (!lua_istable(L, arg) || lua_getfield(L, arg, "after") == LUA_TNIL)
    return;
  size_t vocab = dc_tokenizer_size(check_open(L, 1));
  int32_t *ids = dc_check_ids(L, -1, arg, vocab, &n);
  check_open(L, 1);
  if (!dc_decoder_skip(d, ids, n, &err)) luaL_error(L, "%s", err.text);
}


/* A decoder of the tokenizer at argument 1, with the options at `arg`. */
static dc_decoder *push_decoder (lua_State *L, int arg) {
  dc_encode_options o = {0};
  check_options(L, arg, SPECIAL | AFTER, &o);
  dc_decoder *d = lua_newuserdatauv(L, sizeof *d, 0);
  dc_tokenizer_decoder(check_open(L, 1), o.special, d);
  luaL_setmetatable(L, DECODER);
  int top = lua_gettop(L);
  go_on(L, arg, d);
  lua_settop(L, top);
  return d;
}


static int decoder_gc (lua_State *L) {
  dc_decoder_free(luaL_checkudata(L, 1, DECODER));
  return 0;
}


static void push_ready (lua_State *L, dc_decoder *d) {
  dc_string ready = dc_decoder_take(d);
  lua_pushlstring(L, ready.data, ready.size);
}


/* The text of {text} on top of the stack: pushes it, or nothing. */
static bool push_text (lua_State *L) {
  if (!lua_istable(L, -1)) return false;
  if (lua_rawgeti(L, -1, 1) == LUA_TSTRING) return true;
  lua_pop(L, 1);
  return false;
}


static bool add_text (lua_State *L, dc_decoder *d, dc_error *err) {
  dc_string text;
  text.data = lua_tolstring(L, -1, &text.size);
  return dc_decoder_add_text(d, text, err);
}


static int t_decode (lua_State *L) {
  dc_error err;
  lua_settop(L, 3);
  dc_decoder *d = push_decoder(L, 3);
  size_t vocab = dc_tokenizer_size(check_open(L, 1));
  size_t n = dc_check_list(L, 2, 2);
  int top = lua_gettop(L);
  bool ok = true;
  for (size_t i = 0; ok && i < n; i++) {
    lua_rawgeti(L, 2, (lua_Integer)i + 1);
    ok = push_text(L)
           ? add_text(L, d, &err)
           : dc_decoder_add(d, dc_read_id(L, 2, i + 1, vocab), &err);
    lua_settop(L, top);
  }
  if (!ok || !dc_decoder_end(d, &err)) return luaL_error(L, "%s", err.text);
  push_ready(L, d);
  dc_decoder_free(d);
  return 1;
}


/* An id argument of this tokenizer. */
static int32_t check_id (lua_State *L, int arg, const dc_tokenizer *t) {
  lua_Integer last = (lua_Integer)dc_tokenizer_size(t) - 1;
  return (int32_t)dc_check_range(L, arg, 0, last);
}


/* Upvalues: the tokenizer, the decoder. */
static int stream_next (lua_State *L) {
  dc_error err;
  box *b = lua_touserdata(L, lua_upvalueindex(1));
  dc_decoder *d = lua_touserdata(L, lua_upvalueindex(2));
  if (b->tokenizer == NULL) return luaL_error(L, "the tokenizer is closed");
  lua_settop(L, 1);
  bool ok = lua_isnil(L, 1) ? dc_decoder_end(d, &err)
            : push_text(L) ? add_text(L, d, &err)
            : dc_decoder_add(d, check_id(L, 1, b->tokenizer), &err);
  if (!ok) return luaL_error(L, "%s", err.text);
  push_ready(L, d);
  return 1;
}


static int t_stream (lua_State *L) {
  check_open(L, 1);
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  push_decoder(L, 2);
  lua_pushcclosure(L, stream_next, 2);
  return 1;
}


/* ---- the vocabulary ----------------------------------------------------- */

static int t_piece (lua_State *L) {
  const dc_tokenizer *t = check_open(L, 1);
  dc_string piece = dc_tokenizer_piece(t, check_id(L, 2, t));
  lua_pushlstring(L, piece.data, piece.size);
  return 1;
}


static void push_id (lua_State *L, int32_t id) {
  if (id >= 0)
    lua_pushinteger(L, id);
  else
    lua_pushnil(L);
}


static int t_id (lua_State *L) {
  dc_string text = check_text(L, 2);
  push_id(L, dc_tokenizer_id(check_open(L, 1), text));
  return 1;
}


static int t_len (lua_State *L) {
  lua_pushinteger(L, (lua_Integer)dc_tokenizer_size(check_open(L, 1)));
  return 1;
}


static void push_ends (lua_State *L, const dc_tokenizer *t) {
  size_t n;
  int32_t copy[DC_MAX_ENDS];  /* pushing may close the tokenizer */
  const int32_t *ids = dc_tokenizer_ends(t, &n);
  memcpy(copy, ids, n * sizeof *ids);
  dc_push_ids(L, copy, n);
}


static void push_field (lua_State *L, const dc_tokenizer *t,
                        const char *name) {
  dc_special_ids ids = dc_tokenizer_special(t);
  if (!strcmp(name, "bos")) push_id(L, ids.bos);
  else if (!strcmp(name, "eos")) push_id(L, ids.eos);
  else if (!strcmp(name, "pad")) push_id(L, ids.pad);
  else if (!strcmp(name, "unk")) push_id(L, ids.unk);
  else if (!strcmp(name, "eog")) push_ends(L, t);
  else if (!strcmp(name, "kind")) lua_pushstring(L, dc_tokenizer_kind(t));
  else lua_pushnil(L);
}


/* Methods first (they are there after closing too), then fields. Upvalue: the
   table of methods. */
static int t_index (lua_State *L) {
  luaL_checkudata(L, 1, DC_LUA_TOKENIZER);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  if (lua_type(L, 2) != LUA_TSTRING) return 1;
  push_field(L, check_open(L, 1), lua_tostring(L, 2));
  return 1;
}


static int t_tostring (lua_State *L) {
  box *b = luaL_checkudata(L, 1, DC_LUA_TOKENIZER);
  if (b->tokenizer == NULL)
    lua_pushliteral(L, "Tokenizer (closed)");
  else
    lua_pushfstring(L, "Tokenizer (%s, %I pieces)",
                    dc_tokenizer_kind(b->tokenizer),
                    (LUAI_UACINT)dc_tokenizer_size(b->tokenizer));
  return 1;
}


static int t_close (lua_State *L) {
  box *b = luaL_checkudata(L, 1, DC_LUA_TOKENIZER);
  dc_tokenizer_free(b->tokenizer);
  b->tokenizer = NULL;
  if (!b->busy) dc_encoding_free(&b->scratch);
  return 0;
}


static int t_gc (lua_State *L) {
  box *b = luaL_checkudata(L, 1, DC_LUA_TOKENIZER);
  b->busy = false;
  return t_close(L);
}


static int core_tokenizer (lua_State *L) {
  dc_error err;
  const char *path = dc_check_path(L, 1);
  box *b = new_box(L);
  if (!dc_tokenizer_open(&b->tokenizer, path, &err))
    return dc_push_failure(L, &err);
  dc_report_memory(L, dc_tokenizer_bytes(b->tokenizer));
  return 1;
}


static const luaL_Reg methods[] = {
  {"encode", t_encode}, {"pieces", t_pieces}, {"surfaces", t_surfaces},
  {"normalize", t_normalize}, {"split", t_split},
  {"decode", t_decode}, {"stream", t_stream}, {"piece", t_piece},
  {"id", t_id}, {"close", t_close}, {NULL, NULL}
};

static const luaL_Reg metamethods[] = {
  {"__len", t_len}, {"__tostring", t_tostring}, {"__gc", t_gc},
  {"__close", t_close}, {NULL, NULL}
};


void dc_open_tokenizer (lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg scratch[] = {{"__gc", scratch_gc}, {NULL, NULL}};
  static const luaL_Reg decoder[] = {{"__gc", decoder_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
    {"tokenizer", core_tokenizer}, {NULL, NULL}
  };
  dc_new_type(L, SCRATCH, none, scratch);
  dc_new_type(L, DECODER, none, decoder);
  dc_new_type(L, DC_LUA_TOKENIZER, methods, metamethods);
  luaL_getmetatable(L, DC_LUA_TOKENIZER);
  lua_getfield(L, -1, "__index");
  lua_pushcclosure(L, t_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
