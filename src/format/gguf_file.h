/*
** gguf_file.h: what gguf*.c share and nobody else needs.
*/
#ifndef DC_GGUF_FILE_H
#define DC_GGUF_FILE_H

#include "base/file.h"
#include "format/gguf.h"
#include "format/names.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weights are used as they lie in the file: little-endian hosts only"
#endif

struct dc_gguf {
  char *path;
  dc_file file;
  uint32_t version;
  size_t alignment;
  size_t n_keys, n_tensors;  /* how many of them are valid */
  dc_gguf_value *keys;       /* [n_keys] */
  dc_gguf_tensor *tensors;   /* [n_tensors] */
  dc_names key_names, tensor_names;
};

/* Reads the first `size` bytes of a file that has (or will have) `total`
   bytes into a zeroed g. The messages do not name the file. */
bool dc_gguf_parse (dc_gguf *g, const uint8_t *bytes, size_t size,
                    uint64_t total, dc_error *err);

/* Whether the well-known keys make sense (gguf_check.c). Likewise. */
bool dc_gguf_check (const dc_gguf *g, dc_error *err);

/* Frees everything in g, but not g. */
void dc_gguf_clear (dc_gguf *g);

/* A key's name: 1..DC_GGUF_MAX_KEY bytes of UTF-8, no control characters.
   The same for a tensor's name. The message does not name the key. */
bool dc_gguf_key_fits (dc_string key, dc_error *err);
bool dc_gguf_name_fits (dc_string name, dc_error *err);

/* Bytes of a tensor's data; every dimension at least 1, 1..4 of them, rows
   of whole blocks, at most INT64_MAX elements and bytes, a known type. */
bool dc_gguf_tensor_bytes (uint32_t type, int n_dims, const uint64_t *shape,
                           size_t *out, dc_error *err);

/* Puts "what 'name': " in front of err's text; returns false. */
bool dc_gguf_fail_at (dc_error *err, const char *what, dc_string name);

#endif
