/*
** weights.c: see weights.h. Tables say which tensor goes where with which
** shape; one function walks them.
*/
#include "model/weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef enum {
  NONE, D_MODEL, D_FF, VOCAB, CONTEXT, QUERIES, KEYS, VALUES, HEADS_OUT,
  D_KEY, HEADS, BUCKETS, ROPE_PAIRS
} dim;

typedef enum { LINEAR, MATRIX, NORM, TABLE } kind;

/* Whether this model's file has the weight. */
typedef dc_presence presence (const dc_hparams *hp);

/* A weight's place in a struct, its name, what it is and its shape. LINEAR is
   a matrix and its bias, NORM weight and bias, TABLE a matrix of floats. */
typedef struct slot {
  size_t offset;
  const char *name;
  kind kind;
  dim rows, cols;
  presence *when;  /* NULL: always */
  presence *bias;  /* LINEAR only; NULL: optional */
} slot;

#define LAYER(field) offsetof(dc_layer, field)
#define STACK(field) offsetof(dc_stack, field)
#define MODEL(field) offsetof(dc_weights, field)


/* ---- when -------------------------------------------------------------- */

static dc_presence if_true (bool yes) {
  return yes ? DC_REQUIRED : DC_ABSENT;
}

static dc_presence qkv_bias (const dc_hparams *hp) {
  return hp->arch->qkv_bias;
}

static dc_presence o_bias (const dc_hparams *hp) {
  return hp->arch->o_bias;
}

static dc_presence ffn_bias (const dc_hparams *hp) {
  return hp->arch->ffn_bias;
}

static dc_presence head_norms (const dc_hparams *hp) {
  return if_true(hp->arch->head_norms);
}

static dc_presence sandwich (const dc_hparams *hp) {
  return if_true(hp->arch->sandwich);
}

static dc_presence causal (const dc_hparams *hp) {
  return if_true(hp->arch->causal);
}

static dc_presence seq2seq (const dc_hparams *hp) {
  return if_true(!hp->arch->causal);
}

static dc_presence embedding_norm (const dc_hparams *hp) {
  return hp->arch->embedding_norm;
}

static dc_presence output_norm (const dc_hparams *hp) {
  return hp->arch->output_norm;
}

static dc_presence learned (const dc_hparams *hp) {
  return if_true(hp->positions == DC_LEARNED);
}

static dc_presence relative (const dc_hparams *hp) {
  return if_true(hp->positions == DC_RELATIVE);
}

static dc_presence rope (const dc_hparams *hp) {
  return dc_has_rope(hp) ? DC_OPTIONAL : DC_ABSENT;
}

/* llama.cpp's files have the factors and may not name the scaling. */
static dc_presence long_rope (const dc_hparams *hp) {
  return dc_has_rope(hp) && hp->rope.scaling == DC_ROPE_LONG
           ? DC_REQUIRED : rope(hp);
}

static dc_presence optional (const dc_hparams *hp) {
  (void)hp;
  return DC_OPTIONAL;
}


/* ---- tables ------------------------------------------------------------ */

/* Three matrices, or one with their rows one behind the other: attn_qkv. */
static const slot qkv_slots[] = {
  {LAYER(self.q), "attn_q", LINEAR, QUERIES, D_MODEL, NULL, qkv_bias},
  {LAYER(self.k), "attn_k", LINEAR, KEYS, D_MODEL, NULL, qkv_bias},
  {LAYER(self.v), "attn_v", LINEAR, VALUES, D_MODEL, NULL, qkv_bias},
};

/* The same: ffn_up. */
static const slot gated_slots[] = {
  {LAYER(gate), "ffn_gate", LINEAR, D_FF, D_MODEL, NULL, ffn_bias},
  {LAYER(up), "ffn_up", LINEAR, D_FF, D_MODEL, NULL, ffn_bias},
};

static const slot layer_slots[] = {
  {LAYER(self.o), "attn_o", LINEAR, D_MODEL, HEADS_OUT, seq2seq, o_bias},
  {LAYER(self.o), "attn_output", LINEAR, D_MODEL, HEADS_OUT, causal, o_bias},
  {LAYER(self.norm), "attn_norm", NORM, D_MODEL, NONE, NULL, NULL},
  {LAYER(self.post_norm), "post_attention_norm", NORM, D_MODEL, NONE, sandwich,
   NULL},
  {LAYER(self.q_norm), "attn_q_norm", NORM, D_KEY, NONE, head_norms, NULL},
  {LAYER(self.k_norm), "attn_k_norm", NORM, D_KEY, NONE, head_norms, NULL},
  {LAYER(down), "ffn_down", LINEAR, D_MODEL, D_FF, NULL, ffn_bias},
  {LAYER(ffn_norm), "ffn_norm", NORM, D_MODEL, NONE, NULL, NULL},
  {LAYER(ffn_post_norm), "post_ffw_norm", NORM, D_MODEL, NONE, sandwich, NULL},
};

static const slot cross_slots[] = {
  {LAYER(cross.q), "cross_attn_q", LINEAR, QUERIES, D_MODEL, NULL, qkv_bias},
  {LAYER(cross.k), "cross_attn_k", LINEAR, KEYS, D_MODEL, NULL, qkv_bias},
  {LAYER(cross.v), "cross_attn_v", LINEAR, VALUES, D_MODEL, NULL, qkv_bias},
  {LAYER(cross.o), "cross_attn_o", LINEAR, D_MODEL, HEADS_OUT, NULL, o_bias},
  {LAYER(cross.norm), "cross_attn_norm", NORM, D_MODEL, NONE, NULL, NULL},
};

static const slot stack_slots[] = {
  {STACK(embedding_norm), "embd_norm", NORM, D_MODEL, NONE, embedding_norm,
   NULL},
  {STACK(output_norm), "output_norm", NORM, D_MODEL, NONE, output_norm, NULL},
  {STACK(positions), "position_embd", TABLE, CONTEXT, D_MODEL, learned, NULL},
  {STACK(relative), "blk.0.attn_rel_b", MATRIX, BUCKETS, HEADS, relative,
   NULL},
};

static const slot model_slots[] = {
  {MODEL(embedding), "token_embd", MATRIX, VOCAB, D_MODEL, NULL, NULL},
  {MODEL(output), "output", LINEAR, VOCAB, D_MODEL, optional, optional},
  {MODEL(rope_factors), "rope_freqs", TABLE, NONE, ROPE_PAIRS, rope, NULL},
  {MODEL(rope_long), "rope_factors_long", TABLE, NONE, ROPE_PAIRS, long_rope,
   NULL},
  {MODEL(rope_short), "rope_factors_short", TABLE, NONE, ROPE_PAIRS, long_rope,
   NULL},
};

/* In files, but without a use: T5 v1.0 was saved with a bias that its
   cross-attention never reads. */
static const char *const ignored[] = {"dec.blk.0.cross_attn_rel_b.weight"};


/* ---- one tensor -------------------------------------------------------- */

/* What the walk needs to know. */
typedef struct binder {
  const dc_hparams *hp;
  const dc_gguf *file;
  const dc_stack_sizes *sizes;  /* of the stack at hand */
  bool *used;   /* [n_tensors] */
  dc_error *err;
} binder;


static size_t size_of (const binder *b, dim d) {
  const dc_stack_sizes *s = b->sizes;
  switch (d) {
    case D_MODEL: return b->hp->d_model;
    case D_FF: return s->d_ff;
    case VOCAB: return b->hp->n_vocab;
    case CONTEXT: return b->hp->context;
    case QUERIES: return (size_t)s->n_heads * s->d_key;
    case KEYS: return (size_t)s->n_kv_heads * s->d_key;
    case VALUES: return (size_t)s->n_kv_heads * s->d_value;
    case HEADS_OUT: return (size_t)s->n_heads * s->d_value;
    case D_KEY: return s->d_key;
    case HEADS: return s->n_heads;
    case BUCKETS: return b->hp->n_buckets;
    case ROPE_PAIRS: return b->hp->rope.dims / 2;
    default: return 1;
  }
}


static dc_presence when (const binder *b, presence *asked, dc_presence other) {
  return asked != NULL ? asked(b->hp) : other;
}


/* The tensor `prefix name suffix` if it is there with that shape; *out is NULL
   if it is absent, which is an error unless optional. */
static bool find (binder *b, const char *prefix, const char *name,
                  const char *suffix, size_t rows, size_t cols,
                  dc_presence wanted, const dc_gguf_tensor **out) {
  char full[96];
  *out = NULL;
  if (wanted == DC_ABSENT) return true;  /* all_used will find it */
  snprintf(full, sizeof full, "%s%s%s", prefix, name, suffix);
  const dc_gguf_tensor *t = dc_gguf_tensor_find(b->file, full);
  *out = t;
  if (t == NULL)
    return wanted == DC_OPTIONAL ||
           dc_fail(b->err, "%.400s: tensor '%s' is missing",
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
                         dc_presence wanted, const float **out) {
  const dc_gguf_tensor *t;
  if (!find(b, prefix, name, suffix, rows, cols, wanted, &t)) return false;
  if (t != NULL && t->type != DC_F32)
    return dc_fail(b->err, "%.400s: tensor '%s%s%s' is %s, must be f32",
                   dc_gguf_path(b->file), prefix, name, suffix,
                   dc_type_of(t->type)->name);
  *out = t != NULL ? (const float *)(const void *)t->data : NULL;
  return true;
}


static bool find_matrix (binder *b, const char *prefix, const char *name,
                         size_t rows, size_t cols, dc_presence wanted,
                         dc_matrix *out) {
  const dc_gguf_tensor *t;
  if (!find(b, prefix, name, ".weight", rows, cols, wanted, &t)) return false;
  if (t == NULL) return true;
  *out = (dc_matrix){t->data, (dc_type)t->type, rows, cols, 0, NULL};
  return dc_row_bytes(out->type, cols, &out->row_bytes) ||
         dc_fail(b->err, "%.400s: tensor '%s%s.weight': a row of %zu is not "
                 "whole blocks", dc_gguf_path(b->file), prefix, name, cols);
}


static bool find_linear (binder *b, const char *prefix, const char *name,
                         size_t rows, size_t cols, dc_presence wanted,
                         dc_presence bias, dc_linear *out) {
  return find_matrix(b, prefix, name, rows, cols, wanted, &out->weight) &&
         find_floats(b, prefix, name, ".bias", 1, rows, bias, &out->bias);
}


static bool find_norm (binder *b, const char *prefix, const slot *s,
                       dc_presence wanted, dc_norm *out) {
  size_t n = size_of(b, s->rows);
  if (!find_floats(b, prefix, s->name, ".weight", 1, n, wanted, &out->weight))
    return false;
  dc_presence bias = out->weight == NULL || b->hp->arch->norm == DC_RMS_NORM
                       ? DC_ABSENT : DC_REQUIRED;
  return find_floats(b, prefix, s->name, ".bias", 1, n, bias, &out->bias);
}


/* ---- slots ------------------------------------------------------------- */

static bool bind_slot (binder *b, const char *prefix, const slot *s,
                       void *base) {
  void *at = (char *)base + s->offset;
  size_t rows = size_of(b, s->rows), cols = size_of(b, s->cols);
  dc_presence wanted = when(b, s->when, DC_REQUIRED);
  if (wanted == DC_ABSENT) return true;
  switch (s->kind) {
    case MATRIX: return find_matrix(b, prefix, s->name, rows, cols, wanted, at);
    case LINEAR: return find_linear(b, prefix, s->name, rows, cols, wanted,
                                    when(b, s->bias, DC_OPTIONAL), at);
    case NORM: return find_norm(b, prefix, s, wanted, at);
    default: return find_floats(b, prefix, s->name, ".weight", rows, cols,
                                wanted, at);
  }
}


static bool bind_slots (binder *b, const char *prefix, const slot *slots,
                        size_t n, void *base) {
  for (size_t i = 0; i < n; i++)
    if (!bind_slot(b, prefix, &slots[i], base)) return false;
  return true;
}


/* One tensor with the rows of all slots one behind the other. */
static bool bind_fused (binder *b, const char *prefix, const char *name,
                        const slot *slots, size_t n, void *base) {
  size_t rows = 0, first = 0;
  dc_linear whole = {.bias = NULL};
  for (size_t i = 0; i < n; i++) rows += size_of(b, slots[i].rows);
  if (!find_linear(b, prefix, name, rows, size_of(b, slots[0].cols),
                   DC_REQUIRED, when(b, slots[0].bias, DC_OPTIONAL), &whole))
    return false;
  for (size_t i = 0; i < n; i++) {
    dc_linear *part = (dc_linear *)(void *)((char *)base + slots[i].offset);
    *part = whole;
    part->weight.rows = size_of(b, slots[i].rows);
    part->weight.data =
      (const char *)whole.weight.data + first * whole.weight.row_bytes;
    if (whole.bias != NULL) part->bias = whole.bias + first;
    first += part->weight.rows;
  }
  return true;
}


static bool has_tensor (const binder *b, const char *prefix,
                        const char *name) {
  char full[96];
  snprintf(full, sizeof full, "%s%s", prefix, name);
  return dc_gguf_tensor_find(b->file, full) != NULL;
}


static bool bind_queries (binder *b, const char *prefix, dc_layer *layer) {
  if (has_tensor(b, prefix, "attn_qkv.weight"))
    return bind_fused(b, prefix, "attn_qkv", qkv_slots, COUNT(qkv_slots),
                      layer);
  return bind_slots(b, prefix, qkv_slots, COUNT(qkv_slots), layer);
}


static bool bind_feed_forward (binder *b, const char *prefix,
                               dc_layer *layer) {
  if (!b->hp->gated) return bind_slot(b, prefix, &gated_slots[1], layer);
  if (has_tensor(b, prefix, "ffn_gate.weight"))
    return bind_slots(b, prefix, gated_slots, COUNT(gated_slots), layer);
  return bind_fused(b, prefix, "ffn_up", gated_slots, COUNT(gated_slots),
                    layer);
}


static bool bind_layer (binder *b, const char *prefix, dc_layer *layer,
                        bool cross) {
  if (!bind_queries(b, prefix, layer) ||
      !bind_slots(b, prefix, layer_slots, COUNT(layer_slots), layer) ||
      !bind_feed_forward(b, prefix, layer))
    return false;
  return !cross ||
         bind_slots(b, prefix, cross_slots, COUNT(cross_slots), layer);
}


/* `name`: "enc." or "dec.", or "" where there is one stack alone. */
static bool bind_stack (binder *b, const char *name, dc_stack *stack,
                        bool cross) {
  b->sizes = &stack->sizes;
  stack->layers = dc_alloc_array(stack->sizes.n_layers, sizeof(dc_layer));
  if (stack->layers == NULL) return dc_fail(b->err, "not enough memory");
  if (!bind_slots(b, name, stack_slots, COUNT(stack_slots), stack))
    return false;
  for (uint32_t i = 0; i < stack->sizes.n_layers; i++) {
    char prefix[32];
    snprintf(prefix, sizeof prefix, "%sblk.%u.", name, i);
    if (!bind_layer(b, prefix, &stack->layers[i], cross)) return false;
  }
  return true;
}


/* Where the cache keeps the decoder's layers. The encoder's need none for
   longer than they are computed: all are the first. */
static void place_layers (dc_stack *decoder, const dc_hparams *hp) {
  uint32_t n[DC_REACHES] = {0};
  for (uint32_t i = 0; i < decoder->sizes.n_layers; i++) {
    dc_layer *layer = &decoder->layers[i];
    layer->reach = dc_is_windowed(hp, i) ? DC_WINDOWED : DC_FULL;
    layer->slot = n[layer->reach]++;
  }
}


static bool all_used (binder *b) {
  for (size_t i = 0; i < COUNT(ignored); i++) {
    const dc_gguf_tensor *t = dc_gguf_tensor_find(b->file, ignored[i]);
    if (t != NULL) b->used[t - dc_gguf_tensor_at(b->file, 0)] = true;
  }
  for (size_t i = 0; i < dc_gguf_n_tensors(b->file); i++)
    if (!b->used[i])
      return dc_fail(b->err, "%.400s: tensor '%.*s' is not one of a %s model",
                     dc_gguf_path(b->file),
                     DC_SHOWN(dc_gguf_tensor_at(b->file, i)->name),
                     b->hp->arch->name);
  return true;
}


static bool bind_all (dc_weights *w, binder *b) {
  bool alone = b->hp->arch->causal;
  w->encoder.sizes = b->hp->encoder;
  w->decoder.sizes = b->hp->decoder;
  if (!bind_slots(b, "", model_slots, COUNT(model_slots), w) ||
      (!alone && !bind_stack(b, "enc.", &w->encoder, false)) ||
      !bind_stack(b, alone ? "" : "dec.", &w->decoder, !alone))
    return false;
  place_layers(&w->decoder, b->hp);
  w->tied = w->output.weight.data == NULL;
  if (w->tied) w->output.weight = w->embedding;
  return all_used(b);
}


bool dc_weights_bind (dc_weights *w, const dc_hparams *hp, size_t context,
                      const dc_gguf *file, dc_error *err) {
  binder b = {hp, file, &hp->decoder, NULL, err};
  memset(w, 0, sizeof *w);
  b.used = dc_alloc(dc_gguf_n_tensors(file) + 1);
  bool ok = b.used != NULL
              ? bind_all(w, &b) &&
                  dc_weights_make_positions(w, hp, context, file, err)
              : dc_fail(err, "not enough memory");
  dc_free(b.used);
  if (!ok) dc_weights_free(w);
  return ok;
}


void dc_weights_free (dc_weights *w) {
  dc_free(w->encoder.layers);
  dc_free(w->decoder.layers);
  dc_free(w->packed);
  dc_free(w->encoder.biases);
  dc_free(w->decoder.biases);
  dc_table_free(&w->sinusoids);
  dc_table_free(&w->rope);
  dc_table_free(&w->window_rope);
  memset(w, 0, sizeof *w);
}
