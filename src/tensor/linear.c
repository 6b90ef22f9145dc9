/* linear.c: see linear.h. */
#include "tensor/linear.h"

#include "base/memory.h"
#include "base/threads.h"

#define ROWS_AT_ONCE 16  /* a thread's share is a multiple: whole tiles */
#define LEAST_OUTPUTS 4096  /* of some rows before what follows is done, */
#define LEAST_ROWS 256      /* but so many rows share their columns */
#define WORK 32.0           /* of quantising a value, in multiply-adds: what
                               other threads have made is far away */


bool dc_scratch_reserve (dc_scratch *s, size_t n, size_t d) {
  size_t blocks = n * (d / DC_Q8_BLOCK);
  if (blocks > s->max) {
    dc_scratch_free(s);
    s->x = dc_alloc_array(blocks, sizeof *s->x);
    if (s->x == NULL) return false;
    s->max = blocks;
  }
  return true;
}


void dc_scratch_free (dc_scratch *s) {
  dc_free(s->x);
  *s = (dc_scratch){0};
}


typedef struct activations {
  const dc_scratch *scratch;
  const float *x;  /* [.., d] */
  size_t d;
} activations;


static void quantize_some (void *context, size_t begin, size_t end,
                           int thread) {
  const activations *a = context;
  const dc_kernels *k = dc_kernels_get();
  (void)thread;
  for (size_t i = begin; i < end; i++)
    k->quantize_q8(a->scratch->x + i * (a->d / DC_Q8_BLOCK), a->x + i * a->d,
                   a->d);
}


static void quantize_rows (dc_scratch *s, const float *x, size_t n, size_t d,
                           int threads) {
  activations a = {s, x, d};
  dc_parallel_for(n, WORK * (double)(n * d), threads, quantize_some, &a);
}


typedef struct product {
  const dc_linear *const *w;
  float *const *out;
  size_t count;
  const float *x;  /* [n, d] */
  const dc_q8_inputs *q8;
  size_t n;
  dc_then *then;  /* or NULL */
  void *context;
} product;


/* Rows begin..end of a matrix in panels: shares are whole ones. */
static void some_panels (const product *p, const dc_matrix *m, float *to,
                         size_t begin, size_t end) {
  const uint8_t *from = m->packed +
                        begin / DC_LANES * dc_strip_bytes(m->type, m->cols);
  dc_kernels_get()->matmul_packed(m->type, to, m->rows, from, end - begin,
                                  p->q8, p->n, m->cols);
}


/* Rows begin..end of a matrix as in the file. */
static void some_file_rows (const product *p, const dc_matrix *m, float *to,
                            size_t begin, size_t end) {
  const dc_kernels *k = dc_kernels_get();
  const char *rows = (const char *)m->data + begin * m->row_bytes;
  size_t count = end - begin;
  switch (m->type) {
    case DC_F32:
      k->matmul_f32(to, m->rows, rows, m->row_bytes, count, p->x, m->cols, p->n,
                    m->cols);
      break;
    case DC_F16:
      k->matmul_f16(to, m->rows, rows, m->row_bytes, count, p->x, m->cols, p->n,
                    m->cols);
      break;
    case DC_Q8_0:
      k->matmul_q8_0(to, m->rows, rows, m->row_bytes, count, p->q8, p->n,
                     m->cols);
      break;
    case DC_BF16:
      k->matmul_bf16(to, m->rows, rows, m->row_bytes, count, p->x, m->cols,
                     p->n, m->cols);
      break;
    default:
      k->matmul_blocks(m->type, to, m->rows, rows, m->row_bytes, count, p->q8,
                       p->n, m->cols);
  }
}


/* Outputs begin..end of one matrix, against all columns. */
static void some_rows (const product *p, const dc_linear *w, float *out,
                       size_t begin, size_t end) {
  const dc_kernels *k = dc_kernels_get();
  const dc_matrix *m = &w->weight;
  float *to = out + begin;
  if (m->packed != NULL)
    some_panels(p, m, to, begin, end);
  else
    some_file_rows(p, m, to, begin, end);
  if (w->bias != NULL)
    for (size_t i = 0; i < p->n; i++)
      k->add(to + i * m->rows, to + i * m->rows, w->bias + begin, end - begin);
}


static size_t shares (const dc_linear *w) {
  return (w->weight.rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
}


/* Shares begin..end, counted through all matrices of the product. */
static void some_shares (void *context, size_t begin, size_t end, int thread) {
  const product *p = context;
  size_t first = 0;
  (void)thread;
  for (size_t i = 0; i < p->count && first < end; i++) {
    size_t last = first + shares(p->w[i]), rows = p->w[i]->weight.rows;
    size_t from = begin > first ? begin - first : 0;
    size_t to = (end < last ? end : last) - first;
    if (from < to && first + from < last) {
      size_t stop = to * ROWS_AT_ONCE;
      some_rows(p, p->w[i], p->out[i], from * ROWS_AT_ONCE,
                stop < rows ? stop : rows);
    }
    first = last;
  }
}


/* Shares begin..end of every matrix, some rows of all at a time. */
static void shares_side_by_side (void *context, size_t begin, size_t end,
                                 int thread) {
  const product *p = context;
  size_t rows = p->w[0]->weight.rows, from = begin * ROWS_AT_ONCE;
  size_t last = end * ROWS_AT_ONCE < rows ? end * ROWS_AT_ONCE : rows;
  size_t step = LEAST_OUTPUTS / p->n;
  (void)thread;
  step = step < LEAST_ROWS ? LEAST_ROWS
                           : step / ROWS_AT_ONCE * ROWS_AT_ONCE;
  for (; from < last; from += step) {
    size_t to = last - from < step ? last : from + step;
    for (size_t i = 0; i < p->count; i++)
      some_rows(p, p->w[i], p->out[i], from, to);
    p->then(p->context, from, to);
  }
}


void dc_linear_apply_then (const dc_linear *const *w, float *const *out,
                           size_t count, const float *x, size_t n,
                           dc_scratch *scratch, int threads, dc_then *then,
                           void *context) {
  product p = {w, out, count, x, scratch->x, n, then, context};
  size_t total = 0, cols = w[0]->weight.cols;
  bool quantised = false;
  double work = 0;
  if (n == 0) return;
  for (size_t i = 0; i < count; i++) {
    total += shares(w[i]);
    work += (double)w[i]->weight.rows * (double)cols * (double)n;
    quantised |= dc_type_of(w[i]->weight.type)->block > 1;
  }
  if (quantised) quantize_rows(scratch, x, n, cols, threads);
  if (then == NULL)
    dc_parallel_for(total, work, threads, some_shares, &p);
  else
    dc_parallel_for(shares(w[0]), work, threads, shares_side_by_side, &p);
}


void dc_linear_apply_all (const dc_linear *const *w, float *const *out,
                          size_t count, const float *x, size_t n,
                          dc_scratch *scratch, int threads) {
  dc_linear_apply_then(w, out, count, x, n, scratch, threads, NULL, NULL);
}


void dc_linear_apply (const dc_linear *w, float *out, const float *x, size_t n,
                      dc_scratch *scratch, int threads) {
  dc_linear_apply_all(&w, &out, 1, x, n, scratch, threads);
}
