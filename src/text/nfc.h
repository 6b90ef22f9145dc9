/*
** nfc.h: Unicode's normal form C: an accent behind its letter becomes one
** character with it, where there is such a character (Unicode Standard Annex
** 15). What some tokenizer files ask for before anything else.
*/
#ifndef DC_NFC_H
#define DC_NFC_H

#include "text/buffer.h"

/* Three code points; the tables are sorted by the first, then the second. */
typedef struct dc_nfc_row {
  uint32_t a, b, c;
} dc_nfc_row;

extern const size_t dc_n_nfc_split, dc_n_nfc_joined, dc_n_nfc_classes;
extern const dc_nfc_row dc_nfc_split[];    /* a is b and c (0: b alone) */
extern const dc_nfc_row dc_nfc_joined[];   /* a and b make c */
extern const dc_nfc_row dc_nfc_classes[];  /* a to b: combining class c */

/* Appends the normal form of valid UTF-8. */
bool dc_nfc (dc_string text, dc_buffer *out, dc_error *err);

#endif
