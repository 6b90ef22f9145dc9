/*
** gguf.h: a GGUF file (version 2 or 3, little-endian), read in place.
**
** The file is hostile until shown otherwise. dc_gguf_open checks its
** structure, and what well-known keys say (gguf_check.c), before anybody sees
** a byte of it: who holds a dc_gguf may trust every pointer, size, shape and
** array count in it. Nothing is copied: names, texts, arrays and weights
** point into the file. Metadata is packed, so numbers in arrays are not
** aligned: read them with the functions here. Tensor data is aligned, to at
** least 8 bytes.
**
** An open file never changes: any number of threads may read one.
*/
#ifndef DC_GGUF_H
#define DC_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/string.h"

/* The limits of this reader, well above any real model's. */
#define DC_GGUF_MAX_KEYS 32768
#define DC_GGUF_MAX_TENSORS 32768
#define DC_GGUF_MAX_KEY 65535         /* bytes of a key */
#define DC_GGUF_MAX_NAME 63           /* bytes of a tensor's name, as ggml */
#define DC_GGUF_MAX_DIMS 4
#define DC_GGUF_ALIGNMENT 32          /* unless general.alignment says other */

/* The kinds of values, with the ids of the file. */
typedef enum dc_gguf_kind {
  DC_GGUF_U8, DC_GGUF_I8, DC_GGUF_U16, DC_GGUF_I16, DC_GGUF_U32, DC_GGUF_I32,
  DC_GGUF_F32, DC_GGUF_BOOL, DC_GGUF_STRING, DC_GGUF_ARRAY, DC_GGUF_U64,
  DC_GGUF_I64, DC_GGUF_F64, DC_GGUF_N_KINDS
} dc_gguf_kind;

typedef struct dc_gguf dc_gguf;

typedef struct dc_gguf_array {
  dc_gguf_kind kind;      /* of the elements; never DC_GGUF_ARRAY */
  size_t count;
  const uint8_t *data;    /* packed, not aligned; strings with lengths */
  const size_t *offsets;  /* strings: [count], where each begins in data */
} dc_gguf_array;

/* One key and its value. */
typedef struct dc_gguf_value {
  dc_string key;
  dc_gguf_kind kind;
  const uint8_t *data;  /* a scalar's bytes; a string begins with its length */
  dc_gguf_array array;  /* if kind is DC_GGUF_ARRAY */
} dc_gguf_value;

typedef struct dc_gguf_tensor {
  dc_string name;
  uint32_t type;          /* a type that dc_type_of knows */
  int n_dims;             /* 1..4 */
  uint64_t shape[DC_GGUF_MAX_DIMS];  /* fastest first, rest 1; all >= 1 */
  uint64_t offset;        /* from the start of the data section */
  const uint8_t *data;    /* [size], aligned */
  size_t size;            /* bytes */
} dc_gguf_tensor;


/* Opens and checks; `map` maps the file instead of reading it (base/file.h).
   On failure the message names file, field, value and rule in one line. */
bool dc_gguf_open (dc_gguf **out, const char *path, bool map, dc_error *err);

/* Accepts NULL. */
void dc_gguf_close (dc_gguf *g);

/* Some bytes of its tensors will hardly be read again (see dc_file_release). */
void dc_gguf_release (const dc_gguf *g, const void *bytes, size_t size);

const char *dc_gguf_path (const dc_gguf *g);
uint32_t dc_gguf_version (const dc_gguf *g);
size_t dc_gguf_alignment (const dc_gguf *g);

/* Bytes of the file that are held in memory: 0 when it is mapped. */
size_t dc_gguf_held (const dc_gguf *g);


/* Keys, in file order; at() wants i below the number of them. */
size_t dc_gguf_n_keys (const dc_gguf *g);
const dc_gguf_value *dc_gguf_key_at (const dc_gguf *g, size_t i);

/* NULL if absent. */
const dc_gguf_value *dc_gguf_find (const dc_gguf *g, dc_string key);
bool dc_gguf_has (const dc_gguf *g, const char *key);

/* The value of a key. A missing key, a value of another kind and an integer
   out of range are errors that name file, key, value and rule. Any integer
   kind serves an integer, f32 and f64 serve a float. */
bool dc_gguf_u32 (const dc_gguf *g, const char *key, uint32_t *out,
                  dc_error *err);
bool dc_gguf_i32 (const dc_gguf *g, const char *key, int32_t *out,
                  dc_error *err);
bool dc_gguf_f32 (const dc_gguf *g, const char *key, float *out,
                  dc_error *err);
bool dc_gguf_bool (const dc_gguf *g, const char *key, bool *out,
                   dc_error *err);
bool dc_gguf_text (const dc_gguf *g, const char *key, dc_string *out,
                   dc_error *err);
bool dc_gguf_find_array (const dc_gguf *g, const char *key,
                         dc_gguf_kind element, dc_gguf_array *out,
                         dc_error *err);


/* Element i (below count) of an array: of integers or booleans (false if it
   is above INT64_MAX), of f32 or f64, of strings. */
bool dc_gguf_array_int (const dc_gguf_array *array, size_t i, int64_t *out);
double dc_gguf_array_float (const dc_gguf_array *array, size_t i);
dc_string dc_gguf_array_string (const dc_gguf_array *array, size_t i);

/* A scalar or text as an array of one, for the functions above. */
dc_gguf_array dc_gguf_as_array (const dc_gguf_value *value);

/* "u8", "string", "array", ...; the bytes of a scalar (0: has none fixed). */
const char *dc_gguf_kind_name (dc_gguf_kind kind);
size_t dc_gguf_kind_size (dc_gguf_kind kind);
bool dc_gguf_kind_by_name (const char *name, dc_gguf_kind *out);


/* Tensors, in file order, which is also the order of their data. */
size_t dc_gguf_n_tensors (const dc_gguf *g);
const dc_gguf_tensor *dc_gguf_tensor_at (const dc_gguf *g, size_t i);

/* NULL if absent. */
const dc_gguf_tensor *dc_gguf_tensor_find (const dc_gguf *g,
                                           const char *name);

#endif
