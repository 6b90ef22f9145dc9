/*
** tensor.h: float32 arrays of 1 to 4 dimensions. A tensor is a window on a
** reference-counted storage: where it starts, how long each dimension is, and
** how many floats lie between neighbours along it. So a view costs no copy,
** and it keeps its storage alive whatever becomes of the tensor that it was
** taken from.
**
** Dimensions and indices count from 0 here; the bindings shift. A tensor
** without dimensions (n_dims 0) is one number; only operands of ops.h are so.
** Two elements of one tensor never share an address: no stride is 0 in a
** dimension longer than 1.
*/
#ifndef DC_TENSOR_H
#define DC_TENSOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/fail.h"

#define DC_MAX_DIMS 4

/* In a shape that a caller wrote: "what is left", to be found by
   dc_shape_infer. Shown as -1. */
#define DC_INFER ((size_t)-1)

typedef struct dc_storage dc_storage;  /* floats with an atomic count */

typedef struct dc_tensor {
  dc_storage *storage;          /* NULL: closed (or borrowed from another) */
  float *data;                  /* the first element */
  int n_dims;
  size_t shape[DC_MAX_DIMS];
  size_t strides[DC_MAX_DIMS];  /* in floats */
} dc_tensor;

/* A new, contiguous tensor of zeros in t, which must not hold one. Sizes may
   be 0. False, and t closed, when memory is short or the shape is absurd. */
bool dc_tensor_new (dc_tensor *t, int n_dims, const size_t *shape);

/* A new contiguous tensor with the elements of t. */
bool dc_tensor_clone (dc_tensor *out, const dc_tensor *t);

/* Makes `view` a second window on the elements of t. */
void dc_tensor_share (dc_tensor *view, const dc_tensor *t);

/* Lets go of the storage, and frees it with its last tensor. A closed tensor
   may be closed again. */
void dc_tensor_close (dc_tensor *t);

size_t dc_tensor_numel (const dc_tensor *t);

/* Its elements lie one after the other, last dimension fastest. */
bool dc_tensor_is_contiguous (const dc_tensor *t);

bool dc_tensor_same_shape (const dc_tensor *a, const dc_tensor *b);

/* Whether some float may belong to both. */
bool dc_tensor_overlaps (const dc_tensor *a, const dc_tensor *b);

/* These narrow the window that t is. The caller has checked the ranges:
   dim < n_dims, index < size, start + length <= size. */
void dc_tensor_select (dc_tensor *t, int dim, size_t index);
void dc_tensor_narrow (dc_tensor *t, int dim, size_t start, size_t length);
void dc_tensor_transpose (dc_tensor *t, int dim1, int dim2);

/* Gives a contiguous tensor another shape of as many elements. */
void dc_tensor_reshape (dc_tensor *t, int n_dims, const size_t *shape);

/* Bytes of a tensor of this shape; false when that is beyond any machine. */
bool dc_shape_bytes (int n_dims, const size_t *shape, size_t *bytes);

/* Replaces the one DC_INFER in a shape, if any, and checks that the shape
   holds `numel` elements. */
bool dc_shape_infer (int n_dims, size_t *shape, size_t numel, dc_error *err);

/* "[2, 3]" for messages. */
typedef struct dc_shape_text {
  char text[DC_MAX_DIMS * 24];
} dc_shape_text;

dc_shape_text dc_show_shape (int n_dims, const size_t *shape);

#define DC_SHAPE_OF(t) dc_show_shape((t)->n_dims, (t)->shape).text

#endif
