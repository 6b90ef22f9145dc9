/* sentencepiece.c: see sentencepiece.h. */
#include "text/sentencepiece.h"


/* ---- the algorithms: one row each, by the file's model_type -------------- */

static bool init_unigram (dc_sentencepiece *sp, dc_error *err) {
  return dc_unigram_init(&sp->unigram, &sp->spm.vocab, sp->spm.unk, err);
}


static bool cut_unigram (const dc_sentencepiece *sp, dc_encoding *e,
                         size_t start, dc_error *err) {
  return dc_unigram_cut(&sp->unigram, e, start, err);
}


static bool init_bpe (dc_sentencepiece *sp, dc_error *err) {
  return dc_spm_bpe_init(&sp->bpe, &sp->spm.vocab, &sp->normalizer.user,
                         sp->spm.unk, &sp->spm.merges, err);
}


static bool cut_bpe (const dc_sentencepiece *sp, dc_encoding *e, size_t start,
                     dc_error *err) {
  return dc_spm_bpe_cut(&sp->bpe, e, start, err);
}


static const dc_sentencepiece_algorithm algorithms[] = {
  {DC_SPM_UNIGRAM, "unigram", init_unigram, cut_unigram},
  {DC_SPM_BPE, "bpe", init_bpe, cut_bpe}
};


static bool choose (dc_sentencepiece *sp, dc_error *err) {
  for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++)
    if (algorithms[i].type == sp->spm.type) sp->algorithm = &algorithms[i];
  return sp->algorithm != NULL ||
         dc_fail(err, "model_type %d; supported are unigram (1) and BPE (2)",
                 (int)sp->spm.type);
}


static bool build (dc_sentencepiece *sp, dc_error *err) {
  const dc_spm *spm = &sp->spm;
  dc_normalizer *n = &sp->normalizer;
  n->dummy_prefix = spm->dummy_prefix;
  n->as_suffix = spm->as_suffix;
  n->squeeze = spm->squeeze;
  n->escape = spm->escape;
  n->first_only = spm->prefix_first_only;
  n->unless_spaced = spm->prefix_unless_spaced;
  if (!choose(sp, err) || !dc_charsmap_init(&n->map, spm->charsmap, err) ||
      (!spm->user_apart && !dc_trie_of_kinds(&n->user, &spm->vocab,
                                             1u << DC_PIECE_USER, err)))
    return false;
  dc_normalizer_finish(n);
  return sp->algorithm->init(sp, err);
}


bool dc_sentencepiece_init (dc_sentencepiece *sp, dc_spm *spm,
                            dc_error *err) {
  *sp = (dc_sentencepiece){.spm = *spm};
  *spm = (dc_spm){0};
  if (build(sp, err)) return true;
  dc_sentencepiece_free(sp);
  return false;
}


bool dc_sentencepiece_read (dc_sentencepiece *sp, dc_string file,
                            dc_error *err) {
  dc_spm spm;
  return dc_spm_read(&spm, file, err) && dc_sentencepiece_init(sp, &spm, err);
}


static bool add_bytes (const dc_sentencepiece *sp, dc_span span,
                       dc_encoding *out, dc_error *err) {
  bool ok = true;
  for (size_t at = span.start; ok && at < span.start + span.size; at++) {
    uint8_t byte = (uint8_t)out->text.data[at];
    dc_span piece = {.start = at, .size = 1, .id = sp->spm.byte_ids[byte]};
    ok = dc_encoding_add(out, piece, err);
  }
  return ok;
}


/* Unknown spans from span `first` on are shown as what they stand for; side by
   side they become one, unless they are to stay apart. */
static void settle_unknown (dc_encoding *e, size_t first, const dc_spm *spm) {
  size_t kept = first;
  for (size_t i = first; i < e->n; i++) {
    dc_span span = e->spans[i];
    span.verbatim = span.id == spm->unk;
    bool joins = !spm->unk_apart && kept > first && span.verbatim &&
                 e->spans[kept - 1].verbatim;
    if (joins)
      e->spans[kept - 1].size += span.size;
    else
      e->spans[kept++] = span;
  }
  e->n = kept;
}


/* Byte pieces in place of the unknown spans from `first` on. They are more
   than the spans, so those are taken out of the way first. */
static bool spell_unknown (const dc_sentencepiece *sp, dc_encoding *e,
                           size_t first, dc_error *err) {
  dc_encoding cut = {0};
  bool ok = true;
  for (size_t i = first; ok && i < e->n; i++)
    ok = dc_encoding_add(&cut, e->spans[i], err);
  e->n = first;
  for (size_t i = 0; ok && i < cut.n; i++)
    ok = cut.spans[i].id == sp->spm.unk
           ? add_bytes(sp, cut.spans[i], e, err)
           : dc_encoding_add(e, cut.spans[i], err);
  dc_encoding_free(&cut);
  return ok;
}


bool dc_sentencepiece_encode (const dc_sentencepiece *sp, dc_string text,
                              bool first, dc_encoding *out, dc_error *err) {
  size_t start = out->text.size, span = out->n;
  if (!dc_normalize(&sp->normalizer, text, first, &out->text, err) ||
      !sp->algorithm->cut(sp, out, start, err))
    return false;
  if (sp->spm.byte_fallback) return spell_unknown(sp, out, span, err);
  settle_unknown(out, span, &sp->spm);
  return true;
}


void dc_sentencepiece_free (dc_sentencepiece *sp) {
  dc_unigram_free(&sp->unigram);
  dc_spm_bpe_free(&sp->bpe);
  dc_normalizer_free(&sp->normalizer);
  dc_spm_free(&sp->spm);
}


size_t dc_sentencepiece_bytes (const dc_sentencepiece *sp) {
  return dc_vocab_bytes(&sp->spm.vocab) + dc_merges_bytes(&sp->bpe.merges) +
         sp->unigram.trie.n * sizeof(dc_trie_node) +
         sp->normalizer.map.n * sizeof(uint32_t);
}
