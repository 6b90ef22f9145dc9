/*
** json.h: a reader of untrusted JSON (RFC 8259) over a counted text, for
** headers and vocabularies; it takes what the caller asks for, in the order
** of the text, and builds no tree.
**
**     dc_json j;
**     dc_json_init(&j, text, size);
**     ok = dc_json_object(&j, err);
**     while (ok && (ok = dc_json_key(&j, &key, &more, err)) && more)
**       ok = dc_json_uint(&j, &id, err);
**     ok = ok && dc_json_end(&j, err);
**
** Strict: no comments, no trailing commas, no leading zeros, valid UTF-8
** only, no lone surrogates, containers at most 64 deep. It allocates nothing
** and recurses nowhere. Duplicate keys are the caller's matter. A message
** says the byte and what was expected there ("byte 17: expected ':'"); the
** caller puts the file's name in front with dc_fail_in. After a failure the
** reader is of no further use.
*/
#ifndef DC_JSON_H
#define DC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/string.h"

#define DC_JSON_DEPTH 64

typedef struct dc_json {
  const char *text;
  size_t size;
  size_t at;         /* the next byte to read */
  size_t longest;    /* cap on a string, in bytes as written; init: no cap */
  uint64_t objects;  /* bit d: the container that is d + 1 deep is an object */
  int depth;
  bool fresh;        /* the innermost container had no item yet */
} dc_json;

/* A string as it was written, checked, between its quotes. */
typedef struct dc_json_text {
  dc_string raw;  /* inside the reader's text, escapes and all */
  size_t size;    /* bytes after unescaping, at most raw.size */
  bool plain;     /* no escapes: raw is the text itself */
  bool has_nul;   /* contains \u0000, which not everybody can hold */
} dc_json_text;

/* `text` need not end with a NUL; it must outlive the reader's results. */
void dc_json_init (dc_json *j, const char *text, size_t size);

/* What comes next, after white space: '{', '[', '"', '0' (a number), 't',
   'f', 'n', or '\0' when no value begins here. */
char dc_json_peek (dc_json *j);

/* Enters an object, an array. */
bool dc_json_object (dc_json *j, dc_error *err);
bool dc_json_array (dc_json *j, dc_error *err);

/* Goes to the next member of the object (its value is next), or past its end
   with *more = false. `key` may be NULL. */
bool dc_json_key (dc_json *j, dc_json_text *key, bool *more, dc_error *err);

/* Goes to the next item of the array, or past its end with *more = false. */
bool dc_json_item (dc_json *j, bool *more, dc_error *err);

/* The value that is next. Integers are written without fraction and
   exponent, whatever JSON allows; a number out of range is an error. */
bool dc_json_string (dc_json *j, dc_json_text *out, dc_error *err);
bool dc_json_uint (dc_json *j, uint64_t *out, dc_error *err);
bool dc_json_int (dc_json *j, int64_t *out, dc_error *err);
bool dc_json_bool (dc_json *j, bool *out, dc_error *err);

/* Any number, to the nearest double or the one beside it (to the last bit if
   it has up to 19 digits and is of ordinary size). One beyond the doubles is
   an error. */
bool dc_json_number (dc_json *j, double *out, dc_error *err);

/* Passes over any value, checking it. */
bool dc_json_skip (dc_json *j, dc_error *err);

/* Nothing but white space may be left. */
bool dc_json_end (dc_json *j, dc_error *err);

/* Writes the unescaped bytes, text->size of them and no NUL, to `to`;
   returns the place behind them. */
char *dc_json_copy (const dc_json_text *text, char *to);

/* Whether the unescaped text is `word` (shorter than 64 bytes). */
bool dc_json_is (const dc_json_text *text, const char *word);

#endif
