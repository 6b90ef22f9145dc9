/*
** normalizer.h: what SentencePiece does to a text before it cuts it: character
** table, white space rules, space -> U+2581.
*/
#ifndef DC_NORMALIZER_H
#define DC_NORMALIZER_H

#include "text/buffer.h"
#include "text/charsmap.h"
#include "text/trie.h"

#define DC_SPACE_MARK "\xE2\x96\x81"  /* U+2581, which stands for a space */
#define DC_SPACE_MARK_SIZE 3

typedef struct dc_normalizer {
  dc_charsmap map;
  dc_trie user;           /* user-defined symbols: copied, never mapped */
  bool plain[128];        /* ASCII that stays as it is before more ASCII */
  bool dummy_prefix;      /* one space in front, so that every word has one */
  bool as_suffix;         /* ... or behind */
  bool first_only;        /* no prefix but at the beginning of a text */
  bool unless_spaced;     /* no prefix where there is a space already (and
                             stays: it would be squeezed otherwise) */
  bool squeeze;           /* drop leading, trailing and repeated spaces */
  bool escape;            /* write a space as U+2581 */
} dc_normalizer;

/* Once `map` and `user` are there. */
void dc_normalizer_finish (dc_normalizer *n);

/* Appends the normalised form of any bytes. `first`: they are the beginning of
   a text, not a stretch between added tokens. */
bool dc_normalize (const dc_normalizer *n, dc_string text, bool first,
                   dc_buffer *out, dc_error *err);

void dc_normalizer_free (dc_normalizer *n);

#endif
