/*
** gguf_writer.c: the GGUF writer.
**
**   core.gguf_writer(path)  -> GGUFWriter | nil, message
**     w:set(key, kind, value)  kind: "u8" .. "i64", "f32", "f64", "bool",
**                    "string", or one of them with "[]" behind it (then value
**                    is a sequence; "u8[]" also takes a string). Returns w.
**     w:copy_key(g, key)  a key of an open GGUF, bit for bit. Returns w.
**     w:tensor(name, type, shape, source)  declares a tensor, shape slowest
**                    first; source says what it is made of: gguf_source.c.
**                    Dimensions may be arranged anew; their product must fit.
**                    Returns w.
**     w:begin()      -> true | nil, message    checks and writes the header
**     w:next()       -> done, total (bytes) when it has written a tensor, nil
**                       when there was none left; nil, message
**     w:finish()     -> true | nil, message    what is left, then the rename
**     w:abort()      removes the temporary file; so do __close and __gc
**   core.converts_from(type)  whether w:tensor converts sources of that type
**
** Nothing is at `path` before finish. Sources are read when they are written:
** their files must stay open until then.
*/
#include <float.h>
#include <math.h>
#include <string.h>

#include "format/gguf_write.h"
#include "lua/format.h"
#include "math/types.h"

/* The user value is a table: the source of each tensor, in order. */
typedef struct writer_box {
  dc_gguf_writer *w;  /* NULL: closed */
  lua_Integer n_tensors, next;
} writer_box;


static writer_box *check_box (lua_State *L) {
  writer_box *box = luaL_checkudata(L, 1, DC_LUA_GGUF_WRITER);
  if (box->w == NULL) luaL_error(L, "the GGUF writer is closed");
  return box;
}


static dc_string check_string (lua_State *L, int arg) {
  dc_string s;
  s.data = luaL_checklstring(L, arg, &s.size);
  return s;
}


static int writer_open (lua_State *L) {
  dc_error err;
  const char *path = dc_check_path(L, 1);
  writer_box *box = lua_newuserdatauv(L, sizeof *box, 1);
  memset(box, 0, sizeof *box);
  luaL_setmetatable(L, DC_LUA_GGUF_WRITER);
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  if (!dc_gguf_create(&box->w, path, &err)) return dc_push_failure(L, &err);
  return 1;
}


static int writer_abort (lua_State *L) {
  writer_box *box = luaL_checkudata(L, 1, DC_LUA_GGUF_WRITER);
  dc_gguf_writer_free(box->w);
  box->w = NULL;
  return 0;
}


/*
** Keys.
*/

static const struct {
  lua_Integer min, max;
} ranges[DC_GGUF_N_KINDS] = {
  [DC_GGUF_U8] = {0, UINT8_MAX}, [DC_GGUF_I8] = {INT8_MIN, INT8_MAX},
  [DC_GGUF_U16] = {0, UINT16_MAX}, [DC_GGUF_I16] = {INT16_MIN, INT16_MAX},
  [DC_GGUF_U32] = {0, UINT32_MAX}, [DC_GGUF_I32] = {INT32_MIN, INT32_MAX},
  [DC_GGUF_U64] = {0, INT64_MAX}, [DC_GGUF_I64] = {INT64_MIN, INT64_MAX},
};


static int bad_value (lua_State *L, dc_gguf_kind kind) {
  const char *shown = dc_show(L, -1);
  return luaL_argerror(L, 4, lua_pushfstring(L, "%s is no %s", shown,
                                             dc_gguf_kind_name(kind)));
}


/* The value on top of the stack as the file has it; little-endian, so the
   low bytes of an integer come first. */
static void encode (lua_State *L, dc_gguf_kind kind, uint8_t *to) {
  int ok = lua_type(L, -1) == LUA_TNUMBER;
  if (kind == DC_GGUF_BOOL) {
    if (!lua_isboolean(L, -1)) bad_value(L, kind);
    *to = (uint8_t)lua_toboolean(L, -1);
  }
  else if (kind == DC_GGUF_F32 || kind == DC_GGUF_F64) {
    double x = lua_tonumber(L, -1);
    bool fits = kind == DC_GGUF_F64 || !isfinite(x) || fabs(x) <= FLT_MAX;
    if (!ok || !fits) bad_value(L, kind);
    float y = kind == DC_GGUF_F32 ? (float)x : 0;
    if (kind == DC_GGUF_F32) memcpy(to, &y, sizeof y);
    else memcpy(to, &x, sizeof x);
  }
  else {
    int is_integer;
    lua_Integer n = lua_tointegerx(L, -1, &is_integer);
    if (!ok || !is_integer || n < ranges[kind].min || n > ranges[kind].max)
      bad_value(L, kind);
    memcpy(to, &n, dc_gguf_kind_size(kind));
  }
}


/* The setters look at the writer again (check_box) when all is read: reading
   allocates, and a finaliser may have aborted it. */
static bool set_texts (lua_State *L, dc_string key, size_t n,
                       dc_error *err) {
  dc_string *texts = dc_push_scratch(L, n, sizeof *texts);
  for (size_t i = 0; i < n; i++) {
    if (lua_rawgeti(L, 4, (lua_Integer)i + 1) != LUA_TSTRING)
      bad_value(L, DC_GGUF_STRING);
    texts[i].data = lua_tolstring(L, -1, &texts[i].size);
    lua_pop(L, 1);  /* stays alive in the table */
  }
  return dc_gguf_set_texts(check_box(L)->w, key, texts, n, err);
}


static bool set_array (lua_State *L, dc_string key, dc_gguf_kind kind,
                       dc_error *err) {
  if (kind == DC_GGUF_U8 && lua_type(L, 4) == LUA_TSTRING) {
    dc_string bytes = check_string(L, 4);
    return dc_gguf_set_array(check_box(L)->w, key, kind, bytes.data,
                             bytes.size, err);
  }
  luaL_checktype(L, 4, LUA_TTABLE);
  size_t n = lua_rawlen(L, 4), size = dc_gguf_kind_size(kind);
  if (kind == DC_GGUF_STRING) return set_texts(L, key, n, err);
  uint8_t *values = dc_push_scratch(L, n, size);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, 4, (lua_Integer)i + 1);
    encode(L, kind, values + i * size);
    lua_pop(L, 1);
  }
  return dc_gguf_set_array(check_box(L)->w, key, kind, values, n, err);
}


static bool set_scalar (lua_State *L, dc_string key, dc_gguf_kind kind,
                        dc_error *err) {
  uint8_t value[8];
  lua_settop(L, 4);
  if (kind != DC_GGUF_STRING) {
    encode(L, kind, value);
    return dc_gguf_set(check_box(L)->w, key, kind, value, err);
  }
  if (lua_type(L, 4) != LUA_TSTRING) bad_value(L, kind);
  return dc_gguf_set_text(check_box(L)->w, key, check_string(L, 4), err);
}


static int writer_set (lua_State *L) {
  dc_error err;
  check_box(L);
  dc_string key = check_string(L, 2);
  size_t size;
  const char *word = luaL_checklstring(L, 3, &size);
  bool is_array = size > 2 && !strcmp(word + size - 2, "[]");
  dc_gguf_kind kind;
  lua_pushlstring(L, word, is_array ? size - 2 : size);
  if (!dc_gguf_kind_by_name(lua_tostring(L, -1), &kind) ||
      kind == DC_GGUF_ARRAY)
    luaL_argerror(L, 3, lua_pushfstring(L, "'%s' is no kind of value", word));
  lua_pop(L, 1);
  if (!(is_array ? set_array : set_scalar)(L, key, kind, &err))
    luaL_argerror(L, 2, err.text);
  lua_settop(L, 1);
  return 1;
}


static int writer_copy_key (lua_State *L) {
  dc_error err;
  check_box(L);
  dc_gguf *g = dc_check_gguf(L, 2);
  const dc_gguf_value *value = dc_gguf_find(g, check_string(L, 3));
  luaL_argcheck(L, value != NULL, 3, "the file has no such key");
  if (!dc_gguf_copy_key(check_box(L)->w, value, &err))
    luaL_argerror(L, 3, err.text);
  lua_settop(L, 1);
  return 1;
}


/*
** Tensors.
*/

static int check_shape (lua_State *L, int arg, uint64_t *shape) {
  luaL_checktype(L, arg, LUA_TTABLE);
  size_t n = lua_rawlen(L, arg);
  luaL_argcheck(L, n >= 1 && n <= DC_GGUF_MAX_DIMS, arg,
                "1 to 4 dimensions expected");
  for (size_t i = 0; i < n; i++) {
    int is_integer;
    lua_rawgeti(L, arg, (lua_Integer)(n - i));
    lua_Integer size = lua_tointegerx(L, -1, &is_integer);
    luaL_argcheck(L, is_integer && size >= 1, arg,
                  "dimensions must be integers from 1");
    shape[i] = (uint64_t)size;
    lua_pop(L, 1);
  }
  return (int)n;
}


static int writer_tensor (lua_State *L) {
  dc_error err;
  uint64_t shape[DC_GGUF_MAX_DIMS];
  dc_type type;
  writer_box *box = check_box(L);
  dc_string name = check_string(L, 2);
  if (!dc_type_by_name(luaL_checkstring(L, 3), &type))
    luaL_argerror(L, 3, lua_pushfstring(L, "'%s' is no type of tensors",
                                        lua_tostring(L, 3)));
  int n = check_shape(L, 4, shape);
  dc_gguf_source source = dc_check_gguf_source(L, 5, type);
  lua_getiuservalue(L, 1, 1);
  lua_insert(L, -2);
  lua_rawseti(L, -2, box->n_tensors + 1);  /* before the bytes are in use */
  check_box(L);
  if (!dc_gguf_add_tensor(box->w, name, type, n, shape, source, &err))
    luaL_argerror(L, 2, err.text);
  box->n_tensors++;
  lua_settop(L, 1);
  return 1;
}


static int writer_begin (lua_State *L) {
  dc_error err;
  if (!dc_gguf_begin(check_box(L)->w, &err)) return dc_push_failure(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}


/* Writes the next tensor, after looking whether its source is still open. */
static bool step (lua_State *L, writer_box *box, bool *more, dc_error *err) {
  lua_getiuservalue(L, 1, 1);
  if (lua_rawgeti(L, -1, box->next + 1) == LUA_TUSERDATA)
    dc_check_source_open(L, -1);
  lua_pop(L, 2);
  if (!dc_gguf_next(box->w, more, err)) return false;
  box->next += *more;
  return true;
}


static int writer_next (lua_State *L) {
  dc_error err;
  writer_box *box = check_box(L);
  uint64_t done, total;
  bool more;
  if (!step(L, box, &more, &err)) return dc_push_failure(L, &err);
  if (!more) return lua_pushnil(L), 1;
  done = dc_gguf_written(box->w, &total);
  lua_pushinteger(L, (lua_Integer)done);
  lua_pushinteger(L, (lua_Integer)total);
  return 2;
}


static int writer_finish (lua_State *L) {
  dc_error err;
  writer_box *box = check_box(L);
  bool more = true;
  while (more)
    if (!step(L, box, &more, &err)) return dc_push_failure(L, &err);
  if (!dc_gguf_commit(box->w, &err)) return dc_push_failure(L, &err);
  writer_abort(L);
  lua_pushboolean(L, 1);
  return 1;
}


static int converts_from (lua_State *L) {
  dc_type type;
  lua_pushboolean(L, dc_type_by_name(luaL_checkstring(L, 1), &type) &&
                     dc_convert_reads((uint32_t)type));
  return 1;
}


void dc_open_gguf_writer (lua_State *L) {
  static const luaL_Reg methods[] = {
    {"set", writer_set}, {"copy_key", writer_copy_key},
    {"tensor", writer_tensor}, {"begin", writer_begin},
    {"next", writer_next}, {"finish", writer_finish}, {"abort", writer_abort},
    {NULL, NULL}
  };
  static const luaL_Reg metamethods[] = {
    {"__close", writer_abort}, {"__gc", writer_abort}, {NULL, NULL}
  };
  dc_new_type(L, DC_LUA_GGUF_WRITER, methods, metamethods);
  lua_pushcfunction(L, writer_open);
  lua_setfield(L, -2, "gguf_writer");
  lua_pushcfunction(L, converts_from);
  lua_setfield(L, -2, "converts_from");
}
