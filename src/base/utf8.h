/*
** utf8.h: UTF-8 over counted bytes that may be anything: texts that are cut
** into tokens, and names that come from a file, which are checked before they
** are shown, compared or handed to Lua.
**
** Valid means what Unicode calls well-formed: no overlong forms, no
** surrogates, nothing above U+10FFFF. Noncharacters such as U+FFFE are valid.
*/
#ifndef DC_UTF8_H
#define DC_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DC_UTF8_REPLACEMENT "\xEF\xBF\xBD"  /* U+FFFD */

/* Bytes of the character at the front: 1 to 4; 0 if there is no valid one. */
size_t dc_utf8_length (const char *s, size_t size);

/* The width that the first byte announces, cut to size (which is not 0). For
   text that is known to be valid; anything odd counts as one byte. */
size_t dc_utf8_width (const char *s, size_t size);

/* Are these bytes (all of them) a proper beginning of some valid character? */
bool dc_utf8_incomplete (const char *s, size_t size);

/* Where dc_utf8_length says 0 and size does not: the bytes that together stand
   for one character gone wrong (Unicode: a maximal subpart). */
size_t dc_utf8_bad (const char *s, size_t size);

/* The code point of a valid character of 1 to 4 bytes. */
uint32_t dc_utf8_code (const char *s, size_t length);

/* Writes a code point (no surrogate) as 1 to 4 bytes; returns how many. */
size_t dc_utf8_write (uint32_t code, char *to);

/* Bytes of the white space character at the front, 0 if it is none. The set
   is that of Python's str.strip(), which the Marian tokenizer applies. */
size_t dc_utf8_space (const char *s, size_t size);

/* Whether all of it is valid. */
bool dc_utf8_all (const char *s, size_t size);

/* A name may stand in a message of one line: valid, no control characters,
   not empty. */
bool dc_utf8_is_name (const char *s, size_t size);

/* Makes a message that quotes a file fit for showing: what is not valid (a
   quotation may have been cut) and control characters become '?'. */
void dc_utf8_clean (char *text);

#endif
