/*
** weights.c: see weights.h. Tables say which tensor goes where with which
** shape; one function walks them.
*/
#include "model/weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "math/functions.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef enum { NONE, D_MODEL, D_FF, VOCAB, CONTEXT } dim;
typedef enum { LINEAR, MATRIX, NORM, TABLE } kind;

/* A weight's place in a struct, its name, what it is and its shape. LINEAR is
   a matrix and its bias, NORM weight and bias, TABLE a matrix of floats. */
typedef struct slot {
  size_t offset;
  const char *name;
  kind kind;
  dim rows, cols;
  bool optional;
} slot;

#define LAYER(field) offsetof(dc_layer, field)
#define STACK(field) offsetof(dc_stack, field)
#define MODEL(field) offsetof(dc_weights, field)

static const slot layer_slots[] = {
  {LAYER(self.q), "attn_q", LINEAR, D_MODEL, D_MODEL, false},
  {LAYER(self.k), "attn_k", LINEAR, D_MODEL, D_MODEL, false},
  {LAYER(self.v), "attn_v", LINEAR, D_MODEL, D_MODEL, false},
  {LAYER(self.o), "attn_o", LINEAR, D_MODEL, D_MODEL, false},
  {LAYER(self.norm), "attn_norm", NORM, D_MODEL, NONE, false},
  {LAYER(up), "ffn_up", LINEAR, D_FF, D_MODEL, false},
  {LAYER(down), "ffn_down", LINEAR, D_MODEL, D_FF, false},
  {LAYER(ffn_norm), "ffn_norm", NORM, D_MODEL, NONE, false},
};

static const slot cross_slots[] = {
  {LAYER(cross.q), "cross_attn_q", LINEAR, D_MODEL, D_MODEL, false},
  {LAYER(cross.k), "cross_attn_k", LINEAR, D_MODEL, D_MODEL, false},
  {LAYER(cross.v), "cross_attn_v", LINEAR, D_MODEL, D_MODEL, false},
  {LAYER(cross.o), "cross_attn_o", LINEAR, D_MODEL, D_MODEL, false},
  {LAYER(cross.norm), "cross_attn_norm", NORM, D_MODEL, NONE, false},
};

static const slot stack_slots[] = {
  {STACK(embedding_norm), "embd_norm", NORM, D_MODEL, NONE, true},
  {STACK(output_norm), "output_norm", NORM, D_MODEL, NONE, true},
};

static const slot position_slot = {
  STACK(positions), "position_embd", TABLE, CONTEXT, D_MODEL, false
};

static const slot model_slots[] = {
  {MODEL(embedding), "token_embd", MATRIX, VOCAB, D_MODEL, false},
  {MODEL(output), "output", LINEAR, VOCAB, D_MODEL, true},
};

/* What the walk needs to know. */
typedef struct binder {
  const dc_hparams *hp;
  const dc_gguf *file;
  size_t d_ff;  /* of the stack at hand */
  bool *used;   /* [n_tensors] */
  dc_error *err;
} binder;


static size_t size_of (const binder *b, dim d) {
  switch (d) {
    case D_MODEL: return b->hp->d_model;
    case D_FF: return b->d_ff;
    case VOCAB: return b->hp->n_vocab;
    case CONTEXT: return b->hp->context;
    default: return 1;
  }
}


/* The tensor `prefix name suffix` if it is there with that shape; *out is NULL
   if it is absent, which is an error unless optional. */
static bool find (binder *b, const char *prefix, const char *name,
                  const char *suffix, size_t rows, size_t cols, bool optional,
                  const dc_gguf_tensor **out) {
  char full[96];
  snprintf(full, sizeof full, "%s%s%s", prefix, name, suffix);
  const dc_gguf_tensor *t = dc_gguf_tensor_find(b->file, full);
  *out = t;
  if (t == NULL)
    return optional || dc_fail(b->err, "%.400s: tensor '%s' is missing",
                               dc_gguf_path(b->file), full);
  if (t->shape[0] != cols || t->shape[1] != rows || t->shape[2] != 1 ||
      t->shape[3] != 1)
    return dc_fail(b->err, "%.400s: tensor '%s' is %zux%zux%zux%zu, the "
                   "hyperparameters want %zux%zu", dc_gguf_path(b->file), full,
                   (size_t)t->shape[3], (size_t)t->shape[2],
                   (size_t)t->shape[1], (size_t)t->shape[0], rows, cols);
  if (!dc_type_of(t->type)->computes)
    return dc_fail(b->err, "%.400s: tensor '%s' is %s, a type that decant "
                   "does not compute with", dc_gguf_path(b->file), full,
                   dc_type_of(t->type)->name);
  b->used[t - dc_gguf_tensor_at(b->file, 0)] = true;
  return true;
}


/* Floats that are read as they lie: norms, biases, position tables. */
static bool find_floats (binder *b, const char *prefix, const char *name,
                         const char *suffix, size_t rows, size_t cols,
                         bool optional, const float **out) {
  const dc_gguf_tensor *t;
  if (!find(b, prefix, name, suffix, rows, cols, optional, &t)) return false;
  if (t != NULL && t->type != DC_F32)
    return dc_fail(b->err, "%.400s: tensor '%s%s%s' is %s, must be f32",
                   dc_gguf_path(b->file), prefix, name, suffix,
                   dc_type_of(t->type)->name);
  *out = t != NULL ? (const float *)(const void *)t->data : NULL;
  return true;
}


static bool find_matrix (binder *b, const char *prefix, const slot *s,
                         dc_matrix *out) {
  const dc_gguf_tensor *t;
  size_t rows = size_of(b, s->rows), cols = size_of(b, s->cols);
  if (!find(b, prefix, s->name, ".weight", rows, cols, s->optional, &t))
    return false;
  if (t == NULL) return true;
  *out = (dc_matrix){t->data, (dc_type)t->type, rows, cols, 0};
  return dc_row_bytes(out->type, cols, &out->row_bytes) ||
         dc_fail(b->err, "%.400s: tensor '%s%s.weight': a row of %zu is not "
                 "whole blocks", dc_gguf_path(b->file), prefix, s->name, cols);
}


static bool bind_slot (binder *b, const char *prefix, const slot *s,
                       void *base) {
  void *at = (char *)base + s->offset;
  size_t rows = size_of(b, s->rows);
  switch (s->kind) {
    case MATRIX:
      return find_matrix(b, prefix, s, at);
    case LINEAR:
      return find_matrix(b, prefix, s, &((dc_linear *)at)->weight) &&
             find_floats(b, prefix, s->name, ".bias", 1, rows, true,
                         &((dc_linear *)at)->bias);
    case NORM:
      return find_floats(b, prefix, s->name, ".weight", 1, rows, s->optional,
                         &((dc_norm *)at)->weight) &&
             find_floats(b, prefix, s->name, ".bias", 1, rows, true,
                         &((dc_norm *)at)->bias);
    default:
      return find_floats(b, prefix, s->name, ".weight", rows,
                         size_of(b, s->cols), s->optional, at);
  }
}


static bool bind_slots (binder *b, const char *prefix, const slot *slots,
                        size_t n, void *base) {
  for (size_t i = 0; i < n; i++)
    if (!bind_slot(b, prefix, &slots[i], base)) return false;
  return true;
}


static bool bind_layers (binder *b, const char *name, dc_stack *stack,
                         bool cross) {
  stack->layers = dc_alloc_array(stack->sizes.n_layers, sizeof(dc_layer));
  if (stack->layers == NULL) return dc_fail(b->err, "not enough memory");
  for (uint32_t i = 0; i < stack->sizes.n_layers; i++) {
    char prefix[32];
    snprintf(prefix, sizeof prefix, "%s.blk.%u.", name, i);
    dc_layer *layer = &stack->layers[i];
    if (!bind_slots(b, prefix, layer_slots, COUNT(layer_slots), layer))
      return false;
    if (cross &&
        !bind_slots(b, prefix, cross_slots, COUNT(cross_slots), layer))
      return false;
  }
  return true;
}


static bool bind_stack (binder *b, const char *name, dc_stack *stack,
                        bool cross) {
  char prefix[16];
  snprintf(prefix, sizeof prefix, "%s.", name);
  b->d_ff = stack->sizes.d_ff;
  if (!bind_slots(b, prefix, stack_slots, COUNT(stack_slots), stack) ||
      !bind_layers(b, name, stack, cross))
    return false;
  return b->hp->positions == DC_SINUSOIDAL ||
         bind_slot(b, prefix, &position_slot, stack);
}


/* Column j < d/2 of row `pos` is sin(pos / 10000^(2j/d)), column d/2 + j its
   cosine ("Attention is all you need", in Marian's order of the columns). */
static void fill_sinusoids (float *table, size_t n, size_t d) {
  size_t half = (d + 1) / 2;
  for (size_t j = 0; j < half; j++) {
    double rate = 1.0 / dc_pow(10000.0, 2.0 * (double)j / (double)d);
    for (size_t pos = 0; pos < n; pos++) {
      double angle = (double)pos * rate;
      table[pos * d + j] = (float)dc_sin(angle);
      if (half + j < d) table[pos * d + half + j] = (float)dc_cos(angle);
    }
  }
}


bool dc_weights_positions (dc_weights *w, const dc_hparams *hp, size_t n) {
  if (hp->positions != DC_SINUSOIDAL || n <= w->n_sinusoids) return true;
  size_t room = w->n_sinusoids < 64 ? 64 : w->n_sinusoids;
  while (room < n) room *= 2;
  if (room > hp->context) room = hp->context;
  float *table = dc_alloc_array(room, hp->d_model * sizeof *table);
  if (table == NULL) return false;
  fill_sinusoids(table, room, hp->d_model);
  dc_free(w->sinusoids);
  w->sinusoids = table;
  w->n_sinusoids = room;
  w->encoder.positions = w->decoder.positions = table;
  return true;
}


static bool all_used (binder *b) {
  for (size_t i = 0; i < dc_gguf_n_tensors(b->file); i++)
    if (!b->used[i])
      return dc_fail(b->err, "%.400s: tensor '%.*s' is not one of a %s model",
                     dc_gguf_path(b->file),
                     DC_SHOWN(dc_gguf_tensor_at(b->file, i)->name),
                     b->hp->arch->name);
  return true;
}


static bool bind_all (dc_weights *w, binder *b) {
  w->encoder.sizes = b->hp->encoder;
  w->decoder.sizes = b->hp->decoder;
  if (!bind_slots(b, "", model_slots, COUNT(model_slots), w) ||
      !bind_stack(b, "enc", &w->encoder, false) ||
      !bind_stack(b, "dec", &w->decoder, true))
    return false;
  if (w->output.weight.data == NULL) w->output.weight = w->embedding;
  return all_used(b);
}


bool dc_weights_bind (dc_weights *w, const dc_hparams *hp, const dc_gguf *file,
                      dc_error *err) {
  binder b = {hp, file, 0, NULL, err};
  memset(w, 0, sizeof *w);
  b.used = dc_alloc(dc_gguf_n_tensors(file) + 1);
  bool ok = b.used != NULL ? bind_all(w, &b)
                           : dc_fail(err, "not enough memory");
  dc_free(b.used);
  if (!ok) dc_weights_free(w);
  return ok;
}


void dc_weights_free (dc_weights *w) {
  dc_free(w->encoder.layers);
  dc_free(w->decoder.layers);
  dc_free(w->sinusoids);
  memset(w, 0, sizeof *w);
}
