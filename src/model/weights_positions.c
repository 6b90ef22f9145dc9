/*
** weights_positions.c: what a model needs of positions beside its weights:
** tables of sinusoids or of RoPE's angles, T5's biases by distance.
*/
#include "base/memory.h"
#include "model/weights.h"

/* What the steps share. */
typedef struct maker {
  const dc_hparams *hp;
  size_t context;
  const dc_gguf *file;  /* for messages */
  dc_error *err;
} maker;


/* The biases of a stack spread over the distances. */
static bool spread_biases (dc_stack *stack, const maker *p, bool both_ways) {
  const dc_hparams *hp = p->hp;
  int64_t far = hp->max_distance;
  size_t heads = stack->sizes.n_heads, n = 2 * (size_t)far + 1;
  float *row = dc_alloc_array(heads, sizeof *row);
  stack->biases = dc_alloc_array(heads, n * sizeof *stack->biases);
  bool ok = row != NULL && stack->biases != NULL;
  for (int64_t i = -far; ok && i <= far; i++) {
    size_t bucket = dc_relative_bucket(hp, i, both_ways);
    const dc_matrix *m = &stack->relative;
    dc_dequantize_row(m->type, row,
                      (const char *)m->data + bucket * m->row_bytes, heads);
    for (size_t h = 0; h < heads; h++)
      stack->biases[h * n + (size_t)(i + far)] = row[h];
  }
  dc_free(row);
  return ok || dc_fail(p->err, "not enough memory");
}


static bool check_factors (const maker *p, const char *name,
                           const float *factors) {
  for (size_t i = 0; factors != NULL && i < p->hp->rope.dims / 2; i++)
    if (!(factors[i] >= 1e-6f && factors[i] <= 1e9f))
      return dc_fail(p->err, "%.400s: tensor '%s.weight': factor %zu is not a "
                     "number from 1e-6 to 1e9", dc_gguf_path(p->file), name,
                     i);
  return true;
}


static bool make_rope (dc_weights *w, const maker *p) {
  const dc_hparams *hp = p->hp;
  const float *factors = w->rope_factors;
  bool both = w->rope_long != NULL && w->rope_short != NULL;
  if (!both && (w->rope_long != NULL || w->rope_short != NULL))
    return dc_fail(p->err, "%.400s: tensors 'rope_factors_long' and "
                   "'rope_factors_short': one is missing",
                   dc_gguf_path(p->file));
  if (both)
    factors = p->context > hp->rope.original_context ? w->rope_long
                                                     : w->rope_short;
  if (!check_factors(p, "rope_freqs", w->rope_factors) ||
      !check_factors(p, "rope_factors_long", w->rope_long) ||
      !check_factors(p, "rope_factors_short", w->rope_short))
    return false;
  bool ok = dc_table_of_rope(&w->rope, hp, false, factors);
  if (ok && hp->window > 0 && hp->rope.window_base > 0.0f)
    ok = dc_table_of_rope(&w->window_rope, hp, true, NULL);
  return ok || dc_fail(p->err, "not enough memory");
}


bool dc_weights_make_positions (dc_weights *w, const dc_hparams *hp,
                                size_t context, const dc_gguf *file,
                                dc_error *err) {
  maker p = {hp, context, file, err};
  switch (hp->positions) {
    case DC_SINUSOIDAL:
    case DC_SINUSOIDAL_SKIP:
      return dc_table_of_sinusoids(&w->sinusoids, hp) ||
             dc_fail(err, "not enough memory");
    case DC_RELATIVE:
      return spread_biases(&w->encoder, &p, true) &&
             spread_biases(&w->decoder, &p, false);
    case DC_LEARNED:
      return true;
    default:
      return make_rope(w, &p);
  }
}


bool dc_weights_positions (dc_weights *w, size_t n) {
  if (!dc_table_reserve(&w->sinusoids, n) || !dc_table_reserve(&w->rope, n) ||
      !dc_table_reserve(&w->window_rope, n))
    return false;
  if (w->sinusoids.columns > 0)
    w->encoder.positions = w->decoder.positions = w->sinusoids.rows;
  return true;
}
