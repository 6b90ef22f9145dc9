/*
** st_header.c: the JSON header of a safetensors file; see safetensors.h.
** Format: Hugging Face, safetensors/README.md.
*/
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "format/json.h"
#include "format/st_file.h"
#include "math/types.h"

/* Types of less than a byte are packed; a tensor fills whole bytes. */
static const dc_st_dtype dtypes[] = {
  {"F32", 32, DC_F32}, {"F16", 16, DC_F16}, {"BF16", 16, DC_BF16},
  {"F64", 64, 28}, {"I64", 64, 27}, {"I32", 32, 26}, {"I16", 16, 25},
  {"I8", 8, 24}, {"U64", 64, -1}, {"U32", 32, -1}, {"U16", 16, -1},
  {"U8", 8, -1}, {"BOOL", 8, -1}, {"C64", 64, -1}, {"F8_E5M2", 8, -1},
  {"F8_E4M3", 8, -1}, {"F8_E8M0", 8, -1}, {"F6_E2M3", 6, -1},
  {"F6_E3M2", 6, -1}, {"F4", 4, -1},
};


/* A new zeroed item of `size` bytes at the end, NULL when memory is short. */
static void *append (dc_st_list *l, size_t size) {
  if (l->count == l->room) {
    void *more = dc_realloc(l->items, (l->room * 2 + 16) * size);
    if (more == NULL) return NULL;
    l->items = more;
    l->room = l->room * 2 + 16;
  }
  return (char *)l->items + l->count++ * size;
}


/* The text without escapes: in the file if there are none. */
static bool plain_text (dc_safetensors *st, const dc_json_text *text,
                        dc_string *out, dc_error *err) {
  *out = text->raw;
  if (text->plain) return true;
  if (st->unescaped == NULL) st->unescaped = dc_alloc(st->header_size);
  if (st->unescaped == NULL) return dc_fail(err, "not enough memory");
  char *to = st->unescaped + st->used;  /* never longer than it was escaped */
  dc_json_copy(text, to);
  st->used += text->size;
  *out = (dc_string){to, text->size};
  return true;
}


/*
** One tensor's fields.
*/

typedef struct fields {
  bool dtype, shape, offsets;  /* seen */
  uint64_t begin, end;
} fields;


static bool read_dtype (dc_json *j, dc_st_tensor *t, dc_error *err) {
  dc_json_text text;
  if (!dc_json_string(j, &text, err)) return false;
  for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
    if (dc_json_is(&text, dtypes[i].name)) {
      t->dtype = &dtypes[i];
      return true;
    }
  return dc_fail(err, "'%.*s' is not a type of the format",
                 DC_SHOWN(text.raw));
}


static bool read_shape (dc_json *j, dc_st_tensor *t, dc_error *err) {
  bool more;
  if (!dc_json_array(j, err) || !dc_json_item(j, &more, err)) return false;
  while (more) {
    if (t->n_dims == DC_ST_MAX_DIMS)
      return dc_fail(err, "more than %d dimensions", DC_ST_MAX_DIMS);
    if (!dc_json_uint(j, &t->shape[t->n_dims++], err) ||
        !dc_json_item(j, &more, err)) return false;
  }
  return true;
}


static bool read_offsets (dc_json *j, fields *f, dc_error *err) {
  uint64_t *to[] = {&f->begin, &f->end};
  int n = 0;
  bool more;
  if (!dc_json_array(j, err) || !dc_json_item(j, &more, err)) return false;
  for (; more && n < 2; n++)
    if (!dc_json_uint(j, to[n], err) || !dc_json_item(j, &more, err))
      return false;
  return (n == 2 && !more) ||
         dc_fail(err, "byte %zu: must be two numbers, begin and end", j->at);
}


static bool read_field (dc_json *j, const dc_json_text *name, dc_st_tensor *t,
                        fields *f, dc_error *err) {
  static const char *const known[] = {"dtype", "shape", "data_offsets"};
  bool *seen[] = {&f->dtype, &f->shape, &f->offsets}, ok;
  size_t i = 0;
  while (i < 3 && !dc_json_is(name, known[i])) i++;
  if (i == 3)
    return dc_fail(err, "field '%.*s' is not one of the format",
                   DC_SHOWN(name->raw));
  if (*seen[i]) return dc_fail(err, "field '%s' appears twice", known[i]);
  *seen[i] = true;
  ok = i == 0 ? read_dtype(j, t, err) : i == 1 ? read_shape(j, t, err)
       : read_offsets(j, f, err);
  return ok || dc_fail_in(err, known[i]);
}


/* Bytes of the tensor; every product is checked before it is made, so a
   dimension 0 does not excuse an overflow beside it. */
static bool tensor_bytes (const dc_st_tensor *t, size_t *out, dc_error *err) {
  size_t bits = (size_t)t->dtype->bits, elements = 1;
  bool fits = true;
  for (int i = 0; i < t->n_dims; i++)
    if (t->shape[i] != 0)
      fits = fits && dc_size_mul(elements, (size_t)t->shape[i], &elements);
  fits = fits && dc_size_mul(elements, bits, &bits);
  if (!fits)
    return dc_fail(err, "shape: its dimensions multiply to more than 2^64 "
                   "bits");
  for (int i = 0; i < t->n_dims; i++)
    if (t->shape[i] == 0) bits = 0;
  if (bits % 8 != 0)
    return dc_fail(err, "shape: its elements of %d bits do not fill whole "
                   "bytes", t->dtype->bits);
  *out = bits / 8;
  return true;
}


static bool place_tensor (dc_safetensors *st, dc_st_tensor *t, const fields *f,
                          dc_error *err) {
  size_t data = 8 + st->header_size, room = st->file.size - data;
  if (!f->dtype || !f->shape || !f->offsets)
    return dc_fail(err, "field '%s' is missing", !f->dtype ? "dtype"
                   : !f->shape ? "shape" : "data_offsets");
  if (!tensor_bytes(t, &t->size, err)) return false;
  if (f->begin > f->end || f->end > room)
    return dc_fail(err, "data_offsets: [%" PRIu64 ", %" PRIu64 "], must be in "
                   "order and within the %zu bytes of data", f->begin, f->end,
                   room);
  if (f->end - f->begin != t->size)
    return dc_fail(err, "data_offsets: [%" PRIu64 ", %" PRIu64 "] are not the "
                   "%zu bytes of its shape and dtype", f->begin, f->end,
                   t->size);
  t->data = st->file.data + data + f->begin;
  return true;
}


/*
** The header.
*/

static bool read_fields (dc_safetensors *st, dc_json *j, dc_st_tensor *t,
                         dc_error *err) {
  dc_json_text name;
  fields f = {0};
  bool more;
  if (!dc_json_object(j, err) || !dc_json_key(j, &name, &more, err))
    return false;
  while (more)
    if (!read_field(j, &name, t, &f, err) ||
        !dc_json_key(j, &name, &more, err)) return false;
  return place_tensor(st, t, &f, err);
}


static bool read_tensor (dc_safetensors *st, dc_json *j,
                         const dc_json_text *name, dc_error *err) {
  char where[128];
  size_t i = st->tensors.count;
  if (i == DC_ST_MAX_TENSORS)
    return dc_fail(err, "more than %d tensors", DC_ST_MAX_TENSORS);
  dc_st_tensor *t = append(&st->tensors, sizeof *t);
  if (t == NULL) return dc_fail(err, "not enough memory");
  if (name->size == 0 || name->has_nul)
    return dc_fail(err, "tensor number %zu: its name is empty or holds a NUL",
                   i + 1);
  if (plain_text(st, name, &t->name, err) &&
      dc_names_add(&st->names, t->name, i, err) &&
      read_fields(st, j, t, err))
    return true;
  snprintf(where, sizeof where, "tensor '%.*s'", DC_SHOWN(name->raw));
  return dc_fail_in(err, where);
}


/* Their texts may be long (training logs were seen there), the keys not. */
static bool read_metadata (dc_safetensors *st, dc_json *j, dc_error *err) {
  dc_json_text key, value;
  dc_names names = {NULL, 0, 0};
  bool more, ok = dc_json_object(j, err);
  while (ok && (ok = dc_json_key(j, &key, &more, err)) && more) {
    j->longest = SIZE_MAX;
    ok = dc_json_string(j, &value, err);
    j->longest = DC_ST_MAX_NAME;
    if (!ok) break;
    dc_st_pair *p = append(&st->metadata, sizeof *p);
    if (p == NULL) ok = dc_fail(err, "not enough memory");
    ok = ok && plain_text(st, &key, &p->key, err) &&
         plain_text(st, &value, &p->value, err) &&
         dc_names_add(&names, p->key, st->metadata.count, err);
  }
  dc_names_free(&names);
  return ok || dc_fail_in(err, "__metadata__");
}


static bool read_top (dc_safetensors *st, dc_json *j, dc_error *err) {
  dc_json_text name;
  bool more, seen_metadata = false;
  if (!dc_json_object(j, err) || !dc_json_key(j, &name, &more, err))
    return false;
  while (more) {
    if (!dc_json_is(&name, "__metadata__")) {
      if (!read_tensor(st, j, &name, err)) return false;
    }
    else if (seen_metadata)
      return dc_fail(err, "'__metadata__' appears twice");
    else if (!read_metadata(st, j, err))
      return false;
    else
      seen_metadata = true;
    if (!dc_json_key(j, &name, &more, err)) return false;
  }
  while (j->at < j->size && j->text[j->at] == ' ') j->at++;  /* padding */
  return j->at == j->size ||
         dc_fail(err, "byte %zu: expected nothing but spaces behind the '}'",
                 j->at);
}


/* 8 bytes of length, then a '{'. */
static bool open_header (dc_safetensors *st, dc_json *j, dc_error *err) {
  uint64_t n;
  const uint8_t *data = st->file.data;
  if (st->file.size < sizeof n)
    return dc_fail(err, "is no safetensors file (%zu bytes, the length of the "
                   "header alone has 8)", st->file.size);
  memcpy(&n, data, sizeof n);
  if (n < 2 || n > DC_ST_MAX_HEADER || n > st->file.size - sizeof n)
    return dc_fail(err, "header length: is %" PRIu64 ", must be from 2 to %d "
                   "and within the file's %zu bytes", n, DC_ST_MAX_HEADER,
                   st->file.size);
  if (data[sizeof n] != '{')
    return dc_fail(err, "header: must begin with '{'");
  st->header_size = (size_t)n;
  dc_json_init(j, (const char *)data + sizeof n, (size_t)n);
  j->longest = DC_ST_MAX_NAME;
  return true;
}


bool dc_st_read_header (dc_safetensors *st, dc_error *err) {
  dc_json j;
  return open_header(st, &j, err) &&
         (read_top(st, &j, err) || dc_fail_in(err, "header"));
}
