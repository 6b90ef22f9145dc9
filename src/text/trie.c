/*
** trie.c: see trie.h. Built breadth first from the sorted entries: a node is
** the run of entries that share its prefix, its children are the sub-runs by
** the next byte.
*/
#include "text/trie.h"

#include <stdlib.h>

#include "base/memory.h"
#include "text/buffer.h"

typedef struct run {
  size_t low, high;  /* entries low .. high - 1 */
  size_t depth;      /* bytes that they share */
} run;


static size_t common_prefix (dc_string a, dc_string b) {
  size_t n = 0;
  while (n < a.size && n < b.size && a.data[n] == b.data[n]) n++;
  return n;
}


/* One node for each prefix: what an entry does not share with the one before
   it is new. */
static bool count_nodes (const dc_entry *sorted, size_t n, size_t *out) {
  size_t count = 1;
  for (size_t i = 0; i < n; i++) {
    size_t shared =
      i > 0 ? common_prefix(sorted[i - 1].text, sorted[i].text) : 0;
    count += sorted[i].text.size - shared;
  }
  *out = count;
  return count <= UINT32_MAX;
}


/* Appends the children of node `at`; *n is the number of nodes so far. */
static void add_children (dc_trie *trie, run *runs, const dc_entry *sorted,
                          size_t at, size_t *n) {
  run r = runs[at];
  dc_trie_node *node = &trie->nodes[at];
  if (r.low < r.high && sorted[r.low].text.size == r.depth)
    node->id = sorted[r.low++].id;
  node->first = (uint32_t)*n;
  while (r.low < r.high) {
    char byte = sorted[r.low].text.data[r.depth];
    size_t end = r.low + 1;
    while (end < r.high && sorted[end].text.data[r.depth] == byte) end++;
    runs[*n] = (run){r.low, end, r.depth + 1};
    trie->nodes[*n] = (dc_trie_node){.byte = (uint8_t)byte, .id = -1};
    (*n)++;
    node->count++;
    r.low = end;
  }
}


static int compare (const void *left, const void *right) {
  dc_string a = ((const dc_entry *)left)->text;
  dc_string b = ((const dc_entry *)right)->text;
  int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
  return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}


bool dc_trie_build (dc_trie *trie, dc_entry *sorted, size_t n,
                    dc_error *err) {
  size_t total, filled = 1;
  if (n == 0) return true;
  qsort(sorted, n, sizeof *sorted, compare);
  if (!count_nodes(sorted, n, &total))
    return dc_fail(err, "the pieces are too many for one vocabulary");
  run *runs = dc_alloc_array(total, sizeof *runs);
  trie->nodes = dc_alloc_array(total, sizeof *trie->nodes);
  trie->n = total;
  if (runs == NULL || trie->nodes == NULL) {
    dc_free(runs);
    return dc_no_memory(err);
  }
  trie->nodes[0].id = -1;
  runs[0] = (run){0, n, 0};
  for (size_t at = 0; at < filled; at++)
    add_children(trie, runs, sorted, at, &filled);
  dc_free(runs);
  return true;
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


uint32_t dc_trie_step (const dc_trie *trie, uint32_t node, uint8_t byte) {
  uint32_t low = trie->nodes[node].first;
  uint32_t high = low + trie->nodes[node].count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    uint8_t found = trie->nodes[middle].byte;
    if (found == byte) return middle;
    if (found < byte)
      low = middle + 1;
    else
      high = middle;
  }
  return 0;
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
