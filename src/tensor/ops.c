/*
** ops.c: broadcasting and everything that works element by element.
**
** One walk serves all of it. Up to three tensors (the result and two inputs)
** are laid over a common shape, in which an input that is spread has stride 0.
** Dimensions that are neighbours in all three are merged, so that contiguous
** operands become one long row. Then each row goes to a kernel: directly
** where the floats lie side by side, else through buffers on the stack, a
** chunk at a time. The kernel sees contiguous floats either way, and so the
** bits do not depend on the layout.
*/
#include "tensor/ops.h"

#include <math.h>
#include <string.h>

#include "math/functions.h"
#include "math/kernels.h"

#define CHUNK 512  /* floats; three of them are 6 KiB of stack */

enum {OUT, A, B, N_OPERANDS};

typedef struct walk {
  size_t shape[DC_MAX_DIMS];
  float *data[N_OPERANDS];                 /* NULL: no such operand */
  size_t steps[N_OPERANDS][DC_MAX_DIMS];
} walk;

/* What a walk does with n contiguous floats of each operand. */
typedef void (*row_function) (float *out, const float *a, const float *b,
                              size_t n, void *context);


dc_tensor dc_tensor_of_number (float *value) {
  return (dc_tensor){.data = value};
}


/* Size of dimension d of the last DC_MAX_DIMS: the leading ones may be
   missing. */
static size_t padded_size (const dc_tensor *t, int d) {
  int own = d - (DC_MAX_DIMS - t->n_dims);
  return own < 0 ? 1 : t->shape[own];
}


static size_t padded_step (const dc_tensor *t, int d) {
  int own = d - (DC_MAX_DIMS - t->n_dims);
  return own < 0 || t->shape[own] == 1 ? 0 : t->strides[own];
}


bool dc_broadcast_shape (const dc_tensor *a, const dc_tensor *b, int *n_dims,
                         size_t *shape, dc_error *err) {
  int n = a->n_dims > b->n_dims ? a->n_dims : b->n_dims;
  for (int d = DC_MAX_DIMS - n; d < DC_MAX_DIMS; d++) {
    size_t in_a = padded_size(a, d), in_b = padded_size(b, d);
    if (in_a != in_b && in_a != 1 && in_b != 1)
      return dc_fail(err, "shapes %s and %s do not broadcast: in dimension %d "
                     "they have %zu and %zu, which must be equal or one of "
                     "them 1", DC_SHAPE_OF(a), DC_SHAPE_OF(b),
                     d - DC_MAX_DIMS, in_a, in_b);
    shape[d - (DC_MAX_DIMS - n)] = in_a == 1 ? in_b : in_a;
  }
  *n_dims = n;
  return true;
}


bool dc_broadcasts_to (const dc_tensor *x, const dc_tensor *t, dc_error *err) {
  for (int d = 0; d < DC_MAX_DIMS; d++) {
    size_t in_x = padded_size(x, d), in_t = padded_size(t, d);
    if (in_x != in_t && in_x != 1)
      return dc_fail(err, "shape %s does not broadcast to %s: in dimension %d "
                     "it has %zu, must be %zu or 1", DC_SHAPE_OF(x),
                     DC_SHAPE_OF(t), d - DC_MAX_DIMS, in_x, in_t);
  }
  if (x->n_dims > t->n_dims)
    return dc_fail(err, "shape %s does not broadcast to %s: it has more "
                   "dimensions", DC_SHAPE_OF(x), DC_SHAPE_OF(t));
  return true;
}


/* Merges dimension d into d + 1 if every operand goes on there without a jump;
   then the dimensions in front of d move back by one. */
static bool merge (walk *w, int d) {
  size_t inner = w->shape[d + 1];
  if (w->shape[d] != 1 && inner != 1)
    for (int i = 0; i < N_OPERANDS; i++)
      if (w->steps[i][d] != w->steps[i][d + 1] * inner) return false;
  for (int i = 0; i < N_OPERANDS; i++) {
    size_t *steps = w->steps[i];
    if (inner == 1) steps[d + 1] = steps[d];
    memmove(steps + 1, steps, (size_t)d * sizeof *steps);
    steps[0] = 0;
  }
  w->shape[d + 1] *= w->shape[d];
  memmove(w->shape + 1, w->shape, (size_t)d * sizeof *w->shape);
  w->shape[0] = 1;
  return true;
}


/* Lays the operands over `shape`; absent ones are NULL. */
static walk start_walk (int n_dims, const size_t *shape, const dc_tensor *out,
                        const dc_tensor *a, const dc_tensor *b) {
  const dc_tensor *operands[N_OPERANDS] = {out, a, b};
  dc_tensor frame = {.n_dims = n_dims};
  walk w = {0};
  memcpy(frame.shape, shape, (size_t)n_dims * sizeof *shape);
  for (int d = 0; d < DC_MAX_DIMS; d++) w.shape[d] = padded_size(&frame, d);
  for (int i = 0; i < N_OPERANDS; i++) {
    if (operands[i] == NULL) continue;
    w.data[i] = operands[i]->data;
    for (int d = 0; d < DC_MAX_DIMS; d++)
      w.steps[i][d] = padded_step(operands[i], d);
  }
  for (int d = DC_MAX_DIMS - 2, pairs = DC_MAX_DIMS - 1; pairs > 0; pairs--)
    if (!merge(&w, d)) d--;
  return w;
}


/* n floats that lie `step` apart, side by side: where they are, or in
   `buffer`. A spread number fills the buffer once, for the first chunk. */
static const float *fetch (float *buffer, const float *from, size_t step,
                           size_t start, size_t n) {
  if (from == NULL) return NULL;
  if (step == 1) return from + start;
  if (step == 0 && start > 0) return buffer;
  for (size_t i = 0; i < n; i++) buffer[i] = from[(start + i) * step];
  return buffer;
}


static void walk_row (const walk *w, float *const *at, row_function f,
                      void *context) {
  float buffers[N_OPERANDS][CHUNK];
  size_t n = w->shape[DC_MAX_DIMS - 1], step[N_OPERANDS];
  bool direct = true;
  for (int i = 0; i < N_OPERANDS; i++) {
    step[i] = n == 1 ? 1 : w->steps[i][DC_MAX_DIMS - 1];
    if (at[i] != NULL && step[i] != 1) direct = false;
  }
  size_t limit = direct ? n : CHUNK;
  for (size_t start = 0; start < n; start += limit) {
    size_t m = n - start < limit ? n - start : limit;
    bool in_place = at[OUT] == NULL || step[OUT] == 1;
    float *out = in_place && at[OUT] ? at[OUT] + start : buffers[OUT];
    f(out, fetch(buffers[A], at[A], step[A], start, m),
      fetch(buffers[B], at[B], step[B], start, m), m, context);
    if (!in_place)
      for (size_t i = 0; i < m; i++)
        at[OUT][(start + i) * step[OUT]] = out[i];
  }
}


static void run_walk (const walk *w, row_function f, void *context) {
  for (size_t i = 0; i < w->shape[0]; i++)
    for (size_t j = 0; j < w->shape[1]; j++)
      for (size_t k = 0; k < w->shape[2]; k++) {
        float *at[N_OPERANDS];
        for (int o = 0; o < N_OPERANDS; o++) {
          const size_t *step = w->steps[o];
          at[o] = w->data[o];
          if (at[o] != NULL) at[o] += i * step[0] + j * step[1] + k * step[2];
        }
        walk_row(w, at, f, context);
      }
}


/* x, or in *copy a private copy of it if writing to `out` element by element
   would change what is still to be read. */
static bool keep_apart (const dc_tensor **x, dc_tensor *copy,
                        const dc_tensor *out) {
  const dc_tensor *t = *x;
  bool same = t->data == out->data && dc_tensor_same_shape(t, out) &&
              memcmp(t->strides, out->strides,
                     (size_t)t->n_dims * sizeof *t->strides) == 0;
  if (same || !dc_tensor_overlaps(t, out)) return true;
  *x = copy;
  return dc_tensor_clone(copy, t);
}


/* f over out, a and perhaps b, both spread over out. */
static bool write_walk (dc_tensor *out, const dc_tensor *a, const dc_tensor *b,
                        row_function f, void *context) {
  dc_tensor copy_a = {0}, copy_b = {0};
  bool ok = keep_apart(&a, &copy_a, out) &&
            (b == NULL || keep_apart(&b, &copy_b, out));
  if (ok) {
    walk w = start_walk(out->n_dims, out->shape, out, a, b);
    run_walk(&w, f, context);
  }
  dc_tensor_close(&copy_a);
  dc_tensor_close(&copy_b);
  return ok;
}


static void zip_row (float *out, const float *a, const float *b, size_t n,
                     void *context) {
  (*(dc_zip *)context)(out, a, b, n);
}

bool dc_tensor_zip (dc_tensor *out, const dc_tensor *a, const dc_tensor *b,
                    dc_zip kernel) {
  return write_walk(out, a, b, zip_row, &kernel);
}


static void copy_row (float *out, const float *a, const float *b, size_t n,
                      void *context) {
  (void)b, (void)context;
  memmove(out, a, n * sizeof *out);
}

bool dc_tensor_copy (dc_tensor *out, const dc_tensor *x) {
  return write_walk(out, x, NULL, copy_row, NULL);
}


static void fill_masked (float *out, const float *a, const float *b, size_t n,
                         void *context) {
  float value = *(float *)context;
  for (size_t i = 0; i < n; i++) out[i] = b[i] != 0 ? value : a[i];
}

bool dc_tensor_masked_fill (dc_tensor *t, const dc_tensor *mask, float value) {
  return write_walk(t, t, mask, fill_masked, &value);
}


static void map_row (float *out, const float *a, const float *b, size_t n,
                     void *context) {
  (void)b;
  (*(dc_map *)context)(out, a, n);
}

void dc_tensor_map (dc_tensor *t, dc_map kernel) {
  walk w = start_walk(t->n_dims, t->shape, t, t, NULL);
  run_walk(&w, map_row, &kernel);
}


/* The root of a float, found in double and rounded, is rounded correctly. */
void dc_sqrt_row (float *out, const float *x, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] = (float)dc_sqrt(x[i]);
}


typedef struct closeness {
  double rtol, atol;
  bool holds;
} closeness;

static void equal_row (float *out, const float *a, const float *b, size_t n,
                       void *context) {
  closeness *c = context;
  (void)out;
  for (size_t i = 0; i < n; i++)
    if (!(a[i] == b[i])) c->holds = false;
}

static void close_row (float *out, const float *a, const float *b, size_t n,
                       void *context) {
  closeness *c = context;
  (void)out;
  for (size_t i = 0; i < n; i++) {
    double x = a[i], y = b[i];
    double allowed = c->atol + c->rtol * (y < 0 ? -y : y);
    double apart = x < y ? y - x : x - y;
    if (!(x == y || (isfinite(y) && apart <= allowed))) c->holds = false;
  }
}


bool dc_tensor_equal (const dc_tensor *a, const dc_tensor *b) {
  closeness c = {.holds = true};
  if (!dc_tensor_same_shape(a, b)) return false;
  walk w = start_walk(a->n_dims, a->shape, NULL, a, b);
  run_walk(&w, equal_row, &c);
  return c.holds;
}


bool dc_tensor_allclose (const dc_tensor *a, const dc_tensor *b, double rtol,
                         double atol) {
  closeness c = {rtol, atol, true};
  int n_dims;
  size_t shape[DC_MAX_DIMS];
  if (!dc_broadcast_shape(a, b, &n_dims, shape, NULL)) return false;
  walk w = start_walk(n_dims, shape, NULL, a, b);
  run_walk(&w, close_row, &c);
  return c.holds;
}
