/*
** gguf.c: the structure of a GGUF file; see gguf.h. Format: the GGUF
** specification of ggml (docs/gguf.md there).
**
** Everything is read through a cursor that knows what is left, and every
** count is compared with what is left before anything is allocated or looped
** over: no memory and no time follows a number that the file merely claims.
*/
#include "format/gguf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "base/utf8.h"
#include "format/gguf_file.h"

/* The fewest bytes of a key with its value, and of a tensor's description. */
#define LEAST_KEY (8 + 1 + 4 + 1)
#define LEAST_TENSOR (8 + 1 + 4 + 8 + 4 + 8)

typedef struct cursor {
  const uint8_t *data;
  size_t size, at;
} cursor;


static size_t left (const cursor *c) {
  return c->size - c->at;
}


static const uint8_t *take (cursor *c, size_t n, dc_error *err) {
  if (n > left(c)) {
    dc_fail(err, "the file ends in the middle of it");
    return NULL;
  }
  c->at += n;
  return c->data + c->at - n;
}


static bool take_u32 (cursor *c, uint32_t *out, dc_error *err) {
  const uint8_t *p = take(c, sizeof *out, err);
  if (p != NULL) memcpy(out, p, sizeof *out);
  return p != NULL;
}


static bool take_u64 (cursor *c, uint64_t *out, dc_error *err) {
  const uint8_t *p = take(c, sizeof *out, err);
  if (p != NULL) memcpy(out, p, sizeof *out);
  return p != NULL;
}


static bool take_string (cursor *c, dc_string *out, dc_error *err) {
  uint64_t n;
  if (!take_u64(c, &n, err)) return false;
  if (n > left(c))
    return dc_fail(err, "a text of %" PRIu64 " bytes, but only %zu are left",
                   n, left(c));
  *out = (dc_string){(const char *)c->data + c->at, (size_t)n};
  c->at += (size_t)n;
  return true;
}


static bool fail_at_number (dc_error *err, const char *what, size_t i) {
  char where[64];
  snprintf(where, sizeof where, "%s number %zu", what, i + 1);
  return dc_fail_in(err, where);
}


/*
** Keys and values.
*/

static bool check_bools (const uint8_t *p, size_t n, dc_error *err) {
  for (size_t i = 0; i < n; i++)
    if (p[i] > 1)
      return dc_fail(err, "a bool is %d, must be 0 or 1", p[i]);
  return true;
}


/* The strings are walked once to see that they are there, and only then
   remembered: the table is never larger than what it points to. */
static bool take_strings (cursor *c, dc_gguf_array *array, dc_error *err) {
  size_t start = c->at, *offsets;
  dc_string text;
  for (size_t i = 0; i < array->count; i++)
    if (!take_string(c, &text, err)) return fail_at_number(err, "element", i);
  array->data = c->data + start;
  array->offsets = offsets = dc_alloc_array(array->count, sizeof *offsets);
  if (offsets == NULL) return dc_fail(err, "not enough memory");
  for (size_t i = 0, at = 0; i < array->count; i++) {
    uint64_t n;
    memcpy(&n, array->data + at, sizeof n);
    offsets[i] = at;
    at += sizeof n + (size_t)n;
  }
  return true;
}


static bool take_array (cursor *c, dc_gguf_array *array, dc_error *err) {
  uint32_t kind;
  uint64_t count;
  if (!take_u32(c, &kind, err) || !take_u64(c, &count, err)) return false;
  if (kind >= DC_GGUF_N_KINDS || kind == DC_GGUF_ARRAY)
    return dc_fail(err, "an array of type %" PRIu32 ", must be of scalars or "
                   "strings", kind);
  size_t size = dc_gguf_kind_size((dc_gguf_kind)kind);
  if (count > left(c) / (size > 0 ? size : sizeof(uint64_t)))
    return dc_fail(err, "an array of %" PRIu64 " elements, but only %zu bytes "
                   "are left", count, left(c));
  array->kind = (dc_gguf_kind)kind;
  array->count = (size_t)count;
  if (kind == DC_GGUF_STRING) return take_strings(c, array, err);
  array->data = take(c, array->count * size, err);
  return kind != DC_GGUF_BOOL || check_bools(array->data, array->count, err);
}


static bool take_value (cursor *c, dc_gguf_value *v, dc_error *err) {
  uint32_t kind;
  dc_string text;
  if (!take_u32(c, &kind, err)) return false;
  if (kind >= DC_GGUF_N_KINDS)
    return dc_fail(err, "value type %" PRIu32 ", must be from 0 to %d", kind,
                   DC_GGUF_N_KINDS - 1);
  v->kind = (dc_gguf_kind)kind;
  v->data = c->data + c->at;
  if (kind == DC_GGUF_ARRAY) return take_array(c, &v->array, err);
  if (kind == DC_GGUF_STRING) return take_string(c, &text, err);
  return take(c, dc_gguf_kind_size(v->kind), err) != NULL &&
         (kind != DC_GGUF_BOOL || check_bools(v->data, 1, err));
}


static bool take_keys (dc_gguf *g, cursor *c, size_t n, dc_error *err) {
  g->keys = dc_alloc_array(n, sizeof *g->keys);
  if (g->keys == NULL) return dc_fail(err, "not enough memory");
  if (!dc_names_reserve(&g->key_names, n, err)) return false;
  for (size_t i = 0; i < n; i++) {
    dc_gguf_value *v = &g->keys[i];
    if (!take_string(c, &v->key, err) || !dc_gguf_key_fits(v->key, err))
      return fail_at_number(err, "key", i);
    g->n_keys++;
    if (!dc_names_add(&g->key_names, v->key, i, err) ||
        !take_value(c, v, err))
      return dc_gguf_fail_at(err, "key", v->key);
  }
  return true;
}


/* Alignments below 8 would not align numbers; a page is the most that a
   mapping gives. */
static bool take_alignment (dc_gguf *g, dc_error *err) {
  static const char key[] = "general.alignment";
  const dc_gguf_value *v = dc_gguf_find(g, dc_string_of(key));
  uint32_t n = DC_GGUF_ALIGNMENT;
  if (v != NULL && v->kind != DC_GGUF_U32)
    return dc_fail(err, "key '%s': is of type %s, must be u32", key,
                   dc_gguf_kind_name(v->kind));
  if (v != NULL) memcpy(&n, v->data, sizeof n);
  if (n < 8 || n > 4096 || (n & (n - 1)) != 0)
    return dc_fail(err, "key '%s': is %" PRIu32 ", must be a power of two "
                   "from 8 to 4096", key, n);
  g->alignment = n;
  return true;
}


/*
** Tensors.
*/

static bool take_shape (cursor *c, dc_gguf_tensor *t, dc_error *err) {
  uint32_t n;
  if (!take_u32(c, &n, err)) return false;
  if (n < 1 || n > DC_GGUF_MAX_DIMS)
    return dc_fail(err, "%" PRIu32 " dimensions, must have 1 to %d", n,
                   DC_GGUF_MAX_DIMS);
  t->n_dims = (int)n;
  for (uint32_t i = 0; i < DC_GGUF_MAX_DIMS; i++) {
    t->shape[i] = 1;
    if (i < n && !take_u64(c, &t->shape[i], err)) return false;
  }
  return true;
}


static bool take_tensors (dc_gguf *g, cursor *c, size_t n, dc_error *err) {
  g->tensors = dc_alloc_array(n, sizeof *g->tensors);
  if (g->tensors == NULL) return dc_fail(err, "not enough memory");
  if (!dc_names_reserve(&g->tensor_names, n, err)) return false;
  for (size_t i = 0; i < n; i++) {
    dc_gguf_tensor *t = &g->tensors[i];
    if (!take_string(c, &t->name, err) || !dc_gguf_name_fits(t->name, err))
      return fail_at_number(err, "tensor", i);
    g->n_tensors++;
    if (!dc_names_add(&g->tensor_names, t->name, i, err) ||
        !take_shape(c, t, err) || !take_u32(c, &t->type, err) ||
        !take_u64(c, &t->offset, err) ||
        !dc_gguf_tensor_bytes(t->type, t->n_dims, t->shape, &t->size, err))
      return dc_gguf_fail_at(err, "tensor", t->name);
  }
  return true;
}


/* The data follows the header, tensor after tensor, each at the next multiple
   of the alignment: no holes, no overlap, nothing behind the last one. */
static bool place_tensor (const dc_gguf *g, dc_gguf_tensor *t, uint64_t next,
                          uint64_t room, dc_error *err) {
  if (t->offset % g->alignment != 0)
    dc_fail(err, "offset %" PRIu64 " is not a multiple of the alignment %zu",
            t->offset, g->alignment);
  else if (t->offset != next)
    dc_fail(err, "offset %" PRIu64 ", must be %" PRIu64 ", where the tensor "
            "before it ends", t->offset, next);
  else if (t->offset > room || t->size > room - t->offset)
    dc_fail(err, "its %zu bytes at offset %" PRIu64 " end behind the file's "
            "%" PRIu64 " bytes of data", t->size, t->offset, room);
  else
    return true;
  return dc_gguf_fail_at(err, "tensor", t->name);
}


static bool place_tensors (dc_gguf *g, const cursor *c, uint64_t total,
                           dc_error *err) {
  size_t start, next = 0, end = 0;
  if (!dc_size_align(c->at, g->alignment, &start))
    return dc_fail(err, "the header is too large");
  uint64_t room = total > start ? total - start : 0;
  for (size_t i = 0; i < g->n_tensors; i++) {
    dc_gguf_tensor *t = &g->tensors[i];
    if (!place_tensor(g, t, next, room, err)) return false;
    if (start + t->offset + t->size <= c->size)
      t->data = c->data + start + t->offset;
    end = (size_t)t->offset + t->size;
    if (!dc_size_align(end, g->alignment, &next))
      return dc_fail(err, "the tensors are too large");
  }
  if (room > next)
    return dc_fail(err, "%" PRIu64 " bytes follow the last tensor, must be "
                   "none", room - end);
  return true;
}


/*
** The file.
*/

static bool take_count (cursor *c, const char *what, size_t most,
                        size_t *out, dc_error *err) {
  uint64_t n;
  if (!take_u64(c, &n, err)) return dc_fail_in(err, "header");
  if (n > most)
    return dc_fail(err, "header: says %" PRId64 " %s, must be 0 to %zu",
                   (int64_t)n, what, most);
  *out = (size_t)n;
  return true;
}


static bool fits_in (const cursor *c, const char *what, size_t n, size_t least,
                     dc_error *err) {
  return n <= left(c) / least ||
         dc_fail(err, "header: says %zu %s, but only %zu bytes are left", n,
                 what, left(c));
}


static bool take_magic (dc_gguf *g, cursor *c, dc_error *err) {
  const uint8_t *magic = take(c, 4, err);
  if (magic == NULL || memcmp(magic, "GGUF", 4) != 0)
    return dc_fail(err, "is no GGUF file (does not begin with 'GGUF')");
  if (!take_u32(c, &g->version, err)) return dc_fail_in(err, "version");
  if (g->version != 0 && (g->version & 0xFFFF) == 0)
    return dc_fail(err, "version: the file is big-endian, must be "
                   "little-endian");
  return g->version == 2 || g->version == 3 ||
         dc_fail(err, "version: is %" PRIu32 ", must be 2 or 3", g->version);
}


bool dc_gguf_parse (dc_gguf *g, const uint8_t *bytes, size_t size,
                    uint64_t total, dc_error *err) {
  cursor c = {bytes, size, 0};
  size_t n_tensors, n_keys;
  return take_magic(g, &c, err) &&
         take_count(&c, "tensors", DC_GGUF_MAX_TENSORS, &n_tensors, err) &&
         take_count(&c, "keys", DC_GGUF_MAX_KEYS, &n_keys, err) &&
         fits_in(&c, "keys", n_keys, LEAST_KEY, err) &&
         take_keys(g, &c, n_keys, err) && take_alignment(g, err) &&
         fits_in(&c, "tensors", n_tensors, LEAST_TENSOR, err) &&
         take_tensors(g, &c, n_tensors, err) &&
         place_tensors(g, &c, total, err);
}


bool dc_gguf_open (dc_gguf **out, const char *path, bool map, dc_error *err) {
  dc_gguf *g = dc_alloc(sizeof *g);
  size_t length = strlen(path);
  *out = NULL;
  if (g == NULL || (g->path = dc_alloc(length + 1)) == NULL) {
    dc_gguf_close(g);
    return dc_fail(err, "%.400s: not enough memory", path);
  }
  memcpy(g->path, path, length);
  bool ok = dc_file_open(&g->file, path, map, err);
  if (ok && !(dc_gguf_parse(g, g->file.data, g->file.size, g->file.size, err)
              && dc_gguf_check(g, err))) {
    ok = dc_fail_in(err, path);
    if (err != NULL) dc_utf8_clean(err->text);
  }
  if (ok) *out = g;
  else dc_gguf_close(g);
  return ok;
}


void dc_gguf_clear (dc_gguf *g) {
  for (size_t i = 0; i < g->n_keys; i++)
    dc_free((void *)(uintptr_t)g->keys[i].array.offsets);
  dc_free(g->keys);
  dc_free(g->tensors);
  dc_names_free(&g->key_names);
  dc_names_free(&g->tensor_names);
  dc_file_close(&g->file);
  dc_free(g->path);
  memset(g, 0, sizeof *g);
}


void dc_gguf_release (const dc_gguf *g, const void *bytes, size_t size) {
  dc_file_release(&g->file, bytes, size);
}


void dc_gguf_close (dc_gguf *g) {
  if (g == NULL) return;
  dc_gguf_clear(g);
  dc_free(g);
}
