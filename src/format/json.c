/* json.c: see json.h. */
#include "format/json.h"

#include <math.h>
#include <string.h>

#include "base/utf8.h"

#define NOTHING (-1)  /* what next() says at the end of the text */


void dc_json_init (dc_json *j, const char *text, size_t size) {
  memset(j, 0, sizeof *j);
  j->text = text;
  j->size = size;
  j->longest = SIZE_MAX;
}


static bool expected (const dc_json *j, const char *what, dc_error *err) {
  return dc_fail(err, "byte %zu%s: expected %s", j->at,
                 j->at < j->size ? "" : " (the end)", what);
}


static int next (const dc_json *j) {
  return j->at < j->size ? (unsigned char)j->text[j->at] : NOTHING;
}


static int next_after_space (dc_json *j) {
  int c = next(j);
  while (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
    j->at++;
    c = next(j);
  }
  return c;
}


static bool take (dc_json *j, char c, const char *what, dc_error *err) {
  if (next_after_space(j) != c) return expected(j, what, err);
  j->at++;
  return true;
}


static bool is_digit (int c) {
  return c >= '0' && c <= '9';
}


char dc_json_peek (dc_json *j) {
  int c = next_after_space(j);
  if (c == '-' || is_digit(c)) return '0';
  return c > 0 && strchr("{[\"tfn", c) != NULL ? (char)c : '\0';
}


/*
** Containers. One flag, `fresh`, is enough for all depths: a container that
** is entered has no item yet, and one that is returned to has had one.
*/

static bool enter (dc_json *j, bool object, dc_error *err) {
  if (!take(j, object ? '{' : '[', object ? "'{'" : "'['", err)) return false;
  if (j->depth == DC_JSON_DEPTH)
    return dc_fail(err, "byte %zu: nested more than %d deep", j->at - 1,
                   DC_JSON_DEPTH);
  uint64_t bit = (uint64_t)1 << j->depth++;
  j->objects = object ? j->objects | bit : j->objects & ~bit;
  j->fresh = true;
  return true;
}


bool dc_json_object (dc_json *j, dc_error *err) {
  return enter(j, true, err);
}


bool dc_json_array (dc_json *j, dc_error *err) {
  return enter(j, false, err);
}


/* Behind an item: ',' and another one, or the end of the container. */
static bool advance (dc_json *j, char end, bool *more, dc_error *err) {
  int c = next_after_space(j);
  *more = c != end;
  if (c == end) {
    j->at++;
    j->depth--;
    j->fresh = false;
    return true;
  }
  if (!j->fresh && !take(j, ',', end == '}' ? "',' or '}'" : "',' or ']'",
                         err))
    return false;
  j->fresh = false;
  return true;
}


bool dc_json_key (dc_json *j, dc_json_text *key, bool *more, dc_error *err) {
  dc_json_text ignored;
  if (!advance(j, '}', more, err)) return false;
  return !*more || (dc_json_string(j, key != NULL ? key : &ignored, err) &&
                    take(j, ':', "':'", err));
}


bool dc_json_item (dc_json *j, bool *more, dc_error *err) {
  return advance(j, ']', more, err);
}


/*
** Strings. The scan checks and measures; unescaping is done by dc_json_copy,
** which may then trust what it reads.
*/

static int hex_digit (int c) {
  return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}


/* The four hex digits at p (n bytes are there), -1 if there are none. */
static int32_t hex4 (const char *p, size_t n) {
  int32_t value = 0;
  for (size_t i = 0; i < 4; i++) {
    int digit = i < n ? hex_digit((unsigned char)p[i]) : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}


/* The code point of the \u escape at p, as 6 or 12 characters (a pair of
   surrogates); -1 if it is none or a lone surrogate. */
static int32_t unicode_escape (const char *p, size_t n, size_t *length) {
  int32_t high = n > 2 ? hex4(p + 2, n - 2) : -1, low;
  *length = 6;
  if (high < 0xD800 || high > 0xDFFF) return high;
  if (high > 0xDBFF || n < 12 || p[6] != '\\' || p[7] != 'u') return -1;
  *length = 12;
  low = hex4(p + 8, n - 8);
  if (low < 0xDC00 || low > 0xDFFF) return -1;
  return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}


static size_t utf8_size (int32_t code) {
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}


static bool scan_escape (dc_json *j, dc_json_text *out, dc_error *err) {
  const char *p = j->text + j->at;
  size_t left = j->size - j->at, length = 2, size = 1;
  if (left > 1 && p[1] == 'u') {
    int32_t code = unicode_escape(p, left, &length);
    if (code < 0)
      return expected(j, "\\u and the four hex digits of a character (no lone "
                      "surrogate)", err);
    if (code == 0) out->has_nul = true;
    size = utf8_size(code);
  }
  else if (left < 2 || p[1] == '\0' || strchr("\"\\/bfnrt", p[1]) == NULL)
    return expected(j, "one of JSON's escapes", err);
  out->plain = false;
  out->size += size;
  j->at += length;
  return true;
}


static bool scan_character (dc_json *j, dc_json_text *out, dc_error *err) {
  const char *p = j->text + j->at;
  size_t step = dc_utf8_length(p, j->size - j->at);
  if (step == 0) return expected(j, j->at < j->size ? "valid UTF-8"
                                 : "the '\"' that ends a string", err);
  if ((unsigned char)p[0] < 0x20)
    return expected(j, "no bare control character in a string", err);
  j->at += step;
  out->size += step;
  return true;
}


/* Most of any string: ASCII that stands for itself. */
static void scan_ascii (dc_json *j, dc_json_text *out) {
  size_t start = j->at;
  while (j->at < j->size) {
    unsigned char c = (unsigned char)j->text[j->at];
    if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') break;
    j->at++;
  }
  out->size += j->at - start;
}


bool dc_json_string (dc_json *j, dc_json_text *out, dc_error *err) {
  if (!take(j, '"', "a string", err)) return false;
  size_t start = j->at;
  memset(out, 0, sizeof *out);
  out->plain = true;
  for (;;) {
    scan_ascii(j, out);
    if (j->at - start > j->longest)
      return dc_fail(err, "byte %zu: a string of more than %zu bytes", start,
                     j->longest);
    int c = next(j);
    if (c == '"') break;
    if (!(c == '\\' ? scan_escape : scan_character)(j, out, err)) return false;
  }
  out->raw = (dc_string){j->text + start, j->at - start};
  j->at++;
  return true;
}


char *dc_json_copy (const dc_json_text *text, char *to) {
  static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
  const char *p = text->raw.data, *end = p + text->raw.size;
  while (p < end) {
    if (*p != '\\') {
      *to++ = *p++;
    }
    else if (p[1] == 'u') {
      size_t length;
      int32_t code = unicode_escape(p, (size_t)(end - p), &length);
      to += dc_utf8_write((uint32_t)code, to);
      p += length;
    }
    else {
      const char *letter = strchr(letters, p[1]);
      *to++ = letter != NULL ? meanings[letter - letters] : p[1];
      p += 2;
    }
  }
  return to;
}


bool dc_json_is (const dc_json_text *text, const char *word) {
  char plain[64];
  if (text->size != strlen(word) || text->size > sizeof plain) return false;
  dc_json_copy(text, plain);
  return memcmp(plain, word, text->size) == 0;
}


/*
** Numbers and words.
*/

bool dc_json_uint (dc_json *j, uint64_t *out, dc_error *err) {
  static const char rule[] = "a whole number from 0 to 2^64 - 1";
  size_t start;
  uint64_t value = 0;
  int c = next_after_space(j);
  start = j->at;
  if (!is_digit(c)) return expected(j, rule, err);
  for (; is_digit(c); c = next(j)) {
    bool fits = !__builtin_mul_overflow(value, (uint64_t)10, &value) &&
                !__builtin_add_overflow(value, (uint64_t)(c - '0'), &value);
    if (!fits || (j->at > start && j->text[start] == '0'))
      return j->at = start, expected(j, rule, err);
    j->at++;
  }
  if (c == '.' || c == 'e' || c == 'E')
    return j->at = start, expected(j, rule, err);
  *out = value;
  return true;
}


bool dc_json_int (dc_json *j, int64_t *out, dc_error *err) {
  bool negative = next_after_space(j) == '-';
  size_t start = j->at;
  uint64_t size, limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
  j->at += negative;
  if (!is_digit(next(j)) || !dc_json_uint(j, &size, err) || size > limit)
    return j->at = start, expected(j, "a whole number of 64 bits", err);
  *out = negative ? (int64_t)(0 - size) : (int64_t)size;
  return true;
}


static bool take_word (dc_json *j, const char *word) {
  size_t n = strlen(word);
  next_after_space(j);
  if (j->size - j->at < n || memcmp(j->text + j->at, word, n) != 0)
    return false;
  j->at += n;
  return true;
}


bool dc_json_bool (dc_json *j, bool *out, dc_error *err) {
  *out = take_word(j, "true");
  return *out || take_word(j, "false") || expected(j, "true or false", err);
}


static bool skip_digits (dc_json *j, dc_error *err) {
  if (!is_digit(next(j))) return expected(j, "a digit", err);
  while (is_digit(next(j))) j->at++;
  return true;
}


/* number = [ minus ] int [ frac ] [ exp ] */
static bool skip_number (dc_json *j, dc_error *err) {
  if (next(j) == '-') j->at++;
  if (next(j) == '0') j->at++;
  else if (!skip_digits(j, err)) return false;
  if (next(j) == '.') {
    j->at++;
    if (!skip_digits(j, err)) return false;
  }
  if (next(j) == 'e' || next(j) == 'E') {
    j->at++;
    if (next(j) == '+' || next(j) == '-') j->at++;
    return skip_digits(j, err);
  }
  return true;
}


/* value * 10^exponent. 64 bits of mantissa: powers up to 10^27 are exact. */
static double scale (uint64_t value, int64_t exponent) {
  long double x = (long double)value, ten = 10.0L;
  uint64_t n = exponent < 0 ? 0 - (uint64_t)exponent : (uint64_t)exponent;
  if (value == 0) return 0;
  if (n > 400) return exponent < 0 ? 0 : HUGE_VAL;
  long double power = 1.0L;
  for (; n > 0; n >>= 1, ten *= ten)
    if (n & 1) power *= ten;
  return (double)(exponent < 0 ? x / power : x * power);
}


/* Digits as a number of up to 19 of them; those behind only count. */
static void read_digits (const char **p, uint64_t *value, int64_t *dropped) {
  for (; is_digit((unsigned char)**p); (*p)++) {
    if (*value < 1000000000000000000u)
      *value = *value * 10 + (uint64_t)(**p - '0');
    else
      (*dropped)++;
  }
}


/* The text was checked by skip_number, and something stands behind it. */
static double number_at (const char *p) {
  uint64_t value = 0, power = 0;
  int64_t exponent = 0, dropped = 0, ignored = 0;
  bool negative = *p == '-';
  p += negative;
  read_digits(&p, &value, &exponent);
  if (*p == '.') {
    const char *start = ++p;
    read_digits(&p, &value, &dropped);
    exponent -= (p - start) - dropped;
  }
  if (*p == 'e' || *p == 'E') {
    bool below = p[1] == '-';
    p += p[1] == '-' || p[1] == '+' ? 2 : 1;
    read_digits(&p, &power, &ignored);
    if (power > 100000) power = 100000;
    exponent += below ? -(int64_t)power : (int64_t)power;
  }
  double size = scale(value, exponent);
  return negative ? -size : size;
}


bool dc_json_number (dc_json *j, double *out, dc_error *err) {
  char text[64];
  int c = next_after_space(j);
  size_t start = j->at;
  if (c != '-' && !is_digit(c)) return expected(j, "a number", err);
  if (!skip_number(j, err)) return false;
  if (j->at - start >= sizeof text)
    return j->at = start, expected(j, "a number of up to 63 characters", err);
  memcpy(text, j->text + start, j->at - start);
  text[j->at - start] = '\0';
  *out = number_at(text);
  if (isfinite(*out)) return true;
  return j->at = start, expected(j, "a number that a double can hold", err);
}


/* Passes over a string, number or word, or enters a container. */
static bool step_in (dc_json *j, dc_error *err) {
  dc_json_text text;
  switch (dc_json_peek(j)) {
    case '{': return dc_json_object(j, err);
    case '[': return dc_json_array(j, err);
    case '"': return dc_json_string(j, &text, err);
    case '0': return skip_number(j, err);
    default:
      return take_word(j, "true") || take_word(j, "false") ||
             take_word(j, "null") || expected(j, "a value", err);
  }
}


bool dc_json_skip (dc_json *j, dc_error *err) {
  int depth = j->depth;
  if (!step_in(j, err)) return false;
  while (j->depth > depth) {
    bool more, in_object = j->objects >> (j->depth - 1) & 1;
    if (!(in_object ? dc_json_key(j, NULL, &more, err)
                    : dc_json_item(j, &more, err))) return false;
    if (more && !step_in(j, err)) return false;
  }
  return true;
}


bool dc_json_end (dc_json *j, dc_error *err) {
  return next_after_space(j) == NOTHING || expected(j, "the end", err);
}
