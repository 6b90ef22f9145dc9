/*
** added_tokens.h: tokens that are found in a text by their own text, before
** the model sees what lies between them: `<|im_end|>`, `</s>`, `<mask>`.
**
** A control token is looked for only if the caller says so: what a user types
** never becomes one silently. The others are always looked for.
*/
#ifndef DC_ADDED_TOKENS_H
#define DC_ADDED_TOKENS_H

#include "text/trie.h"

/* Names and meaning as in tokenizer.json. */
typedef struct dc_added_token {
  dc_string text;     /* lies in the owner's memory */
  int32_t id;
  bool control;
  bool lstrip;        /* eats the white space before it */
  bool rstrip;        /* ... and behind it */
  bool single_word;   /* not inside of a word */
  bool late;          /* "normalized": looked for between the others */
} dc_added_token;

typedef struct dc_added_set {
  dc_trie all, plain;           /* of all of them, of all but control ones */
  bool begins[256], begins_plain[256];  /* bytes that begin one */
} dc_added_set;

typedef struct dc_added_tokens {
  dc_added_token *tokens;       /* [n] */
  size_t n, capacity;
  dc_added_set sets[2];         /* first the early ones, then the late ones */
} dc_added_tokens;

bool dc_added_add (dc_added_tokens *a, dc_added_token token, dc_error *err);

/* Once all are there. Refuses empty texts, overlong ones and doubles. */
bool dc_added_finish (dc_added_tokens *a, dc_error *err);

typedef struct dc_added_match {
  const dc_added_token *token;  /* NULL: there is none */
  size_t start, end;            /* with the white space that it eats */
} dc_added_match;

/* The first token at or behind `from`; of several at one place the longest. */
dc_added_match dc_added_next (const dc_added_tokens *a, bool late,
                              bool control, dc_string text, size_t from);

size_t dc_added_bytes (const dc_added_tokens *a);

void dc_added_free (dc_added_tokens *a);

#endif
