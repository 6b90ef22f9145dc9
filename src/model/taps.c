/*
** taps.c: see taps.h.
**
** Attention is computed a second time here, for the kernel keeps no weights:
** rows that want it pay for it, the others go through the pass as they were.
*/
#include "model/taps.h"

#include <string.h>

#include "math/kernels.h"
#include "model/outputs.h"


void dc_tap_layer (dc_worker *w, const dc_feed *steps, size_t count,
                   uint32_t layer) {
  const float *x = w->batch.x;
  size_t d = w->model->hp.d_model;
  for (size_t i = 0; i < count; x += steps[i++].n * d) {
    const dc_taps *taps = steps[i].taps;
    if (taps == NULL || steps[i].n == 0) continue;
    for (size_t j = 0; j < taps->n_layers; j++)
      if (taps->layers[j] == layer)
        dc_outputs_add(w, x + (steps[i].n - 1) * d, taps->early[j]);
  }
  dc_outputs_flush(w);
}


/* The weights that one head of one token gives to its source. */
static void head_weights (const dc_batch *b, size_t row, size_t head,
                          const dc_layer *layer, float *weights) {
  const dc_stack_sizes *s = &b->hp->decoder;
  const dc_view *view = &b->sources[row];
  const dc_track *track = &view->timeline->tracks[layer->reach];
  size_t d = s->d_key, shared = head / (s->n_heads / s->n_kv_heads);
  const float *q = b->q + (row * s->n_heads + head) * d;
  for (size_t j = 0; j < view->n_keys; j++) {
    const void *tile = dc_tile(b->pool, track, j, layer->slot, shared);
    float sum = 0.0f;
    for (size_t i = 0; i < d; i++)
      sum += q[i] * dc_tile_key(b->pool, tile, i, j % DC_TILE);
    weights[j] = sum * s->score_scale;
  }
  dc_kernels_get()->softmax(weights, view->n_keys);
}


void dc_tap_attention (dc_batch *b, const dc_feed *steps, size_t count,
                       const dc_layer *layer) {
  size_t heads = b->hp->decoder.n_heads, row = 0;
  float share = 1.0f / (float)(heads * b->hp->decoder.n_layers);
  for (size_t i = 0; i < count; row += steps[i++].n) {
    if (steps[i].taps == NULL || steps[i].taps->attention == NULL) continue;
    size_t n_keys = steps[i].source->length;
    for (size_t j = 0; j < steps[i].n; j++)
      for (size_t head = 0; head < heads; head++) {
        head_weights(b, row + j, head, layer, b->weights);
        dc_kernels_get()->axpy(steps[i].taps->attention + j * n_keys, share,
                               b->weights, n_keys);
      }
  }
}


void dc_tap_hidden (const dc_batch *b, const dc_feed *steps, size_t count) {
  const float *x = b->x;
  size_t d = b->hp->d_model;
  for (size_t i = 0; i < count; x += steps[i++].n * d)
    if (steps[i].taps != NULL && steps[i].taps->hidden != NULL)
      memcpy(steps[i].taps->hidden, x, steps[i].n * d * sizeof *x);
}
