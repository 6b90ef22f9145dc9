/*
** byte_alphabet.c: the 256 characters that byte-level BPE writes bytes with.
** Printable ones of Latin-1 stand for themselves; the other 68 are U+0100,
** U+0101 and so on, in the order of the bytes.
*/
#include "text/byte_bpe.h"


static bool is_itself (int byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) ||
         byte >= 174;
}


/* The others are 0 to 32, 127 to 160, and 173. */
static int place_of (int byte) {
  return byte <= 32 ? byte : byte <= 160 ? byte - 127 + 33 : 67;
}


static int byte_at_place (int place) {
  return place <= 32 ? place : place <= 66 ? place - 33 + 127 : 173;
}


size_t dc_alphabet_write (uint8_t byte, char *to) {
  int code = is_itself(byte) ? byte : 0x100 + place_of(byte);
  if (code < 0x80) {
    to[0] = (char)code;
    return 1;
  }
  to[0] = (char)(0xC0 | code >> 6);
  to[1] = (char)(0x80 | (code & 0x3F));
  return 2;
}


int dc_alphabet_read (const char *s, size_t size, size_t *width) {
  const unsigned char *p = (const unsigned char *)s;
  int code = p[0];
  *width = 1;
  if (code >= 0x80) {
    if (size < 2 || code < 0xC2 || code > 0xC5 || (p[1] & 0xC0) != 0x80)
      return -1;
    code = (code & 0x1F) << 6 | (p[1] & 0x3F);
    *width = 2;
  }
  if (code < 0x100) return is_itself(code) ? code : -1;
  return code < 0x100 + 68 ? byte_at_place(code - 0x100) : -1;
}
