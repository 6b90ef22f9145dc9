/*
** watermark.c: the green lists of Kirchenbauer et al., "A Watermark for Large
** Language Models" (2023), to the bit as transformers' WatermarkLogitsProcessor
** draws them, so that its detector finds decant's marks and ours finds its.
**
** The tokens in front seed a generator; the first greenlist_size places of
** its permutation of the vocabulary are green and get the bias. lefthash
** seeds with the last token. selfhash seeds with the candidate and the tokens
** in front of it, so every candidate has a list of its own: is it on it?
*/
#include "decode/kinds.h"
#include "decode/mersenne.h"
#include "decode/select.h"

#define TABLE_SIZE 1000003
#define CANDIDATES 40  /* how many of the best tokens selfhash looks at */

enum { LEFTHASH, SELFHASH };  /* the order of the names in processors.c */


static size_t table_size (const dc_processor *p) {
  return p->choice == SELFHASH ? TABLE_SIZE : 0;
}


static void fill (const dc_processor *p, int32_t *table) {
  dc_mersenne m;
  dc_mersenne_seed(&m, (uint32_t)p->key);
  dc_mersenne_permute(&m, table, TABLE_SIZE, TABLE_SIZE - 1);
}


const dc_memory dc_watermark_memory = {0, NULL, table_size, fill};


static uint64_t hashed (const dc_processor *p, int32_t id) {
  return (uint64_t)p->table[(size_t)id % TABLE_SIZE] + 1;
}


/* The seed that `last` and the n ids in front of it make. The products are
   64 bits that wrap and are compared as signed numbers; the seed is the least
   one modulo 2^64 - 1, of which the generator takes the lower half. */
static uint32_t seed_of (const dc_processor *p, const int32_t *ids, size_t n,
                         int32_t last) {
  uint64_t key = p->key;
  if (p->choice == LEFTHASH) return (uint32_t)(key * (uint64_t)last);
  uint64_t own = hashed(p, last);
  int64_t least = (int64_t)(key * own * own);
  for (size_t i = 0; i < n; i++) {
    int64_t product = (int64_t)(key * hashed(p, ids[i]) * own);
    if (product < least) least = product;
  }
  return (uint32_t)((uint64_t)least - (least < 0));
}


/* Whether `id` is in the first k places. Only the place of this one token is
   followed through the swaps: no list is needed. */
static bool is_drawn (uint32_t seed, size_t vocab, size_t k, size_t id) {
  dc_mersenne m;
  dc_mersenne_seed(&m, seed);
  size_t place = id;
  for (size_t i = 0; i < k; i++) {
    size_t j = i + dc_mersenne_next(&m) % (vocab - i);
    if (place == j) return true;  /* it comes to place i, for good */
    if (place == i) place = j;
  }
  return false;
}


static size_t list_size (const dc_processor *p, size_t vocab) {
  return (size_t)((double)vocab * p->value);
}


/* Is `id` green behind ids[n_ids]? */
static bool is_green (const dc_processor *p, size_t vocab, const int32_t *ids,
                      size_t n_ids, int32_t id) {
  size_t before = p->count - 1 < n_ids ? p->count - 1 : n_ids;
  uint32_t seed = p->choice == SELFHASH
                    ? seed_of(p, ids + n_ids - before, before, id)
                    : seed_of(p, NULL, 0, ids[n_ids - 1]);
  return is_drawn(seed, vocab, list_size(p, vocab), (size_t)id);
}


bool dc_watermark_is_green (const dc_processor *p, size_t vocab,
                            const int32_t *ids, size_t n_ids, int32_t id) {
  size_t context = p->choice == SELFHASH ? p->count - 1 : p->count;
  return n_ids >= context && is_green(p, vocab, ids, n_ids, id);
}


/* A row that is shorter than the context is left alone. */
bool dc_apply_watermark (const dc_processor *p, const dc_step *step,
                         dc_error *err) {
  const dc_logits *row = &step->logits;
  size_t vocab = p->size > 0 ? p->size : row->n;
  if (vocab > row->n)
    return dc_fail(err, "vocab_size is %zu, there are %zu logits", vocab,
                   row->n);
  if (step->n_ids < p->count) return true;
  float bias = (float)p->second;
  if (p->choice == SELFHASH) {
    size_t n = row->n < CANDIDATES ? row->n : CANDIDATES;
    if (!dc_logits_check(row, err)) return false;
    dc_select_top(row->ids, n, row->x, row->n);
    for (size_t i = 0; i < n; i++)
      if (is_green(p, vocab, step->ids, step->n_ids, row->ids[i]))
        row->x[row->ids[i]] += bias;
  } else {
    dc_mersenne m;
    size_t n = list_size(p, vocab);
    dc_mersenne_seed(&m, seed_of(p, NULL, 0, step->ids[step->n_ids - 1]));
    dc_mersenne_permute(&m, row->ids, vocab, n);
    for (size_t i = 0; i < n; i++) row->x[row->ids[i]] += bias;
  }
  return true;
}
