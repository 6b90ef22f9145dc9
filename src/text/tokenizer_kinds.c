/* tokenizer_kinds.c: the rows of tokenizer_kind.h. */
#include "text/tokenizer_kind.h"

#define SET(kind) (1u << DC_PIECE_##kind)


/* The text as the model sees it, as one stretch: kinds that do not split. */
static bool split_not (const dc_tokenizer *t, dc_string text,
                       dc_encoding *out, dc_error *err) {
  size_t start = out->text.size;
  if (!t->kind->normalize(t, text, DC_SOURCE, &out->text, err)) return false;
  size_t size = out->text.size - start;
  return size == 0 ||
         dc_encoding_add(out, (dc_span){start, size, -1, false}, err);
}


static dc_decode_rules spm_rules (const dc_spm *spm) {
  return (dc_decode_rules){
    .unk_surface = spm->unk_surface,
    .eat_first = spm->dummy_prefix || spm->squeeze,
    .eat_all = spm->squeeze
  };
}


/* ---- SentencePiece ------------------------------------------------------ */

static const char *spm_name (const dc_tokenizer *t) {
  return t->model.spm.algorithm->name;
}


static dc_vocab *spm_vocab (dc_tokenizer *t) {
  return &t->model.spm.spm.vocab;
}


static unsigned spm_control (const dc_tokenizer *t) {
  (void)t;
  return SET(CONTROL) | SET(UNKNOWN);
}


static unsigned spm_user (const dc_tokenizer *t) {
  return t->model.spm.spm.user_apart ? SET(USER) : 0;
}


static bool spm_encode (const dc_tokenizer *t, dc_string text, bool first,
                        const dc_encode_options *o, dc_encoding *out,
                        dc_error *err) {
  (void)o;
  return dc_sentencepiece_encode(&t->model.spm, text, first, out, err);
}


static bool spm_normalize (const dc_tokenizer *t, dc_string text,
                           dc_side side, dc_buffer *out, dc_error *err) {
  (void)side;
  return dc_normalize(&t->model.spm.normalizer, text, true, out, err);
}


static dc_decode_rules spm_decode (const dc_tokenizer *t) {
  return spm_rules(&t->model.spm.spm);
}


static size_t spm_bytes (const dc_tokenizer *t) {
  return dc_sentencepiece_bytes(&t->model.spm);
}


static void spm_free (dc_tokenizer *t) {
  dc_sentencepiece_free(&t->model.spm);
}


const dc_tokenizer_class dc_kind_sentencepiece = {
  spm_name, spm_vocab, spm_control, spm_user, spm_encode, spm_normalize,
  split_not, spm_decode, spm_bytes, spm_free
};


/* ---- Marian ------------------------------------------------------------- */

static const char *marian_name (const dc_tokenizer *t) {
  (void)t;
  return "marian";
}


static dc_vocab *marian_vocab (dc_tokenizer *t) {
  return &t->model.marian.vocab;
}


static unsigned marian_control (const dc_tokenizer *t) {
  (void)t;
  return SET(SPECIAL);
}


static unsigned marian_user (const dc_tokenizer *t) {
  (void)t;
  return 0;
}


static bool marian_encode (const dc_tokenizer *t, dc_string text, bool first,
                           const dc_encode_options *o, dc_encoding *out,
                           dc_error *err) {
  (void)first;
  return dc_marian_encode(&t->model.marian, text, o->side, o->special, out,
                          err);
}


static bool marian_normalize (const dc_tokenizer *t, dc_string text,
                              dc_side side, dc_buffer *out, dc_error *err) {
  return dc_normalize(&t->model.marian.sides[side]->normalizer, text, true,
                      out, err);
}


static dc_decode_rules marian_decode (const dc_tokenizer *t) {
  dc_decode_rules rules = spm_rules(&t->model.marian.sides[DC_SOURCE]->spm);
  rules.strip = true;
  return rules;
}


static size_t marian_bytes (const dc_tokenizer *t) {
  return dc_vocab_bytes(t->vocab) +
         dc_sentencepiece_bytes(&t->model.marian.models[0]) +
         dc_sentencepiece_bytes(&t->model.marian.models[1]);
}


static void marian_free (dc_tokenizer *t) {
  dc_marian_free(&t->model.marian);
}


const dc_tokenizer_class dc_kind_marian = {
  marian_name, marian_vocab, marian_control, marian_user, marian_encode,
  marian_normalize, split_not, marian_decode, marian_bytes, marian_free
};


/* ---- byte-level BPE ----------------------------------------------------- */

static const char *byte_bpe_name (const dc_tokenizer *t) {
  (void)t;
  return "byte-bpe";
}


static dc_vocab *byte_bpe_vocab (dc_tokenizer *t) {
  return &t->model.bpe.vocab;
}


static unsigned byte_bpe_user (const dc_tokenizer *t) {
  (void)t;
  return SET(USER);
}


static bool byte_bpe_encode (const dc_tokenizer *t, dc_string text,
                             bool first, const dc_encode_options *o,
                             dc_encoding *out, dc_error *err) {
  (void)first;
  (void)o;
  return dc_byte_bpe_encode(&t->model.bpe, text, out, err);
}


static bool byte_bpe_normalize (const dc_tokenizer *t, dc_string text,
                                dc_side side, dc_buffer *out, dc_error *err) {
  (void)side;
  return dc_byte_bpe_normalize(&t->model.bpe, text, out, err);
}


static bool byte_bpe_split (const dc_tokenizer *t, dc_string text,
                            dc_encoding *out, dc_error *err) {
  return dc_byte_bpe_split(&t->model.bpe, text, out, err);
}


static dc_decode_rules byte_bpe_decode (const dc_tokenizer *t) {
  (void)t;
  return (dc_decode_rules){.alphabet = true};
}


static size_t byte_bpe_bytes (const dc_tokenizer *t) {
  return dc_vocab_bytes(t->vocab) + dc_merges_bytes(&t->model.bpe.merges);
}


static void byte_bpe_free (dc_tokenizer *t) {
  dc_byte_bpe_free(&t->model.bpe);
}


const dc_tokenizer_class dc_kind_byte_bpe = {
  byte_bpe_name, byte_bpe_vocab, spm_control, byte_bpe_user, byte_bpe_encode,
  byte_bpe_normalize, byte_bpe_split, byte_bpe_decode, byte_bpe_bytes,
  byte_bpe_free
};
