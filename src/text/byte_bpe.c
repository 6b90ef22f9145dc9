/* byte_bpe.c: see byte_bpe.h. */
#include "text/byte_bpe.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "text/nfc.h"


/* ---- the model ---------------------------------------------------------- */

/* A piece that text may become: not one that only its own text gives. */
static int32_t find_word (const dc_byte_bpe *b, dc_string written) {
  int32_t id = dc_vocab_find(&b->vocab, written);
  bool plain = id >= 0 && b->vocab.pieces[id].kind == DC_PIECE_NORMAL;
  return plain ? id : -1;
}


void dc_byte_bpe_finish (dc_byte_bpe *b) {
  for (int byte = 0; byte < 256; byte++) {
    char written[2];
    size_t n = dc_alphabet_write((uint8_t)byte, written);
    b->byte_ids[byte] = find_word(b, (dc_string){written, n});
  }
  b->longest = 0;
  for (size_t id = 0; id < b->vocab.n; id++)
    if (b->vocab.pieces[id].text.size > b->longest)
      b->longest = b->vocab.pieces[id].text.size;
}


void dc_byte_bpe_free (dc_byte_bpe *b) {
  dc_vocab_free(&b->vocab);
  dc_merges_free(&b->merges);
  dc_free(b->texts);
  *b = (dc_byte_bpe){0};
}


/* ---- the text ----------------------------------------------------------- */

static size_t valid_part (dc_string s) {
  size_t n = 0, width;
  while (n < s.size && (width = dc_utf8_length(s.data + n, s.size - n)) > 0)
    n += width;
  return n;
}


/* One U+FFFD in place of what should have been one character. */
static bool repair (dc_string text, dc_buffer *out, dc_error *err) {
  static const dc_string replacement = {DC_UTF8_REPLACEMENT, 3};
  while (text.size > 0) {
    size_t n = valid_part(text);
    if (!dc_buffer_add(out, text.data, n, err)) return false;
    text = (dc_string){text.data + n, text.size - n};
    if (text.size == 0) break;
    if (!dc_buffer_add(out, replacement.data, replacement.size, err))
      return false;
    n = dc_utf8_bad(text.data, text.size);
    text = (dc_string){text.data + n, text.size - n};
  }
  return true;
}


static bool compose (dc_string text, dc_buffer *out, dc_error *err) {
  dc_buffer valid = {0};
  bool ok = repair(text, &valid, err) &&
            dc_nfc(dc_buffer_string(&valid), out, err);
  dc_buffer_free(&valid);
  return ok;
}


bool dc_byte_bpe_normalize (const dc_byte_bpe *b, dc_string text,
                            dc_buffer *out, dc_error *err) {
  if (b->add_prefix_space && text.size > 0 && text.data[0] != ' ' &&
      !dc_buffer_add(out, " ", 1, err))
    return false;
  return (b->nfc ? compose : repair)(text, out, err);
}


/* ---- words -------------------------------------------------------------- */

typedef struct work {
  const dc_byte_bpe *b;
  dc_encoding *out;
  char *written;  /* [longest + 2], a word in the alphabet */
} work;


static bool find_merge (const void *model, const char *text,
                        const dc_span *left, const dc_span *right,
                        dc_merge *out) {
  (void)text;
  return dc_merges_find(model, left->id, right->id, out);
}


/* The piece that is this word as a whole, or -1. */
static int32_t whole_word (const work *w, dc_string word) {
  size_t n = 0;
  for (size_t i = 0; i < word.size; i++) {
    if (n > w->b->longest) return -1;
    n += dc_alphabet_write((uint8_t)word.data[i], w->written + n);
  }
  return find_word(w->b, (dc_string){w->written, n});
}


static bool add_bytes (const work *w, size_t start, dc_string word,
                       dc_error *err) {
  for (size_t i = 0; i < word.size; i++) {
    dc_span span = {.start = start + i, .size = 1,
                    .id = w->b->byte_ids[(uint8_t)word.data[i]]};
    if (!dc_encoding_add(w->out, span, err)) return false;
  }
  return true;
}


/* Bytes that have no piece, from span `first` on: unknown, if there is a token
   for that, and shown as what they are. */
static void settle_unknown (const work *w, size_t first) {
  dc_encoding *e = w->out;
  size_t kept = first;
  for (size_t i = first; i < e->n; i++) {
    dc_span span = e->spans[i];
    span.verbatim = span.id < 0;
    if (span.verbatim) span.id = w->b->unk;
    if (span.id >= 0) e->spans[kept++] = span;
  }
  e->n = kept;
}


/* The word lies in the encoding's text. */
static bool take_word (void *context, dc_string word, dc_error *err) {
  const work *w = context;
  const dc_byte_bpe *b = w->b;
  size_t first = w->out->n, start = (size_t)(word.data - w->out->text.data);
  dc_bpe_rules rules = {find_merge, &b->merges};
  if (b->ignore_merges) {
    int32_t id = whole_word(w, word);
    if (id >= 0)
      return dc_encoding_add(w->out, (dc_span){start, word.size, id, false},
                             err);
  }
  if (!add_bytes(w, start, word, err) ||
      !dc_bpe_join(&rules, w->out, first, 1, err))
    return false;
  settle_unknown(w, first);
  return true;
}


bool dc_byte_bpe_encode (const dc_byte_bpe *b, dc_string text,
                         dc_encoding *out, dc_error *err) {
  size_t start = out->text.size;
  if (!dc_byte_bpe_normalize(b, text, &out->text, err)) return false;
  if (out->text.size == start) return true;
  work w = {b, out, dc_encoding_work(out, b->longest + 2, 1)};
  if (w.written == NULL) return dc_no_memory(err);
  dc_string normal = {out->text.data + start, out->text.size - start};
  return dc_pretokenize(&b->pre, normal, take_word, &w, err);
}


static bool note_word (void *context, dc_string word, dc_error *err) {
  dc_encoding *e = context;
  size_t start = (size_t)(word.data - e->text.data);
  return dc_encoding_add(e, (dc_span){start, word.size, -1, false}, err);
}


bool dc_byte_bpe_split (const dc_byte_bpe *b, dc_string text,
                        dc_encoding *out, dc_error *err) {
  size_t start = out->text.size;
  if (!dc_byte_bpe_normalize(b, text, &out->text, err)) return false;
  dc_string normal = {out->text.data, out->text.size};
  if (start > 0) normal = (dc_string){normal.data + start,
                                      normal.size - start};
  return dc_pretokenize(&b->pre, normal, note_word, out, err);
}
