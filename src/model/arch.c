/* arch.c: see arch.h. The keys: docs/gguf-keys.md. */
#include "model/arch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_KEY 128
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const dc_arch architectures[] = {
  /* Junczys-Dowmunt et al. 2018, the models of OPUS-MT */
  {"marian", DC_SINUSOIDAL, DC_POST_NORM},
  /* Lewis et al. 2019 */
  {"bart", DC_LEARNED, DC_POST_NORM},
};

typedef struct word {
  const char *text;
  int value;
} word;

static const word activations[] = {
  {"relu", DC_RELU}, {"swish", DC_SILU}, {"silu", DC_SILU},
  {"gelu", DC_GELU}, {"gelu_tanh", DC_GELU_TANH},
};

static const word positions[] = {
  {"sinusoidal", DC_SINUSOIDAL}, {"learned", DC_LEARNED},
};

static const word norm_places[] = {
  {"pre", DC_PRE_NORM}, {"post", DC_POST_NORM},
};


static bool find_arch (const dc_arch **out, const dc_gguf *file,
                       dc_error *err) {
  dc_string name;
  if (!dc_gguf_text(file, "general.architecture", &name, err)) return false;
  for (size_t i = 0; i < COUNT(architectures); i++)
    if (dc_string_is(name, architectures[i].name)) {
      *out = &architectures[i];
      return true;
    }
  char known[256] = "";
  for (size_t i = 0; i < COUNT(architectures); i++) {
    strncat(known, i > 0 ? ", " : "", sizeof known - strlen(known) - 1);
    strncat(known, architectures[i].name, sizeof known - strlen(known) - 1);
  }
  return dc_fail(err, "%.400s: general.architecture: '%.*s' is not one that "
                 "decant runs (%s)", dc_gguf_path(file), DC_SHOWN(name), known);
}


/* An unsigned key in min..max; "A." in front stands for the architecture. */
static bool read_size (const dc_hparams *hp, const dc_gguf *file,
                       const char *key, uint32_t min, uint32_t max,
                       uint32_t *out, dc_error *err) {
  char full[MAX_KEY];
  if (!strncmp(key, "A.", 2))
    snprintf(full, sizeof full, "%s.%s", hp->arch->name, key + 2);
  else
    snprintf(full, sizeof full, "%s", key);
  if (!dc_gguf_u32(file, full, out, err)) return false;
  if (*out < min || *out > max)
    return dc_fail(err, "%.400s: %s: is %u, must be from %u to %u",
                   dc_gguf_path(file), full, *out, min, max);
  return true;
}


/* A word of a list; an absent key leaves *out alone. */
static bool read_word (const dc_gguf *file, const char *key,
                       const word *words, size_t n, int *out, dc_error *err) {
  dc_string text;
  if (!dc_gguf_has(file, key)) return true;
  if (!dc_gguf_text(file, key, &text, err)) return false;
  for (size_t i = 0; i < n; i++)
    if (dc_string_is(text, words[i].text)) {
      *out = words[i].value;
      return true;
    }
  return dc_fail(err, "%.400s: %s: '%.*s' is not known", dc_gguf_path(file),
                 key, DC_SHOWN(text));
}


static bool read_sizes (dc_hparams *hp, const dc_gguf *file, dc_error *err) {
  const struct {
    const char *key;
    uint32_t min, max, *out;
  } sizes[] = {
    {"A.vocab_size", 1, 1 << 24, &hp->n_vocab},
    {"A.embedding_length", 1, 1 << 16, &hp->d_model},
    {"A.context_length", 1, 1 << 20, &hp->context},
    {"A.block_count", 1, 1024, &hp->encoder.n_layers},
    {"A.decoder_block_count", 1, 1024, &hp->decoder.n_layers},
    {"A.feed_forward_length", 1, 1 << 20, &hp->encoder.d_ff},
    {"decant.decoder.feed_forward_length", 1, 1 << 20, &hp->decoder.d_ff},
    {"A.attention.head_count", 1, 1 << 12, &hp->encoder.n_heads},
    {"decant.decoder.attention.head_count", 1, 1 << 12, &hp->decoder.n_heads},
    {"A.decoder_start_token_id", 0, (1 << 24) - 1, &hp->decoder_start},
  };
  for (size_t i = 0; i < COUNT(sizes); i++)
    if (!read_size(hp, file, sizes[i].key, sizes[i].min, sizes[i].max,
                   sizes[i].out, err))
      return false;
  if (hp->d_model % hp->encoder.n_heads || hp->d_model % hp->decoder.n_heads)
    return dc_fail(err, "%.400s: head_count: %u and %u do not divide the width "
                   "%u", dc_gguf_path(file), hp->encoder.n_heads,
                   hp->decoder.n_heads, hp->d_model);
  if (hp->decoder_start >= hp->n_vocab)
    return dc_fail(err, "%.400s: decoder_start_token_id: %u is not below the "
                   "vocabulary %u", dc_gguf_path(file), hp->decoder_start,
                   hp->n_vocab);
  return true;
}


static bool read_choices (dc_hparams *hp, const dc_gguf *file, dc_error *err) {
  int activation = DC_RELU, position = hp->arch->positions;
  int place = hp->arch->norm_place;
  if (!read_word(file, "decant.activation", activations, COUNT(activations),
                 &activation, err) ||
      !read_word(file, "decant.positions", positions, COUNT(positions),
                 &position, err) ||
      !read_word(file, "decant.norm_place", norm_places, COUNT(norm_places),
                 &place, err))
    return false;
  hp->activation = (dc_activation)activation;
  hp->positions = (dc_positions)position;
  hp->norm_place = (dc_norm_place)place;
  return true;
}


static bool read_factors (dc_hparams *hp, const dc_gguf *file, dc_error *err) {
  char key[MAX_KEY];
  hp->embedding_scale = 1.0f;
  snprintf(key, sizeof key, "%s.attention.layer_norm_epsilon", hp->arch->name);
  if (!dc_gguf_f32(file, key, &hp->norm_eps, err)) return false;
  if (!(hp->norm_eps > 0.0f && hp->norm_eps < 1.0f))
    return dc_fail(err, "%.400s: %s: must lie between 0 and 1",
                   dc_gguf_path(file), key);
  snprintf(key, sizeof key, "%s.embedding_scale", hp->arch->name);
  if (!dc_gguf_has(file, key)) return true;
  if (!dc_gguf_f32(file, key, &hp->embedding_scale, err)) return false;
  if (!isfinite(hp->embedding_scale) || hp->embedding_scale == 0.0f)
    return dc_fail(err, "%.400s: %s: must be a finite number other than 0",
                   dc_gguf_path(file), key);
  return true;
}


bool dc_hparams_read (dc_hparams *hp, const dc_gguf *file, dc_error *err) {
  memset(hp, 0, sizeof *hp);
  return find_arch(&hp->arch, file, err) && read_sizes(hp, file, err) &&
         read_choices(hp, file, err) && read_factors(hp, file, err);
}
