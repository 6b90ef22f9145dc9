/*
** trie.h: which of a set of pieces begin here? A trie with the children of a
** node side by side, sorted by their byte; node 0 is the root.
*/
#ifndef DC_TRIE_H
#define DC_TRIE_H

#include "text/vocab.h"

typedef struct dc_trie_node {
  uint32_t first;       /* its children are nodes first .. first + count - 1 */
  uint16_t count;       /* up to 256 */
  uint8_t byte;         /* that leads here */
  int32_t id;           /* of the piece that ends here, or -1 */
} dc_trie_node;

typedef struct dc_entry {
  dc_string text;
  int32_t id;
} dc_entry;

typedef struct dc_trie {
  dc_trie_node *nodes;
  size_t n;             /* 0: no pieces at all */
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
uint32_t dc_trie_step (const dc_trie *trie, uint32_t node, uint8_t byte);

/* The longest piece at the front of s: its bytes (0: none), *id its id. */
size_t dc_trie_longest (const dc_trie *trie, const char *s, size_t size,
                        int32_t *id);

void dc_trie_free (dc_trie *trie);

#endif
