/*
** pretokenize_class.h: what the steps of pretokenize.h read a text with.
** Everything here is about valid UTF-8.
*/
#ifndef DC_PRETOKENIZE_CLASS_H
#define DC_PRETOKENIZE_CLASS_H

#include "base/utf8.h"
#include "text/unicode_classes.h"

/* The code point at s, and its width; 0 and 0 at the end. */
static inline uint32_t code_at (const char *s, size_t size, size_t *width) {
  if (size == 0) return *width = 0;
  *width = dc_utf8_width(s, size);
  return *width == 1 ? (unsigned char)s[0] : dc_utf8_code(s, *width);
}


/* The classes of the character at s (none at the end), and its width. */
static inline unsigned class_at (const char *s, size_t size, size_t *width) {
  uint32_t code = code_at(s, size, width);
  return *width > 0 ? dc_class_of(code) : 0;
}


/* Bytes of the characters at the front that have one of the classes. */
static inline size_t run_of (const char *s, size_t size, unsigned classes) {
  size_t n = 0, width;
  while (class_at(s + n, size - n, &width) & classes) n += width;
  return n;
}


/* ... that have none of them. */
static inline size_t run_without (const char *s, size_t size,
                                  unsigned classes) {
  size_t n = 0, width;
  while (n < size && !(class_at(s + n, size - n, &width) & classes))
    n += width;
  return n;
}


static inline bool is_line_break (char c) {
  return c == '\r' || c == '\n';
}


/* [\r\n]* */
static inline size_t run_of_breaks (const char *s, size_t size) {
  size_t n = 0;
  while (n < size && is_line_break(s[n])) n++;
  return n;
}

#endif
