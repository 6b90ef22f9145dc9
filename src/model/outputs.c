/* outputs.c: see outputs.h. */
#include "model/outputs.h"

#include <string.h>

#include "base/memory.h"

#define AT_ONCE 64


void dc_outputs_free (dc_outputs *o) {
  dc_free(o->x);
  dc_free(o->scores);
  dc_free(o->to);
  memset(o, 0, sizeof *o);
}


bool dc_outputs_reserve (dc_worker *w, size_t n) {
  dc_outputs *o = &w->outputs;
  if (n > AT_ONCE) n = AT_ONCE;
  if (n <= o->max) return true;
  dc_outputs_free(o);
  o->x = dc_alloc_array(n, w->model->hp.d_model * sizeof *o->x);
  o->scores = dc_alloc_array(n, w->model->hp.n_vocab * sizeof *o->scores);
  o->to = dc_alloc_array(n, sizeof *o->to);
  if (o->x == NULL || o->scores == NULL || o->to == NULL) {
    dc_outputs_free(o);
    return false;
  }
  o->max = n;
  return true;
}


void dc_outputs_add (dc_worker *w, const float *x, float *out) {
  dc_outputs *o = &w->outputs;
  size_t d = w->model->hp.d_model;
  if (o->n == o->max) dc_outputs_flush(w);
  memcpy(o->x + o->n * d, x, d * sizeof *x);
  o->to[o->n++] = out;
}


/* cap * tanh(x / cap) */
static void cap_row (float *x, float cap, size_t n) {
  const dc_kernels *k = dc_kernels_get();
  k->scale(x, x, 1.0f / cap, n);
  k->tanh(x, x, n);
  k->scale(x, x, cap, n);
}


/* The scores of the tokens begin..end go where they were asked for. */
static void deliver (void *context, size_t begin, size_t end) {
  const dc_worker *w = context;
  const dc_outputs *o = &w->outputs;
  const dc_hparams *hp = &w->model->hp;
  for (size_t i = 0; i < o->n; i++) {
    float *to = o->to[i] + begin;
    memcpy(to, o->scores + i * hp->n_vocab + begin,
           (end - begin) * sizeof *to);
    if (hp->output_cap > 0.0f) cap_row(to, hp->output_cap, end - begin);
  }
}


void dc_outputs_flush (dc_worker *w) {
  dc_model *m = w->model;
  dc_outputs *o = &w->outputs;
  const dc_linear *output = &m->weights.output;
  if (o->n == 0) return;
  if (m->weights.tied && m->hp.tied_scale != 1.0f)
    dc_kernels_get()->scale(o->x, o->x, m->hp.tied_scale,
                            o->n * m->hp.d_model);
  dc_linear_apply_then(&output, &o->scores, 1, o->x, o->n, &w->batch.scratch,
                       w->batch.threads, deliver, w);
  o->n = 0;
}
