/*
** pretokenize_isolate.c: the steps that cut something out of a text, and leave
** the rest to the steps behind them.
*/
#include "text/pretokenize.h"
#include "text/pretokenize_class.h"

typedef bool set (uint32_t code);


/* No match: n bytes long, or the one character at the front. */
static size_t none (const char *s, size_t size, size_t n, size_t *skip) {
  *skip = n > 0 ? n : dc_utf8_width(s, size);
  return 0;
}


static size_t run_in (set *contains, const char *s, size_t size) {
  size_t n = 0, width;
  while (n < size && contains(code_at(s + n, size - n, &width))) n += width;
  return n;
}


/* "\s?" in front of something: its width. */
static size_t one_space (const char *s, size_t size) {
  size_t width;
  return class_at(s, size, &width) & DC_SPACE ? width : 0;
}


static size_t matched (const char *s, size_t size, size_t n, size_t *skip) {
  return n > 0 ? n : none(s, size, 0, skip);
}


size_t dc_split_line_breaks (const char *s, size_t size, size_t *skip) {
  return matched(s, size, is_line_break(s[0]), skip);
}


/* ---- numbers ------------------------------------------------------------ */

static size_t digits (const char *s, size_t size, int most, size_t *skip) {
  size_t n = 0, width;
  for (int i = 0; i < most; i++) {
    if (!(class_at(s + n, size - n, &width) & DC_NUMBER)) break;
    n += width;
  }
  return matched(s, size, n, skip);
}


size_t dc_split_digit (const char *s, size_t size, size_t *skip) {
  return digits(s, size, 1, skip);
}


size_t dc_split_digits_3 (const char *s, size_t size, size_t *skip) {
  return digits(s, size, 3, skip);
}


size_t dc_split_digits (const char *s, size_t size, size_t *skip) {
  return matched(s, size, run_of(s, size, DC_NUMBER), skip);
}


size_t dc_split_ascii_3 (const char *s, size_t size, size_t *skip) {
  size_t n = 0;
  while (n < 3 && n < size && s[n] >= '0' && s[n] <= '9') n++;
  return n == 3 ? n : none(s, size, n, skip);
}


/* Behind ByteLevel a file sees the alphabet, where six bytes that are parts of
   characters look like superscripts and fractions. Stretches may begin and end
   in the middle of a character from here on. */
size_t dc_split_byte_digits (const char *s, size_t size, size_t *skip) {
  size_t n = 0;
  while (n < size && ((s[n] >= '0' && s[n] <= '9') ||
                      (s[n] != '\0' && strchr("\xB2\xB3\xB9\xBC\xBD\xBE",
                                              s[n]) != NULL)))
    n++;
  *skip = 1;
  return n;
}


/* ---- words and punctuation ---------------------------------------------- */

static size_t spaced (const char *s, size_t size, unsigned classes,
                      size_t *skip) {
  size_t space = one_space(s, size);
  size_t n = run_of(s + space, size - space, classes);
  return n > 0 ? space + n : none(s, size, space, skip);
}


size_t dc_split_letters (const char *s, size_t size, size_t *skip) {
  return spaced(s, size, DC_LETTER, skip);
}


size_t dc_split_cased (const char *s, size_t size, size_t *skip) {
  return spaced(s, size, DC_CASED, skip);
}


size_t dc_split_punctuation (const char *s, size_t size, size_t *skip) {
  return spaced(s, size, DC_PUNCTUATION, skip);
}


/* [!-/:-~] would hold the letters too; they were cut out before it. */
static bool is_mark (uint32_t c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '~') ||
         (c >= 0xFF01 && c <= 0xFF0F) || (c >= 0xFF1A && c <= 0xFF5E) ||
         (c >= 0x2018 && c <= 0x201F) || (c >= 0x3000 && c <= 0x3002);
}


size_t dc_split_marks (const char *s, size_t size, size_t *skip) {
  size_t space = one_space(s, size);
  size_t n = run_in(is_mark, s + space, size - space);
  if (n > 0) return space + n;
  n = run_in(is_mark, s, size);  /* U+3000 is a space and a mark */
  return n > 0 ? n : none(s, size, space, skip);
}


static bool is_symbol (uint32_t c) {
  return (c < 0x80 && c != 0 && strchr("$+<=>^`|~", (int)c) != NULL) ||
         (dc_class_of(c) & DC_PUNCTUATION);
}


size_t dc_split_symbols (const char *s, size_t size, size_t *skip) {
  return matched(s, size, run_in(is_symbol, s, size), skip);
}


static bool is_symbol_old (uint32_t c) {
  return c != '`' && is_symbol(c);
}


size_t dc_split_symbols_old (const char *s, size_t size, size_t *skip) {
  return matched(s, size, run_in(is_symbol_old, s, size), skip);
}


/* A run of spaces that is not at the end holds no match anywhere. */
size_t dc_split_last_spaces (const char *s, size_t size, size_t *skip) {
  size_t n = run_of(s, size, DC_SPACE);
  return n > 0 && n == size ? n : none(s, size, n, skip);
}


/* ---- scripts ------------------------------------------------------------ */

static bool is_cjk (uint32_t c) {
  return (c >= 0x800 && c <= 0x9FA5) || (c >= 0xAC00 && c <= 0xD7FF);
}


size_t dc_split_cjk (const char *s, size_t size, size_t *skip) {
  return matched(s, size, run_in(is_cjk, s, size), skip);
}


static bool is_cjk_v3 (uint32_t c) {
  return (c >= 0x4E00 && c <= 0x9FA5) || (c >= 0x3040 && c <= 0x30FF);
}


size_t dc_split_cjk_v3 (const char *s, size_t size, size_t *skip) {
  return matched(s, size, run_in(is_cjk_v3, s, size), skip);
}


/* " ?[^(\s|.,!?...)]+": the parentheses and the bar are members too. */
static bool is_bloom (uint32_t c) {
  static const uint16_t ends[] = {
    '(', ')', '|', '.', ',', '!', '?', 0x2026, 0x3002, 0xFF0C, 0x3001, 0x964,
    0x6D4, 0x60C
  };
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
    if (c == ends[i]) return false;
  return !(dc_class_of(c) & DC_SPACE);
}


size_t dc_split_bloom (const char *s, size_t size, size_t *skip) {
  size_t space = s[0] == ' ';
  size_t n = run_in(is_bloom, s + space, size - space);
  return n > 0 ? space + n : none(s, size, space, skip);
}
