/*
** nfc.c: see nfc.h. Take every character apart, put marks on the same letter
** into the order of their classes, join what can be joined. Linear but for the
** sort of the marks on one letter.
*/
#include "text/nfc.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/utf8.h"

/* Hangul syllables are computed. */
enum {
  S0 = 0xAC00, L0 = 0x1100, V0 = 0x1161, T0 = 0x11A7, NL = 19, NV = 21,
  NT = 28, NS = NL * NV * NT
};

typedef struct character {
  uint32_t code, class;
  size_t place;  /* keeps the sort stable */
} character;

typedef struct line {
  character *chars;  /* [n] */
  size_t n, capacity;
} line;


/* ---- tables ------------------------------------------------------------- */

/* The row whose a (and b, if `pair`) are these, or NULL. */
static const dc_nfc_row *find (const dc_nfc_row *rows, size_t n, uint32_t a,
                               uint32_t b, bool pair) {
  size_t low = 0, high = n;
  while (low < high) {
    const dc_nfc_row *row = &rows[low + (high - low) / 2];
    if (row->a == a && (!pair || row->b == b)) return row;
    if (row->a < a || (row->a == a && row->b < b))
      low = (size_t)(row - rows) + 1;
    else
      high = (size_t)(row - rows);
  }
  return NULL;
}


static uint32_t class_of (uint32_t code) {
  size_t low = 0, high = dc_n_nfc_classes;
  while (low < high) {
    const dc_nfc_row *row = &dc_nfc_classes[low + (high - low) / 2];
    if (code >= row->a && code <= row->b) return row->c;
    if (row->b < code)
      low = (size_t)(row - dc_nfc_classes) + 1;
    else
      high = (size_t)(row - dc_nfc_classes);
  }
  return 0;
}


/* What the two become, or 0. */
static uint32_t joined (uint32_t a, uint32_t b) {
  if (a >= L0 && a < L0 + NL && b >= V0 && b < V0 + NV)
    return S0 + ((a - L0) * NV + (b - V0)) * NT;
  if (a >= S0 && a < S0 + NS && (a - S0) % NT == 0 && b > T0 && b < T0 + NT)
    return a + (b - T0);
  const dc_nfc_row *row = find(dc_nfc_joined, dc_n_nfc_joined, a, b, true);
  return row != NULL ? row->c : 0;
}


/* ---- apart -------------------------------------------------------------- */

static bool add (line *l, uint32_t code, dc_error *err) {
  if (l->n == l->capacity) {
    character *room = dc_grow(l->chars, &l->capacity, l->n + 1, sizeof *room);
    if (room == NULL) return dc_no_memory(err);
    l->chars = room;
  }
  l->chars[l->n] = (character){code, class_of(code), l->n};
  l->n++;
  return true;
}


/* The first part of a pair may be a pair again; no deeper than four. */
static bool add_apart (line *l, uint32_t code, dc_error *err) {
  if (code < 0xC0) return add(l, code, err);
  if (code >= S0 && code < S0 + NS) {
    uint32_t s = code - S0, t = s % NT;
    return add(l, L0 + s / (NV * NT), err) &&
           add(l, V0 + s % (NV * NT) / NT, err) &&
           (t == 0 || add(l, T0 + t, err));
  }
  const dc_nfc_row *row = find(dc_nfc_split, dc_n_nfc_split, code, 0, false);
  if (row == NULL) return add(l, code, err);
  return add_apart(l, row->b, err) && (row->c == 0 || add(l, row->c, err));
}


/* ---- in order ----------------------------------------------------------- */

static int compare (const void *left, const void *right) {
  const character *a = left, *b = right;
  if (a->class != b->class) return a->class < b->class ? -1 : 1;
  return (a->place > b->place) - (a->place < b->place);
}


/* Runs of marks (class above 0); most are single ones. */
static void put_in_order (line *l) {
  for (size_t i = 0; i < l->n;) {
    size_t end = i + 1;
    if (l->chars[i].class != 0) {
      while (end < l->n && l->chars[end].class != 0) end++;
      if (end - i > 1) qsort(&l->chars[i], end - i, sizeof *l->chars, compare);
    }
    i = end;
  }
}


/* ---- joined ------------------------------------------------------------- */

/* A character joins the last one of class 0 unless something between them is
   of its class or a higher one. */
static void join (line *l) {
  size_t kept = 0, starter = SIZE_MAX;
  for (size_t i = 0; i < l->n; i++) {
    character c = l->chars[i];
    bool reaches = starter != SIZE_MAX &&
                   (kept == starter + 1 || l->chars[kept - 1].class < c.class);
    uint32_t both = reaches ? joined(l->chars[starter].code, c.code) : 0;
    if (both != 0) {
      l->chars[starter].code = both;
      continue;
    }
    if (c.class == 0) starter = kept;
    l->chars[kept++] = c;
  }
  l->n = kept;
}


/* ---- all of it ---------------------------------------------------------- */

/* Below U+0300 there is no mark, and no character that changes. */
static bool is_inert (dc_string text) {
  for (size_t i = 0; i < text.size; i++)
    if ((unsigned char)text.data[i] >= 0xCC) return false;
  return true;
}


static bool write (const line *l, dc_buffer *out, dc_error *err) {
  char bytes[4];
  for (size_t i = 0; i < l->n; i++)
    if (!dc_buffer_add(out, bytes, dc_utf8_write(l->chars[i].code, bytes),
                       err))
      return false;
  return true;
}


bool dc_nfc (dc_string text, dc_buffer *out, dc_error *err) {
  line l = {0};
  bool ok = true;
  if (is_inert(text)) return dc_buffer_add(out, text.data, text.size, err);
  for (size_t at = 0, width; ok && at < text.size; at += width) {
    width = dc_utf8_width(text.data + at, text.size - at);
    ok = add_apart(&l, dc_utf8_code(text.data + at, width), err);
  }
  if (ok) {
    put_in_order(&l);
    join(&l);
    ok = write(&l, out, err);
  }
  dc_free(l.chars);
  return ok;
}
