/*
** string.h: a counted piece of text inside somebody else's memory, mostly a
** mapped file. Not ended by a NUL and may hold any byte.
*/
#ifndef DC_STRING_H
#define DC_STRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct dc_string {
  const char *data;
  size_t size;
} dc_string;

static inline dc_string dc_string_of (const char *text) {
  return (dc_string){text, strlen(text)};
}

static inline bool dc_string_equal (dc_string a, dc_string b) {
  return a.size == b.size && (a.size == 0 || !memcmp(a.data, b.data, a.size));
}

static inline bool dc_string_is (dc_string a, const char *text) {
  return dc_string_equal(a, dc_string_of(text));
}

/* FNV-1a, for hash tables over names and pieces. */
static inline uint64_t dc_string_hash (dc_string s) {
  uint64_t h = 14695981039346656037u;
  for (size_t i = 0; i < s.size; i++)
    h = (h ^ (unsigned char)s.data[i]) * 1099511628211u;
  return h ^ (h >> 32);
}

/* For "%.*s" in messages: a name from a file, cut to what a line can hold. */
#define DC_SHOWN(s) ((int)((s).size > 80 ? 80 : (s).size)), (s).data

#endif
