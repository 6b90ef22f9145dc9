/*
** hash.c: the bits of a model on a machine that has no Lua: the core without
** its bindings, linked to a program that can be cross-compiled. Run by
** spec/neon_spec.lua, here and in an emulator.
**
**   hash N MODEL.gguf...   the instruction set (DECANT_ISA); then one line a
**                          model: its name and hashes of the scores behind
**                          every position of a text of N tokens, with a cache
**                          of floats and with one of halves
**
** The text is fed at once, in pieces, token by token and beside other rows;
** a difference between those ends the program.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "math/kernels.h"
#include "model/model.h"

#define LONGEST 144
#define N_SOURCE 7
#define ROWS 3


static void must (bool fine, const char *path, const dc_error *err) {
  if (fine) return;
  fprintf(stderr, "%s: %s\n", path, err->text);
  exit(1);
}


static uint64_t hash_of (uint64_t h, const float *x, size_t n) {
  const unsigned char *byte = (const unsigned char *)x;
  for (size_t i = 0; i < n * sizeof *x; i++)
    h = (h ^ byte[i]) * 1099511628211u;
  return h;
}


static int32_t id_at (const dc_model *m, size_t i) {
  return (int32_t)(i * i * 7 % m->hp.n_vocab);
}


/* The source that all texts are about; stays empty for a causal model. */
static void make_source (dc_model *m, const char *path, dc_timeline *source) {
  dc_error err;
  int32_t ids[N_SOURCE];
  size_t slots[N_SOURCE], places[N_SOURCE];
  if (m->hp.arch->causal) return;
  for (size_t i = 0; i < N_SOURCE; i++) {
    ids[i] = id_at(m, i + 3);
    slots[i] = i;
  }
  float *out = dc_alloc_array(N_SOURCE, m->hp.d_model * sizeof *out);
  dc_number_places(&m->hp, ids, N_SOURCE, places);
  dc_sequence sequence = {ids, slots, places, N_SOURCE, out};
  must(dc_encode(m, &sequence, 1, &err), path, &err);
  must(dc_sources_make(m, &(dc_source){source, out, N_SOURCE}, 1, &err), path,
       &err);
  dc_free(out);
}


/* Feeds n tokens in pieces of `size`, in `rows` rows (of which the others have
   other texts). x: [n, vocab], the scores of the first row behind each token
   with `every`, else those behind each piece, at its last token's place. */
static void feed (dc_model *m, const char *path, const dc_timeline *source,
                  float *x, size_t n, size_t size, size_t rows, bool every) {
  dc_error err;
  size_t vocab = m->hp.n_vocab;
  dc_timeline t[ROWS] = {0};
  dc_feed feeds[ROWS];
  int32_t ids[ROWS][LONGEST];
  float *out[ROWS][LONGEST];
  float *others = dc_alloc_array(ROWS, vocab * sizeof *others);
  for (size_t r = 0; r < rows; r++)
    for (size_t i = 0; i < n; i++) ids[r][i] = id_at(m, i + 11 * r);
  for (size_t at = 0; at < n; at += size) {
    size_t some = n - at < size ? n - at : size;
    for (size_t r = 0; r < rows; r++) {
      for (size_t i = 0; i < some; i++)
        out[r][i] = r > 0 ? others + r * vocab
                    : x + (every ? at + i : at + some - 1) * vocab;
      feeds[r] = (dc_feed){.timeline = &t[r], .ids = ids[r] + at, .n = some,
                           .source = m->hp.arch->causal ? NULL : source,
                           .out = out[r], .every = every && r == 0};
    }
    must(dc_decode(m, feeds, rows, &err), path, &err);
  }
  for (size_t r = 0; r < rows; r++) dc_timeline_clear(&t[r], &m->pool);
  dc_free(others);
}


static void compare (const char *path, const char *what, const float *a,
                     const float *b, size_t n) {
  if (memcmp(a, b, n * sizeof *a) == 0) return;
  fprintf(stderr, "%s: other bits: %s\n", path, what);
  exit(1);
}


static uint64_t check (dc_model *m, const char *path, size_t n) {
  size_t vocab = m->hp.n_vocab;
  float *whole = dc_alloc_array(n * vocab, sizeof *whole);
  float *part = dc_alloc_array(n * vocab, sizeof *part);
  const float *last = whole + (n - 1) * vocab, *got = part + (n - 1) * vocab;
  dc_timeline source = {0};
  make_source(m, path, &source);
  feed(m, path, &source, whole, n, n, 1, true);
  feed(m, path, &source, part, n, 1, 1, false);
  compare(path, "token by token", whole, part, n * vocab);
  feed(m, path, &source, part, n, 7, 1, false);
  compare(path, "pieces of 7", last, got, vocab);
  feed(m, path, &source, part, n, 16, ROWS, false);
  compare(path, "beside other rows", last, got, vocab);
  uint64_t h = hash_of(14695981039346656037u, whole, n * vocab);
  dc_timeline_clear(&source, &m->pool);
  dc_free(whole);
  dc_free(part);
  return h;
}


static uint64_t hash_with (const char *path, dc_type cache, size_t length) {
  dc_error err;
  dc_model *m;
  dc_model_options options = {.threads = 1, .map = true, .ids_only = true,
                              .cache_type = cache};
  must(dc_model_open(&m, path, &options, &err), path, &err);
  uint64_t h = check(m, path, length < m->context ? length : m->context);
  dc_model_release(m);
  return h;
}


int main (int argc, char **argv) {
  size_t length = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
  if (length < 1 || length > LONGEST) {
    fprintf(stderr, "usage: hash 1..%d MODEL.gguf...\n", LONGEST);
    return 1;
  }
  dc_error err;
  must(dc_kernels_init(&err), "hash", &err);
  printf("%s\n", dc_isa_name(dc_kernels_get()->isa));
  for (int i = 2; i < argc; i++) {
    const char *slash = strrchr(argv[i], '/');
    printf("%s %016llx %016llx\n", slash != NULL ? slash + 1 : argv[i],
           (unsigned long long)hash_with(argv[i], DC_F32, length),
           (unsigned long long)hash_with(argv[i], DC_F16, length));
  }
  return 0;
}
