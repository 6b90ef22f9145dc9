/*
** types.c: weight types against plain code. Built by spec/types_spec.lua.
**
**   types golden    what spec/fixtures/types_golden.txt has, computed here
**   types products  one line "TYPE, what: ok" or "...: DIFFERS" a check
**   types rows      the same for rows that no scale suits
**   types errors    one line "TYPE RATIO" a fitted type; see check_error
**
** The reference below reads one weight at a time, straight from the layouts,
** and adds up in the order that kernels_blocks.h states.
*/
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "math/kernels.h"

#define MAX_N 1280
#define MAX_ROWS 40
#define MAX_COLS 9

/* Names and where a block has halves; -1: no more. */
typedef struct kind {
  dc_type type;
  int halves[2];
} kind;

static const kind kinds[] = {
  {DC_F16, {0, -1}}, {DC_BF16, {0, -1}}, {DC_Q4_0, {0, -1}},
  {DC_Q4_1, {0, 2}}, {DC_Q5_0, {0, -1}}, {DC_Q5_1, {0, 2}},
  {DC_Q8_0, {0, -1}}, {DC_Q2_K, {80, 82}}, {DC_Q3_K, {108, -1}},
  {DC_Q4_K, {0, 2}}, {DC_Q5_K, {0, 2}}, {DC_Q6_K, {208, -1}},
  {DC_IQ4_NL, {0, -1}}, {DC_IQ4_XS, {0, -1}},
};

#define N_KINDS (sizeof kinds / sizeof kinds[0])


/* ---- the generator of make_types.py ------------------------------------- */

static uint64_t state;

static uint8_t next_byte (void) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (uint8_t)(state >> 56);
}


static float next_float (int exponent) {
  int32_t value = next_byte() << 16;
  value |= next_byte() << 8;
  value |= next_byte();
  return ldexpf((float)(value - (1 << 23)), exponent - 22);
}


static size_t below (size_t n) {
  return (next_byte() * 256u + next_byte()) % n;
}


static void random_blocks (uint8_t *out, const kind *k, size_t count) {
  size_t size = dc_type_of((uint32_t)k->type)->bytes;
  for (size_t i = 0; i < count * size; i++) out[i] = next_byte();
  for (size_t i = 0; i < count; i++)
    for (int h = 0; h < 2 && k->halves[h] >= 0; h++)
      out[i * size + (size_t)k->halves[h] + 1] &= 0xbf;
}


static uint64_t fnv (const void *data, size_t n) {
  const uint8_t *byte = data;
  uint64_t value = 14695981039346656037u;
  for (size_t i = 0; i < n; i++) value = (value ^ byte[i]) * 1099511628211u;
  return value;
}


/* ---- golden values ------------------------------------------------------ */

static void golden_dequantize (const kind *k) {
  static uint8_t blocks[64 * 256];
  static float y[64 * 256];
  const dc_type_info *info = dc_type_of((uint32_t)k->type);
  size_t n = 64 * info->block;
  size_t some[] = {0, 17, n / 3, n - 1};
  state = (uint64_t)k->type;
  random_blocks(blocks, k, 64);
  dc_dequantize_row(k->type, y, blocks, n);
  printf("dequantize %s %016llx", info->name,
         (unsigned long long)fnv(y, n * sizeof *y));
  for (int i = 0; i < 4; i++) {
    uint32_t bits;
    memcpy(&bits, &y[some[i]], sizeof bits);
    printf(" %08x", bits);
  }
  printf("\n");
}


static void golden_quantize (dc_type type) {
  static float x[8][256];
  static uint8_t packed[8 * 1024];
  size_t bytes;
  state = (uint64_t)type + 1000;
  for (int row = 0; row < 8; row++)
    for (int i = 0; i < 256; i++) x[row][i] = next_float(row - 5);
  dc_row_bytes(type, 256, &bytes);
  for (size_t row = 0; row < 8; row++)
    dc_quantize_row(type, packed + row * bytes, x[row], 256);
  printf("quantize %s %016llx\n", dc_type_of((uint32_t)type)->name,
         (unsigned long long)fnv(packed, 8 * bytes));
}


static void golden (void) {
  static const dc_type simple[] = {
    DC_F16, DC_BF16, DC_Q4_0, DC_Q4_1, DC_Q5_0, DC_Q5_1, DC_Q8_0
  };
  for (size_t i = 0; i < N_KINDS; i++) golden_dequantize(&kinds[i]);
  for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++)
    golden_quantize(simple[i]);
}


/* ---- one weight after the other ----------------------------------------- */

/* weight = scale * code + min; `group` inputs have one scale. */
typedef struct weight {
  float scale, min;
  int code, group;
  bool has_min;
} weight;


static float half_at (const uint8_t *p) {
  return dc_f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}


/* Code i of 16 bytes: low halves first. */
static int nibble (const uint8_t *qs, int i) {
  return i < 16 ? qs[i] & 15 : qs[i - 16] >> 4;
}


static int bit_at (const uint8_t *bits, int i) {
  return bits[i / 8] >> i % 8 & 1;
}


static void six_bits (const uint8_t *s, int j, int *scale, int *min) {
  if (j < 4) {
    *scale = s[j] & 63;
    *min = s[j + 4] & 63;
  } else {
    *scale = (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
    *min = s[j + 4] >> 4 | s[j] >> 6 << 4;
  }
}


/* Weight i of Q4_K (high = NULL) or Q5_K. */
static weight weight_45_k (const uint8_t *b, const uint8_t *high,
                           const uint8_t *qs, int i) {
  int scale, min, sub = i / 32, l = i % 32;
  int byte = qs[sub / 2 * 32 + l], code = sub % 2 ? byte >> 4 : byte & 15;
  if (high != NULL) code += (high[l] >> sub & 1) * 16;
  six_bits(b + 4, sub, &scale, &min);
  return (weight){half_at(b) * (float)scale, -(half_at(b + 2) * (float)min),
                  code, 32, true};
}


static weight weight_6_k (const uint8_t *b, int i) {
  int n = i / 128, quarter = i % 128 / 32, l = i % 32;
  int byte = b[64 * n + 32 * (quarter % 2) + l];
  int low = quarter < 2 ? byte & 15 : byte >> 4;
  int high = b[128 + 32 * n + l] >> 2 * quarter & 3;
  return (weight){half_at(b + 208) * (float)(int8_t)b[192 + i / 16], 0,
                  (low | high << 4) - 32, 16, false};
}


static weight weight_2_k (const uint8_t *b, int i) {
  int code = b[16 + i / 128 * 32 + i % 32] >> 2 * (i % 128 / 32) & 3;
  int scale = b[i / 16];
  return (weight){half_at(b + 80) * (float)(scale & 15),
                  -(half_at(b + 82) * (float)(scale >> 4)), code, 16, true};
}


static weight weight_3_k (const uint8_t *b, int i) {
  const uint8_t *s = b + 96;
  int code = b[32 + i / 128 * 32 + i % 32] >> 2 * (i % 128 / 32) & 3;
  int j = i / 16, low = j < 8 ? s[j] & 15 : s[j - 8] >> 4;
  int scale = (low | (s[8 + j % 4] >> 2 * (j / 4) & 3) << 4) - 32;
  if (!(b[i % 32] >> i / 32 & 1)) code -= 4;
  return (weight){half_at(b + 108) * (float)scale, 0, code, 16, false};
}


static weight weight_at (dc_type type, const uint8_t *b, int i) {
  static const int iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                              1, 13, 25, 38, 53, 69, 89, 113};
  weight w = {half_at(b), half_at(b + 2), 0, 32, false};
  int sub = i / 32;
  switch (type) {
    case DC_Q4_0: w.code = nibble(b + 2, i) - 8; break;
    case DC_Q4_1: w.code = nibble(b + 4, i); w.has_min = true; break;
    case DC_Q5_0:
      w.code = nibble(b + 6, i) + bit_at(b + 2, i) * 16 - 16;
      break;
    case DC_Q5_1:
      w.code = nibble(b + 8, i) + bit_at(b + 4, i) * 16;
      w.has_min = true;
      break;
    case DC_Q8_0: w.code = (int8_t)b[2 + i]; break;
    case DC_Q2_K: return weight_2_k(b, i);
    case DC_Q3_K: return weight_3_k(b, i);
    case DC_Q4_K: return weight_45_k(b, NULL, b + 16, i);
    case DC_Q5_K: return weight_45_k(b, b + 16, b + 48, i);
    case DC_Q6_K: return weight_6_k(b, i);
    case DC_IQ4_NL: w.code = iq4[nibble(b + 2, i)]; break;
    case DC_IQ4_XS:
      w.code = iq4[nibble(b + 8 + 16 * sub, i % 32)];
      w.scale *= (float)(((b[4 + sub / 2] >> 4 * (sub % 2) & 15) |
                          ((b[2] | b[3] << 8) >> 2 * sub & 3) << 4) - 32);
      break;
    default: break;
  }
  return w;
}


/* ---- products ----------------------------------------------------------- */

static uint8_t matrix[MAX_ROWS * MAX_N * 2];
static _Alignas(64) uint8_t panels[(MAX_ROWS + 15) / 16 * 16 * MAX_N * 2];
static float x[MAX_COLS][MAX_N];
static float got[MAX_COLS * MAX_ROWS], expected[MAX_COLS * MAX_ROWS];
static dc_q8_inputs columns[MAX_COLS * MAX_N / DC_Q8_BLOCK];

typedef struct product {
  const kind *kind;
  const dc_type_info *info;
  size_t row_bytes, rows, cols, n;
} product;


static const uint8_t *block_of (const product *p, size_t row, size_t i) {
  return matrix + row * p->row_bytes + i / p->info->block * p->info->bytes;
}


static float plain_dot (const product *p, size_t row,
                        const dc_q8_inputs *col) {
  float acc = 0.0f;
  for (size_t i = 0; i < p->n;) {
    size_t at = i % p->info->block, first = i;
    weight w = weight_at(p->kind->type, block_of(p, row, i), (int)at);
    int products = 0, numbers = 0;
    for (; i < first + (size_t)w.group; i++) {
      int q = col[i / 32].q[i % 32];
      products += q * weight_at(p->kind->type, block_of(p, row, first),
                                        (int)(at + i - first)).code;
      numbers += q;
    }
    acc = fmaf((float)products, w.scale * col[first / 32].scale, acc);
    if (w.has_min)
      acc = fmaf(w.min, col[first / 32].scale * (float)numbers, acc);
  }
  return acc;
}


static void plain_product (const product *p) {
  for (size_t c = 0; c < p->cols; c++)
    for (size_t r = 0; r < p->rows; r++)
      expected[c * MAX_ROWS + r] = plain_dot(p, r, columns + c * (p->n / 32));
}


static void multiply (const dc_kernels *k, const product *p,
                      const dc_q8_inputs *cols, size_t n_cols) {
  memset(got, 0xff, sizeof got);
  k->matmul_blocks(p->kind->type, got, MAX_ROWS, matrix, p->row_bytes, p->rows,
                   cols, n_cols, p->n);
}


static void multiply_packed (const dc_kernels *k, const product *p,
                             const dc_q8_inputs *cols, size_t n_cols) {
  memset(got, 0xff, sizeof got);
  k->matmul_packed(p->kind->type, got, MAX_ROWS, panels, p->rows, cols, n_cols,
                   p->n);
}


/* NaN is one value here, whatever its bits. */
static bool same (const float *a, const float *b, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (memcmp(&a[i], &b[i], sizeof *a) && !(isnan(a[i]) && isnan(b[i])))
      return false;
  return true;
}


static bool same_columns (const product *p) {
  bool ok = true;
  for (size_t c = 0; c < p->cols; c++)
    ok &= same(expected + c * MAX_ROWS, got + c * MAX_ROWS, p->rows);
  return ok;
}


static product random_product (const kind *k) {
  product p = {.kind = k, .info = dc_type_of((uint32_t)k->type)};
  p.rows = 1 + below(MAX_ROWS);
  p.cols = 1 + below(MAX_COLS);
  p.n = p.info->block * (1 + below(MAX_N / p.info->block));
  dc_row_bytes(k->type, p.n, &p.row_bytes);
  random_blocks(matrix, k, p.rows * p.n / p.info->block);
  for (size_t c = 0; c < p.cols; c++)
    for (size_t i = 0; i < p.n; i++) x[c][i] = next_float((int)(c % 5) - 2);
  return p;
}


static void quantize_columns (const dc_kernels *k, const product *p) {
  for (size_t c = 0; c < p->cols; c++)
    k->quantize_q8(columns + c * (p->n / DC_Q8_BLOCK), x[c], p->n);
}


/* Rounding moves an activation by at most half a step, max |x| / 127 / 2; the
   rest is for the roundings of the sum. */
static bool near_floats (const product *p) {
  static float w[MAX_N];
  bool ok = true;
  for (size_t r = 0; r < p->rows; r++) {
    dc_dequantize_row(p->kind->type, w, matrix + r * p->row_bytes, p->n);
    for (size_t c = 0; c < p->cols; c++) {
      const dc_q8_inputs *column = columns + c * (p->n / DC_Q8_BLOCK);
      double exact = 0, may = 0;
      for (size_t i = 0; i < p->n; i++) {
        exact += (double)w[i] * x[c][i];
        may += fabs(w[i]) * (0.5 * column[i / 32].scale * 1.001
                             + 1e-5 * fabs(x[c][i]));
      }
      ok &= fabs(exact - got[c * MAX_ROWS + r]) <= may;
    }
  }
  return ok;
}


static void report (const kind *k, const char *what, bool ok) {
  printf("%s, %s: %s\n", dc_type_of((uint32_t)k->type)->name, what,
         ok ? "ok" : "DIFFERS");
}


static void check_products (const dc_kernels *k, const kind *kind) {
  bool exact = true, near = true, alone = true, packed = true;
  char what[64];
  for (int round = 0; round < 12; round++) {
    product p = random_product(kind);
    quantize_columns(k, &p);
    plain_product(&p);
    multiply(k, &p, columns, p.cols);
    exact &= same_columns(&p);
    near &= near_floats(&p);
    k->pack(kind->type, panels, matrix, p.row_bytes, p.rows, p.n);
    multiply_packed(k, &p, columns, p.cols);
    packed &= same_columns(&p);
    for (size_t c = 0; c < p.cols; c++) {
      multiply(k, &p, columns + c * (p.n / DC_Q8_BLOCK), 1);
      alone &= same(expected + c * MAX_ROWS, got, p.rows);
      multiply_packed(k, &p, columns + c * (p.n / DC_Q8_BLOCK), 1);
      packed &= same(expected + c * MAX_ROWS, got, p.rows);
    }
  }
  snprintf(what, sizeof what, "bits (%s)", dc_isa_name(k->isa));
  report(kind, what, exact);
  snprintf(what, sizeof what, "one column alone (%s)", dc_isa_name(k->isa));
  report(kind, what, alone);
  snprintf(what, sizeof what, "bits, packed (%s)", dc_isa_name(k->isa));
  report(kind, what, packed);
  snprintf(what, sizeof what, "near the floats (%s)", dc_isa_name(k->isa));
  report(kind, what, near);
}


/* Halves that no honest file has. */
static void check_hostile (const dc_kernels *k, const kind *kind) {
  static const uint16_t halves[] = {0x7c00, 0xfc00, 0x7e00, 0xffff, 0x7bff, 1};
  bool ok = true;
  char what[64];
  for (int round = 0; round < 12; round++) {
    product p = random_product(kind);
    for (size_t i = 0; i < p.rows * p.n / p.info->block; i++)
      for (int h = 0; h < 2 && kind->halves[h] >= 0; h++)
        memcpy(matrix + i * p.info->bytes + kind->halves[h],
               &halves[below(6)], sizeof halves[0]);
    if (round % 3 == 0) x[0][0] = round % 2 ? NAN : INFINITY;
    quantize_columns(k, &p);
    plain_product(&p);
    multiply(k, &p, columns, p.cols);
    ok &= same_columns(&p);
  }
  snprintf(what, sizeof what, "hostile scales (%s)", dc_isa_name(k->isa));
  report(kind, what, ok);
}


/* What dc_dequantize_row gives, weight by weight. */
static void check_dequantize (const kind *kind) {
  static float y[MAX_N];
  bool ok = true;
  for (int round = 0; round < 12; round++) {
    product p = random_product(kind);
    dc_dequantize_row(kind->type, y, matrix, p.n);
    for (size_t i = 0; i < p.n; i++) {
      weight w = weight_at(kind->type, block_of(&p, 0, i),
                           (int)(i % p.info->block));
      float one = w.scale * (float)w.code;
      if (w.has_min) one += w.min;
      ok &= same(&one, &y[i], 1);
    }
  }
  report(kind, "weight by weight", ok);
}


static void products (void) {
  state = 1;
  for (size_t i = 0; i < N_KINDS; i++) {
    if (dc_type_of((uint32_t)kinds[i].type)->block == 1) continue;
    check_dequantize(&kinds[i]);
    for (dc_isa isa = 0; isa < DC_N_ISAS; isa++) {
      const dc_kernels *k = dc_kernels_of(isa);
      if (k == NULL) continue;
      check_products(k, &kinds[i]);
      check_hostile(k, &kinds[i]);
    }
  }
}


/* ---- rows that no scale suits ------------------------------------------- */

static float there_and_back (dc_type type, float *y, size_t n) {
  static uint8_t packed[MAX_N * 4];
  static float back[MAX_N];
  float odd = 0.0f;
  dc_quantize_row(type, packed, y, n);
  dc_dequantize_row(type, back, packed, n);
  for (size_t i = 0; i < n; i++)
    if (fabsf(back[i]) > odd || isnan(back[i])) odd = fabsf(back[i]);
  return odd;
}


/* Zeros stay zeros, what is too small for a half vanishes, and what is too
   large comes back as an infinity or a NaN: never as another number. With NaN
   there is no result to ask for, but nothing undefined happens either. */
static void check_rows (dc_type type) {
  static float y[512];
  bool halves = type != DC_F32 && type != DC_BF16;
  memset(y, 0, sizeof y);
  bool zeros = there_and_back(type, y, 512) == 0.0f;
  for (int i = 0; i < 512; i++) y[i] = next_float(-140);
  bool tiny = there_and_back(type, y, 512) <= (halves ? 0.0f : 1e-40f);
  for (int i = 0; i < 512; i++) y[i] = next_float(0);
  y[300] = -3e38f;
  bool large = !isfinite(there_and_back(type, y, 512)) || !halves;
  y[301] = INFINITY;
  bool infinite = !isfinite(there_and_back(type, y, 512));
  y[40] = NAN;
  for (int i = 320; i < 352; i++) y[i] = i % 2 ? NAN : -INFINITY;
  there_and_back(type, y, 512);
  printf("%s, rows without a scale: %s\n", dc_type_of((uint32_t)type)->name,
         zeros && tiny && large && infinite ? "ok" : "DIFFERS");
}


static void rows (void) {
  state = 3;
  check_rows(DC_F32);
  for (size_t i = 0; i < N_KINDS; i++) check_rows(kinds[i].type);
}


/* ---- the error of fitted types ------------------------------------------ */

/* How round-to-nearest would make them: a scale of 32 bits from the outermost
   numbers of each group; codes low..high; with `min`, from the lowest number
   (or 0, if that is lower) on. */
typedef struct fitted {
  dc_type type;
  int group, low, high;
  bool min;
} fitted;

static const fitted fitted_types[] = {
  {DC_Q2_K, 16, 0, 3, true}, {DC_Q3_K, 16, -4, 3, false},
  {DC_Q4_K, 32, 0, 15, true}, {DC_Q5_K, 32, 0, 31, true},
  {DC_Q6_K, 16, -32, 31, false}, {DC_IQ4_NL, 32, -8, 7, false},
  {DC_IQ4_XS, 32, -8, 7, false},
};


static double plain_error (const fitted *f, const float *y) {
  double low = 0, top = 0, far = 0, error = 0;
  for (int i = 0; i < f->group; i++) {
    low = fmin(low, y[i]);
    top = fmax(top, y[i]);
    if (fabs(y[i]) > fabs(far)) far = y[i];
  }
  double step = f->min ? (top - low) / f->high : far / f->low;
  double zero = f->min ? low : 0;
  for (int i = 0; i < f->group; i++) {
    double code = step != 0 ? round((y[i] - zero) / step) : 0;
    code = fmin(fmax(code, f->low), f->high);
    error += pow(code * step + zero - y[i], 2);
  }
  return error;
}


/* The RMS error over that of round-to-nearest, of 256 blocks of numbers that
   are sums of four uniform ones (near to normal). */
static void check_error (const fitted *f) {
  static float y[256 * 256], back[256 * 256];
  static uint8_t packed[256 * 256];
  double error = 0, plain = 0;
  size_t n = 256 * 256;
  state = 7;
  for (size_t i = 0; i < n; i++)
    y[i] = next_float(-6) + next_float(-6) + next_float(-6) + next_float(-6);
  dc_quantize_row(f->type, packed, y, n);
  dc_dequantize_row(f->type, back, packed, n);
  for (size_t i = 0; i < n; i++) error += pow((double)back[i] - y[i], 2);
  for (size_t i = 0; i < n; i += (size_t)f->group)
    plain += plain_error(f, y + i);
  printf("%s %.3f\n", dc_type_of((uint32_t)f->type)->name,
         sqrt(error / plain));
}


static void errors (void) {
  for (size_t i = 0; i < sizeof fitted_types / sizeof fitted_types[0]; i++)
    check_error(&fitted_types[i]);
}


int main (int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (!strcmp(what, "golden")) golden();
  else if (!strcmp(what, "products")) products();
  else if (!strcmp(what, "rows")) rows();
  else if (!strcmp(what, "errors")) errors();
  else return 1;
  return 0;
}
