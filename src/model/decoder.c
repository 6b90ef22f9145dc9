/*
** decoder.c: the decoder, for any number of timelines at once.
**
** The new tokens of all timelines lie packed one behind the other. A token
** sees its own timeline up to and with itself, and the whole of its source.
*/
#include "model/model.h"

#include <string.h>

#include "base/threads.h"
#include "model/outputs.h"
#include "model/taps.h"


/* Room for everything first, so that a failure changes nothing. */
static bool prepare (dc_model *m, const dc_feed *steps, size_t count,
                     size_t *total, dc_error *err) {
  size_t n = 0, keys = 0, last = 0;
  for (size_t i = 0; i < count; i++) {
    size_t end = steps[i].timeline->length + steps[i].n;
    if (end > m->context)
      return dc_fail(err, "a row of %zu tokens would exceed the context of %zu",
                     end, m->context);
    n += steps[i].n;
    last = end > last ? end : last;
    keys = end > keys ? end : keys;
    if (steps[i].source->length > keys) keys = steps[i].source->length;
  }
  int threads = m->threads > 0 ? m->threads : dc_threads();
  bool ok = dc_weights_positions(&m->weights, &m->hp, last) &&
            dc_batch_reserve(&m->batch, &m->hp, n, keys, threads) &&
            dc_outputs_reserve(m, n);
  for (size_t i = 0; ok && i < count; i++)
    ok = dc_timeline_reserve(steps[i].timeline, &m->pool, steps[i].n);
  *total = n;
  return ok || dc_fail(err, "not enough memory to decode %zu tokens", n);
}


static void start_batch (dc_model *m, const dc_feed *steps, size_t count) {
  dc_batch *b = &m->batch;
  for (size_t i = 0, row = 0; i < count; i++) {
    const dc_timeline *t = steps[i].timeline, *s = steps[i].source;
    for (size_t j = 0; j < steps[i].n; j++, row++) {
      dc_embed(b, row, &m->weights.embedding, m->weights.decoder.positions,
               steps[i].ids[j], t->length + j);
      b->views[row] = (dc_view){t->blocks, t->length + j + 1};
      b->sources[row] = (dc_view){s->blocks, s->length};
    }
  }
  dc_norm_rows(b, b->x, &m->weights.decoder.embedding_norm);
}


static void append_keys_and_values (dc_batch *b, const dc_feed *steps,
                                    size_t count, size_t layer) {
  size_t d = b->hp->d_model;
  for (size_t i = 0, row = 0; i < count; i++)
    for (size_t j = 0; j < steps[i].n; j++, row++) {
      size_t at = steps[i].timeline->length + j;
      float *block = steps[i].timeline->blocks[at / DC_TILE]->data;
      dc_tile_store(block + dc_tile_offset(layer, d), at % DC_TILE,
                    b->k + row * d, b->v + row * d, d);
    }
}


static void decoder_layer (dc_batch *b, const dc_layer *layer, size_t i,
                           const dc_feed *steps, size_t count) {
  dc_enter(b, &layer->self.norm);
  dc_project(b, &layer->self, true);
  append_keys_and_values(b, steps, count, i);
  dc_attend(b, &layer->self, b->views, i, b->hp->decoder.n_heads);
  dc_leave(b, &layer->self.norm);

  dc_enter(b, &layer->cross.norm);
  dc_project(b, &layer->cross, false);
  dc_tap_attention(b, steps, count, (uint32_t)i);
  dc_attend(b, &layer->cross, b->sources, i, b->hp->decoder.n_heads);
  dc_leave(b, &layer->cross.norm);

  dc_enter(b, &layer->ffn_norm);
  dc_feed_forward(b, layer);
  dc_leave(b, &layer->ffn_norm);
}


/* The scores of the rows of x that are asked for. */
static void score (dc_model *m, const dc_feed *steps, size_t count) {
  const float *x = m->batch.x;
  size_t d = m->hp.d_model;
  for (size_t i = 0; i < count; i++)
    for (size_t j = 0; j < steps[i].n; j++, x += d)
      if (steps[i].every || j + 1 == steps[i].n)
        dc_outputs_add(m, x, steps[i].out[steps[i].every ? j : 0]);
  dc_outputs_flush(m);
}


bool dc_decode (dc_model *m, const dc_feed *steps, size_t count,
                dc_error *err) {
  const dc_stack *stack = &m->weights.decoder;
  dc_batch *b = &m->batch;
  size_t total = 0;
  if (!prepare(m, steps, count, &total, err)) return false;
  if (total == 0) return true;
  start_batch(m, steps, count);
  for (uint32_t i = 0; i < stack->sizes.n_layers; i++) {
    dc_tap_layer(m, steps, count, i);
    decoder_layer(b, &stack->layers[i], i, steps, count);
  }
  dc_norm_rows(b, b->x, &stack->output_norm);
  dc_tap_hidden(b, steps, count);
  score(m, steps, count);
  for (size_t i = 0; i < count; i++) steps[i].timeline->length += steps[i].n;
  return true;
}
