/*
** kernels_attention.h: softmax(q K) V of one head over a cache of tiles.
**
** A score is one chain over d_key; the maximum is exact; the weights are
** summed in 16 lanes; each output is one chain over the positions, ascending.
** So a query's result depends on what it sees alone: not on the other queries
** of its chunk, nor on how the cache was filled. Positions of the first tile
** that lie in front of the window have the weight 0 and are skipped.
*/
static void attention_scores (const float *q, const dc_attention_span *s) {
  vf scale = v_set1(s->scale), cap = v_set1(s->cap);
  vf inverse = v_set1(s->cap > 0.0f ? 1.0f / s->cap : 0.0f);
  for (size_t t = 0; t * 16 < s->n; t++) {
    vf sum = v_set1(0.0f);
    for (size_t i = 0; i < s->d_key; i++)
      sum = v_fma(v_set1(q[i]), v_load(s->keys[t] + i * 16), sum);
    sum = v_mul(sum, scale);
    if (s->cap > 0.0f) sum = v_mul(cap, tanh_v(v_mul(sum, inverse)));
    if (s->bias != NULL) sum = v_add(sum, v_load(s->bias + t * 16));
    v_store(s->scores + t * 16, sum);
  }
  for (size_t j = 0; j < s->first; j++) s->scores[j] = -INFINITY;
  for (size_t j = s->n; j % 16 != 0; j++) s->scores[j] = -INFINITY;
}


/* Columns d..d+16*width of the output: sums over the positions. */
INLINE void weighted_values (float *out, const dc_attention_span *s, size_t d,
                             int width, float factor) {
  vf sum[4];
  for (int i = 0; i < width; i++) sum[i] = v_set1(0.0f);
  for (size_t j = s->first; j < s->n; j++) {
    const float *v = s->values[j / 16] + (j % 16) * s->ld_values + d;
    vf weight = v_set1(s->scores[j]);
    for (int i = 0; i < width; i++)
      sum[i] = v_fma(weight, v_load(v + i * 16), sum[i]);
  }
  for (int i = 0; i < width; i++)
    v_store(out + d + (size_t)i * 16, v_mul(sum[i], v_set1(factor)));
}


/* The last n columns, where d_value is no multiple of 16. */
static void weighted_rest (float *out, const dc_attention_span *s, size_t d,
                           size_t n, float factor) {
  vf sum = v_set1(0.0f);
  for (size_t j = s->first; j < s->n; j++) {
    const float *v = s->values[j / 16] + (j % 16) * s->ld_values + d;
    sum = v_fma(v_set1(s->scores[j]), v_load_part(v, n), sum);
  }
  v_store_part(out + d, v_mul(sum, v_set1(factor)), n);
}


static void attention (float *out, const float *q,
                       const dc_attention_span *s) {
  attention_scores(q, s);
  size_t padded = (s->n + 15) / 16 * 16, d = 0;
  float highest = max_row(s->scores, padded);
  if (highest == -INFINITY) {
    memset(out, 0, s->d_value * sizeof *out);
    return;
  }
  float factor = 1.0f / exp_and_sum(s->scores, highest, padded);
  for (; d + 64 <= s->d_value; d += 64)
    weighted_values(out, s, d, 4, factor);
  for (; d + 16 <= s->d_value; d += 16)
    weighted_values(out, s, d, 1, factor);
  if (d < s->d_value) weighted_rest(out, s, d, s->d_value - d, factor);
}
