/*
** kernels.c: how fast the matrix products are, alone. For each type of weight
** and shape: multiply-adds a nanosecond against 1, 4, 8, 32 and 512 columns,
** on one thread, the best of some repetitions. Weights of a small matrix stay
** in the caches; those of a large one come from memory.
**
**   [TYPE=q8_0] kernels [ROWS INPUTS]...
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "math/kernels.h"
#include "math/rng.h"

#define REPEATS 5

static const size_t columns[] = {1, 4, 8, 32, 512};
#define N_COLUMNS (sizeof columns / sizeof columns[0])


static double seconds (void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}


static void *room (size_t bytes) {
  void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (p == NULL) abort();
  return p;
}


static float *noise (size_t n) {
  dc_rng rng = {1, 0, 0};
  float *x = room(n * sizeof *x);
  for (size_t i = 0; i < n; i++) x[i] = (float)dc_rng_uniform(&rng) - 0.5f;
  return x;
}


/* One product, everything it needs made before. */
typedef struct product {
  dc_type type;
  size_t rows, n, row_bytes, cols;
  uint8_t *w;
  float *x, *out;
  dc_q8_inputs *q8;
  uint8_t *packed;  /* NULL: as in the file */
} product;


static void multiply (const product *p) {
  const dc_kernels *k = dc_kernels_get();
  if (p->packed != NULL) {
    k->matmul_packed(p->type, p->out, p->rows, p->packed, p->rows, p->q8,
                     p->cols, p->n);
    return;
  }
  switch (p->type) {
    case DC_F32:
      k->matmul_f32(p->out, p->rows, p->w, p->row_bytes, p->rows, p->x, p->n,
                    p->cols, p->n);
      break;
    case DC_F16:
      k->matmul_f16(p->out, p->rows, p->w, p->row_bytes, p->rows, p->x, p->n,
                    p->cols, p->n);
      break;
    case DC_BF16:
      k->matmul_bf16(p->out, p->rows, p->w, p->row_bytes, p->rows, p->x, p->n,
                     p->cols, p->n);
      break;
    case DC_Q8_0:
      k->matmul_q8_0(p->out, p->rows, p->w, p->row_bytes, p->rows, p->q8,
                     p->cols, p->n);
      break;
    default:
      k->matmul_blocks(p->type, p->out, p->rows, p->w, p->row_bytes, p->rows,
                       p->q8, p->cols, p->n);
  }
}


/* Multiply-adds a nanosecond. */
static double speed (const product *p) {
  double macs = (double)p->rows * (double)p->n * (double)p->cols, best = 0;
  size_t times = 1 + (size_t)(1e8 / macs);
  multiply(p);
  for (int i = 0; i < REPEATS; i++) {
    double began = seconds();
    for (size_t t = 0; t < times; t++) multiply(p);
    double rate = macs * (double)times / (seconds() - began) * 1e-9;
    best = rate > best ? rate : best;
  }
  return best;
}


static void measure (dc_type type, bool pack, size_t rows, size_t n) {
  product p = {.type = type, .rows = rows, .n = n};
  size_t most = columns[N_COLUMNS - 1];
  if (!dc_row_bytes(type, n, &p.row_bytes)) return;  /* no whole blocks */
  p.w = room(rows * p.row_bytes);
  p.x = noise(most * n);
  p.out = room(most * rows * sizeof *p.out);
  p.q8 = room(most * (n / DC_Q8_BLOCK) * sizeof *p.q8);
  for (size_t r = 0; r < rows; r++)
    dc_quantize_row(type, p.w + r * p.row_bytes, p.x + r % most * n, n);
  if (pack) {
    size_t bytes = 0;
    if (!dc_packed_bytes(type, rows, n, &bytes)) return;
    p.packed = room(bytes);
    dc_kernels_get()->pack(type, p.packed, p.w, p.row_bytes, rows, n);
  }
  for (size_t c = 0; c < most; c++)
    dc_kernels_get()->quantize_q8(p.q8 + c * (n / DC_Q8_BLOCK), p.x + c * n, n);
  printf("| %s%s | %zu x %zu |", dc_type_of(type)->name,
         pack ? ", packed" : "", rows, n);
  for (size_t i = 0; i < N_COLUMNS; i++) {
    p.cols = columns[i];
    printf(" %.1f |", speed(&p));
    fflush(stdout);
  }
  printf("\n");
  free(p.packed), free(p.w), free(p.x), free(p.out), free(p.q8);
}


/* One type against the shapes of the command line, or some of our own. */
static void measure_all (dc_type type, bool pack, int argc, char **argv) {
  static const size_t shapes[][2] = {{256, 256}, {1024, 256}, {256, 1024},
                                     {8000, 256}, {1536, 576}, {4096, 4096}};
  for (int i = 1; i + 1 < argc; i += 2)
    measure(type, pack, strtoul(argv[i], NULL, 10),
            strtoul(argv[i + 1], NULL, 10));
  for (size_t s = 0; argc < 3 && s < sizeof shapes / sizeof shapes[0]; s++)
    measure(type, pack, shapes[s][0], shapes[s][1]);
}


int main (int argc, char **argv) {
  static const dc_type types[] = {
    DC_F32, DC_F16, DC_BF16, DC_Q8_0, DC_Q4_0, DC_Q4_1, DC_Q5_0, DC_Q5_1,
    DC_Q2_K, DC_Q3_K, DC_Q4_K, DC_Q5_K, DC_Q6_K, DC_IQ4_NL, DC_IQ4_XS
  };
  const char *only = getenv("TYPE");
  dc_error error;
  if (!dc_kernels_init(&error)) {
    fprintf(stderr, "%s\n", error.text);
    return 1;
  }
  printf("%s, multiply-adds a ns on one thread\n\n| type | weights |",
         dc_isa_name(dc_kernels_get()->isa));
  for (size_t i = 0; i < N_COLUMNS; i++) printf(" %zu |", columns[i]);
  printf("\n|---|---|---|---|---|---|---|\n");
  for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
    if (only != NULL && strcmp(only, dc_type_of(types[t])->name)) continue;
    measure_all(types[t], false, argc, argv);
    if (dc_strip_bytes(types[t], 256) > 0)
      measure_all(types[t], true, argc, argv);
  }
  return 0;
}
