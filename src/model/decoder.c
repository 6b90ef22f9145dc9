/*
** decoder.c: the decoder, for any number of timelines at once.
**
** The new tokens of all timelines lie packed one behind the other. A token
** sees its own timeline up to and with itself, or a window of it, and the
** whole of its source if there is one.
**
** In the last layer only the positions whose scores (or states, or attention)
** somebody wants go on once their keys and values are there.
**
** Long feeds go through in slices, so that a prompt of thousands of tokens
** needs the activations of a few hundred. Where a slice ends cannot show: a
** token reads what is in its timeline, whenever it was put there.
**
** Every worker of a crew has a slice of the feeds that are his. Between the
** slices, when no worker runs, timelines take blocks from the pool and give
** them back.
*/
#include "model/crew.h"

#include <string.h>

#include "base/memory.h"
#include "model/outputs.h"
#include "model/taps.h"

#define ROWS_AT_ONCE 256

void dc_slice_free (dc_slice *s) {
  dc_free(s->parts);
  dc_free(s->taps);
  dc_free(s->added);
  *s = (dc_slice){0};
}


static bool reserve_slice (dc_slice *s, size_t count) {
  if (count > s->max) {
    dc_slice_free(s);
    s->parts = dc_alloc_array(count, sizeof *s->parts);
    s->taps = dc_alloc_array(count, sizeof *s->taps);
    s->added = dc_alloc_array(count, sizeof *s->added);
    if (s->parts == NULL || s->taps == NULL || s->added == NULL) {
      dc_slice_free(s);
      return false;
    }
    s->max = count;
  }
  s->count = count;
  return true;
}


/* Room for a worker's feeds; so many rows at once. */
static bool reserve_worker (const dc_crew *crew, size_t i,
                            const dc_feed *steps, size_t keys) {
  dc_worker *w = &crew->model->workers[i];
  dc_slice *s = &w->slice;
  size_t first = crew->begin[i], n = crew->rows[i];
  if (n > ROWS_AT_ONCE) n = ROWS_AT_ONCE;
  if (!reserve_slice(s, crew->begin[i + 1] - first) ||
      !dc_crew_reserve(crew, i, n, keys) || !dc_outputs_reserve(w, n))
    return false;
  s->steps = steps + first;
  s->step = s->from = 0;
  return true;
}


/* Room for everything first, so that a failure changes nothing. */
static bool prepare (dc_model *m, const dc_crew *crew, const dc_feed *steps,
                     size_t count, dc_error *err) {
  size_t n = 0, keys = 0, last = 0, blocks = 0;
  for (size_t i = 0; i < count; i++) {
    const dc_timeline *source = steps[i].source;
    size_t end = steps[i].timeline->length + steps[i].n;
    if (end > m->context)
      return dc_fail(err, "a row of %zu tokens would exceed the context of %zu",
                     end, m->context);
    n += steps[i].n;
    blocks += dc_pool_window_blocks(&m->pool, steps[i].n, ROWS_AT_ONCE);
    last = end > last ? end : last;
    keys = end > keys ? end : keys;
    if (source != NULL && source->length > keys) keys = source->length;
  }
  bool ok = dc_weights_positions(&m->weights, last + dc_first_place(&m->hp)) &&
            dc_pool_stock(&m->pool, blocks);
  for (size_t i = 0; ok && i < crew->n; i++)
    ok = reserve_worker(crew, i, steps, keys);
  for (size_t i = 0; ok && i < count; i++)
    ok = dc_timeline_reserve(steps[i].timeline, &m->pool, steps[i].n);
  return ok || dc_fail(err, "not enough memory to decode %zu tokens", n);
}


/* Tokens from..from+n-1 of a feed. */
static void cut_part (dc_slice *s, size_t i, const dc_feed *step, size_t from,
                      size_t n, size_t d_model) {
  dc_feed *part = &s->parts[i];
  *part = *step;
  part->ids += from;
  part->n = n;
  part->more = from + n < step->n;
  if (step->every) part->out += from;
  if (step->taps == NULL) return;
  dc_taps *taps = &s->taps[i];
  *taps = *step->taps;
  if (taps->hidden != NULL) taps->hidden += from * d_model;
  if (taps->attention != NULL) taps->attention += from * step->source->length;
  if (part->more) taps->n_layers = 0;
  part->taps = taps;
}


/* A pad that was generated has no place either, but those behind it are
   numbered as if it had: so the library does, feeding token by token. */
static size_t place_of (const dc_hparams *hp, int32_t id, size_t at) {
  return dc_is_placeless(hp, id) ? hp->pad : at + dc_first_place(hp);
}


static void start_batch (dc_worker *w) {
  dc_model *m = w->model;
  const dc_slice *s = &w->slice;
  dc_batch *b = &w->batch;
  size_t row = 0;
  b->pool = &m->pool;
  for (size_t i = 0; i < s->count; i++) {
    const dc_feed *part = &s->parts[i];
    for (size_t j = 0; j < part->n; j++, row++) {
      size_t at = part->timeline->length + j;
      size_t place = place_of(&m->hp, part->ids[j], at);
      dc_embed(b, row, &m->weights.embedding, m->weights.decoder.positions,
               part->ids[j], place);
      b->views[row] = (dc_view){part->timeline, at + 1, place, NULL};
      if (part->source != NULL)
        b->sources[row] =
          (dc_view){part->source, part->source->length, 0, NULL};
    }
  }
  b->n = row;
  dc_norm_rows(b, b->x, &m->weights.decoder.embedding_norm);
}


static const dc_table *rope_of (const dc_model *m, const dc_layer *layer) {
  const dc_weights *w = &m->weights;
  bool own = layer->reach == DC_WINDOWED && w->window_rope.columns > 0;
  return own ? &w->window_rope : &w->rope;
}


/* How many of a part's last positions somebody wants more of than their keys
   and values. */
static size_t wanted (const dc_feed *part) {
  const dc_taps *taps = part->taps;
  bool tapped = taps != NULL &&
                (taps->hidden != NULL || taps->attention != NULL);
  if (part->every || tapped) return part->n;
  return part->more || part->n == 0 ? 0 : 1;
}


/* When the keys and values of the last layer are there, the rest of the way is
   for these alone. */
static void drop_unwanted (dc_batch *b, dc_slice *s) {
  size_t row = 0, kept = 0;
  for (size_t i = 0; i < s->count; i++) {
    dc_feed *part = &s->parts[i];
    size_t n = wanted(part);
    row += part->n - n;
    for (size_t j = 0; j < n; j++) dc_batch_move(b, kept++, row++);
    part->n = n;
  }
  b->n = kept;
}


static void decoder_layer (dc_worker *w, const dc_layer *layer, bool last) {
  const dc_model *m = w->model;
  dc_batch *b = &w->batch;
  dc_slice *s = &w->slice;
  const dc_stack *stack = &m->weights.decoder;

  dc_enter(b, &layer->self.norm);
  if (m->hp.parallel) dc_enter_later(b, &layer->ffn_norm);
  dc_project(b, &layer->self, true);
  dc_norm_heads(b, &layer->self, &stack->sizes);
  dc_rotate(b, rope_of(m, layer), &stack->sizes);
  dc_append(b, layer);
  if (last) drop_unwanted(b, s);
  dc_attend(b, b->views, layer, &stack->sizes, stack->biases);
  dc_leave(b, &layer->self.o, &layer->self.norm, &layer->self.post_norm);

  if (!m->hp.arch->causal) {
    dc_enter(b, &layer->cross.norm);
    dc_project(b, &layer->cross, false);
    dc_tap_attention(b, s->parts, s->count, layer);
    dc_attend(b, b->sources, layer, &stack->sizes, NULL);
    dc_leave(b, &layer->cross.o, &layer->cross.norm, &layer->cross.post_norm);
  }

  if (m->hp.parallel) dc_enter_now(b);
  else dc_enter(b, &layer->ffn_norm);
  dc_feed_forward(b, layer);
  dc_leave(b, &layer->down, &layer->ffn_norm, &layer->ffn_post_norm);
}


/* The scores of the rows of x that are asked for. */
static void score (dc_worker *w) {
  const dc_slice *s = &w->slice;
  const float *x = w->batch.x;
  for (size_t i = 0; i < s->count; i++) {
    const dc_feed *part = &s->parts[i];
    for (size_t j = 0; j < part->n; j++, x += w->model->hp.d_model)
      if (part->every || (j + 1 == part->n && !part->more))
        dc_outputs_add(w, x, part->out[part->every ? j : 0]);
  }
  dc_outputs_flush(w);
}


static void run_slice (dc_worker *w, size_t i, void *context) {
  const dc_stack *stack = &w->model->weights.decoder;
  const dc_slice *s = &w->slice;
  dc_batch *b = &w->batch;
  uint32_t n_layers = stack->sizes.n_layers;
  (void)i;
  (void)context;
  start_batch(w);
  for (uint32_t l = 0; l < n_layers && b->n > 0; l++) {
    dc_tap_layer(w, s->parts, s->count, l);
    decoder_layer(w, &stack->layers[l], l + 1 == n_layers);
  }
  dc_norm_rows(b, b->x, &stack->output_norm);
  dc_tap_hidden(b, s->parts, s->count);
  score(w);
}


/* The next tokens of the feeds. */
static void fill_slice (dc_slice *s, size_t d_model) {
  size_t left = ROWS_AT_ONCE;
  memset(s->parts, 0, s->count * sizeof *s->parts);
  memset(s->added, 0, s->count * sizeof *s->added);
  for (size_t i = 0; i < s->count; i++)
    s->parts[i].timeline = s->steps[i].timeline;
  while (s->step < s->count && left > 0) {
    size_t rest = s->steps[s->step].n - s->from;
    size_t n = rest < left ? rest : left;
    cut_part(s, s->step, &s->steps[s->step], s->from, n, d_model);
    s->added[s->step] = n;
    left -= n;
    s->from += n;
    if (n < rest) return;
    s->from = 0;
    s->step++;
  }
}


/* The next slice of each worker, with room for it in its timelines; false when
   all is done. */
static bool begin_slices (const dc_crew *crew) {
  dc_model *m = crew->model;
  bool any = false;
  size_t rows = 0;
  for (size_t i = 0; i < crew->n; i++) {
    dc_slice *s = &m->workers[i].slice;
    any |= s->step < s->count;
    fill_slice(s, m->hp.d_model);
    for (size_t j = 0; j < s->count; j++) {
      dc_timeline_open(s->parts[j].timeline, &m->pool, s->parts[j].n);
      rows += s->parts[j].n;
    }
  }
  if (any) dc_crew_pack(crew, rows);
  return any;
}


static void end_slices (const dc_crew *crew) {
  dc_model *m = crew->model;
  for (size_t i = 0; i < crew->n; i++) {
    const dc_slice *s = &m->workers[i].slice;
    for (size_t j = 0; j < s->count; j++)
      dc_timeline_extend(s->parts[j].timeline, &m->pool, s->added[j]);
  }
}


static size_t rows_of_feed (const void *steps, size_t i) {
  return ((const dc_feed *)steps)[i].n;
}


bool dc_decode (dc_model *m, const dc_feed *steps, size_t count,
                dc_error *err) {
  dc_crew crew;
  dc_crew_form(&crew, m, steps, count, rows_of_feed);
  if (!prepare(m, &crew, steps, count, err)) return false;
  dc_step_begin();
  while (begin_slices(&crew)) {
    dc_crew_run(&crew, run_slice, NULL);
    end_slices(&crew);
  }
  dc_step_end();
  return true;
}
