/*
** pretokenize.h: cuts a text into the words that byte-level BPE works on.
** No merge ever crosses their borders.
**
** A pre-tokenizer is a list of steps. Each step goes over the stretches that
** the step before it left, and cuts out what it matches; what lies between two
** matches stays as a stretch of its own. A step is a small function that does
** what one regular expression of a tokenizer.json does, over the classes of
** unicode_classes.h; there is no regular expression at run time. All of them
** are linear: none looks at a byte more than a fixed number of times.
*/
#ifndef DC_PRETOKENIZE_H
#define DC_PRETOKENIZE_H

#include <stdbool.h>

#include "base/fail.h"
#include "base/string.h"

/* The bytes that match at the front of s (valid UTF-8, size > 0), or 0; then
   *skip is how many bytes begin no match for sure (at least a character).
   The end of s is the end of the stretch. */
typedef size_t dc_splitter (const char *s, size_t size, size_t *skip);

#define DC_MAX_STEPS 8

typedef struct dc_pretokenizer {
  dc_splitter *steps[DC_MAX_STEPS];  /* no step at all: one word */
  size_t n;
} dc_pretokenizer;

/* What GGUF calls tokenizer.ggml.pre; an unknown name is an error that lists
   those there are. The flags are what llama.cpp ties to the name. */
typedef struct dc_pre_name {
  dc_pretokenizer steps;
  bool ignore_merges;  /* a word that is a token is taken as it is */
  bool add_bos;
} dc_pre_name;

bool dc_pretokenizer_named (dc_string name, dc_pre_name *out, dc_error *err);

/* The step for a regular expression as tokenizer.json writes it, or NULL. */
dc_splitter *dc_splitter_of_regex (dc_string regex);

/* Calls take(context, word) for each word in order, until it fails. */
bool dc_pretokenize (const dc_pretokenizer *p, dc_string text,
                     bool (*take) (void *context, dc_string word,
                                   dc_error *err),
                     void *context, dc_error *err);


/* The steps. In pretokenize_words.c, those that cut a whole text: */
dc_splitter dc_split_gpt2;         /* also what ByteLevel does by itself */
dc_splitter dc_split_llama3;       /* digits in threes */
dc_splitter dc_split_qwen2;        /* each digit alone */
dc_splitter dc_split_gpt4o;        /* words by upper and lower case */
dc_splitter dc_split_tekken;       /* the same without contractions */
dc_splitter dc_split_deepseek_v3;

/* In pretokenize_isolate.c, those that cut something out: */
dc_splitter dc_split_line_breaks;  /* each \r, \n */
dc_splitter dc_split_digit;        /* each \p{N} */
dc_splitter dc_split_digits;       /* \p{N}+ */
dc_splitter dc_split_digits_3;     /* \p{N}{1,3} */
dc_splitter dc_split_ascii_3;      /* [0-9][0-9][0-9] */
dc_splitter dc_split_byte_digits;  /* what looks like digits in the alphabet
                                      of byte_bpe.h, in runs */
dc_splitter dc_split_letters;      /* \s?\p{L}+ */
dc_splitter dc_split_cased;        /* \s? and deepseek-llm's letters */
dc_splitter dc_split_punctuation;  /* \s?\p{P}+ */
dc_splitter dc_split_marks;        /* \s? and deepseek-llm's punctuation */
dc_splitter dc_split_symbols;      /* \p{P} and ASCII's, in runs */
dc_splitter dc_split_symbols_old;  /* the same without the backtick */
dc_splitter dc_split_last_spaces;  /* \s+$ */
dc_splitter dc_split_cjk;          /* Chinese, Korean and what lies between */
dc_splitter dc_split_cjk_v3;       /* Chinese, kana */
dc_splitter dc_split_bloom;        /* words between marks and spaces */

#endif
