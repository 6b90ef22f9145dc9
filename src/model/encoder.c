/*
** encoder.c: the encoder ("Attention is all you need", section 3.1), and the
** keys and values that the decoder reads of its output.
**
** Sequences of a batch lie packed one behind the other, without padding; each
** token sees the tokens of its own sequence and no others.
*/
#include "model/crew.h"

#include <string.h>

#include "base/memory.h"

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


/* A worker's sequences and their timelines. */
static void start_batch (dc_worker *w, const dc_sequence *sequences,
                         const tiles *t, const dc_timeline *timelines,
                         size_t count) {
  const dc_weights *weights = &w->model->weights;
  dc_batch *b = &w->batch;
  b->pool = &t->pool;
  for (size_t i = 0, row = 0; i < count; i++) {
    const dc_sequence *s = &sequences[i];
    for (size_t j = 0; j < s->n; j++, row++) {
      dc_embed(b, row, &weights->embedding, weights->encoder.positions,
               s->ids[j], s->places[j]);
      b->views[row] = (dc_view){&timelines[i], s->n, s->places[j], s->places};
    }
  }
  dc_norm_rows(b, b->x, &weights->encoder.embedding_norm);
}


static void store_keys_and_values (dc_batch *b, const dc_layer *layer,
                                   const tiles *t) {
  for (size_t row = 0, n; row < b->n; row += n) {
    const dc_view *view = &b->views[row];
    n = view->n_keys;
    dc_store(b, &t->pool, view->timeline, layer, 0, row, n);
  }
}


static void encoder_layer (dc_batch *b, const dc_stack *stack,
                           const dc_layer *layer, const tiles *t) {
  dc_enter(b, &layer->self.norm);
  dc_project(b, &layer->self, true);
  store_keys_and_values(b, layer, t);
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


/* What the workers of an encoder share. */
typedef struct encoding {
  const dc_crew *crew;
  const dc_sequence *sequences;
  const tiles *tiles;
} encoding;


static void encode_some (dc_worker *w, size_t i, void *context) {
  const encoding *c = context;
  const dc_stack *stack = &w->model->weights.encoder;
  const size_t *begin = &c->crew->begin[i];
  const dc_sequence *sequences = c->sequences + begin[0];
  size_t count = begin[1] - begin[0];
  dc_batch *b = &w->batch;
  start_batch(w, sequences, c->tiles, c->tiles->timelines + begin[0], count);
  for (uint32_t l = 0; l < stack->sizes.n_layers; l++)
    encoder_layer(b, stack, &stack->layers[l], c->tiles);
  dc_norm_rows(b, b->x, &stack->output_norm);
  scatter(b, sequences, count);
}


static size_t tokens_of (const void *sequences, size_t i) {
  return ((const dc_sequence *)sequences)[i].n;
}


bool dc_encode (dc_model *m, const dc_sequence *sequences, size_t count,
                dc_error *err) {
  size_t total = 0, longest = 0, last = 0;
  for (size_t i = 0; i < count; i++) {
    size_t n = sequences[i].n;
    total += n;
    longest = n > longest ? n : longest;
    for (size_t j = 0; j < n; j++)
      if (sequences[i].places[j] >= last) last = sequences[i].places[j] + 1;
  }
  if (total == 0) return true;
  tiles t = {0};
  dc_crew crew;
  dc_crew_form(&crew, m, sequences, count, tokens_of);
  bool ok = make_tiles(&t, m, sequences, count) &&
            dc_weights_positions(&m->weights, last);
  for (size_t i = 0; ok && i < crew.n; i++)
    ok = dc_crew_reserve(&crew, i, crew.rows[i], longest);
  if (ok) {
    dc_step_begin();
    dc_crew_pack(&crew, total);
    dc_crew_run(&crew, encode_some, &(encoding){&crew, sequences, &t});
    dc_step_end();
  }
  free_tiles(&t);
  return ok || dc_fail(err, "not enough memory to encode %zu tokens", total);
}


/* ---- sources ----------------------------------------------------------- */

/* The keys and values of rows at..at+n-1 in one layer. */
static void read_rows (dc_worker *w, const dc_source *source,
                       const dc_layer *layer, size_t at, size_t n) {
  const dc_model *m = w->model;
  dc_batch *b = &w->batch;
  const dc_linear *const weights[] = {&layer->cross.k, &layer->cross.v};
  float *const out[] = {b->k, b->v};
  dc_linear_apply_all(weights, out, 2, source->rows + at * m->hp.d_model, n,
                      &b->scratch, b->threads);
  dc_store(b, &m->pool, source->timeline, layer, at, 0, n);
}


typedef struct reading {
  const dc_crew *crew;
  const dc_source *sources;
} reading;


static void read_some (dc_worker *w, size_t i, void *context) {
  const reading *c = context;
  const dc_stack *stack = &w->model->weights.decoder;
  for (uint32_t l = 0; l < stack->sizes.n_layers; l++)
    for (size_t s = c->crew->begin[i]; s < c->crew->begin[i + 1]; s++) {
      const dc_source *source = &c->sources[s];
      for (size_t at = 0, n; at < source->n; at += n) {
        n = source->n - at < ROWS_AT_ONCE ? source->n - at : ROWS_AT_ONCE;
        read_rows(w, source, &stack->layers[l], at, n);
      }
    }
}


static size_t rows_of_source (const void *sources, size_t i) {
  return ((const dc_source *)sources)[i].n;
}


bool dc_sources_make (dc_model *m, const dc_source *sources, size_t count,
                      dc_error *err) {
  size_t total = 0, some = 0;
  bool ok = true;
  dc_crew crew;
  dc_crew_form(&crew, m, sources, count, rows_of_source);
  for (size_t i = 0; ok && i < count; i++) {
    total += sources[i].n;
    some = sources[i].n > some ? sources[i].n : some;
    ok = dc_timeline_reserve(sources[i].timeline, &m->pool, sources[i].n);
  }
  some = some < ROWS_AT_ONCE ? some : ROWS_AT_ONCE;
  for (size_t i = 0; ok && i < crew.n; i++)
    ok = dc_crew_reserve(&crew, i, some, 1);
  if (!ok)
    return dc_fail(err, "not enough memory for sources of %zu tokens", total);
  dc_step_begin();
  dc_crew_run(&crew, read_some, &(reading){&crew, sources});
  dc_step_end();
  for (size_t i = 0; i < count; i++)
    sources[i].timeline->length = sources[i].n;
  return true;
}
