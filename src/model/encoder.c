/*
** encoder.c: the encoder ("Attention is all you need", section 3.1), and the
** keys and values that the decoder reads of its output.
**
** Sequences of a batch lie packed one behind the other, without padding; each
** token sees the tokens of its own sequence and no others.
*/
#include "model/model.h"

#include <string.h>

#include "base/memory.h"
#include "base/threads.h"

/* The tiles of a batch of sequences: a block list for each, in one layer at a
   time (a pool of one layer). */
typedef struct tiles {
  dc_pool pool;
  dc_timeline *timelines;  /* [count] */
  size_t count;
} tiles;


static void free_tiles (tiles *t) {
  for (size_t i = 0; t->timelines != NULL && i < t->count; i++)
    dc_timeline_clear(&t->timelines[i], &t->pool);
  dc_free(t->timelines);
  dc_pool_free(&t->pool);
}


static bool make_tiles (tiles *t, dc_model *m, const dc_sequence *sequences,
                        size_t count) {
  dc_pool_init(&t->pool, 1, m->hp.d_model);
  t->count = count;
  t->timelines = dc_alloc_array(count, sizeof *t->timelines);
  if (t->timelines == NULL) return false;
  for (size_t i = 0; i < count; i++)
    if (!dc_timeline_reserve(&t->timelines[i], &t->pool, sequences[i].n))
      return false;
  return true;
}


static void start_batch (dc_model *m, const dc_sequence *sequences,
                         const tiles *t) {
  dc_batch *b = &m->batch;
  for (size_t i = 0, row = 0; i < t->count; i++)
    for (size_t j = 0; j < sequences[i].n; j++, row++) {
      dc_embed(b, row, &m->weights.embedding, m->weights.encoder.positions,
               sequences[i].ids[j], sequences[i].slots[j]);
      b->views[row] = (dc_view){t->timelines[i].blocks, sequences[i].n};
    }
  dc_norm_rows(b, b->x, &m->weights.encoder.embedding_norm);
}


static void store_keys_and_values (dc_batch *b, const tiles *t,
                                   const dc_sequence *sequences) {
  size_t d = b->hp->d_model;
  for (size_t i = 0, row = 0; i < t->count; i++)
    for (size_t j = 0; j < sequences[i].n; j++, row++)
      dc_tile_store(t->timelines[i].blocks[j / DC_TILE]->data, j % DC_TILE,
                    b->k + row * d, b->v + row * d, d);
}


static void encoder_layer (dc_batch *b, const dc_layer *layer, const tiles *t,
                           const dc_sequence *sequences) {
  dc_enter(b, &layer->self.norm);
  dc_project(b, &layer->self, true);
  store_keys_and_values(b, t, sequences);
  dc_attend(b, &layer->self, b->views, 0, b->hp->encoder.n_heads);
  dc_leave(b, &layer->self.norm);

  dc_enter(b, &layer->ffn_norm);
  dc_feed_forward(b, layer);
  dc_leave(b, &layer->ffn_norm);
}


static void scatter (const dc_batch *b, const dc_sequence *sequences,
                     size_t count) {
  size_t d = b->hp->d_model;
  for (size_t i = 0, row = 0; i < count; i++)
    for (size_t j = 0; j < sequences[i].n; j++, row++)
      memcpy(sequences[i].out + sequences[i].slots[j] * d, b->x + row * d,
             d * sizeof(float));
}


bool dc_encode (dc_model *m, const dc_sequence *sequences, size_t count,
                dc_error *err) {
  const dc_stack *stack = &m->weights.encoder;
  dc_batch *b = &m->batch;
  size_t total = 0, longest = 0, last = 0;
  for (size_t i = 0; i < count; i++) {
    size_t n = sequences[i].n;
    total += n;
    longest = n > longest ? n : longest;
    if (n > 0 && sequences[i].slots[n - 1] >= last)
      last = sequences[i].slots[n - 1] + 1;
  }
  if (total == 0) return true;
  int threads = m->threads > 0 ? m->threads : dc_threads();
  tiles t = {0};
  bool ok = make_tiles(&t, m, sequences, count) &&
            dc_weights_positions(&m->weights, &m->hp, last) &&
            dc_batch_reserve(b, &m->hp, total, longest, threads);
  if (ok) {
    start_batch(m, sequences, &t);
    for (uint32_t i = 0; i < stack->sizes.n_layers; i++)
      encoder_layer(b, &stack->layers[i], &t, sequences);
    dc_norm_rows(b, b->x, &stack->output_norm);
    scatter(b, sequences, count);
  }
  free_tiles(&t);
  return ok || dc_fail(err, "not enough memory to encode %zu tokens", total);
}


bool dc_source_make (dc_model *m, dc_timeline *source, const float *rows,
                     size_t n, dc_error *err) {
  dc_batch *b = &m->batch;
  size_t d = m->hp.d_model;
  int threads = m->threads > 0 ? m->threads : dc_threads();
  if (!dc_timeline_reserve(source, &m->pool, n) ||
      !dc_batch_reserve(b, &m->hp, n, 1, threads))
    return dc_fail(err, "not enough memory for a source of %zu tokens", n);
  for (uint32_t i = 0; i < m->hp.decoder.n_layers; i++) {
    const dc_attention *cross = &m->weights.decoder.layers[i].cross;
    const dc_linear *const w[] = {&cross->k, &cross->v};
    float *const out[] = {b->k, b->v};
    if (n > 0)
      dc_linear_apply_all(w, out, 2, rows, n, &b->scratch, b->threads);
    for (size_t j = 0; j < n; j++)
      dc_tile_store(source->blocks[j / DC_TILE]->data + dc_tile_offset(i, d),
                    j % DC_TILE, b->k + j * d, b->v + j * d, d);
  }
  source->length = n;
  return true;
}
