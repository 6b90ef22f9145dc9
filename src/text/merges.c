/* merges.c: see merges.h. Open addressing with linear steps. */
#include "text/merges.h"

#include "base/memory.h"
#include "base/size.h"
#include "text/buffer.h"

/* Half of the slots are empty; then no run of this length comes by chance. */
#define MAX_STEPS 512

struct dc_merge_slot {
  uint64_t pair;   /* 0: empty; else the ids, each plus one */
  dc_merge merge;
};


static uint64_t pair_of (int32_t left, int32_t right) {
  return ((uint64_t)left + 1) << 32 | ((uint64_t)right + 1);
}


/* The slot of the pair, or the empty one where it belongs; NULL when the
   search takes too long. */
static struct dc_merge_slot *slot_of (const dc_merges *m, uint64_t pair) {
  uint64_t h = pair * 0x9E3779B97F4A7C15u;
  size_t at = (size_t)(h ^ h >> 32) & m->mask;
  for (int i = 0; i < MAX_STEPS; i++) {
    struct dc_merge_slot *slot = &m->slots[at];
    if (slot->pair == pair || slot->pair == 0) return slot;
    at = (at + 1) & m->mask;
  }
  return NULL;
}


bool dc_merges_init (dc_merges *m, size_t n, dc_error *err) {
  size_t wanted, n_slots = 2;
  if (n > UINT32_MAX || !dc_size_mul(n, 2, &wanted))
    return dc_fail(err, "%zu merges are too many", n);
  while (n_slots < wanted) n_slots *= 2;
  m->slots = dc_alloc_array(n_slots, sizeof *m->slots);
  m->mask = n_slots - 1;
  return m->slots != NULL || dc_no_memory(err);
}


bool dc_merges_add (dc_merges *m, int32_t left, int32_t right, dc_merge merge,
                    dc_error *err) {
  struct dc_merge_slot *slot = slot_of(m, pair_of(left, right));
  if (slot == NULL)
    return dc_fail(err, "one of many pairs that were made to collide");
  if (slot->pair == 0)
    *slot = (struct dc_merge_slot){pair_of(left, right), merge};
  return true;
}


static bool piece_of (const dc_vocab *v, dc_string text, int32_t *id,
                      dc_error *err) {
  *id = dc_vocab_find(v, text);
  return *id >= 0 || dc_fail(err, "\"%.*s\" is no token of the vocabulary",
                             DC_SHOWN(text));
}


bool dc_merges_add_texts (dc_merges *m, const dc_vocab *v, dc_string left,
                          dc_string right, size_t rank, dc_error *err) {
  char both[2 * DC_MAX_PIECE];
  int32_t left_id, right_id, id;
  if (!piece_of(v, left, &left_id, err) || !piece_of(v, right, &right_id, err))
    return false;
  memcpy(both, left.data, left.size);  /* a piece: no longer than the limit */
  memcpy(both + left.size, right.data, right.size);
  return piece_of(v, (dc_string){both, left.size + right.size}, &id, err) &&
         dc_merges_add(m, left_id, right_id,
                       (dc_merge){(uint32_t)rank, id}, err);
}


bool dc_merges_find (const dc_merges *m, int32_t left, int32_t right,
                     dc_merge *out) {
  if (left < 0 || right < 0) return false;
  const struct dc_merge_slot *slot = slot_of(m, pair_of(left, right));
  if (slot == NULL || slot->pair == 0) return false;
  *out = slot->merge;
  return true;
}


size_t dc_merges_bytes (const dc_merges *m) {
  return m->slots != NULL ? (m->mask + 1) * sizeof *m->slots : 0;
}


void dc_merges_free (dc_merges *m) {
  dc_free(m->slots);
  *m = (dc_merges){0};
}
