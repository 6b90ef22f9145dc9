/* hparams.c: see hparams.h. The keys: docs/gguf-keys.md. */
#include "model/hparams.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_KEY 128
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct word {
  const char *text;
  int value;
} word;

static const word activations[] = {
  {"relu", DC_RELU}, {"swish", DC_SILU}, {"silu", DC_SILU},
  {"gelu", DC_GELU}, {"gelu_tanh", DC_GELU_TANH},
  {"gelu_quick", DC_GELU_QUICK},
};

/* What a model with rotary or relative positions is made for cannot be chosen
   otherwise: these are the words for the others. */
static const word positions[] = {
  {"sinusoidal", DC_SINUSOIDAL}, {"learned", DC_LEARNED},
  {"sinusoidal_skip", DC_SINUSOIDAL_SKIP},
};

static const word norm_places[] = {
  {"pre", DC_PRE_NORM}, {"post", DC_POST_NORM},
};

static const word scalings[] = {
  {"none", -1}, {"linear", DC_ROPE_LINEAR}, {"yarn", DC_ROPE_YARN},
  {"longrope", DC_ROPE_LONG},
};

/* What the readers below share. A key that begins with "A." has the name of
   the architecture there. */
typedef struct reader {
  dc_hparams *hp;
  const dc_gguf *file;
  dc_error *err;
  char key[MAX_KEY];  /* the last one, as it is in the file */
} reader;


/* ---- one key ----------------------------------------------------------- */

static bool has (reader *r, const char *key) {
  if (!strncmp(key, "A.", 2))
    snprintf(r->key, sizeof r->key, "%s.%s", r->hp->arch->name, key + 2);
  else
    snprintf(r->key, sizeof r->key, "%s", key);
  return dc_gguf_has(r->file, r->key);
}


static bool refuse (reader *r, const char *rule) {
  return dc_fail(r->err, "%.400s: %s: %s", dc_gguf_path(r->file), r->key,
                 rule);
}


/* Some sizes may be given layer by layer; decant runs models whose layers are
   all alike. */
static bool read_uniform (reader *r, uint32_t *out) {
  dc_gguf_array array;
  dc_string key = dc_string_of(r->key);
  const dc_gguf_value *value = dc_gguf_find(r->file, key);
  if (value == NULL || value->kind != DC_GGUF_ARRAY)
    return dc_gguf_u32(r->file, r->key, out, r->err);
  array = value->array;
  for (size_t i = 0; i < array.count; i++) {
    int64_t first = 0, n = 0;
    if (!dc_gguf_array_int(&array, 0, &first) ||
        !dc_gguf_array_int(&array, i, &n) || n != first || n < 0 ||
        n > UINT32_MAX)
      return refuse(r, "layers of different sizes are not supported");
    *out = (uint32_t)n;
  }
  return array.count > 0 || refuse(r, "is an empty array");
}


/* An unsigned number in min..max; one that is absent leaves *out alone. */
static bool read_optional (reader *r, const char *key, uint32_t min,
                           uint32_t max, uint32_t *out) {
  char rule[96];
  if (!has(r, key)) return true;
  if (!read_uniform(r, out)) return false;
  if (*out >= min && *out <= max) return true;
  snprintf(rule, sizeof rule, "is %u, must be from %u to %u", *out, min, max);
  return refuse(r, rule);
}


static bool read_size (reader *r, const char *key, uint32_t min, uint32_t max,
                       uint32_t *out) {
  if (!has(r, key)) return refuse(r, "the key is missing");
  return read_optional(r, key, min, max, out);
}


/* A finite number above 0, or 0 too; an absent key leaves *out alone. */
static bool read_factor (reader *r, const char *key, bool or_zero,
                         float *out) {
  if (!has(r, key)) return true;
  if (!dc_gguf_f32(r->file, r->key, out, r->err)) return false;
  if (isfinite(*out) && (*out > 0.0f || (or_zero && *out == 0.0f)))
    return true;
  return refuse(r, or_zero ? "must be a finite number, 0 or more"
                           : "must be a finite number above 0");
}


/* A word of a list; an absent key leaves *out alone. */
static bool read_word (reader *r, const char *key, const word *words, size_t n,
                       int *out) {
  dc_string text;
  if (!has(r, key)) return true;
  if (!dc_gguf_text(r->file, r->key, &text, r->err)) return false;
  for (size_t i = 0; i < n; i++)
    if (dc_string_is(text, words[i].text)) {
      *out = words[i].value;
      return true;
    }
  return dc_fail(r->err, "%.400s: %s: '%.*s' is not known",
                 dc_gguf_path(r->file), r->key, DC_SHOWN(text));
}


/* ---- groups of keys ---------------------------------------------------- */

static bool find_arch (reader *r) {
  dc_string name;
  char known[512] = "";
  if (!dc_gguf_text(r->file, "general.architecture", &name, r->err))
    return false;
  r->hp->arch = dc_arch_find(name);
  if (r->hp->arch != NULL) return true;
  for (size_t i = 0; dc_arch_at(i) != NULL; i++) {
    strncat(known, i > 0 ? ", " : "", sizeof known - strlen(known) - 1);
    strncat(known, dc_arch_at(i)->name, sizeof known - strlen(known) - 1);
  }
  return dc_fail(r->err, "%.400s: general.architecture: '%.*s' is not one "
                 "that decant runs (%s)", dc_gguf_path(r->file),
                 DC_SHOWN(name), known);
}


/* Without A.vocab_size there are as many ids as there are tokens. */
static bool read_vocabulary (reader *r) {
  dc_gguf_array tokens;
  if (has(r, "A.vocab_size") || !has(r, "tokenizer.ggml.tokens"))
    return read_size(r, "A.vocab_size", 1, 1 << 24, &r->hp->n_vocab);
  if (!dc_gguf_find_array(r->file, r->key, DC_GGUF_STRING, &tokens, r->err))
    return false;
  if (tokens.count < 1 || tokens.count > 1 << 24)
    return refuse(r, "there are no tokens, or too many");
  r->hp->n_vocab = (uint32_t)tokens.count;
  return true;
}


/* Layers, heads and widths of one stack; what is absent is as in *sizes. */
static bool read_stack (reader *r, dc_stack_sizes *sizes, const char *layers,
                        const char *heads, const char *d_ff) {
  return read_optional(r, layers, 1, DC_MAX_LAYERS, &sizes->n_layers) &&
         read_optional(r, heads, 1, 1 << 12, &sizes->n_heads) &&
         read_optional(r, d_ff, 1, 1 << 20, &sizes->d_ff);
}


/* A head is as wide as the file says, or else its part of d_model. */
static bool read_heads (reader *r, dc_stack_sizes *sizes) {
  const dc_hparams *hp = r->hp;
  char rule[96];
  uint32_t part = hp->d_model / sizes->n_heads;
  sizes->d_key = sizes->d_value = part;
  if (!read_optional(r, "A.attention.key_length", 1, 1 << 12, &sizes->d_key) ||
      !read_optional(r, "A.attention.value_length", 1, 1 << 12,
                     &sizes->d_value))
    return false;
  bool stated = has(r, "A.attention.key_length") &&
                has(r, "A.attention.value_length");
  if (hp->d_model % sizes->n_heads != 0 && !stated) {
    has(r, "A.attention.head_count");
    snprintf(rule, sizeof rule, "%u does not divide embedding_length (%u)",
             sizes->n_heads, hp->d_model);
    return refuse(r, rule);
  }
  sizes->n_kv_heads = sizes->n_heads;
  if (!read_optional(r, "A.attention.head_count_kv", 1, 1 << 12,
                     &sizes->n_kv_heads))
    return false;
  if (sizes->n_heads % sizes->n_kv_heads == 0) return true;
  snprintf(rule, sizeof rule, "%u does not divide head_count (%u)",
           sizes->n_kv_heads, sizes->n_heads);
  return refuse(r, rule);
}


static bool read_sizes (reader *r) {
  dc_hparams *hp = r->hp;
  dc_stack_sizes *first = hp->arch->causal ? &hp->decoder : &hp->encoder;
  if (!read_vocabulary(r) ||
      !read_size(r, "A.embedding_length", 1, 1 << 16, &hp->d_model) ||
      !read_size(r, "A.context_length", 1, DC_MAX_POSITIONS, &hp->context) ||
      !read_size(r, "A.block_count", 1, DC_MAX_LAYERS, &first->n_layers) ||
      !read_size(r, "A.attention.head_count", 1, 1 << 12, &first->n_heads) ||
      !read_size(r, "A.feed_forward_length", 1, 1 << 20, &first->d_ff) ||
      !read_heads(r, first))
    return false;
  if (hp->arch->causal) return true;
  hp->decoder = hp->encoder;
  return read_stack(r, &hp->decoder, "A.decoder_block_count",
                    "decant.decoder.attention.head_count",
                    "decant.decoder.feed_forward_length") &&
         read_heads(r, &hp->decoder);
}


/* T5's files may leave it to the architecture: 0, its pad. */
static bool read_start (reader *r) {
  dc_hparams *hp = r->hp;
  char rule[96];
  if (hp->arch->causal) return true;
  if (hp->arch->positions != DC_RELATIVE || has(r, "A.decoder_start_token_id"))
    if (!read_size(r, "A.decoder_start_token_id", 0, UINT32_MAX,
                   &hp->decoder_start))
      return false;
  if (hp->decoder_start < hp->n_vocab) return true;
  snprintf(rule, sizeof rule, "%u is not below the vocabulary %u",
           hp->decoder_start, hp->n_vocab);
  return refuse(r, rule);
}


static bool read_choices (reader *r) {
  dc_hparams *hp = r->hp;
  const dc_arch *arch = hp->arch;
  int position = arch->positions, place = arch->norm_place;
  const char *gate = arch->causal ? "blk.0.ffn_gate.weight"
                                  : "enc.blk.0.ffn_gate.weight";
  hp->gated = arch->gating == DC_GATED ||
              (arch->gating == DC_GATED_IF &&
               dc_gguf_tensor_find(r->file, gate) != NULL);
  int activation = hp->gated && arch->gating == DC_GATED_IF
                     ? arch->gated_activation : arch->activation;
  hp->parallel = arch->parallel;
  if (has(r, "A.use_parallel_residual") &&
      !dc_gguf_bool(r->file, r->key, &hp->parallel, r->err))
    return false;
  if (!read_word(r, "decant.activation", activations, COUNT(activations),
                 &activation) ||
      !read_word(r, "decant.norm_place", norm_places, COUNT(norm_places),
                 &place) ||
      !read_word(r, "decant.positions", positions, COUNT(positions),
                 &position))
    return false;
  hp->activation = (dc_activation)activation;
  hp->positions = (dc_positions)position;
  hp->norm_place = (dc_norm_place)place;
  if (arch->positions >= DC_ROPE_PAIRS && position != (int)arch->positions)
    return refuse(r, "does not fit the architecture");
  if (hp->parallel && place == DC_POST_NORM) {
    has(r, "A.use_parallel_residual");
    return refuse(r, "parallel layers have their norms in front");
  }
  return true;
}


/* What llama.cpp has and decant has not, and what is no text generation. */
static bool read_limits (reader *r) {
  uint32_t experts = 0;
  bool causal = true;
  if (!read_optional(r, "A.expert_count", 0, UINT32_MAX, &experts))
    return false;
  if (experts > 0) return refuse(r, "mixtures of experts are not supported");
  if (!r->hp->arch->causal || !has(r, "A.attention.causal")) return true;
  if (!dc_gguf_bool(r->file, r->key, &causal, r->err)) return false;
  return causal || refuse(r, "is false: such a model does not generate");
}


/* By the heads of its own stack: encoder and decoder may differ in them. */
static bool read_score_scale (reader *r, dc_stack_sizes *s) {
  const dc_arch *arch = r->hp->arch;
  double width = arch->wide_scores == s->n_layers
                   ? (double)r->hp->d_model / s->n_heads : s->d_key;
  s->score_scale =
    arch->plain_scores ? 1.0f : (float)(1.0 / __builtin_sqrt(width));
  return read_factor(r, "A.attention.scale", false, &s->score_scale);
}


static bool read_factors (reader *r) {
  dc_hparams *hp = r->hp;
  const dc_arch *arch = hp->arch;
  const char *eps = arch->norm == DC_RMS_NORM
                      ? "A.attention.layer_norm_rms_epsilon"
                      : "A.attention.layer_norm_epsilon";
  hp->score_cap = arch->score_cap;
  hp->output_cap = arch->output_cap;
  hp->embedding_scale =
    arch->wide_embeddings ? sqrtf((float)hp->d_model) : 1.0f;
  hp->tied_scale = arch->tied_scaling
    ? (float)(1.0 / __builtin_sqrt((double)hp->d_model)) : 1.0f;
  if (!has(r, eps)) return refuse(r, "the key is missing");
  if (!read_factor(r, eps, false, &hp->norm_eps)) return false;
  if (hp->norm_eps >= 1.0f) return refuse(r, "must lie between 0 and 1");
  return read_factor(r, "A.embedding_scale", false, &hp->embedding_scale) &&
         (arch->causal || read_score_scale(r, &hp->encoder)) &&
         read_score_scale(r, &hp->decoder) &&
         read_factor(r, "A.attn_logit_softcapping", true, &hp->score_cap) &&
         read_factor(r, "A.final_logit_softcapping", true, &hp->output_cap);
}


/* ---- positions --------------------------------------------------------- */

static bool read_scaling (reader *r) {
  dc_rope *rope = &r->hp->rope;
  int scaling = DC_ROPE_LINEAR;
  rope->factor = rope->magnitude = rope->extrapolation = 1.0f;
  rope->beta_fast = 32.0f;
  rope->beta_slow = 1.0f;
  rope->original_context = r->hp->context;
  if (!read_factor(r, "A.rope.scale_linear", false, &rope->factor) ||
      !read_factor(r, "A.rope.scaling.factor", false, &rope->factor) ||
      !read_word(r, "A.rope.scaling.type", scalings, COUNT(scalings),
                 &scaling) ||
      !read_factor(r, "A.rope.scaling.attn_factor", false, &rope->magnitude) ||
      !read_factor(r, "A.rope.scaling.yarn_attn_factor", false,
                   &rope->magnitude) ||
      !read_factor(r, "A.rope.scaling.yarn_ext_factor", true,
                   &rope->extrapolation) ||
      !read_factor(r, "A.rope.scaling.yarn_beta_fast", false,
                   &rope->beta_fast) ||
      !read_factor(r, "A.rope.scaling.yarn_beta_slow", false,
                   &rope->beta_slow) ||
      !read_optional(r, "A.rope.scaling.original_context_length", 1,
                     DC_MAX_POSITIONS, &rope->original_context))
    return false;
  if (scaling < 0) {
    rope->factor = 1.0f;
    scaling = DC_ROPE_LINEAR;
  }
  rope->scaling = (dc_rope_scaling)scaling;
  return true;
}


static bool read_rope (reader *r) {
  dc_hparams *hp = r->hp;
  dc_rope *rope = &hp->rope;
  if (!dc_has_rope(hp)) return true;
  rope->dims = hp->decoder.d_key;
  rope->base = 10000.0f;
  if (!read_optional(r, "A.rope.dimension_count", 2, hp->decoder.d_key,
                     &rope->dims))
    return false;
  if (rope->dims % 2 != 0) {
    has(r, "A.rope.dimension_count");
    return refuse(r, "the columns of a head that are turned are not even");
  }
  if (!read_factor(r, "A.rope.freq_base", false, &rope->base)) return false;
  rope->window_base = hp->arch->window_rope_base;
  return read_factor(r, "A.rope.freq_base_swa", false, &rope->window_base) &&
         read_scaling(r);
}


static bool read_relative (reader *r) {
  dc_hparams *hp = r->hp;
  if (hp->positions != DC_RELATIVE) return true;
  hp->max_distance = 128;
  if (!read_size(r, "A.attention.relative_buckets_count", 4, 1 << 12,
                 &hp->n_buckets) ||
      !read_optional(r, "decant.attention.relative_max_distance", 1, 1 << 12,
                     &hp->max_distance))
    return false;
  if (hp->n_buckets % 4 == 0 && hp->max_distance > hp->n_buckets / 2)
    return true;
  has(r, "A.attention.relative_buckets_count");
  return refuse(r, "must be a multiple of 4, and less than twice the largest "
                   "distance");
}


/* m2m100 numbers positions over the ids that are not its pad, from the number
   behind it. */
static bool read_pad (reader *r) {
  dc_hparams *hp = r->hp;
  if (hp->positions != DC_SINUSOIDAL_SKIP) return true;
  return read_size(r, "decant.pad_token_id", 0, hp->n_vocab - 1, &hp->pad);
}


/* Layer i of a pattern n is windowed unless i % n == n - 1. */
static bool read_pattern (reader *r, uint32_t n_layers) {
  dc_hparams *hp = r->hp;
  uint32_t n = hp->arch->pattern;
  dc_gguf_array flags = {.count = 0};
  if (has(r, "A.attention.sliding_window_pattern")) {
    const dc_gguf_value *v = dc_gguf_find(r->file, dc_string_of(r->key));
    if (v->kind != DC_GGUF_ARRAY) {
      if (!dc_gguf_u32(r->file, r->key, &n, r->err)) return false;
    }
    else if (v->array.kind != DC_GGUF_BOOL || v->array.count < n_layers)
      return refuse(r, "must be a number, or a bool for each layer");
    else
      flags = v->array;
  }
  for (uint32_t i = 0; i < n_layers; i++) {
    int64_t windowed = n == 0 || i % n < n - 1;
    if (flags.count > 0) dc_gguf_array_int(&flags, i, &windowed);
    if (windowed) hp->windowed[i / 64] |= (uint64_t)1 << (i % 64);
  }
  return true;
}


static bool read_window (reader *r) {
  dc_hparams *hp = r->hp;
  if (!hp->arch->causal) return true;
  hp->window = hp->arch->window;
  if (hp->arch->pattern > 0 && hp->window == 0 &&
      !has(r, "A.attention.sliding_window"))
    return refuse(r, "the key is missing");
  if (!read_optional(r, "A.attention.sliding_window", 0, DC_MAX_POSITIONS,
                     &hp->window))
    return false;
  return hp->window == 0 || read_pattern(r, hp->decoder.n_layers);
}


bool dc_hparams_read (dc_hparams *hp, const dc_gguf *file, dc_error *err) {
  reader r = {hp, file, err, ""};
  memset(hp, 0, sizeof *hp);
  return find_arch(&r) && read_sizes(&r) && read_start(&r) &&
         read_choices(&r) && read_limits(&r) && read_factors(&r) &&
         read_rope(&r) && read_relative(&r) && read_pad(&r) &&
         read_window(&r);
}
