/*
** synthid.c: SynthID-Text (Dathathri et al., "Scalable watermarking for
** identifying large language model outputs", Nature 2024), to the bit as
** transformers' SynthIDTextWatermarkLogitsProcessor.
**
** Every token gets one random bit g a key, from a hash of the context and the
** token. Tournament sampling: key by key, p *= 1 + g - sum(g p). The context
** is the last ngram_len - 1 new tokens, zeros where there are not so many.
** A context that the row had before is not marked again.
**
** What a reader would get wrong: there is no state to keep. All contexts of a
** row are in its ids; only where its new tokens begin must be known.
*/
#include <float.h>
#include <math.h>

#include "decode/kinds.h"
#include "decode/mersenne.h"
#include "math/kernels.h"


/* For a processor that is called alone: the row's length at its first call. */
typedef struct beginning {
  bool known;
  size_t start;
} beginning;


static size_t table_size (const dc_processor *p) {
  return p->size;
}


static void fill (const dc_processor *p, int32_t *table) {
  dc_mersenne m;
  dc_mersenne_seed(&m, (uint32_t)p->key);
  for (size_t i = 0; i < p->size; i++)
    table[i] = (int32_t)(dc_mersenne_next(&m) & 1);
}


const dc_memory dc_synthid_memory = {sizeof(beginning), NULL, table_size,
                                     fill};


/* One step of a linear congruential generator (Knuth's MMIX) for each datum. */
static uint64_t hash (uint64_t h, uint64_t datum) {
  return (h + datum) * 6364136223846793005u + 1;
}


/* The hash of the context behind `n` new tokens. */
static uint64_t context_hash (const dc_processor *p, const int32_t *ids,
                              size_t n) {
  size_t width = p->count - 1;
  uint64_t h = 1;
  for (size_t i = width; i > 0; i--)
    h = hash(h, i <= n ? (uint64_t)ids[n - i] : 0);
  return h;
}


/* Whether one of the calls before, of those that the history holds, had the
   context behind `n` new tokens. */
static bool is_repeated (const dc_processor *p, const int32_t *ids, size_t n,
                         uint64_t h) {
  size_t first = p->flag && p->count > 1 ? p->count - 1 : 0;
  size_t history = p->window, calls = n - first;
  size_t oldest = calls > history ? n - history : first;
  for (size_t i = oldest; i < n; i++)
    if (context_hash(p, ids, i) == h) return true;
  return false;
}


/* The table's entry for a key, which counts as a signed number; its rest is
   never negative. */
static float bit (const dc_processor *p, uint64_t key) {
  uint64_t size = p->size;
  if ((size & (size - 1)) == 0) return (float)p->table[key & (size - 1)];
  int64_t rest = (int64_t)key % (int64_t)size;
  return (float)p->table[rest < 0 ? rest + (int64_t)size : rest];
}


/* One round of the tournament on prob[n]; g: scratch. */
static void play (const dc_processor *p, uint64_t h, uint64_t key,
                  float *prob, float *g, size_t n) {
  double mass = 0;
  for (size_t id = 0; id < n; id++) {
    g[id] = bit(p, hash(hash(h, id), key));
    mass += (double)g[id] * prob[id];
  }
  float lost = (float)mass;
  for (size_t id = 0; id < n; id++) prob[id] *= 1 + g[id] - lost;
}


static size_t first_new (const dc_processor *p, const dc_step *step) {
  if (step->prompt != DC_NO_PROMPT)
    return step->prompt < step->n_ids ? step->prompt : step->n_ids;
  beginning *b = p->state;
  if (!b->known || step->n_ids < b->start)
    *b = (beginning){true, step->n_ids};
  return b->start;
}


bool dc_apply_synthid (const dc_processor *p, const dc_step *step,
                       dc_error *err) {
  const dc_logits *row = &step->logits;
  size_t start = first_new(p, step), n = step->n_ids - start;
  const int32_t *ids = step->ids + start;
  if (p->flag && n + 1 < p->count) return true;
  uint64_t h = context_hash(p, ids, n);
  if (is_repeated(p, ids, n, h)) return true;
  if (!dc_logits_probabilities(row, err)) return false;
  for (size_t i = 0; i < p->ids.n; i++)
    play(p, h, (uint64_t)p->ids.at[i], row->a, row->b, row->n);
  dc_kernels_get()->log(row->x, row->a, row->n);
  for (size_t id = 0; id < row->n; id++)
    if (!isfinite(row->x[id])) row->x[id] = -FLT_MAX;
  return true;
}
