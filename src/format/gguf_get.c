/* gguf_get.c: looking things up in an open GGUF file; see gguf.h. */
#include <inttypes.h>
#include <string.h>

#include "format/gguf_file.h"

static const struct {
  const char *name;
  size_t size;
} kinds[DC_GGUF_N_KINDS] = {
  [DC_GGUF_U8] = {"u8", 1}, [DC_GGUF_I8] = {"i8", 1},
  [DC_GGUF_U16] = {"u16", 2}, [DC_GGUF_I16] = {"i16", 2},
  [DC_GGUF_U32] = {"u32", 4}, [DC_GGUF_I32] = {"i32", 4},
  [DC_GGUF_F32] = {"f32", 4}, [DC_GGUF_BOOL] = {"bool", 1},
  [DC_GGUF_STRING] = {"string", 0}, [DC_GGUF_ARRAY] = {"array", 0},
  [DC_GGUF_U64] = {"u64", 8}, [DC_GGUF_I64] = {"i64", 8},
  [DC_GGUF_F64] = {"f64", 8},
};


const char *dc_gguf_kind_name (dc_gguf_kind kind) {
  return kinds[kind].name;
}


size_t dc_gguf_kind_size (dc_gguf_kind kind) {
  return kinds[kind].size;
}


bool dc_gguf_kind_by_name (const char *name, dc_gguf_kind *out) {
  for (int i = 0; i < DC_GGUF_N_KINDS; i++)
    if (strcmp(kinds[i].name, name) == 0) {
      *out = (dc_gguf_kind)i;
      return true;
    }
  return false;
}


const char *dc_gguf_path (const dc_gguf *g) {
  return g->path;
}


size_t dc_gguf_held (const dc_gguf *g) {
  return g->file.mapped ? 0 : g->file.size;
}


uint32_t dc_gguf_version (const dc_gguf *g) {
  return g->version;
}


size_t dc_gguf_alignment (const dc_gguf *g) {
  return g->alignment;
}


size_t dc_gguf_n_keys (const dc_gguf *g) {
  return g->n_keys;
}


const dc_gguf_value *dc_gguf_key_at (const dc_gguf *g, size_t i) {
  return &g->keys[i];
}


const dc_gguf_value *dc_gguf_find (const dc_gguf *g, dc_string key) {
  size_t i = dc_names_find(&g->key_names, key);
  return i != DC_NO_NAME ? &g->keys[i] : NULL;
}


bool dc_gguf_has (const dc_gguf *g, const char *key) {
  return dc_gguf_find(g, dc_string_of(key)) != NULL;
}


size_t dc_gguf_n_tensors (const dc_gguf *g) {
  return g->n_tensors;
}


const dc_gguf_tensor *dc_gguf_tensor_at (const dc_gguf *g, size_t i) {
  return &g->tensors[i];
}


const dc_gguf_tensor *dc_gguf_tensor_find (const dc_gguf *g,
                                           const char *name) {
  size_t i = dc_names_find(&g->tensor_names, dc_string_of(name));
  return i != DC_NO_NAME ? &g->tensors[i] : NULL;
}


/*
** Elements. Nothing in the metadata is aligned, so each is copied out.
*/

#define LOAD(type, x) \
  type x; memcpy(&x, array->data + i * sizeof x, sizeof x)

bool dc_gguf_array_int (const dc_gguf_array *array, size_t i, int64_t *out) {
  switch (array->kind) {
    case DC_GGUF_U8: case DC_GGUF_BOOL: *out = array->data[i]; return true;
    case DC_GGUF_I8: *out = (int8_t)array->data[i]; return true;
    case DC_GGUF_U16: { LOAD(uint16_t, x); *out = x; return true; }
    case DC_GGUF_I16: { LOAD(int16_t, x); *out = x; return true; }
    case DC_GGUF_U32: { LOAD(uint32_t, x); *out = x; return true; }
    case DC_GGUF_I32: { LOAD(int32_t, x); *out = x; return true; }
    case DC_GGUF_I64: { LOAD(int64_t, x); *out = x; return true; }
    case DC_GGUF_U64: {
      LOAD(uint64_t, x);
      *out = (int64_t)x;
      return x <= INT64_MAX;
    }
    default: return false;
  }
}


double dc_gguf_array_float (const dc_gguf_array *array, size_t i) {
  if (array->kind == DC_GGUF_F32) {
    LOAD(float, x);
    return (double)x;
  }
  LOAD(double, x);
  return x;
}


dc_string dc_gguf_array_string (const dc_gguf_array *array, size_t i) {
  const uint8_t *p = array->data + array->offsets[i];
  uint64_t n;
  memcpy(&n, p, sizeof n);
  return (dc_string){(const char *)p + sizeof n, (size_t)n};
}


dc_gguf_array dc_gguf_as_array (const dc_gguf_value *value) {
  static const size_t at_once = 0;
  return value->kind == DC_GGUF_ARRAY
         ? value->array
         : (dc_gguf_array){value->kind, 1, value->data, &at_once};
}


/*
** Values by key.
*/

static const dc_gguf_value *need (const dc_gguf *g, const char *key,
                                  dc_error *err) {
  const dc_gguf_value *v = dc_gguf_find(g, dc_string_of(key));
  if (v == NULL)
    dc_fail(err, "%.400s: key '%s' is missing", g->path, key);
  return v;
}


static bool wrong (const dc_gguf *g, const char *key, const dc_gguf_value *v,
                   const char *rule, dc_error *err) {
  bool is_array = v->kind == DC_GGUF_ARRAY;
  dc_gguf_kind kind = is_array ? v->array.kind : v->kind;
  return dc_fail(err, "%.400s: key '%s': is of type %s%s, must be %s", g->path,
                 key, dc_gguf_kind_name(kind), is_array ? "[]" : "", rule);
}


static bool is_integer (const dc_gguf_value *v) {
  return v->kind != DC_GGUF_BOOL && v->kind != DC_GGUF_F32 &&
         v->kind != DC_GGUF_F64 && v->kind != DC_GGUF_STRING &&
         v->kind != DC_GGUF_ARRAY;
}


static bool integer (const dc_gguf *g, const char *key, int64_t min,
                     int64_t max, int64_t *out, dc_error *err) {
  const dc_gguf_value *v = need(g, key, err);
  if (v == NULL) return false;
  if (!is_integer(v)) return wrong(g, key, v, "an integer", err);
  dc_gguf_array one = dc_gguf_as_array(v);
  if (!dc_gguf_array_int(&one, 0, out))
    return dc_fail(err, "%.400s: key '%s': is %" PRIu64 ", must be at most %"
                   PRId64, g->path, key, (uint64_t)*out, max);
  return (*out >= min && *out <= max) ||
         dc_fail(err, "%.400s: key '%s': is %" PRId64 ", must be from %" PRId64
                 " to %" PRId64, g->path, key, *out, min, max);
}


bool dc_gguf_u32 (const dc_gguf *g, const char *key, uint32_t *out,
                  dc_error *err) {
  int64_t n;
  if (!integer(g, key, 0, UINT32_MAX, &n, err)) return false;
  *out = (uint32_t)n;
  return true;
}


bool dc_gguf_i32 (const dc_gguf *g, const char *key, int32_t *out,
                  dc_error *err) {
  int64_t n;
  if (!integer(g, key, INT32_MIN, INT32_MAX, &n, err)) return false;
  *out = (int32_t)n;
  return true;
}


bool dc_gguf_f32 (const dc_gguf *g, const char *key, float *out,
                  dc_error *err) {
  const dc_gguf_value *v = need(g, key, err);
  if (v == NULL) return false;
  if (v->kind != DC_GGUF_F32 && v->kind != DC_GGUF_F64)
    return wrong(g, key, v, "a float", err);
  dc_gguf_array one = dc_gguf_as_array(v);
  *out = (float)dc_gguf_array_float(&one, 0);
  return true;
}


bool dc_gguf_bool (const dc_gguf *g, const char *key, bool *out,
                   dc_error *err) {
  const dc_gguf_value *v = need(g, key, err);
  if (v == NULL) return false;
  if (v->kind != DC_GGUF_BOOL) return wrong(g, key, v, "bool", err);
  *out = v->data[0] != 0;
  return true;
}


bool dc_gguf_text (const dc_gguf *g, const char *key, dc_string *out,
                   dc_error *err) {
  const dc_gguf_value *v = need(g, key, err);
  if (v == NULL) return false;
  if (v->kind != DC_GGUF_STRING) return wrong(g, key, v, "string", err);
  dc_gguf_array one = dc_gguf_as_array(v);
  *out = dc_gguf_array_string(&one, 0);
  return true;
}


bool dc_gguf_find_array (const dc_gguf *g, const char *key,
                         dc_gguf_kind element, dc_gguf_array *out,
                         dc_error *err) {
  const dc_gguf_value *v = need(g, key, err);
  if (v == NULL) return false;
  if (v->kind != DC_GGUF_ARRAY || v->array.kind != element) {
    wrong(g, key, v, "an array of ", err);
    if (err != NULL)
      strncat(err->text, dc_gguf_kind_name(element),
              sizeof err->text - strlen(err->text) - 1);
    return false;
  }
  *out = v->array;
  return true;
}
