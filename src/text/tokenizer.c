/* tokenizer.c: see tokenizer.h. Loading from files is in tokenizer_file.c and
   tokenizer_gguf.c. */
#include "text/tokenizer.h"

#include "base/memory.h"

struct dc_tokenizer {
  bool is_marian;
  dc_marian marian;        /* one of these two */
  dc_sentencepiece spm;
  const dc_vocab *vocab;   /* the one that ids belong to, in there */
  dc_trie special_texts;   /* what options.special looks for */
  dc_special_ids special;
  bool add_bos, add_eos;
};


static dc_tokenizer *new_tokenizer (dc_error *err) {
  dc_tokenizer *t = dc_alloc(sizeof *t);
  if (t == NULL) dc_no_memory(err);
  return t;
}


/* The end of each constructor: hands out a whole tokenizer or frees it. */
static bool finish (dc_tokenizer **out, dc_tokenizer *t, bool ok,
                    unsigned special_kinds, dc_error *err) {
  if (ok && dc_trie_of_kinds(&t->special_texts, t->vocab, special_kinds,
                             err)) {
    *out = t;
    return true;
  }
  dc_tokenizer_free(t);
  return false;
}


bool dc_tokenizer_from_pieces (dc_tokenizer **out, dc_spm *spm, bool add_bos,
                               bool add_eos, dc_error *err) {
  *out = NULL;
  dc_tokenizer *t = new_tokenizer(err);
  if (t == NULL) {
    dc_spm_free(spm);
    return false;
  }
  t->special = (dc_special_ids){spm->bos, spm->eos, spm->pad, spm->unk};
  t->add_bos = add_bos && spm->bos >= 0;
  t->add_eos = add_eos && spm->eos >= 0;
  bool ok = dc_sentencepiece_init(&t->spm, spm, err);
  t->vocab = &t->spm.spm.vocab;
  return finish(out, t, ok, 1u << DC_PIECE_CONTROL, err);
}


bool dc_tokenizer_from_spm (dc_tokenizer **out, const void *bytes,
                            size_t size, const char *name, dc_error *err) {
  dc_spm spm;
  *out = NULL;
  return (dc_spm_read(&spm, (dc_string){bytes, size}, err) &&
          dc_tokenizer_from_pieces(out, &spm, false, false, err)) ||
         dc_fail_in(err, name);
}


bool dc_tokenizer_from_marian (dc_tokenizer **out, dc_marian_parts *parts,
                               dc_error *err) {
  *out = NULL;
  dc_tokenizer *t = new_tokenizer(err);
  if (t == NULL) {
    dc_marian_parts_free(parts);
    return false;
  }
  t->is_marian = true;
  t->special = (dc_special_ids){-1, parts->eos, parts->pad, parts->unk};
  t->add_eos = true;
  bool ok = dc_marian_init(&t->marian, parts, err);
  t->vocab = &t->marian.vocab;
  return finish(out, t, ok, 1u << DC_PIECE_SPECIAL, err);
}


void dc_tokenizer_free (dc_tokenizer *t) {
  if (t == NULL) return;
  dc_marian_free(&t->marian);
  dc_sentencepiece_free(&t->spm);
  dc_trie_free(&t->special_texts);
  dc_free(t);
}


/* ---- facts -------------------------------------------------------------- */

const char *dc_tokenizer_kind (const dc_tokenizer *t) {
  return t->is_marian ? "marian" : "unigram";
}


size_t dc_tokenizer_size (const dc_tokenizer *t) {
  return t->vocab->n;
}


static size_t bytes_of (const dc_sentencepiece *sp) {
  return sp->spm.vocab.n * (sizeof(dc_piece) + sizeof(dc_entry)) +
         sp->unigram.trie.n * sizeof(dc_trie_node) +
         sp->normalizer.map.n * sizeof(uint32_t);
}


size_t dc_tokenizer_bytes (const dc_tokenizer *t) {
  size_t own = t->vocab->n * (sizeof(dc_piece) + sizeof(dc_entry));
  return sizeof *t + own + bytes_of(&t->spm) +
         bytes_of(&t->marian.models[0]) + bytes_of(&t->marian.models[1]);
}


dc_special_ids dc_tokenizer_special (const dc_tokenizer *t) {
  return t->special;
}


dc_string dc_tokenizer_piece (const dc_tokenizer *t, int32_t id) {
  return t->vocab->pieces[id].text;
}


int32_t dc_tokenizer_id (const dc_tokenizer *t, dc_string piece) {
  return dc_vocab_find(t->vocab, piece);
}


/* ---- text -> ids -------------------------------------------------------- */

dc_encode_options dc_tokenizer_defaults (const dc_tokenizer *t) {
  return (dc_encode_options){.bos = t->add_bos, .eos = t->add_eos};
}


static const dc_sentencepiece *model (const dc_tokenizer *t, dc_side side) {
  return t->is_marian ? t->marian.sides[side] : &t->spm;
}


/* A stretch of text without special tokens, which the model sees by itself:
   it gets its own dummy prefix. */
static bool encode_stretch (const dc_tokenizer *t, dc_string text,
                            const dc_encode_options *o, dc_encoding *out,
                            dc_error *err) {
  return t->is_marian
           ? dc_marian_encode(&t->marian, text, o->side, o->special, out, err)
           : dc_sentencepiece_encode(&t->spm, text, out, err);
}


static bool add_id (dc_encoding *out, int32_t id, dc_error *err) {
  return dc_encoding_add(out, (dc_span){.id = id}, err);
}


/* Special tokens are taken out of the text: the leftmost, then the longest. */
static bool encode_around (const dc_tokenizer *t, dc_string text,
                           const dc_encode_options *o, dc_encoding *out,
                           dc_error *err) {
  size_t from = 0, at = 0;
  while (at <= text.size) {
    int32_t id = -1;
    size_t n = dc_trie_longest(&t->special_texts, text.data + at,
                               text.size - at, &id);
    if (n == 0 && at < text.size) {
      at++;
      continue;
    }
    dc_string stretch = {text.data + from, at - from};
    if (stretch.size > 0 && !encode_stretch(t, stretch, o, out, err))
      return false;
    if (n == 0) break;
    if (!add_id(out, id, err)) return false;
    at += n;
    from = at;
  }
  return true;
}


bool dc_tokenizer_encode (const dc_tokenizer *t, dc_string text,
                          const dc_encode_options *o, dc_encoding *out,
                          dc_error *err) {
  if (o->bos && !add_id(out, t->special.bos, err)) return false;
  bool ok = o->special ? encode_around(t, text, o, out, err)
                       : encode_stretch(t, text, o, out, err);
  return ok && (!o->eos || add_id(out, t->special.eos, err));
}


bool dc_tokenizer_normalize (const dc_tokenizer *t, dc_string text,
                             dc_side side, dc_buffer *out, dc_error *err) {
  return dc_normalize(&model(t, side)->normalizer, text, out, err);
}


/* ---- ids -> text -------------------------------------------------------- */

void dc_tokenizer_decoder (const dc_tokenizer *t, bool special,
                           dc_decoder *out) {
  const dc_spm *spm = &model(t, DC_SOURCE)->spm;
  dc_decode_rules rules = {
    .unk_surface = spm->unk_surface,
    .eat_first = spm->dummy_prefix || spm->squeeze,
    .eat_all = spm->squeeze,
    .strip = t->is_marian
  };
  dc_decoder_init(out, t->vocab, rules, special);
}
