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

#define ROWS_AT_ONCE 256

/* The tiles of a batch of sequences: a timeline for each, in one layer at a
   time (a pool of one layer). They are no cache, and floats whatever a cache
   holds. */
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
  const dc_stack_sizes *s = &m->hp.encoder;
  size_t layers[DC_REACHES] = {[DC_FULL] = 1};
  t->pool = (dc_pool){.type = DC_F32, .heads = s->n_kv_heads,
                      .d_key = s->d_key, .d_value = s->d_value};
  dc_pool_init(&t->pool, layers);
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
  b->pool = &t->pool;
  for (size_t i = 0, row = 0; i < t->count; i++) {
    const dc_sequence *s = &sequences[i];
    for (size_t j = 0; j < s->n; j++, row++) {
      dc_embed(b, row, &m->weights.embedding, m->weights.encoder.positions,
               s->ids[j], s->places[j]);
      b->views[row] =
        (dc_view){&t->timelines[i], s->n, s->places[j], s->places};
    }
  }
  dc_norm_rows(b, b->x, &m->weights.encoder.embedding_norm);
}


static void store_keys_and_values (dc_batch *b, const dc_layer *layer,
                                   const tiles *t,
                                   const dc_sequence *sequences) {
  for (size_t i = 0, row = 0; i < t->count; row += sequences[i++].n)
    dc_store(b, &t->pool, &t->timelines[i], layer, 0, row, sequences[i].n);
}


static void encoder_layer (dc_batch *b, const dc_stack *stack,
                           const dc_layer *layer, const tiles *t,
                           const dc_sequence *sequences) {
  dc_enter(b, &layer->self.norm);
  dc_project(b, &layer->self, true);
  store_keys_and_values(b, layer, t, sequences);
  dc_attend(b, b->views, layer, &stack->sizes, stack->biases);
  dc_leave(b, &layer->self.o, &layer->self.norm, &layer->self.post_norm);

  dc_enter(b, &layer->ffn_norm);
  dc_feed_forward(b, layer);
  dc_leave(b, &layer->down, &layer->ffn_norm, &layer->ffn_post_norm);
}


static void scatter (const dc_batch *b, const dc_sequence *sequences,
                     size_t count) {
  size_t d = b->hp->d_model;
  for (size_t i = 0, row = 0; i < count; i++)
    for (size_t j = 0; j < sequences[i].n; j++, row++)
      memcpy(sequences[i].out + sequences[i].slots[j] * d, b->x + row * d,
             d * sizeof(float));
}


void dc_number_places (const dc_hparams *hp, const int32_t *ids, size_t n,
                       size_t *places) {
  size_t next = dc_first_place(hp);
  for (size_t i = 0; i < n; i++)
    places[i] = dc_is_placeless(hp, ids[i]) ? hp->pad : next++;
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
    for (size_t j = 0; j < n; j++)
      if (sequences[i].places[j] >= last) last = sequences[i].places[j] + 1;
  }
  if (total == 0) return true;
  int threads = m->threads > 0 ? m->threads : dc_threads();
  tiles t = {0};
  bool ok = make_tiles(&t, m, sequences, count) &&
            dc_weights_positions(&m->weights, last) &&
            dc_batch_reserve(b, &m->hp, total, longest, threads);
  if (ok) {
    dc_step_begin();
    dc_weights_pack_part(&m->weights, m->file, total, threads);
    start_batch(m, sequences, &t);
    for (uint32_t i = 0; i < stack->sizes.n_layers; i++)
      encoder_layer(b, stack, &stack->layers[i], &t, sequences);
    dc_norm_rows(b, b->x, &stack->output_norm);
    scatter(b, sequences, count);
    dc_step_end();
  }
  free_tiles(&t);
  return ok || dc_fail(err, "not enough memory to encode %zu tokens", total);
}


/* The keys and values of rows at..at+n-1 in one layer. */
static void read_source (dc_model *m, dc_timeline *source,
                         const dc_layer *layer, const float *rows, size_t at,
                         size_t n) {
  dc_batch *b = &m->batch;
  const dc_linear *const w[] = {&layer->cross.k, &layer->cross.v};
  float *const out[] = {b->k, b->v};
  dc_linear_apply_all(w, out, 2, rows + at * m->hp.d_model, n, &b->scratch,
                      b->threads);
  dc_store(b, &m->pool, source, layer, at, 0, n);
}


bool dc_source_make (dc_model *m, dc_timeline *source, const float *rows,
                     size_t n, dc_error *err) {
  const dc_stack *stack = &m->weights.decoder;
  size_t some = n < ROWS_AT_ONCE ? n : ROWS_AT_ONCE;
  int threads = m->threads > 0 ? m->threads : dc_threads();
  if (!dc_timeline_reserve(source, &m->pool, n) ||
      !dc_batch_reserve(&m->batch, &m->hp, some, 1, threads))
    return dc_fail(err, "not enough memory for a source of %zu tokens", n);
  dc_step_begin();
  for (uint32_t i = 0; i < stack->sizes.n_layers; i++)
    for (size_t at = 0; at < n; at += some)
      read_source(m, source, &stack->layers[i], rows, at,
                  n - at < some ? n - at : some);
  dc_step_end();
  source->length = n;
  return true;
}
