/*
** gguf_write.h: writes a GGUF v3 file.
**
**     dc_gguf_create(&w, path, err)
**     dc_gguf_set...(w, key, ..., err)             keys, in any number
**     dc_gguf_add_tensor(w, name, ..., err)        tensors, with their sources
**     while (dc_gguf_next(w, &more, err) && more)  writes one tensor a call
**       report(dc_gguf_written(w, &total), total);
**     dc_gguf_commit(w, err)                       the file is there
**     dc_gguf_writer_free(w)                       else: as if nothing was
**
** Everything goes to a temporary file beside `path`; commit makes it durable
** and renames it, so that `path` holds the old file or the new one, whole, at
** every moment. Before the first byte is written the header passes through
** the checks of the reader, so what the reader refuses cannot be written.
** After a failure only dc_gguf_writer_free is of use.
*/
#ifndef DC_GGUF_WRITE_H
#define DC_GGUF_WRITE_H

#include "format/convert.h"
#include "format/gguf.h"

typedef struct dc_gguf_writer dc_gguf_writer;

bool dc_gguf_create (dc_gguf_writer **out, const char *path, dc_error *err);

/* Removes the temporary file unless committed. Accepts NULL. */
void dc_gguf_writer_free (dc_gguf_writer *w);

/* A scalar, its bytes as in memory (bool: one byte, 0 or 1). */
bool dc_gguf_set (dc_gguf_writer *w, dc_string key, dc_gguf_kind kind,
                  const void *value, dc_error *err);
bool dc_gguf_set_text (dc_gguf_writer *w, dc_string key, dc_string text,
                       dc_error *err);

/* An array of scalars, packed as in memory; of strings. */
bool dc_gguf_set_array (dc_gguf_writer *w, dc_string key, dc_gguf_kind element,
                        const void *data, size_t count, dc_error *err);
bool dc_gguf_set_texts (dc_gguf_writer *w, dc_string key,
                        const dc_string *texts, size_t count, dc_error *err);

/* A key of another file, its value bit for bit. */
bool dc_gguf_copy_key (dc_gguf_writer *w, const dc_gguf_value *value,
                       dc_error *err);

/* What a tensor is made of: `size` bytes of element type `type`, row after
   row; they must stay where they are until the tensor is written. */
typedef struct dc_gguf_source {
  uint32_t type;
  const void *data;
  size_t size;
  dc_swap swap;  /* see convert.h; for sources of f32, f16 and bf16 */
  float plus;
} dc_gguf_source;

/* Declares the next tensor, shape fastest first. A source of the same type is
   copied as it is, unless it is to be rearranged or added to; any other is
   converted row by row, and then a number that is not finite or does not fit
   is an error when it is written. */
bool dc_gguf_add_tensor (dc_gguf_writer *w, dc_string name, uint32_t type,
                         int n_dims, const uint64_t *shape,
                         dc_gguf_source source, dc_error *err);

/* Writes the header if this was not done yet. Keys and tensors can no longer
   be added then. */
bool dc_gguf_begin (dc_gguf_writer *w, dc_error *err);

/* Writes the next tensor; *more = false when there was none left. */
bool dc_gguf_next (dc_gguf_writer *w, bool *more, dc_error *err);

/* Bytes written so far; *total is what the whole file will have. */
uint64_t dc_gguf_written (const dc_gguf_writer *w, uint64_t *total);

/* Writes what is left, makes it durable, renames. */
bool dc_gguf_commit (dc_gguf_writer *w, dc_error *err);

#endif
