/*
** trie.h: which of a set of pieces begin here? A trie as a double array (Aoe
** 1989): the child of a node over a byte, if there is one, lies at base ^ byte
** and names the node as its parent. One comparison a step, whatever the number
** of children. Node 0 is the root.
*/
#ifndef DC_TRIE_H
#define DC_TRIE_H

#include "text/vocab.h"

typedef struct dc_trie_node {
  uint32_t base;    /* of the children: in a block of 256 that all exist */
  uint32_t parent;  /* DC_NO_PARENT: nothing is here, or it is the root */
  int32_t id;       /* of the piece that ends here, or -1 */
} dc_trie_node;

#define DC_NO_PARENT UINT32_MAX

typedef struct dc_entry {
  dc_string text;
  int32_t id;
} dc_entry;

typedef struct dc_trie {
  dc_trie_node *nodes;
  size_t n;             /* with empty places; 0: no pieces at all */
  size_t capacity;
} dc_trie;

/* From entries in any order (they are put into that of their bytes), none
   empty, none twice. */
bool dc_trie_build (dc_trie *trie, dc_entry *entries, size_t n,
                    dc_error *err);

/* The same from the pieces of `v` whose kind is in the set `kinds`
   (1u << DC_PIECE_NORMAL | ...). */
bool dc_trie_of_kinds (dc_trie *trie, const dc_vocab *v, unsigned kinds,
                       dc_error *err);

/* From `node` over `byte` to the next one; 0 if there is none. */
static inline uint32_t dc_trie_step (const dc_trie *trie, uint32_t node,
                                     uint8_t byte) {
  uint32_t next = trie->nodes[node].base ^ byte;
  return trie->nodes[next].parent == node ? next : 0;
}

/* The longest piece at the front of s: its bytes (0: none), *id its id. */
size_t dc_trie_longest (const dc_trie *trie, const char *s, size_t size,
                        int32_t *id);

void dc_trie_free (dc_trie *trie);

#endif
