/*
** reduce.c: what works on lines, the elements along one dimension: sums,
** maxima, softmax, top k. A line that does not lie side by side is gathered
** into scratch memory first, so that every line goes through the same kernel
** in the same order.
*/
#include <math.h>

#include "base/memory.h"
#include "math/kernels.h"
#include "tensor/ops.h"

typedef struct lines {
  dc_tensor starts;  /* first elements of the lines: t without dim */
  size_t count;      /* of lines */
  size_t n, stride;  /* elements of a line, floats between them */
  float *scratch;    /* [n], NULL when the lines are contiguous */
} lines;


static bool lines_init (lines *l, const dc_tensor *t, int dim) {
  *l = (lines){.starts = *t, .n = t->shape[dim], .stride = t->strides[dim]};
  dc_tensor_select(&l->starts, dim, 0);
  l->count = dc_tensor_numel(&l->starts);
  if (l->stride == 1 || l->n <= 1) return true;
  l->scratch = dc_alloc_array(l->n, sizeof(float));
  return l->scratch != NULL;
}


static void lines_free (lines *l) {
  dc_free(l->scratch);
}


/* The first element of line i, counted with the last dimension fastest. */
static float *line_start (const lines *l, size_t i) {
  const dc_tensor *t = &l->starts;
  float *at = t->data;
  for (int d = t->n_dims - 1; d >= 0; d--) {
    at += i % t->shape[d] * t->strides[d];
    i /= t->shape[d];
  }
  return at;
}


static float *line_get (lines *l, size_t i) {
  float *start = line_start(l, i);
  if (l->scratch == NULL) return start;
  for (size_t j = 0; j < l->n; j++) l->scratch[j] = start[j * l->stride];
  return l->scratch;
}


static void line_put (lines *l, size_t i) {
  float *start = line_start(l, i);
  if (l->scratch == NULL) return;
  for (size_t j = 0; j < l->n; j++) start[j * l->stride] = l->scratch[j];
}


bool dc_tensor_reduce (dc_tensor *out, const dc_tensor *t, int dim,
                       dc_reducer f) {
  lines l;
  if (!lines_init(&l, t, dim)) return false;
  for (size_t i = 0; i < l.count; i++)
    out->data[i] = f(line_get(&l, i), l.n);
  lines_free(&l);
  return true;
}


bool dc_tensor_each_line (dc_tensor *t, int dim, dc_row_map f) {
  lines l;
  if (!lines_init(&l, t, dim)) return false;
  for (size_t i = 0; i < l.count; i++) {
    f(line_get(&l, i), l.n);
    line_put(&l, i);
  }
  lines_free(&l);
  return true;
}


float dc_row_mean (const float *row, size_t n) {
  return dc_kernels_get()->sum(row, n) / (float)n;
}


float dc_row_max (const float *row, size_t n) {
  const dc_kernels *k = dc_kernels_get();
  return k->has_nan(row, n) ? NAN : k->max(row, n);
}


static void all_nan (float *row, size_t n) {
  for (size_t i = 0; i < n; i++) row[i] = NAN;
}


/* The kernels expect numbers, so a NaN is spread over its row here. */
void dc_row_softmax (float *row, size_t n) {
  const dc_kernels *k = dc_kernels_get();
  if (k->has_nan(row, n)) all_nan(row, n);
  else k->softmax(row, n);
}


void dc_row_log_softmax (float *row, size_t n) {
  const dc_kernels *k = dc_kernels_get();
  if (k->has_nan(row, n)) all_nan(row, n);
  else k->log_softmax(row, n);
}


/* Finding the value first is three times as fast as carrying the index. */
size_t dc_row_argmax (const float *row, size_t n) {
  float largest = dc_row_max(row, n);
  size_t i = 0;
  if (isnan(largest)) while (!isnan(row[i])) i++;
  else while (row[i] != largest) i++;
  return i;
}


float dc_row_argmax_float (const float *row, size_t n) {
  return (float)dc_row_argmax(row, n);
}


/* Top k: a heap of the k best so far with the worst of them on top, then
   heap sort. O(n log k), and next to O(n) when k is small. */

/* A NaN is the largest. */
static bool larger (float a, float b) {
  return a > b || (isnan(a) && !isnan(b));
}


typedef struct candidate {
  float value;
  size_t index;
} candidate;

static bool better (candidate a, candidate b) {
  if (larger(a.value, b.value)) return true;
  return !larger(b.value, a.value) && a.index < b.index;
}


/* Puts c at the top of a heap that lacks its top, and lets it sink. */
static void sink (candidate *heap, size_t n, size_t at, candidate c) {
  for (size_t child; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && better(heap[child], heap[child + 1])) child++;
    if (!better(c, heap[child])) break;
    heap[at] = heap[child];
  }
  heap[at] = c;
}


static void best_of_row (candidate *heap, size_t k, const float *row,
                         size_t n) {
  for (size_t i = 0; i < k; i++) heap[i] = (candidate){row[i], i};
  for (size_t i = k / 2; i-- > 0;) sink(heap, k, i, heap[i]);
  for (size_t i = k; i < n; i++)
    if (larger(row[i], heap[0].value))
      sink(heap, k, 0, (candidate){row[i], i});
  for (size_t left = k; left > 1; left--) {
    candidate worst = heap[0];
    sink(heap, left - 1, 0, heap[left - 1]);
    heap[left - 1] = worst;
  }
}


bool dc_tensor_topk (dc_tensor *values, dc_tensor *indices,
                     const dc_tensor *t, int dim, size_t k) {
  lines from, v, x;
  candidate *heap = dc_alloc_array(k, sizeof *heap);
  bool ok = lines_init(&from, t, dim) && heap != NULL;
  if (ok && k > 0) {
    v = (lines){.starts = *values, .stride = values->strides[dim]};
    x = (lines){.starts = *indices, .stride = indices->strides[dim]};
    dc_tensor_select(&v.starts, dim, 0);
    dc_tensor_select(&x.starts, dim, 0);
    for (size_t i = 0; i < from.count; i++) {
      best_of_row(heap, k, line_get(&from, i), from.n);
      for (size_t j = 0; j < k; j++) {
        line_start(&v, i)[j * v.stride] = heap[j].value;
        line_start(&x, i)[j * x.stride] = (float)heap[j].index;
      }
    }
  }
  lines_free(&from);
  dc_free(heap);
  return ok;
}
