/*
** safetensors.h: a .safetensors file, read in place. (Format: 8 bytes of
** length, a JSON header, the data. Hugging Face, safetensors/README.md.)
**
** As strict as the format's text, which is stricter than its own reference
** reader: the header begins with '{', no name, field or metadata key appears
** twice, the tensors cover the data without holes or overlap to its last
** byte. Beyond that, limits of this reader, stated below.
**
** Tensor data is not aligned: the header may have any length.
** An open file never changes: any number of threads may read one.
*/
#ifndef DC_SAFETENSORS_H
#define DC_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/string.h"

#define DC_ST_MAX_HEADER 100000000  /* bytes: the format's own cap */
#define DC_ST_MAX_TENSORS 32768
#define DC_ST_MAX_NAME 4096         /* bytes of a name, as written */
#define DC_ST_MAX_DIMS 8

typedef struct dc_safetensors dc_safetensors;

/* An element type of the format. `type` is the id of the same type in GGUF
   (math/types.h), or -1 if there is none. */
typedef struct dc_st_dtype {
  const char *name;  /* "BF16" */
  int bits;
  int type;
} dc_st_dtype;

typedef struct dc_st_tensor {
  dc_string name;
  const dc_st_dtype *dtype;
  int n_dims;                       /* 0: a scalar */
  uint64_t shape[DC_ST_MAX_DIMS];   /* slowest first */
  const uint8_t *data;              /* [size], not aligned */
  size_t size;                      /* bytes; 0 if a dimension is 0 */
} dc_st_tensor;

/* Opens and checks; see dc_gguf_open. */
bool dc_st_open (dc_safetensors **out, const char *path, bool map,
                 dc_error *err);

/* Accepts NULL. */
void dc_st_close (dc_safetensors *st);

const char *dc_st_path (const dc_safetensors *st);

/* Bytes of the file that are held in memory: 0 when it is mapped. */
size_t dc_st_held (const dc_safetensors *st);

/* Tensors in the order of the header. */
size_t dc_st_n_tensors (const dc_safetensors *st);
const dc_st_tensor *dc_st_tensor_at (const dc_safetensors *st, size_t i);

/* NULL if absent. */
const dc_st_tensor *dc_st_tensor_find (const dc_safetensors *st,
                                       dc_string name);

/* The pairs of __metadata__, in order. */
size_t dc_st_n_metadata (const dc_safetensors *st);
void dc_st_metadata_at (const dc_safetensors *st, size_t i, dc_string *key,
                        dc_string *value);

#endif
