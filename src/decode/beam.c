/*
** beam.c: see beam.h. The best candidates are kept in a heap with the worst
** on top; blocks of tokens whose maximum cannot enter it are skipped whole.
*/
#include "decode/beam.h"

#include <math.h>
#include <string.h>

#include "math/kernels.h"

#define BLOCK 256


static bool worse (dc_candidate a, dc_candidate b) {
  if (a.score != b.score) return a.score < b.score;
  return a.row != b.row ? a.row > b.row : a.id > b.id;
}


static void sink (dc_candidate *heap, size_t count, size_t at) {
  dc_candidate it = heap[at];
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= count) break;
    if (child + 1 < count && worse(heap[child + 1], heap[child])) child++;
    if (!worse(heap[child], it)) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = it;
}


static void rise (dc_candidate *heap, size_t at) {
  dc_candidate it = heap[at];
  while (at > 0 && worse(it, heap[(at - 1) / 2])) {
    heap[at] = heap[(at - 1) / 2];
    at = (at - 1) / 2;
  }
  heap[at] = it;
}


static void sort_heap (dc_candidate *heap, size_t count) {
  for (size_t rest = count; rest > 1; rest--) {
    dc_candidate last = heap[0];
    heap[0] = heap[rest - 1];
    heap[rest - 1] = last;
    sink(heap, rest - 1, 0);
  }
}


static bool check_rows (const dc_beams *beams, dc_error *err) {
  const dc_kernels *k = dc_kernels_get();
  for (size_t r = 0; r < beams->rows; r++) {
    if (!(beams->scores[r] < INFINITY))
      return dc_fail(err, "the score of row %zu is %s", r + 1,
                     isnan(beams->scores[r]) ? "NaN" : "inf");
    if (!k->has_nan(beams->x[r], beams->vocab)) continue;
    size_t id = 0;
    while (!isnan(beams->x[r][id])) id++;
    return dc_fail(err, "row %zu: the logit of id %zu is NaN", r + 1, id);
  }
  return true;
}


/* Offers the tokens start..end-1 of row r to the heap of at most n. */
static size_t offer (const dc_beams *beams, dc_candidate *heap, size_t count,
                     size_t n, size_t r, size_t start, size_t end) {
  const float *x = beams->x[r];
  for (size_t i = start; i < end; i++) {
    dc_candidate it = {x[i] + beams->scores[r], (int32_t)r, (int32_t)i};
    if (!(it.score > -INFINITY)) continue;  /* NaN: a dead beam's inf */
    if (count < n) {
      heap[count] = it;
      rise(heap, count++);
    } else if (it.score > heap[0].score) {  /* equal: it comes later */
      heap[0] = it;
      sink(heap, n, 0);
    }
  }
  return count;
}


/* A search adds scores up: behind an infinite one all would be NaN. */
static bool refuse_infinite (const dc_beams *beams, size_t r, dc_error *err) {
  size_t id = 0;
  while (beams->x[r][id] < INFINITY) id++;
  return dc_fail(err, "row %zu: the logit of id %zu is inf, and a search adds "
                 "scores up: they must be finite", r + 1, id);
}


bool dc_beam_top (const dc_beams *beams, dc_candidate *out, size_t *n,
                  dc_error *err) {
  if (!check_rows(beams, err)) return false;
  const dc_kernels *k = dc_kernels_get();
  size_t count = 0;
  for (size_t r = 0; r < beams->rows && *n > 0; r++)
    for (size_t start = 0; start < beams->vocab; start += BLOCK) {
      size_t left = beams->vocab - start;
      size_t size = left < BLOCK ? left : BLOCK;
      double highest = k->max(beams->x[r] + start, size) + beams->scores[r];
      if (count == *n && highest <= out[0].score) continue;
      count = offer(beams, out, count, *n, r, start, start + size);
    }
  if (count == 0 && *n > 0)
    return dc_fail(err, "no token is allowed: every logit is -inf");
  sort_heap(out, count);
  *n = count;
  bool finite = count == 0 || out[0].score < INFINITY;
  return finite || refuse_infinite(beams, (size_t)out[0].row, err);
}


static double total (const float *w, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += w[i];
  return sum;
}


/* exp(score - highest score) of every candidate; fails if there is none. */
static bool weigh (const dc_beams *beams, float *weights, double *sums,
                   dc_error *err) {
  const dc_kernels *k = dc_kernels_get();
  double max = -INFINITY;
  for (size_t r = 0; r < beams->rows; r++) {
    double highest = k->max(beams->x[r], beams->vocab) + beams->scores[r];
    if (highest == INFINITY) return refuse_infinite(beams, r, err);
    if (highest > max) max = highest;
  }
  if (max == -INFINITY)
    return dc_fail(err, "no token is allowed: every logit is -inf");
  for (size_t r = 0; r < beams->rows; r++) {
    float *w = weights + r * beams->vocab;
    if (beams->scores[r] > -INFINITY) {
      k->shift(w, beams->x[r], (float)(beams->scores[r] - max), beams->vocab);
      k->exp(w, w, beams->vocab);
    } else {  /* shifted, an inf would become a NaN */
      memset(w, 0, beams->vocab * sizeof *w);
    }
    sums[r] = total(w, beams->vocab);
  }
  return true;
}


/* The row that holds `target` (made relative to the row); where rounding
   carries the walk past the end, the last one that weighs something. False
   if none does. */
static bool pick_row (const double *sums, size_t rows, double *target,
                      size_t *row) {
  bool found = false;
  for (size_t r = 0; r < rows; r++) {
    if (sums[r] == 0) continue;
    if (found) *target -= sums[*row];
    *row = r;
    found = true;
    if (*target < sums[r]) break;
  }
  return found;
}


/* The same for a token within its row. */
static size_t pick_token (const float *w, size_t n, double target) {
  size_t id = 0;
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    if (w[i] == 0) continue;
    id = i;
    sum += w[i];
    if (target < sum) break;
  }
  return id;
}


bool dc_beam_draw (const dc_beams *beams, dc_candidate *out, size_t *n,
                   dc_rng *rng, float *weights, double *sums, dc_error *err) {
  if (!check_rows(beams, err)) return false;
  if (!weigh(beams, weights, sums, err)) return false;
  size_t count = 0, r = 0;
  for (; count < *n; count++) {
    double sum = 0, target;
    for (size_t i = 0; i < beams->rows; i++) sum += sums[i];
    target = dc_rng_uniform(rng) * sum;
    if (!pick_row(sums, beams->rows, &target, &r)) break;
    float *w = weights + r * beams->vocab;
    size_t id = pick_token(w, beams->vocab, target);
    w[id] = 0;
    sums[r] = total(w, beams->vocab);
    out[count] = (dc_candidate){beams->x[r][id] + beams->scores[r],
                                (int32_t)r, (int32_t)id};
  }
  *n = count;
  return true;
}
