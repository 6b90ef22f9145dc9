/* convert.c: see convert.h. */
#include "format/convert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "base/threads.h"
#include "math/types.h"

#define BLOCK 1048576  /* bytes that are converted before they are written */

/* Elementary operations that an element costs: the quantisers with scales of
   scales try some twenty of them on each. */
#define WORK 30.0

/* What one thread works with. */
typedef struct scratch {
  void *in;     /* a row of the source, aligned; then one of the result */
  float *x;     /* [n] */
  float *back;  /* [n]: what the reader of the new row will see */
  bool failed;
  size_t row;   /* the first of its rows that failed */
  dc_error err;
} scratch;

typedef struct job {
  const dc_conversion *rows;
  size_t in_size, out_size, at_once;
  size_t first;    /* row of the tensor that `out` begins with */
  uint8_t *out;    /* [at_once, out_size] */
  scratch *each;   /* [n_threads] */
  int n_threads;
} job;


bool dc_convert_reads (uint32_t type) {
  const dc_type_info *info = dc_type_of(type);
  return info != NULL && info->computes;
}


bool dc_convert_writes (uint32_t type) {
  float nothing = 0.0f;
  return dc_type_of(type) != NULL &&
         dc_quantize_row((dc_type)type, &nothing, &nothing, 0);
}


bool dc_swap_fits (const dc_swap *swap, size_t n_elements) {
  size_t size;
  if (swap->a == 0) return true;
  return dc_size_mul(swap->a, swap->b, &size) &&
         dc_size_mul(size, swap->inner, &size) && size > 0 &&
         n_elements % size == 0;
}


/* Where element e of the result lies in the source. */
static size_t place (const dc_swap *s, size_t e) {
  size_t k = e % s->inner, i = e / s->inner % s->a;
  size_t j = e / s->inner / s->a % s->b, o = e / s->inner / s->a / s->b;
  return ((o * s->a + i) * s->b + j) * s->inner + k;
}


/* Row `row` of the result, run by run of neighbours in the source. */
static void gather_row (const job *j, void *out, size_t row) {
  const dc_conversion *rows = j->rows;
  const uint8_t *from = rows->data;
  size_t element = j->in_size / rows->n, e = row * rows->n;
  uint8_t *to = out;
  for (size_t done = 0, run; done < rows->n; done += run) {
    run = rows->swap.inner - (e + done) % rows->swap.inner;
    if (run > rows->n - done) run = rows->n - done;
    memcpy(to + done * element, from + place(&rows->swap, e + done) * element,
           run * element);
  }
}


static void read_row (const job *j, scratch *s, size_t row) {
  const dc_conversion *rows = j->rows;
  const uint8_t *from = rows->data;
  if (rows->swap.a == 0) memcpy(s->in, from + row * j->in_size, j->in_size);
  else gather_row(j, s->in, row);
  dc_dequantize_row((dc_type)rows->from, s->x, s->in, rows->n);
  if (rows->plus != 0.0f)
    for (size_t i = 0; i < rows->n; i++) s->x[i] += rows->plus;
}


static bool all_finite (const float *x, size_t n, dc_error *err) {
  for (size_t i = 0; i < n; i++)
    if (!isfinite(x[i]))
      return dc_fail(err, "column %zu is not a finite number", i + 1);
  return true;
}


/* Half precision ends at 65504, and so do the scales of blocks. Whatever the
   type, a number that it cannot hold comes back as an infinity or a NaN: of
   those that did, the largest is the one to blame. */
static bool comes_back (const job *j, scratch *s, const uint8_t *out,
                        dc_error *err) {
  size_t n = j->rows->n, worst = n;
  memcpy(s->in, out, j->out_size);
  dc_dequantize_row((dc_type)j->rows->to, s->back, s->in, n);
  for (size_t i = 0; i < n; i++)
    if (!isfinite(s->back[i]) &&
        (worst == n || fabsf(s->x[i]) > fabsf(s->x[worst])))
      worst = i;
  return worst == n ||
         dc_fail(err, "column %zu is too large for the type", worst + 1);
}


static bool convert_row (const job *j, scratch *s, size_t row, uint8_t *out,
                         dc_error *err) {
  char where[48];
  read_row(j, s, row);
  if (all_finite(s->x, j->rows->n, err)) {
    if (!dc_quantize_row((dc_type)j->rows->to, out, s->x, j->rows->n))
      return dc_fail(err, "type %u is not written", (unsigned)j->rows->to);
    if (comes_back(j, s, out, err)) return true;
  }
  snprintf(where, sizeof where, "row %zu", row + 1);
  return dc_fail_in(err, where);
}


static void some_rows (void *context, size_t begin, size_t end, int thread) {
  const job *j = context;
  scratch *s = &j->each[thread];
  for (size_t i = begin; i < end && !s->failed; i++)
    if (!convert_row(j, s, j->first + i, j->out + i * j->out_size, &s->err)) {
      s->failed = true;
      s->row = j->first + i;
    }
}


/* Reports the first row that failed, as one thread alone would have. */
static bool none_failed (const job *j, dc_error *err) {
  const scratch *first = NULL;
  for (int t = 0; t < j->n_threads; t++)
    if (j->each[t].failed && (first == NULL || j->each[t].row < first->row))
      first = &j->each[t];
  return first == NULL || dc_fail(err, "%s", first->err.text);
}


static bool convert_all (job *j, dc_convert_sink write, void *sink,
                         dc_error *err) {
  size_t n = j->rows->n_rows;
  for (size_t count; j->first < n; j->first += count) {
    count = n - j->first < j->at_once ? n - j->first : j->at_once;
    dc_parallel_for(count, WORK * (double)count * (double)j->rows->n,
                    j->n_threads, some_rows, j);
    if (!none_failed(j, err) ||
        !write(sink, j->out, count * j->out_size, err))
      return false;
  }
  return true;
}


static bool make_job (job *j) {
  size_t n = j->rows->n;
  size_t in = j->in_size > j->out_size ? j->in_size : j->out_size;
  j->out = dc_alloc_array(j->at_once, j->out_size);
  j->each = dc_alloc_array((size_t)j->n_threads, sizeof *j->each);
  if (j->out == NULL || j->each == NULL) return false;
  for (int t = 0; t < j->n_threads; t++) {
    scratch *s = &j->each[t];
    s->in = dc_alloc(in);
    s->x = dc_alloc_array(n, sizeof *s->x);
    s->back = dc_alloc_array(n, sizeof *s->back);
    if (s->in == NULL || s->x == NULL || s->back == NULL) return false;
  }
  return true;
}


static void free_job (job *j) {
  for (int t = 0; j->each != NULL && t < j->n_threads; t++) {
    dc_free(j->each[t].in);
    dc_free(j->each[t].x);
    dc_free(j->each[t].back);
  }
  dc_free(j->each);
  dc_free(j->out);
}


bool dc_convert_rows (const dc_conversion *rows, dc_convert_sink write,
                      void *sink, dc_error *err) {
  job j = {.rows = rows, .n_threads = dc_threads()};
  if ((size_t)j.n_threads > rows->n_rows) j.n_threads = (int)rows->n_rows;
  if (!dc_row_bytes((dc_type)rows->from, rows->n, &j.in_size) ||
      !dc_row_bytes((dc_type)rows->to, rows->n, &j.out_size))
    return dc_fail(err, "rows of %zu are no whole blocks", rows->n);
  j.at_once = j.out_size < BLOCK ? BLOCK / j.out_size : 1;
  bool ok = make_job(&j) ? convert_all(&j, write, sink, err)
                         : dc_fail(err, "not enough memory");
  free_job(&j);
  return ok;
}
