/*
** unicode_classes.h: what kind of character is this? The classes that the
** regular expressions of pre-tokenizers speak of, as of Unicode 16.
**
** The table lists the code points where the classes change, in order:
** code << 11 | bits. The letters of western languages have a table of their
** own, without a search. unicode_classes.py writes both.
*/
#ifndef DC_UNICODE_CLASSES_H
#define DC_UNICODE_CLASSES_H

#include <stddef.h>
#include <stdint.h>

enum dc_class {
  DC_LETTER = 1,        /* \p{L} */
  DC_NUMBER = 2,        /* \p{N} */
  DC_SPACE = 4,         /* \s */
  DC_WORD = 8,          /* \w */
  DC_PUNCTUATION = 16,  /* \p{P} */
  DC_SYMBOL = 32,       /* \p{S} */
  DC_MARK = 64,         /* \p{M} */
  DC_UPPER = 128,       /* Lu Lt Lm Lo M: may begin a word in capitals */
  DC_LOWER = 256,       /* Ll Lm Lo M: may go on with one */
  DC_CASED = 512        /* the letters that deepseek-llm lists */
};

#define DC_N_LATIN 384

extern const uint16_t dc_latin_classes[DC_N_LATIN];
extern const size_t dc_n_class_changes;
extern const uint32_t dc_class_changes[];

/* The classes of a code point, a set of bits. */
static inline unsigned dc_class_of (uint32_t code) {
  size_t low = 0, high = dc_n_class_changes;
  if (code < DC_N_LATIN) return dc_latin_classes[code];
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (dc_class_changes[middle] >> 11 <= code)
      low = middle;
    else
      high = middle;
  }
  return dc_class_changes[low] & 0x7FF;
}

#endif
