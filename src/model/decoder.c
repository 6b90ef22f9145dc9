/*
** decoder.c: the decoder, for any number of timelines at once.
**
** The new tokens of all timelines lie packed one behind the other. A token
** sees its own timeline up to and with itself, and the whole of its source.
*/
#include "model/model.h"

#include <string.h>

#include "base/memory.h"
#include "base/threads.h"

#define OUTPUTS_AT_ONCE 64


static bool reserve_outputs (dc_model *m, size_t n) {
  if (n <= m->max_outputs) return true;
  dc_free(m->outputs);
  m->outputs = dc_alloc_array(n, m->hp.n_vocab * sizeof *m->outputs);
  m->max_outputs = m->outputs != NULL ? n : 0;
  return m->outputs != NULL;
}


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
            reserve_outputs(m, n < OUTPUTS_AT_ONCE ? n : OUTPUTS_AT_ONCE);
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
  dc_attend(b, &layer->cross, b->sources, i, b->hp->decoder.n_heads);
  dc_leave(b, &layer->cross.norm);

  dc_enter(b, &layer->ffn_norm);
  dc_feed_forward(b, layer);
  dc_leave(b, &layer->ffn_norm);
}


/* Moves the rows that are to be scored to the front of x. */
static size_t gather (dc_batch *b, const dc_feed *steps, size_t count,
                      bool every_position) {
  size_t d = b->hp->d_model, kept = 0;
  for (size_t i = 0, row = 0; i < count; i++)
    for (size_t j = 0; j < steps[i].n; j++, row++)
      if (every_position || j + 1 == steps[i].n)
        memmove(b->x + kept++ * d, b->x + row * d, d * sizeof *b->x);
  return kept;
}


/* Scores the rows of x, some at a time, and hands them out in order. */
static void score (dc_model *m, const dc_feed *steps, size_t count,
                   bool every_position) {
  dc_batch *b = &m->batch;
  size_t vocab = m->hp.n_vocab, d = m->hp.d_model, row = 0;
  size_t rows = gather(b, steps, count, every_position);
  for (size_t i = 0; i < count; i++) {
    size_t n = steps[i].n == 0 ? 0 : every_position ? steps[i].n : 1;
    for (size_t j = 0; j < n; j++, row++) {
      size_t at = row % OUTPUTS_AT_ONCE, left = rows - row;
      if (at == 0)
        dc_linear_apply(&m->weights.output, m->outputs, b->x + row * d,
                        left < OUTPUTS_AT_ONCE ? left : OUTPUTS_AT_ONCE,
                        &b->scratch, b->threads);
      memcpy(steps[i].out[j], m->outputs + at * vocab, vocab * sizeof(float));
    }
  }
}


bool dc_decode (dc_model *m, const dc_feed *steps, size_t count,
                bool every_position, dc_error *err) {
  const dc_stack *stack = &m->weights.decoder;
  dc_batch *b = &m->batch;
  size_t total = 0;
  if (!prepare(m, steps, count, &total, err)) return false;
  if (total == 0) return true;
  start_batch(m, steps, count);
  for (uint32_t i = 0; i < stack->sizes.n_layers; i++)
    decoder_layer(b, &stack->layers[i], i, steps, count);
  dc_norm_rows(b, b->x, &stack->output_norm);
  score(m, steps, count, every_position);
  for (size_t i = 0; i < count; i++) steps[i].timeline->length += steps[i].n;
  return true;
}
