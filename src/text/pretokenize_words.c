/*
** pretokenize_words.c: the steps that cut a whole text into words. Each is one
** regular expression: its alternatives are tried in order and the first that
** matches wins, even where a later one would match more.
*/
#include "text/pretokenize.h"
#include "text/pretokenize_class.h"

#define TEXTUAL (DC_LETTER | DC_NUMBER)


/* ---- parts that they share ---------------------------------------------- */

/* 's 't 're 've 'm 'll 'd */
static size_t contraction (const char *s, size_t size, bool any_case) {
  static const char *const ends[] = {"s", "t", "re", "ve", "m", "ll", "d"};
  if (size < 2 || s[0] != '\'') return 0;
  /* U+017F, the long s, is an s without case */
  if (any_case && size > 2 && !memcmp(s + 1, "\xC5\xBF", 2)) return 3;
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    size_t n = strlen(ends[i]), same = 0;
    if (size < n + 1) continue;
    while (same < n) {
      char c = s[1 + same];
      if (any_case && c >= 'A' && c <= 'Z') c = (char)(c + 32);
      if (c != ends[i][same]) break;
      same++;
    }
    if (same == n) return n + 1;
  }
  return 0;
}


/* " ?[...]+" with one of the classes. */
static size_t spaced_run (const char *s, size_t size, unsigned classes) {
  size_t space = s[0] == ' ';
  size_t n = run_of(s + space, size - space, classes);
  return n > 0 ? space + n : 0;
}


/* " ?[^\s\p{L}\p{N}]+" */
static size_t spaced_other (const char *s, size_t size) {
  size_t space = s[0] == ' ';
  size_t n = run_without(s + space, size - space, TEXTUAL | DC_SPACE);
  return n > 0 ? space + n : 0;
}


/* "[^\r\n\p{L}\p{N}]?\p{L}+" */
static size_t joined_letters (const char *s, size_t size) {
  size_t width;
  unsigned class = class_at(s, size, &width);
  if (class & DC_LETTER) return run_of(s, size, DC_LETTER);
  if ((class & DC_NUMBER) || is_line_break(s[0])) return 0;
  size_t n = run_of(s + width, size - width, DC_LETTER);
  return n > 0 ? width + n : 0;
}


/* "\p{N}{1,most}" */
static size_t numbers (const char *s, size_t size, int most) {
  size_t n = 0, width;
  for (int i = 0; i < most; i++) {
    if (!(class_at(s + n, size - n, &width) & DC_NUMBER)) break;
    n += width;
  }
  return n;
}


/* "\s+(?!\S)|\s+": a run of spaces leaves its last one to the word that
   follows, unless there is but one. */
static size_t spaces (const char *s, size_t size) {
  size_t n = 0, last = 0, width;
  while (class_at(s + n, size - n, &width) & DC_SPACE) {
    last = n;
    n += width;
  }
  return n < size && last > 0 ? last : n;
}


/* "\s*[\r\n]+": of a run of spaces, what ends with its last line break. */
static size_t spaces_to_break (const char *s, size_t size) {
  size_t n = run_of(s, size, DC_SPACE);
  while (n > 0 && !is_line_break(s[n - 1])) n--;
  return n;
}


/* ---- the expressions ---------------------------------------------------- */

size_t dc_split_gpt2 (const char *s, size_t size, size_t *skip) {
  size_t n;
  (void)skip;
  if ((n = contraction(s, size, false))) return n;
  if ((n = spaced_run(s, size, DC_LETTER))) return n;
  if ((n = spaced_run(s, size, DC_NUMBER))) return n;
  if ((n = spaced_other(s, size))) return n;
  return spaces(s, size);
}


static size_t llama3 (const char *s, size_t size, int digits) {
  size_t n;
  if ((n = contraction(s, size, true))) return n;
  if ((n = joined_letters(s, size))) return n;
  if ((n = numbers(s, size, digits))) return n;
  if ((n = spaced_other(s, size)))
    return n + run_of_breaks(s + n, size - n);
  if ((n = spaces_to_break(s, size))) return n;
  return spaces(s, size);
}


size_t dc_split_llama3 (const char *s, size_t size, size_t *skip) {
  (void)skip;
  return llama3(s, size, 3);
}


size_t dc_split_qwen2 (const char *s, size_t size, size_t *skip) {
  (void)skip;
  return llama3(s, size, 1);
}


/* "[upper]*[lower]+". The classes overlap (letters without case, marks), so
   the first part may have to give back what it took, up to the last character
   that is in both. */
static size_t lower_word (const char *s, size_t size) {
  size_t upper = 0, both = 0, width;
  unsigned class;
  while ((class = class_at(s + upper, size - upper, &width)) & DC_UPPER) {
    upper += width;
    if (class & DC_LOWER) both = upper;
  }
  size_t lower = run_of(s + upper, size - upper, DC_LOWER);
  return lower > 0 ? upper + lower : both;
}


/* "[upper]+[lower]*" */
static size_t upper_word (const char *s, size_t size) {
  size_t upper = run_of(s, size, DC_UPPER);
  return upper > 0 ? upper + run_of(s + upper, size - upper, DC_LOWER) : 0;
}


/* One of them, each behind "[^\r\n\p{L}\p{N}]?", which a mark may be too. */
static size_t joined_cased_word (const char *s, size_t size) {
  size_t width, n;
  bool joins = !(class_at(s, size, &width) & TEXTUAL) && !is_line_break(s[0]);
  const char *next = s + width;
  if (joins && (n = lower_word(next, size - width))) return width + n;
  if ((n = lower_word(s, size))) return n;
  if (joins && (n = upper_word(next, size - width))) return width + n;
  return upper_word(s, size);
}


static size_t gpt4o (const char *s, size_t size, int digits,
                     bool contractions) {
  size_t n;
  if ((n = joined_cased_word(s, size)))
    return n + (contractions ? contraction(s + n, size - n, true) : 0);
  if ((n = numbers(s, size, digits))) return n;
  if ((n = spaced_other(s, size))) {
    while (n < size && (is_line_break(s[n]) || s[n] == '/')) n++;
    return n;
  }
  if ((n = spaces_to_break(s, size))) return n;
  return spaces(s, size);
}


size_t dc_split_gpt4o (const char *s, size_t size, size_t *skip) {
  (void)skip;
  return gpt4o(s, size, 3, true);
}


size_t dc_split_tekken (const char *s, size_t size, size_t *skip) {
  (void)skip;
  return gpt4o(s, size, 1, false);
}


static bool is_ascii_letter (char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}


/* "[ASCII punctuation][A-Za-z]+" */
static size_t marked_word (const char *s, size_t size) {
  size_t n = 1, width;
  unsigned class = class_at(s, size, &width);
  if (width != 1 || !(class & (DC_PUNCTUATION | DC_SYMBOL))) return 0;
  while (n < size && is_ascii_letter(s[n])) n++;
  return n > 1 ? n : 0;
}


/* "[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+" */
static size_t joined_marked_letters (const char *s, size_t size) {
  size_t width, n;
  unsigned class = class_at(s, size, &width);
  bool joins = !(class & (DC_LETTER | DC_PUNCTUATION | DC_SYMBOL)) &&
               !is_line_break(s[0]);
  if (joins && (n = run_of(s + width, size - width, DC_LETTER | DC_MARK)))
    return width + n;
  return run_of(s, size, DC_LETTER | DC_MARK);
}


size_t dc_split_deepseek_v3 (const char *s, size_t size, size_t *skip) {
  size_t n;
  if ((n = marked_word(s, size))) return n;
  if ((n = joined_marked_letters(s, size))) return n;
  if ((n = spaced_run(s, size, DC_PUNCTUATION | DC_SYMBOL)))
    return n + run_of_breaks(s + n, size - n);
  if ((n = spaces_to_break(s, size))) return n;
  if ((n = spaces(s, size))) return n;
  *skip = dc_utf8_width(s, size);  /* a digit, a control character */
  return 0;
}
