/*
** trie.c: see trie.h. Built breadth first from the sorted entries: a node is
** the run of entries that share its prefix, its children are the sub-runs by
** the next byte.
**
** Where the children of a node go is searched for in the few blocks that were
** opened last; so a vocabulary that was made to fit badly costs room (a block
** for some nodes), and never a search through everything.
*/
#include "text/trie.h"

#include <stdlib.h>

#include "base/memory.h"
#include "text/buffer.h"

#define BLOCK 256
#define OPEN_BLOCKS 8
#define FULL 8  /* free places that are not worth a search */

typedef struct run {
  size_t low, high;  /* entries low .. high - 1 */
  size_t depth;      /* bytes that they share */
  uint32_t node;
} run;

/* A block that children may still be put into. */
typedef struct block {
  uint32_t first;      /* node */
  int n_free;
  uint64_t free[4];    /* a bit a place */
} block;

typedef struct builder {
  dc_trie *trie;
  const dc_entry *sorted;
  run *runs;           /* [n], in the order of the levels */
  size_t n;
  block open[OPEN_BLOCKS];
  size_t n_opened;     /* so far; the last ones are still open */
} builder;


/* ---- room --------------------------------------------------------------- */

static bool open_block (builder *b, dc_error *err) {
  dc_trie *t = b->trie;
  if (t->n > UINT32_MAX - 2 * BLOCK)
    return dc_fail(err, "the pieces are too many for one vocabulary");
  dc_trie_node *room = dc_grow(t->nodes, &t->capacity, t->n + BLOCK,
                               sizeof *room);
  if (room == NULL) return dc_no_memory(err);
  t->nodes = room;
  for (size_t i = t->n; i < t->n + BLOCK; i++)
    t->nodes[i] = (dc_trie_node){0, DC_NO_PARENT, -1};
  b->open[b->n_opened++ % OPEN_BLOCKS] = (block){
    (uint32_t)t->n, BLOCK,
    {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}
  };
  t->n += BLOCK;
  return true;
}


static bool is_free (const block *k, unsigned place) {
  return k->free[place / 64] >> place % 64 & 1;
}


static void take (block *k, unsigned place) {
  k->free[place / 64] &= ~((uint64_t)1 << place % 64);
  k->n_free--;
}


static bool all_free (const block *k, unsigned base, const uint8_t *bytes,
                      size_t n) {
  for (size_t i = 1; i < n; i++)
    if (!is_free(k, base ^ bytes[i])) return false;
  return true;
}


/* A base (within the block) where children over these bytes fit, or -1. */
static int base_in (const block *k, const uint8_t *bytes, size_t n) {
  if (k->n_free < FULL || (size_t)k->n_free < n) return -1;
  for (unsigned word = 0; word < 4; word++)
    for (uint64_t left = k->free[word]; left != 0; left &= left - 1) {
      unsigned place = word * 64 + (unsigned)__builtin_ctzll(left);
      unsigned base = place ^ bytes[0];
      if (all_free(k, base, bytes, n)) return (int)base;
    }
  return -1;
}


/* The places are taken. The newest block is asked first: it has most room. */
static bool find_base (builder *b, const uint8_t *bytes, size_t n,
                       uint32_t *out, dc_error *err) {
  size_t open = b->n_opened < OPEN_BLOCKS ? b->n_opened : OPEN_BLOCKS;
  block *k = NULL;
  int base = -1;
  for (size_t i = 1; base < 0 && i <= open; i++) {
    k = &b->open[(b->n_opened - i) % OPEN_BLOCKS];
    base = base_in(k, bytes, n);
  }
  if (base < 0) {
    if (!open_block(b, err)) return false;
    k = &b->open[(b->n_opened - 1) % OPEN_BLOCKS];
    base = 0;
  }
  for (size_t i = 0; i < n; i++) take(k, (unsigned)base ^ bytes[i]);
  *out = k->first + (uint32_t)base;
  return true;
}


/* ---- nodes -------------------------------------------------------------- */

static size_t common_prefix (dc_string a, dc_string b) {
  size_t n = 0;
  while (n < a.size && n < b.size && a.data[n] == b.data[n]) n++;
  return n;
}


/* One node for each prefix: what an entry does not share with the one before
   it is new. */
static size_t count_nodes (const dc_entry *sorted, size_t n) {
  size_t count = 1;
  for (size_t i = 0; i < n; i++) {
    size_t shared =
      i > 0 ? common_prefix(sorted[i - 1].text, sorted[i].text) : 0;
    count += sorted[i].text.size - shared;
  }
  return count;
}


/* Appends the runs of the children of run `at`, and says over which bytes. */
static size_t add_runs (builder *b, size_t at, uint8_t *bytes) {
  run r = b->runs[at];
  size_t n = 0;
  if (r.low < r.high && b->sorted[r.low].text.size == r.depth)
    b->trie->nodes[r.node].id = b->sorted[r.low++].id;
  while (r.low < r.high) {
    char byte = b->sorted[r.low].text.data[r.depth];
    size_t end = r.low + 1;
    while (end < r.high && b->sorted[end].text.data[r.depth] == byte) end++;
    b->runs[b->n + n] = (run){r.low, end, r.depth + 1, 0};
    bytes[n++] = (uint8_t)byte;
    r.low = end;
  }
  return n;
}


static bool add_children (builder *b, size_t at, dc_error *err) {
  uint8_t bytes[BLOCK];
  uint32_t base, node = b->runs[at].node;
  size_t n = add_runs(b, at, bytes);
  if (n == 0) return true;
  if (!find_base(b, bytes, n, &base, err)) return false;
  b->trie->nodes[node].base = base;
  for (size_t i = 0; i < n; i++) {
    uint32_t child = base ^ bytes[i];
    b->trie->nodes[child].parent = node;
    b->runs[b->n++].node = child;
  }
  return true;
}


static int compare (const void *left, const void *right) {
  dc_string a = ((const dc_entry *)left)->text;
  dc_string b = ((const dc_entry *)right)->text;
  int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
  return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}


bool dc_trie_build (dc_trie *trie, dc_entry *entries, size_t n,
                    dc_error *err) {
  builder b = {.trie = trie, .sorted = entries, .n = 1};
  bool ok = true;
  if (n == 0) return true;
  qsort(entries, n, sizeof *entries, compare);
  b.runs = dc_alloc_array(count_nodes(entries, n), sizeof *b.runs);
  if (b.runs == NULL) return dc_no_memory(err);
  ok = open_block(&b, err);
  if (ok) take(&b.open[0], 0);  /* the root */
  b.runs[0] = (run){0, n, 0, 0};
  for (size_t at = 0; ok && at < b.n; at++) ok = add_children(&b, at, err);
  dc_free(b.runs);
  return ok;
}


bool dc_trie_of_kinds (dc_trie *trie, const dc_vocab *v, unsigned kinds,
                       dc_error *err) {
  dc_entry *chosen = dc_alloc_array(v->n, sizeof *chosen);
  if (chosen == NULL) return dc_no_memory(err);
  size_t n = 0;
  for (size_t i = 0; i < v->n; i++)
    if (kinds >> v->pieces[i].kind & 1)
      chosen[n++] = (dc_entry){v->pieces[i].text, (int32_t)i};
  bool ok = dc_trie_build(trie, chosen, n, err);
  dc_free(chosen);
  return ok;
}


size_t dc_trie_longest (const dc_trie *trie, const char *s, size_t size,
                        int32_t *id) {
  size_t longest = 0;
  uint32_t node = 0;
  if (trie->n == 0) return 0;
  for (size_t i = 0; i < size; i++) {
    node = dc_trie_step(trie, node, (uint8_t)s[i]);
    if (node == 0) break;
    if (trie->nodes[node].id >= 0) {
      longest = i + 1;
      *id = trie->nodes[node].id;
    }
  }
  return longest;
}


void dc_trie_free (dc_trie *trie) {
  dc_free(trie->nodes);
  *trie = (dc_trie){0};
}
