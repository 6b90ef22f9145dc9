/* decoder.c: see decoder.h. */
#include "text/decoder.h"

#include "base/utf8.h"
#include "text/byte_bpe.h"
#include "text/normalizer.h"


void dc_decoder_init (dc_decoder *d, const dc_vocab *vocab,
                      dc_decode_rules rules, bool special) {
  *d = (dc_decoder){.vocab = vocab, .rules = rules, .special = special};
}


static bool write (dc_decoder *d, dc_string s, dc_error *err) {
  if (s.size > 0) d->begun = true;
  return dc_buffer_add(&d->text, s.data, s.size, err);
}


/* ---- runs of byte pieces ------------------------------------------------ */

/* Writes what is decided: whole characters, and U+FFFD for a byte that cannot
   belong to one (in the alphabet, as its reference has it, for all bytes of
   one that was begun). At the `end` of a run nothing can follow any more. */
static bool write_run (dc_decoder *d, bool end, dc_error *err) {
  while (d->n_run > 0) {
    if (!end && dc_utf8_incomplete(d->run, d->n_run)) break;
    size_t n = dc_utf8_length(d->run, d->n_run);
    dc_string s = n > 0 ? (dc_string){d->run, n}
                        : dc_string_of(DC_UTF8_REPLACEMENT);
    if (!write(d, s, err)) return false;
    if (n == 0) n = d->rules.alphabet ? dc_utf8_bad(d->run, d->n_run) : 1;
    memmove(d->run, d->run + n, d->n_run - n);
    d->n_run -= n;
  }
  return true;
}


static int hex_digit (char c) {
  return c <= '9' ? c - '0' : c - 'A' + 10;
}


static bool add_byte (dc_decoder *d, int byte, dc_error *err) {
  d->run[d->n_run++] = (char)byte;
  if (write_run(d, false, err)) return true;
  d->n_run = 0;  /* no room for more of them: they are lost */
  return false;
}


/* The text is "<0xAB>": checked when the vocabulary was loaded. */
static bool add_byte_piece (dc_decoder *d, dc_string text, dc_error *err) {
  return add_byte(d, hex_digit(text.data[3]) * 16 + hex_digit(text.data[4]),
                  err);
}


static bool add_bytes (dc_decoder *d, dc_string s, dc_error *err) {
  for (size_t i = 0; i < s.size; i++)
    if (!add_byte(d, (unsigned char)s.data[i], err)) return false;
  return true;
}


/* ---- pieces in the alphabet of bytes ------------------------------------ */

/* A piece with a character that is none of the 256 is plain text. */
static bool is_written (dc_string s) {
  size_t width = 0;
  for (size_t i = 0; i < s.size; i += width)
    if (dc_alphabet_read(s.data + i, s.size - i, &width) < 0) return false;
  return true;
}


static bool add_written (dc_decoder *d, const dc_piece *piece,
                         dc_error *err) {
  dc_string s = piece->text;
  if (piece->kind != DC_PIECE_NORMAL || !is_written(s))
    return add_bytes(d, s, err);
  size_t width = 0;
  for (size_t i = 0; i < s.size; i += width)
    if (!add_byte(d, dc_alphabet_read(s.data + i, s.size - i, &width), err))
      return false;
  return true;
}


/* ---- other pieces ------------------------------------------------------- */

static bool takes_mark (dc_string *s) {
  if (s->size < DC_SPACE_MARK_SIZE ||
      memcmp(s->data, DC_SPACE_MARK, DC_SPACE_MARK_SIZE) != 0)
    return false;
  s->data += DC_SPACE_MARK_SIZE;
  s->size -= DC_SPACE_MARK_SIZE;
  return true;
}


static bool write_marks_as_spaces (dc_decoder *d, dc_string s,
                                   dc_error *err) {
  while (s.size > 0) {
    const char *mark = memmem(s.data, s.size, DC_SPACE_MARK,
                              DC_SPACE_MARK_SIZE);
    size_t plain = mark != NULL ? (size_t)(mark - s.data) : s.size;
    if (!write(d, (dc_string){s.data, plain}, err)) return false;
    s.data += plain;
    s.size -= plain;
    if (takes_mark(&s) && !write(d, dc_string_of(" "), err)) return false;
  }
  return true;
}


static void eat_first_mark (dc_decoder *d, dc_string *s) {
  bool eat = !d->begun && d->rules.eat_first;
  if (eat && takes_mark(s) && !d->rules.eat_all) d->begun = true;
}


static bool add_plain (dc_decoder *d, dc_string s, dc_error *err) {
  eat_first_mark(d, &s);
  return write_marks_as_spaces(d, s, err);
}


/* A text that is no piece: it may be no UTF-8, so it comes byte by byte. Where
   pieces are characters it is whole by itself. */
static bool add_free_text (dc_decoder *d, dc_string s, dc_error *err) {
  if (d->rules.alphabet) return add_bytes(d, s, err);
  if (!write_run(d, true, err)) return false;
  eat_first_mark(d, &s);
  bool ok = true;
  while (ok && s.size > 0) {
    if (takes_mark(&s)) {
      ok = write_run(d, true, err) && write(d, dc_string_of(" "), err);
    } else {
      ok = add_bytes(d, (dc_string){s.data, 1}, err);
      s = (dc_string){s.data + 1, s.size - 1};
    }
  }
  return ok && write_run(d, true, err);
}


/* Special tokens that are shown stand between texts that were encoded each by
   itself: what follows is at a beginning again. */
static bool add_control (dc_decoder *d, dc_string s, dc_error *err) {
  if (!d->special) return true;
  bool ok = write(d, s, err);
  d->begun = false;
  return ok;
}


/* Marian's way: the text of the token and one space. */
static bool add_special (dc_decoder *d, dc_string s, dc_error *err) {
  bool ok = write(d, s, err) && write(d, dc_string_of(" "), err);
  d->begun = false;
  return ok;
}


static bool add_text_piece (dc_decoder *d, const dc_piece *piece,
                            dc_error *err) {
  if (!write_run(d, true, err)) return false;
  switch (piece->kind) {
    case DC_PIECE_SPECIAL: return add_special(d, piece->text, err);
    case DC_PIECE_CONTROL: return add_control(d, piece->text, err);
    case DC_PIECE_UNKNOWN: return write(d, d->rules.unk_surface, err);
    case DC_PIECE_FOREIGN: return write_marks_as_spaces(d, piece->text, err);
    default: return add_plain(d, piece->text, err);
  }
}


static bool is_hidden (const dc_decoder *d, const dc_piece *piece) {
  if (d->special) return false;
  return piece->kind == DC_PIECE_SPECIAL ||
         (piece->kind == DC_PIECE_CONTROL && d->rules.alphabet);
}


static bool add_piece (dc_decoder *d, const dc_piece *piece, dc_error *err) {
  if (is_hidden(d, piece)) return true;
  if (d->rules.alphabet) return add_written(d, piece, err);
  if (piece->kind == DC_PIECE_BYTE)
    return add_byte_piece(d, piece->text, err);
  return add_text_piece(d, piece, err);
}


/* ---- what may be handed out --------------------------------------------- */

/* White space in front goes, white space further on waits for more. */
static void pass (dc_decoder *d, size_t n, bool space) {
  d->scanned += n;
  if (!space) d->shown = true;
  if (!space || !d->shown) d->solid = d->scanned;
  if (!d->shown) d->from = d->scanned;
}


static void scan (dc_decoder *d, bool end) {
  while (d->scanned < d->text.size) {
    const char *s = d->text.data + d->scanned;
    size_t left = d->text.size - d->scanned;
    if (!end && dc_utf8_incomplete(s, left)) break;
    size_t n = dc_utf8_length(s, left);
    pass(d, n > 0 ? n : 1, d->rules.strip && dc_utf8_space(s, left) > 0);
  }
}


static void drop_taken (dc_decoder *d) {
  dc_buffer_drop(&d->text, d->from);
  d->solid -= d->from;
  d->scanned -= d->from;
  d->from = 0;
}


bool dc_decoder_add (dc_decoder *d, int32_t id, dc_error *err) {
  drop_taken(d);
  if (!add_piece(d, &d->vocab->pieces[id], err)) return false;
  scan(d, false);
  return true;
}


bool dc_decoder_add_text (dc_decoder *d, dc_string text, dc_error *err) {
  drop_taken(d);
  if (!add_free_text(d, text, err)) return false;
  scan(d, false);
  return true;
}


bool dc_decoder_end (dc_decoder *d, dc_error *err) {
  if (!write_run(d, true, err)) return false;
  scan(d, true);
  d->text.size = d->scanned = d->solid;  /* the trailing white space goes */
  d->begun = d->shown = false;
  return true;
}


/* Shown, a special token puts what follows at a beginning: there the ids were
   encoded, and there an answer's first space mark belongs to the token. */
bool dc_decoder_skip (dc_decoder *d, const int32_t *ids, size_t n,
                      dc_error *err) {
  bool ok = true, special = d->special;
  d->special = true;
  for (size_t i = 0; ok && i < n; i++) {
    ok = dc_decoder_add(d, ids[i], err);
    dc_decoder_take(d);
  }
  d->special = special;
  return ok;
}


dc_string dc_decoder_take (dc_decoder *d) {
  dc_string ready = {"", d->solid - d->from};
  if (ready.size > 0) ready.data = d->text.data + d->from;
  d->from = d->solid;
  return ready;
}


void dc_decoder_free (dc_decoder *d) {
  dc_buffer_free(&d->text);
  d->from = d->solid = d->scanned = 0;
}
