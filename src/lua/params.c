/*
** params.c: the arguments of a factory of processors, read into the fields of
** a dc_processor. Names, types, ranges and defaults come from the table of
** kinds in decode/processors.c. Lists are copied; the copies are held by the
** table in the processor's user value.
*/
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/size.h"
#include "lua/processor.h"

/* Where argument `param` of a factory stands: its value is at `index`; the
   processor under construction at `object`. */
typedef struct slot {
  const dc_param *param;
  dc_processor *processor;
  int index, object;
} slot;


static void *field_of (const slot *s) {
  return (char *)s->processor + s->param->offset;
}


static void refuse (lua_State *L, const char *format, ...) {
  va_list args;
  va_start(args, format);
  const char *message = lua_pushvfstring(L, format, args);
  va_end(args);
  luaL_argerror(L, 1, message);
}


/* ---- numbers ---- */

static bool in_range (double x, const dc_range *r) {
  return (r->min_open ? x > r->min : x >= r->min) &&
         (r->max_open ? x < r->max : x <= r->max);
}


/* A threshold acts as a float: it must be in range as one, too. */
static void read_number (lua_State *L, const slot *s) {
  double x = lua_tonumber(L, s->index);
  const dc_range *range = s->param->range;
  if (lua_type(L, s->index) != LUA_TNUMBER || !in_range(x, range) ||
      !in_range((float)x, range))
    refuse(L, "%s is %s, must be %s", s->param->name,
           dc_show(L, s->index), range->rule);
  *(double *)field_of(s) = x;
}


static void read_count (lua_State *L, const slot *s) {
  int is_integer;
  lua_Integer n = lua_tointegerx(L, s->index, &is_integer);
  if (!is_integer || lua_type(L, s->index) != LUA_TNUMBER ||
      !in_range((double)n, s->param->range))
    refuse(L, "%s is %s, must be %s", s->param->name,
           dc_show(L, s->index), s->param->range->rule);
  *(size_t *)field_of(s) = (size_t)n;
}


static void read_flag (lua_State *L, const slot *s) {
  if (!lua_isboolean(L, s->index))
    refuse(L, "%s is %s, must be true or false", s->param->name,
           dc_show(L, s->index));
  *(bool *)field_of(s) = lua_toboolean(L, s->index);
}


static void read_choice (lua_State *L, const slot *s) {
  const char *const *choices = s->param->choices;
  const char *given = lua_type(L, s->index) == LUA_TSTRING
                        ? lua_tostring(L, s->index) : "";
  size_t i = 0;
  while (choices[i] != NULL && strcmp(choices[i], given) != 0) i++;
  if (choices[i] != NULL) {
    *(size_t *)field_of(s) = i;
    return;
  }
  lua_pushfstring(L, "'%s'", choices[0]);
  for (i = 1; choices[i] != NULL; i++) {
    lua_pushfstring(L, " or '%s'", choices[i]);
    lua_concat(L, 2);
  }
  const char *rule = lua_tostring(L, -1);
  refuse(L, "%s is %s, must be %s", s->param->name,
         dc_show(L, s->index), rule);
}


static void read_seed (lua_State *L, const slot *s) {
  int is_integer;
  lua_Integer n = lua_tointegerx(L, s->index, &is_integer);
  if (!is_integer || lua_type(L, s->index) != LUA_TNUMBER)
    refuse(L, "%s is %s, must be an integer", s->param->name,
           dc_show(L, s->index));
  *(dc_seed *)field_of(s) = (dc_seed){(uint64_t)n, true};
}


/* ---- lists ---- */

void *dc_keep_block (lua_State *L, int object, size_t count, size_t size) {
  lua_getiuservalue(L, object, 1);
  void *block = dc_push_scratch(L, count, size);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
  return block;
}


/* The length of the list at `index`; it must have no holes and no other
   keys. `name` says what it is, for messages. */
static size_t check_list (lua_State *L, int index, const char *name) {
  if (lua_type(L, index) != LUA_TTABLE)
    refuse(L, "%s is a %s, must be a list", name, luaL_typename(L, index));
  size_t n = lua_rawlen(L, index), keys = 0;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) keys++;
  if (keys != n) refuse(L, "%s: the list has a hole or a key that is no "
                        "position", name);
  return n;
}


/* The id on top of the stack, popped. */
static int32_t take_id (lua_State *L, const char *name, size_t position) {
  int is_integer;
  lua_Integer id = lua_tointegerx(L, -1, &is_integer);
  if (!is_integer || lua_type(L, -1) != LUA_TNUMBER || id < 0 ||
      id > INT32_MAX)
    refuse(L, "%s[%I] is %s, must be a token id (an integer from 0)", name,
           (LUAI_UACINT)position, dc_show(L, -1));
  lua_pop(L, 1);
  return (int32_t)id;
}


static void copy_ids (lua_State *L, int index, const char *name, size_t n,
                      int32_t *out) {
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, index, (lua_Integer)i + 1);
    out[i] = take_id(L, name, i + 1);
  }
}


/* Lists are measured, then read; a finaliser may write to them between. */
static void refuse_change (lua_State *L, const slot *s) {
  refuse(L, "%s was changed while it was read", s->param->name);
}


/* A list of ids, or one id. */
static void read_ids (lua_State *L, const slot *s) {
  bool one = lua_type(L, s->index) == LUA_TNUMBER;
  const char *name = s->param->name;
  size_t n = one ? 1 : check_list(L, s->index, name);
  if (n == 0 && s->param->required) refuse(L, "%s is empty", name);
  int32_t *ids = dc_keep_block(L, s->object, n, sizeof *ids);
  if (one) {
    lua_pushvalue(L, s->index);
    ids[0] = take_id(L, name, 1);
  } else {
    copy_ids(L, s->index, name, n, ids);
  }
  *(dc_id_list *)field_of(s) = (dc_id_list){ids, n};
}


/* Pushes word i of the list at s->index: the list itself or, for biases, the
   first of its pair, whose second is *bias. Returns its length. */
static size_t push_word (lua_State *L, const slot *s, size_t i, float *bias) {
  const char *name = lua_pushfstring(L, "%s[%I]", s->param->name,
                                     (LUAI_UACINT)i + 1);
  lua_rawgeti(L, s->index, (lua_Integer)i + 1);
  *bias = -INFINITY;
  if (s->param->type == DC_PARAM_BIASES) {
    if (check_list(L, lua_absindex(L, -1), name) != 2)
      refuse(L, "%s must be a pair of a list of ids and a number", name);
    lua_rawgeti(L, -1, 2);
    if (!dc_to_bias(L, -1, bias))
      refuse(L, "%s: the bias is %s, " DC_BIAS_RULE, name,
             dc_show(L, -1));
    lua_pop(L, 1);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
  }
  size_t n = check_list(L, lua_absindex(L, -1), name);
  if (n == 0) refuse(L, "%s is empty", name);
  lua_remove(L, -2);  /* the name */
  return n;
}


static void read_words (lua_State *L, const slot *s) {
  size_t n = check_list(L, s->index, s->param->name), total = 0;
  if (n == 0 && s->param->required) refuse(L, "%s is empty", s->param->name);
  size_t *ends = dc_keep_block(L, s->object, n, sizeof *ends);
  float *bias = dc_keep_block(L, s->object, n, sizeof *bias);
  for (size_t i = 0; i < n; i++) {
    size_t length = push_word(L, s, i, &bias[i]);
    if (!dc_size_add(total, length, &total)) luaL_error(L, "too many ids");
    ends[i] = total;
    lua_pop(L, 1);
  }
  int32_t *ids = dc_keep_block(L, s->object, total, sizeof *ids);
  for (size_t i = 0; i < n; i++) {
    size_t start = i > 0 ? ends[i - 1] : 0;
    size_t length = push_word(L, s, i, &bias[i]);
    if (length != ends[i] - start) refuse_change(L, s);
    const char *name = lua_pushfstring(L, "%s[%I]", s->param->name,
                                       (LUAI_UACINT)i + 1);
    copy_ids(L, lua_absindex(L, -2), name, length, ids + start);
    lua_pop(L, 2);
  }
  *(dc_biases *)field_of(s) = (dc_biases){ids, ends, bias, n};
}


/* {[id] = bias} */
static void read_bias_map (lua_State *L, const slot *s) {
  const char *name = s->param->name;
  if (lua_type(L, s->index) != LUA_TTABLE)
    refuse(L, "%s is a %s, must be a table of biases by id", name,
           luaL_typename(L, s->index));
  size_t n = 0;
  for (lua_pushnil(L); lua_next(L, s->index); lua_pop(L, 1)) n++;
  if (n == 0) refuse(L, "%s is empty", name);
  int32_t *ids = dc_keep_block(L, s->object, n, sizeof *ids);
  size_t *ends = dc_keep_block(L, s->object, n, sizeof *ends), i = 0;
  float *bias = dc_keep_block(L, s->object, n, sizeof *bias);
  for (lua_pushnil(L); lua_next(L, s->index); i++) {
    if (i == n) refuse_change(L, s);
    if (!dc_to_bias(L, -1, &bias[i])) {
      const char *value = dc_show(L, -1);
      refuse(L, "%s: the bias of id %s is %s, " DC_BIAS_RULE, name,
             dc_show(L, -3), value);
    }
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    ids[i] = take_id(L, name, i + 1);
    ends[i] = i + 1;
  }
  if (i != n) refuse_change(L, s);
  *(dc_biases *)field_of(s) = (dc_biases){ids, ends, bias, n};
}


/* ---- any argument ---- */

static void read_param (lua_State *L, const slot *s) {
  switch (s->param->type) {
    case DC_PARAM_NUMBER: read_number(L, s); break;
    case DC_PARAM_COUNT: read_count(L, s); break;
    case DC_PARAM_FLAG: read_flag(L, s); break;
    case DC_PARAM_CHOICE: read_choice(L, s); break;
    case DC_PARAM_SEED: read_seed(L, s); break;
    case DC_PARAM_IDS: read_ids(L, s); break;
    case DC_PARAM_WORDS: case DC_PARAM_BIASES: read_words(L, s); break;
    case DC_PARAM_BIAS_MAP: read_bias_map(L, s); break;
  }
}


/* What an argument is when the caller does not give it. */
static void default_param (lua_State *L, const slot *s) {
  const dc_param *param = s->param;
  bool is_count = param->type == DC_PARAM_COUNT;
  bool is_number = param->type == DC_PARAM_NUMBER;
  if (param->required || ((is_count || is_number) && param->fallback < 0))
    refuse(L, "%s is missing", param->name);
  if (is_count) *(size_t *)field_of(s) = (size_t)param->fallback;
  if (is_number) *(double *)field_of(s) = param->fallback;
}


/* The factory's argument is a table of named arguments: it has a string as a
   key, or is empty and the main argument is no list. */
static bool is_named (lua_State *L, const dc_kind *kind) {
  if (lua_type(L, 1) != LUA_TTABLE) return false;
  bool named = false, empty = true;
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
    empty = false;
    named |= lua_type(L, -2) == LUA_TSTRING;
  }
  dc_param_type main = kind->params[0].type;
  bool list = kind->params[0].name != NULL && main >= DC_PARAM_IDS;
  return named || (empty && !list);
}


static void check_names (lua_State *L, const dc_kind *kind) {
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2)
                                                      : NULL;
    if (name == NULL || dc_kind_param(kind, name) == NULL)
      refuse(L, "unknown argument '%s'", luaL_tolstring(L, -2, NULL));
  }
}


void dc_read_params (lua_State *L, dc_processor *p, int object) {
  const dc_kind *kind = p->kind;
  bool named = is_named(L, kind), given = !lua_isnil(L, 1);
  int top = lua_gettop(L);
  if (named) check_names(L, kind);
  if (kind->params[0].name == NULL && given && !named)
    refuse(L, "%s takes no argument", kind->name);
  for (const dc_param *param = kind->params; param->name != NULL; param++) {
    slot s = {param, p, top + 1, object};
    if (named)
      lua_getfield(L, 1, param->name);
    else if (param == kind->params)
      lua_pushvalue(L, 1);
    else
      lua_pushnil(L);
    if (lua_isnil(L, s.index)) default_param(L, &s); else read_param(L, &s);
    lua_settop(L, top);
  }
}
