/* safetensors.c: the file as a whole; see safetensors.h. */
#include "format/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "format/st_file.h"


static int by_place (const void *a, const void *b) {
  const dc_st_tensor *s = *(const dc_st_tensor *const *)a;
  const dc_st_tensor *t = *(const dc_st_tensor *const *)b;
  if (s->data != t->data) return s->data < t->data ? -1 : 1;
  if (s->size != t->size) return s->size < t->size ? -1 : 1;
  return s < t ? -1 : s > t;
}


/* Tensor after tensor, no hole, no overlap, nothing behind the last. */
static bool check_cover (const dc_safetensors *st, dc_error *err) {
  size_t n = st->tensors.count;
  const uint8_t *next = st->file.data + 8 + st->header_size;
  const uint8_t *end = st->file.data + st->file.size;
  dc_st_tensor *tensors = st->tensors.items, **sorted;
  sorted = dc_alloc_array(n, sizeof *sorted);
  if (sorted == NULL) return dc_fail(err, "not enough memory");
  for (size_t i = 0; i < n; i++) sorted[i] = &tensors[i];
  qsort(sorted, n, sizeof *sorted, by_place);
  bool ok = true;
  for (size_t i = 0; ok && i < n; i++) {
    if (sorted[i]->data != next)
      ok = dc_fail(err, "tensor '%.*s': data_offsets: begins at %zu, must "
                   "begin where the data before it ends (a hole or an overlap "
                   "of %zu bytes)", DC_SHOWN(sorted[i]->name),
                   (size_t)(sorted[i]->data - st->file.data) - 8 -
                   st->header_size,
                   (size_t)(sorted[i]->data > next ? sorted[i]->data - next
                            : next - sorted[i]->data));
    next = sorted[i]->data + sorted[i]->size;
  }
  dc_free(sorted);
  if (ok && next != end)
    return dc_fail(err, "%zu bytes follow the last tensor, must be none",
                   (size_t)(end - next));
  return ok;
}


static bool check_bools (const dc_safetensors *st, dc_error *err) {
  for (size_t i = 0; i < st->tensors.count; i++) {
    const dc_st_tensor *t = dc_st_tensor_at(st, i);
    for (size_t k = 0; !strcmp(t->dtype->name, "BOOL") && k < t->size; k++)
      if (t->data[k] > 1)
        return dc_fail(err, "tensor '%.*s': element %zu of BOOL is %d, must "
                       "be 0 or 1", DC_SHOWN(t->name), k, t->data[k]);
  }
  return true;
}


bool dc_st_open (dc_safetensors **out, const char *path, bool map,
                 dc_error *err) {
  dc_safetensors *st = dc_alloc(sizeof *st);
  size_t length = strlen(path);
  *out = NULL;
  if (st == NULL || (st->path = dc_alloc(length + 1)) == NULL) {
    dc_st_close(st);
    return dc_fail(err, "%.400s: not enough memory", path);
  }
  memcpy(st->path, path, length);
  bool ok = dc_file_open(&st->file, path, map, err);
  if (ok && !(dc_st_read_header(st, err) && check_cover(st, err) &&
              check_bools(st, err))) {
    ok = dc_fail_in(err, path);
    if (err != NULL) dc_utf8_clean(err->text);
  }
  if (ok) *out = st;
  else dc_st_close(st);
  return ok;
}


void dc_st_close (dc_safetensors *st) {
  if (st == NULL) return;
  dc_names_free(&st->names);
  dc_free(st->tensors.items);
  dc_free(st->metadata.items);
  dc_free(st->unescaped);
  dc_file_close(&st->file);
  dc_free(st->path);
  dc_free(st);
}


const char *dc_st_path (const dc_safetensors *st) {
  return st->path;
}


size_t dc_st_held (const dc_safetensors *st) {
  return st->file.mapped ? 0 : st->file.size;
}


size_t dc_st_n_tensors (const dc_safetensors *st) {
  return st->tensors.count;
}


const dc_st_tensor *dc_st_tensor_at (const dc_safetensors *st, size_t i) {
  return (const dc_st_tensor *)st->tensors.items + i;
}


const dc_st_tensor *dc_st_tensor_find (const dc_safetensors *st,
                                       dc_string name) {
  size_t i = dc_names_find(&st->names, name);
  return i != DC_NO_NAME ? dc_st_tensor_at(st, i) : NULL;
}


size_t dc_st_n_metadata (const dc_safetensors *st) {
  return st->metadata.count;
}


void dc_st_metadata_at (const dc_safetensors *st, size_t i, dc_string *key,
                        dc_string *value) {
  const dc_st_pair *p = (const dc_st_pair *)st->metadata.items + i;
  *key = p->key;
  *value = p->value;
}
