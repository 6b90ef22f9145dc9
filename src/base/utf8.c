/* utf8.c: see utf8.h. The ranges are table 3-7 of the Unicode standard. */
#include "base/utf8.h"

#include <string.h>


/* Width that a first byte announces (0: it begins nothing), and the range of
   the second byte, the only one that depends on the first. */
static size_t begins (uint8_t first, uint8_t *min, uint8_t *max) {
  *min = 0x80;
  *max = 0xBF;
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  if (first < 0xE0) return 2;
  if (first < 0xF0) {
    if (first == 0xE0) *min = 0xA0;  /* else overlong */
    if (first == 0xED) *max = 0x9F;  /* else a surrogate */
    return 3;
  }
  if (first == 0xF0) *min = 0x90;    /* else overlong */
  if (first == 0xF4) *max = 0x8F;    /* else above U+10FFFF */
  return 4;
}


/* How many of the bytes at the front fit into one character, up to the width
   that the first one announces. */
static size_t fitting (const char *s, size_t size, size_t *width) {
  uint8_t min, max;
  *width = size > 0 ? begins((uint8_t)s[0], &min, &max) : 0;
  if (*width == 0) return 0;
  size_t n = 1;
  while (n < *width && n < size) {
    uint8_t byte = (uint8_t)s[n];
    if (byte < min || byte > max) break;
    min = 0x80;
    max = 0xBF;
    n++;
  }
  return n;
}


size_t dc_utf8_length (const char *s, size_t size) {
  size_t width, n = fitting(s, size, &width);
  return n == width ? n : 0;
}


bool dc_utf8_incomplete (const char *s, size_t size) {
  size_t width, n = fitting(s, size, &width);
  return n > 0 && n == size && n < width;
}


size_t dc_utf8_width (const char *s, size_t size) {
  uint8_t first = (uint8_t)s[0];
  size_t width = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  return width < size ? width : size;
}


size_t dc_utf8_bad (const char *s, size_t size) {
  size_t width, n = fitting(s, size, &width);
  return n > 0 ? n : 1;
}


uint32_t dc_utf8_code (const char *s, size_t length) {
  static const uint8_t first_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  uint32_t c = (uint8_t)s[0] & first_bits[length];
  for (size_t i = 1; i < length; i++)
    c = c << 6 | ((uint8_t)s[i] & 0x3F);
  return c;
}


size_t dc_utf8_write (uint32_t code, char *to) {
  static const uint8_t first[] = {0, 0, 0xC0, 0xE0, 0xF0};
  size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (size_t i = n - 1; i > 0; i--, code >>= 6)
    to[i] = (char)(0x80 | (code & 0x3F));
  to[0] = (char)(first[n] | code);
  return n;
}


size_t dc_utf8_space (const char *s, size_t size) {
  size_t length = dc_utf8_length(s, size);
  if (length == 0) return 0;
  uint32_t c = dc_utf8_code(s, length);
  bool space = (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) ||
               c == 0x85 || c == 0xA0 || c == 0x1680 ||
               (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
               c == 0x202F || c == 0x205F || c == 0x3000;
  return space ? length : 0;
}


bool dc_utf8_all (const char *s, size_t size) {
  for (size_t i = 0, step; i < size; i += step) {
    step = dc_utf8_length(s + i, size - i);
    if (step == 0) return false;
  }
  return true;
}


static bool is_control (char c) {
  return (unsigned char)c < 0x20 || c == 0x7F;
}


bool dc_utf8_is_name (const char *s, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (is_control(s[i])) return false;
  return size > 0 && dc_utf8_all(s, size);
}


void dc_utf8_clean (char *text) {
  size_t n = strlen(text);
  for (size_t i = 0; i < n;) {
    size_t step = dc_utf8_length(text + i, n - i);
    if (step == 0 || is_control(text[i])) text[i] = '?';
    i += step > 0 ? step : 1;
  }
}
