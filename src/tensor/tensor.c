/* tensor.c: storage, shapes and views; see tensor.h. */
#include "tensor/tensor.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "tensor/ops.h"

struct dc_storage {
  atomic_size_t references;
  alignas(64) float data[];
};


/* Sizes of 0 count as 1, so that no stride can overflow either. */
bool dc_shape_bytes (int n_dims, const size_t *shape, size_t *bytes) {
  size_t total = sizeof(float);
  bool empty = false;
  for (int d = 0; d < n_dims; d++) {
    if (shape[d] == 0) empty = true;
    else if (!dc_size_mul(total, shape[d], &total)) return false;
  }
  if (total > PTRDIFF_MAX - sizeof(dc_storage)) return false;
  *bytes = empty ? 0 : total;
  return true;
}


static void set_shape (dc_tensor *t, int n_dims, const size_t *shape) {
  size_t stride = 1;
  t->n_dims = n_dims;
  for (int d = n_dims - 1; d >= 0; d--) {
    t->shape[d] = shape[d];
    t->strides[d] = stride;
    if (shape[d] > 1) stride *= shape[d];
  }
}


bool dc_tensor_new (dc_tensor *t, int n_dims, const size_t *shape) {
  size_t bytes;
  *t = (dc_tensor){0};
  if (!dc_shape_bytes(n_dims, shape, &bytes)) return false;
  dc_storage *storage = dc_alloc(sizeof *storage + bytes);
  if (storage == NULL) return false;
  atomic_init(&storage->references, 1);
  t->storage = storage;
  t->data = storage->data;
  set_shape(t, n_dims, shape);
  return true;
}


bool dc_tensor_clone (dc_tensor *out, const dc_tensor *t) {
  return dc_tensor_new(out, t->n_dims, t->shape) && dc_tensor_copy(out, t);
}


void dc_tensor_share (dc_tensor *view, const dc_tensor *t) {
  *view = *t;
  if (t->storage != NULL)
    atomic_fetch_add_explicit(&t->storage->references, 1,
                              memory_order_relaxed);
}


/* Release, then acquire: whoever frees has seen all that the others wrote. */
void dc_tensor_close (dc_tensor *t) {
  dc_storage *storage = t->storage;
  t->storage = NULL;
  t->data = NULL;
  if (storage != NULL &&
      atomic_fetch_sub_explicit(&storage->references, 1,
                                memory_order_acq_rel) == 1)
    dc_free(storage);
}


size_t dc_tensor_numel (const dc_tensor *t) {
  size_t numel = 1;
  for (int d = 0; d < t->n_dims; d++) numel *= t->shape[d];
  return numel;
}


bool dc_tensor_is_contiguous (const dc_tensor *t) {
  size_t stride = 1;
  if (dc_tensor_numel(t) == 0) return true;
  for (int d = t->n_dims - 1; d >= 0; d--) {
    if (t->shape[d] > 1 && t->strides[d] != stride) return false;
    stride *= t->shape[d];
  }
  return true;
}


bool dc_tensor_same_shape (const dc_tensor *a, const dc_tensor *b) {
  return a->n_dims == b->n_dims &&
         memcmp(a->shape, b->shape, (size_t)a->n_dims * sizeof *a->shape) == 0;
}


/* One past the last float of the window. */
static const float *end_of (const dc_tensor *t) {
  size_t last = 0;
  if (dc_tensor_numel(t) == 0) return t->data;
  for (int d = 0; d < t->n_dims; d++)
    last += (t->shape[d] - 1) * t->strides[d];
  return t->data + last + 1;
}


bool dc_tensor_overlaps (const dc_tensor *a, const dc_tensor *b) {
  return (uintptr_t)a->data < (uintptr_t)end_of(b) &&
         (uintptr_t)b->data < (uintptr_t)end_of(a);
}


void dc_tensor_select (dc_tensor *t, int dim, size_t index) {
  size_t behind = (size_t)(t->n_dims - dim - 1) * sizeof *t->shape;
  t->data += index * t->strides[dim];
  memmove(t->shape + dim, t->shape + dim + 1, behind);
  memmove(t->strides + dim, t->strides + dim + 1, behind);
  t->n_dims--;
}


/* An empty window stays where it was: its start may be one past the end. */
void dc_tensor_narrow (dc_tensor *t, int dim, size_t start, size_t length) {
  if (length > 0) t->data += start * t->strides[dim];
  t->shape[dim] = length;
}


static void swap_sizes (size_t *a, size_t *b) {
  size_t old = *a;
  *a = *b;
  *b = old;
}


void dc_tensor_transpose (dc_tensor *t, int dim1, int dim2) {
  swap_sizes(&t->shape[dim1], &t->shape[dim2]);
  swap_sizes(&t->strides[dim1], &t->strides[dim2]);
}


void dc_tensor_reshape (dc_tensor *t, int n_dims, const size_t *shape) {
  set_shape(t, n_dims, shape);
}


bool dc_shape_infer (int n_dims, size_t *shape, size_t numel, dc_error *err) {
  size_t known = 1, *unknown = NULL;
  dc_shape_text asked = dc_show_shape(n_dims, shape);
  for (int d = 0; d < n_dims; d++) {
    if (shape[d] != DC_INFER) {
      if (!dc_size_mul(known, shape[d], &known))
        return dc_fail(err, "shape %s is too large", asked.text);
    }
    else if (unknown != NULL)
      return dc_fail(err, "shape %s has more than one -1", asked.text);
    else
      unknown = &shape[d];
  }
  if (unknown != NULL && known > 0) *unknown = numel / known;
  if (unknown != NULL ? known == 0 || *unknown * known != numel
                      : known != numel)
    return dc_fail(err, "shape %s does not hold exactly %zu elements",
                   asked.text, numel);
  return true;
}


dc_shape_text dc_show_shape (int n_dims, const size_t *shape) {
  dc_shape_text shown = {"["};
  size_t used = 1;
  for (int d = 0; d < n_dims && used < sizeof shown.text - 2; d++) {
    const char *comma = d > 0 ? ", " : "";
    size_t room = sizeof shown.text - used;
    int n = shape[d] == DC_INFER
              ? snprintf(shown.text + used, room, "%s-1", comma)
              : snprintf(shown.text + used, room, "%s%zu", comma, shape[d]);
    used += (size_t)n;
  }
  snprintf(shown.text + used, sizeof shown.text - used, "]");
  return shown;
}
