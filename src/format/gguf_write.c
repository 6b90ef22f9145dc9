/*
** gguf_write.c: see gguf_write.h. Keys are packed as they come; the tensors'
** descriptions are packed when all of them are known, because their offsets
** depend on the alignment, which is a key.
*/
#include "format/gguf_write.h"

#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "base/utf8.h"
#include "format/gguf_file.h"
#include "format/outfile.h"
#include "math/types.h"

/* Bytes that grow at the end. A failure sticks, so that a sequence of puts
   needs one check. */
typedef struct buffer {
  uint8_t *data;  /* [size], room for `capacity` */
  size_t size, capacity;
  bool failed;
} buffer;

/* A name that is kept where it is, for the index. */
struct kept {
  struct kept *next;
  char text[];
};

typedef struct pending {
  dc_string name;
  uint32_t type;
  int n_dims;
  uint64_t shape[DC_GGUF_MAX_DIMS];
  size_t size;  /* bytes in the file, without padding */
  dc_gguf_source source;
} pending;

struct dc_gguf_writer {
  dc_outfile file;
  buffer keys;
  size_t n_keys, n_tensors, room_for_tensors;
  pending *tensors;
  dc_names key_names, tensor_names;
  struct kept *kept;
  size_t alignment;
  bool begun, failed;
  size_t next;     /* the tensor to be written */
  uint64_t total;  /* bytes of the file; 0 before begin */
};


static void put (buffer *b, const void *data, size_t size) {
  size_t end, wanted;
  if (b->failed || size == 0) return;
  b->failed = !dc_size_add(b->size, size, &end) ||
              !dc_size_mul(end, 2, &wanted);
  if (!b->failed && end > b->capacity) {
    uint8_t *more = dc_realloc(b->data, wanted);
    b->failed = more == NULL;
    if (more != NULL) {
      b->data = more;
      b->capacity = wanted;
    }
  }
  if (b->failed) return;
  memcpy(b->data + b->size, data, size);
  b->size = end;
}


static void put_u32 (buffer *b, uint32_t n) {
  put(b, &n, sizeof n);
}


static void put_u64 (buffer *b, uint64_t n) {
  put(b, &n, sizeof n);
}


static void put_string (buffer *b, dc_string s) {
  put_u64(b, s.size);
  put(b, s.data, s.size);
}


bool dc_gguf_create (dc_gguf_writer **out, const char *path, dc_error *err) {
  dc_gguf_writer *w = dc_alloc(sizeof *w);
  *out = NULL;
  if (w == NULL) return dc_fail(err, "%.400s: not enough memory", path);
  w->alignment = DC_GGUF_ALIGNMENT;
  if (!dc_outfile_open(&w->file, path, err)) {
    dc_free(w);
    return dc_fail_in(err, path);
  }
  *out = w;
  return true;
}


void dc_gguf_writer_free (dc_gguf_writer *w) {
  if (w == NULL) return;
  dc_outfile_close(&w->file);
  while (w->kept != NULL) {
    struct kept *next = w->kept->next;
    dc_free(w->kept);
    w->kept = next;
  }
  dc_names_free(&w->key_names);
  dc_names_free(&w->tensor_names);
  dc_free(w->keys.data);
  dc_free(w->tensors);
  dc_free(w);
}


/* The file's name in front of the message; returns false. */
static bool fail_in_file (const dc_gguf_writer *w, dc_error *err) {
  if (w->file.path != NULL) dc_fail_in(err, w->file.path);
  if (err != NULL) dc_utf8_clean(err->text);
  return false;
}


static bool fail_at (const dc_gguf_writer *w, const char *what,
                     dc_string name, dc_error *err) {
  dc_gguf_fail_at(err, what, name);
  return fail_in_file(w, err);
}


/* Enters a copy of the name into an index; *name becomes the copy. */
static bool keep_name (dc_gguf_writer *w, dc_names *names, dc_string *name,
                       dc_error *err) {
  struct kept *kept = dc_alloc(sizeof *kept + name->size);
  if (kept == NULL) return dc_fail(err, "not enough memory");
  memcpy(kept->text, name->data, name->size);
  kept->next = w->kept;
  w->kept = kept;
  name->data = kept->text;
  return dc_names_add(names, *name, names->count, err);
}


static bool still_open (const dc_gguf_writer *w, dc_error *err) {
  return (w->file.path != NULL && !w->begun) ||
         dc_fail(err, "comes after the header was written");
}


/*
** Keys.
*/

static bool take_key (dc_gguf_writer *w, dc_string key, dc_error *err) {
  if (!still_open(w, err) || !dc_gguf_key_fits(key, err)) return false;
  if (w->n_keys == DC_GGUF_MAX_KEYS)
    return dc_fail(err, "is one of more than %d keys", DC_GGUF_MAX_KEYS);
  return keep_name(w, &w->key_names, &key, err);
}


/* Behind the value: counted if it was packed, else reported. */
static bool end_key (dc_gguf_writer *w, dc_string key, dc_error *err) {
  if (w->keys.failed) {
    dc_fail(err, "not enough memory");
    return fail_at(w, "key", key, err);
  }
  w->n_keys++;
  return true;
}


static bool begin_key (dc_gguf_writer *w, dc_string key, dc_gguf_kind kind,
                       dc_error *err) {
  if (!take_key(w, key, err)) return fail_at(w, "key", key, err);
  put_string(&w->keys, key);
  put_u32(&w->keys, kind);
  return true;
}


bool dc_gguf_set (dc_gguf_writer *w, dc_string key, dc_gguf_kind kind,
                  const void *value, dc_error *err) {
  uint32_t n = 0;
  if (!begin_key(w, key, kind, err)) return false;
  put(&w->keys, value, dc_gguf_kind_size(kind));
  if (dc_string_is(key, "general.alignment") && kind == DC_GGUF_U32) {
    memcpy(&n, value, sizeof n);
    if (n >= 1 && n <= 4096) w->alignment = n;  /* begin says no to a 3 */
  }
  return end_key(w, key, err);
}


bool dc_gguf_set_text (dc_gguf_writer *w, dc_string key, dc_string text,
                       dc_error *err) {
  if (!begin_key(w, key, DC_GGUF_STRING, err)) return false;
  put_string(&w->keys, text);
  return end_key(w, key, err);
}


static bool begin_array (dc_gguf_writer *w, dc_string key,
                         dc_gguf_kind element, size_t count, dc_error *err) {
  if (!begin_key(w, key, DC_GGUF_ARRAY, err)) return false;
  put_u32(&w->keys, element);
  put_u64(&w->keys, count);
  return true;
}


bool dc_gguf_set_array (dc_gguf_writer *w, dc_string key, dc_gguf_kind element,
                        const void *data, size_t count, dc_error *err) {
  if (!begin_array(w, key, element, count, err)) return false;
  put(&w->keys, data, count * dc_gguf_kind_size(element));
  return end_key(w, key, err);
}


bool dc_gguf_set_texts (dc_gguf_writer *w, dc_string key,
                        const dc_string *texts, size_t count, dc_error *err) {
  if (!begin_array(w, key, DC_GGUF_STRING, count, err)) return false;
  for (size_t i = 0; i < count; i++) put_string(&w->keys, texts[i]);
  return end_key(w, key, err);
}


/* Packed strings end where the last of them does. */
static size_t array_bytes (const dc_gguf_array *array) {
  size_t last = array->count - 1;
  if (array->kind != DC_GGUF_STRING)
    return array->count * dc_gguf_kind_size(array->kind);
  return array->count == 0 ? 0 : array->offsets[last] + sizeof(uint64_t) +
                                 dc_gguf_array_string(array, last).size;
}


bool dc_gguf_copy_key (dc_gguf_writer *w, const dc_gguf_value *value,
                       dc_error *err) {
  const dc_gguf_array *array = &value->array;
  if (value->kind == DC_GGUF_STRING) {
    dc_gguf_array text = dc_gguf_as_array(value);
    return dc_gguf_set_text(w, value->key, dc_gguf_array_string(&text, 0),
                            err);
  }
  if (value->kind != DC_GGUF_ARRAY)
    return dc_gguf_set(w, value->key, value->kind, value->data, err);
  if (!begin_array(w, value->key, array->kind, array->count, err))
    return false;
  put(&w->keys, array->data, array_bytes(array));
  return end_key(w, value->key, err);
}


/*
** Tensors.
*/

static bool copied (const pending *t) {
  return t->type == t->source.type && t->source.swap.a == 0 &&
         t->source.plus == 0.0f;
}


static bool swap_fits (const pending *t, dc_error *err) {
  const dc_type_info *info = dc_type_of(t->source.type);
  if (t->source.swap.a == 0) return true;
  return (info->block == 1 &&
          dc_swap_fits(&t->source.swap, t->source.size / info->bytes)) ||
         dc_fail(err, "its source cannot be rearranged by %zu, %zu, %zu",
                 t->source.swap.a, t->source.swap.b, t->source.swap.inner);
}


static bool source_fits (const pending *t, dc_error *err) {
  uint32_t from = t->source.type, to = t->type;
  size_t size;
  if (!copied(t) && !(dc_convert_reads(from) && dc_convert_writes(to)))
    return dc_fail(err, "cannot be made %s from its source (type %" PRIu32 ")",
                   dc_type_of(to)->name, from);
  if (!dc_gguf_tensor_bytes(from, t->n_dims, t->shape, &size, err))
    return false;
  if (size != t->source.size)
    return dc_fail(err, "its source has %zu bytes, must have %zu",
                   t->source.size, size);
  return swap_fits(t, err);
}


static bool take_tensor (dc_gguf_writer *w, pending *t, dc_error *err) {
  if (!still_open(w, err) || !dc_gguf_name_fits(t->name, err) ||
      !dc_gguf_tensor_bytes(t->type, t->n_dims, t->shape, &t->size, err) ||
      !source_fits(t, err))
    return false;
  if (w->n_tensors == DC_GGUF_MAX_TENSORS)
    return dc_fail(err, "is one of more than %d tensors", DC_GGUF_MAX_TENSORS);
  if (w->n_tensors == w->room_for_tensors) {
    size_t room = w->n_tensors * 2 + 64;
    pending *more = dc_realloc(w->tensors, room * sizeof *more);
    if (more == NULL) return dc_fail(err, "not enough memory");
    w->tensors = more;
    w->room_for_tensors = room;
  }
  return keep_name(w, &w->tensor_names, &t->name, err);
}


bool dc_gguf_add_tensor (dc_gguf_writer *w, dc_string name, uint32_t type,
                         int n_dims, const uint64_t *shape,
                         dc_gguf_source source, dc_error *err) {
  pending t = {name, type, n_dims, {1, 1, 1, 1}, 0, source};
  for (int i = 0; i < n_dims && i < DC_GGUF_MAX_DIMS; i++)
    t.shape[i] = shape[i];
  if (!take_tensor(w, &t, err)) return fail_at(w, "tensor", name, err);
  w->tensors[w->n_tensors++] = t;
  return true;
}


/*
** The header.
*/

static void put_padding (buffer *b, size_t alignment) {
  static const uint8_t zeros[4096];
  put(b, zeros, (alignment - b->size % alignment) % alignment);
}


/* Packs the header; *data_size is the size of what follows it. */
static bool pack_header (dc_gguf_writer *w, buffer *b, uint64_t *data_size) {
  size_t offset = 0;
  put(b, "GGUF", 4);
  put_u32(b, 3);
  put_u64(b, w->n_tensors);
  put_u64(b, w->n_keys);
  put(b, w->keys.data, w->keys.size);
  for (size_t i = 0; i < w->n_tensors; i++) {
    const pending *t = &w->tensors[i];
    put_string(b, t->name);
    put_u32(b, (uint32_t)t->n_dims);
    for (int d = 0; d < t->n_dims; d++) put_u64(b, t->shape[d]);
    put_u32(b, t->type);
    put_u64(b, offset);
    if (!dc_size_add(offset, t->size, &offset) ||
        !dc_size_align(offset, w->alignment, &offset))
      return false;
  }
  put_padding(b, w->alignment);
  *data_size = offset;
  return !b->failed && !w->keys.failed;
}


/* The reader's own judgement of what it would be given. */
static bool reader_accepts (const dc_gguf_writer *w, const buffer *header,
                            dc_error *err) {
  dc_gguf g = {0};
  bool ok = dc_gguf_parse(&g, header->data, header->size, w->total, err) &&
            dc_gguf_check(&g, err);
  dc_gguf_clear(&g);
  return ok;
}


static bool write_header (dc_gguf_writer *w, dc_error *err) {
  buffer header = {0};
  uint64_t data_size = 0;
  bool ok = pack_header(w, &header, &data_size);
  if (!ok) dc_fail(err, "not enough memory for the header");
  w->total = header.size + data_size;
  ok = ok && reader_accepts(w, &header, err) &&
       dc_outfile_write(&w->file, header.data, header.size, err);
  dc_free(header.data);
  return ok;
}


/* Whether a step may be taken; a step that fails is the last one. */
static bool may_go_on (const dc_gguf_writer *w, dc_error *err) {
  if (w->file.path == NULL) return dc_fail(err, "the writer is closed");
  return !w->failed || dc_fail(err, "the writer failed before");
}


bool dc_gguf_begin (dc_gguf_writer *w, dc_error *err) {
  if (!may_go_on(w, err)) return fail_in_file(w, err);
  if (!w->begun) w->failed = !write_header(w, err);
  w->begun = true;
  return !w->failed || fail_in_file(w, err);
}


uint64_t dc_gguf_written (const dc_gguf_writer *w, uint64_t *total) {
  *total = w->total;
  return w->file.path != NULL ? w->file.written : w->total;
}


/*
** The data.
*/

static bool write_block (void *file, const void *block, size_t size,
                         dc_error *err) {
  return dc_outfile_write(file, block, size, err);
}


static bool write_tensor (dc_gguf_writer *w, const pending *t, dc_error *err) {
  static const uint8_t zeros[4096];
  size_t n = (size_t)t->shape[0], row = 1;
  dc_row_bytes((dc_type)t->type, n, &row);
  dc_conversion rows = {
    t->type, t->source.type, t->source.data, n, t->size / row,
    t->source.swap, t->source.plus
  };
  bool ok = copied(t)
            ? dc_outfile_write(&w->file, t->source.data, t->size, err)
            : dc_convert_rows(&rows, write_block, &w->file, err);
  size_t over = (size_t)(w->file.written % w->alignment);
  if (ok && over > 0)
    ok = dc_outfile_write(&w->file, zeros, w->alignment - over, err);
  return ok || fail_at(w, "tensor", t->name, err);
}


bool dc_gguf_next (dc_gguf_writer *w, bool *more, dc_error *err) {
  *more = false;
  if (!dc_gguf_begin(w, err)) return false;
  if (w->next == w->n_tensors) return true;
  w->failed = !write_tensor(w, &w->tensors[w->next++], err);
  *more = !w->failed;
  return *more;
}


bool dc_gguf_commit (dc_gguf_writer *w, dc_error *err) {
  bool more = true;
  while (more)
    if (!dc_gguf_next(w, &more, err)) return false;
  w->failed = !dc_outfile_commit(&w->file, err);
  return !w->failed || fail_in_file(w, err);
}
