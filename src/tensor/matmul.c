/*
** matmul.c: the product of two tensors, as torch.matmul defines it. The kernel
** wants rows of both sides: those of b are its columns, so b is transposed (a
** view), and copied if its columns do not lie side by side.
**
** Tiles of the result are shared out to threads. Each element is one dot
** product in the order of kernels.h, whoever computes it.
*/
#include <string.h>

#include "base/threads.h"
#include "math/kernels.h"
#include "tensor/ops.h"

#define TILE_ROWS 32
#define TILE_COLS 64

/* One side of a product: a stack of matrices whose rows are contiguous. */
typedef struct side {
  dc_tensor t;       /* borrowed, [..., rows, n] */
  dc_tensor copy;    /* open if the rows had to be copied */
  size_t rows, n;
  size_t stride;     /* floats from row to row */
} side;


/* t as a stack of matrices: a vector becomes one row. */
static dc_tensor as_matrices (const dc_tensor *t) {
  dc_tensor m = *t;
  if (t->n_dims == 1) {
    m.n_dims = 2;
    m.shape[0] = 1, m.shape[1] = t->shape[0];
    m.strides[0] = t->shape[0], m.strides[1] = t->strides[0];
  }
  return m;
}


/* b with its columns as rows; a vector is one column already. */
static dc_tensor columns_of (const dc_tensor *b) {
  dc_tensor m = as_matrices(b);
  if (b->n_dims > 1) dc_tensor_transpose(&m, m.n_dims - 2, m.n_dims - 1);
  return m;
}


static bool batches_broadcast (dc_tensor a, dc_tensor b, int *n_dims,
                               size_t *shape) {
  a.n_dims -= 2;
  b.n_dims -= 2;
  return dc_broadcast_shape(&a, &b, n_dims, shape, NULL);
}


bool dc_matmul_shape (const dc_tensor *a, const dc_tensor *b, int *n_dims,
                      size_t *shape, dc_error *err) {
  dc_tensor rows = as_matrices(a), columns = columns_of(b);
  int n = rows.n_dims, m = columns.n_dims;
  if (rows.shape[n - 1] != columns.shape[m - 1])
    return dc_fail(err, "shapes %s and %s do not multiply: the last dimension "
                   "of the first (%zu) must equal the %s of the second (%zu)",
                   DC_SHAPE_OF(a), DC_SHAPE_OF(b), rows.shape[n - 1],
                   b->n_dims == 1 ? "size" : "last but one",
                   columns.shape[m - 1]);
  if (!batches_broadcast(rows, columns, n_dims, shape))
    return dc_fail(err, "shapes %s and %s do not multiply: the dimensions in "
                   "front of the last two must be equal or 1",
                   DC_SHAPE_OF(a), DC_SHAPE_OF(b));
  if (a->n_dims > 1) shape[(*n_dims)++] = rows.shape[n - 2];
  if (b->n_dims > 1) shape[(*n_dims)++] = columns.shape[m - 2];
  return true;
}


static bool side_init (side *s, dc_tensor matrices) {
  int d = matrices.n_dims;
  *s = (side){.t = matrices, .rows = matrices.shape[d - 2],
              .n = matrices.shape[d - 1]};
  if (matrices.strides[d - 1] != 1 && s->n > 1) {
    if (!dc_tensor_clone(&s->copy, &matrices)) return false;
    s->t = s->copy;
  }
  s->stride = s->t.strides[d - 2];
  return true;
}


/* The first row of matrix i of the batch, whose shape is broadcast. */
static const float *side_matrix (const side *s, int n_dims,
                                 const size_t *shape, size_t i) {
  const float *at = s->t.data;
  int own = s->t.n_dims - 2;
  for (int d = 1; d <= n_dims; d++) {
    size_t index = i % shape[n_dims - d];
    i /= shape[n_dims - d];
    if (d <= own && s->t.shape[own - d] != 1)
      at += index * s->t.strides[own - d];
  }
  return at;
}


static size_t smaller (size_t a, size_t b) {
  return a < b ? a : b;
}


static size_t tiles_of (size_t n, size_t tile) {
  return (n + tile - 1) / tile;
}


typedef struct product {
  float *out;            /* [batches, a->rows, b->rows] */
  const side *a, *b;
  int n_dims;
  const size_t *shape;   /* [n_dims]: of the batches */
  size_t down, across;   /* tiles of one matrix */
} product;


static void one_tile (const product *p, size_t tile) {
  size_t rows = p->a->rows, cols = p->b->rows;
  size_t i = tile / p->across / p->down;
  size_t row = tile / p->across % p->down * TILE_ROWS;
  size_t col = tile % p->across * TILE_COLS;
  const float *x = side_matrix(p->a, p->n_dims, p->shape, i);
  const float *w = side_matrix(p->b, p->n_dims, p->shape, i);
  dc_kernels_get()->matmul_f32(
    p->out + (i * rows + row) * cols + col, cols, w + col * p->b->stride,
    p->b->stride * sizeof *w, smaller(TILE_COLS, cols - col),
    x + row * p->a->stride, p->a->stride, smaller(TILE_ROWS, rows - row),
    p->a->n);
}


static void some_tiles (void *context, size_t begin, size_t end, int thread) {
  (void)thread;
  for (size_t tile = begin; tile < end; tile++) one_tile(context, tile);
}


static void multiply (float *out, const side *a, const side *b, int n_dims,
                      const size_t *shape) {
  size_t batches = 1;
  product p = {out, a, b, n_dims, shape, tiles_of(a->rows, TILE_ROWS),
               tiles_of(b->rows, TILE_COLS)};
  for (int d = 0; d < n_dims; d++) batches *= shape[d];
  double work = (double)batches * (double)a->rows * (double)b->rows *
                (double)a->n;
  dc_parallel_for(batches * p.down * p.across, work, 0, some_tiles, &p);
}


bool dc_matmul (dc_tensor *out, const dc_tensor *a, const dc_tensor *b) {
  side left = {0}, right = {0};
  int n_dims;
  size_t shape[DC_MAX_DIMS];
  bool ok = side_init(&left, as_matrices(a)) &&
            side_init(&right, columns_of(b));
  if (ok) {
    batches_broadcast(left.t, right.t, &n_dims, shape);
    multiply(out->data, &left, &right, n_dims, shape);
  }
  dc_tensor_close(&left.copy);
  dc_tensor_close(&right.copy);
  return ok;
}
