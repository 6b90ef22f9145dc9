/* sentencepiece.c: see sentencepiece.h. */
#include "text/sentencepiece.h"


static bool check_type (const dc_spm *spm, dc_error *err) {
  switch (spm->type) {
    case DC_SPM_UNIGRAM: return true;
    case DC_SPM_BPE:
      return dc_fail(err, "a SentencePiece BPE model; only unigram models are "
                     "supported yet");
    default:
      return dc_fail(err, "model_type %d; only unigram models (1) are "
                     "supported", (int)spm->type);
  }
}


static bool build (dc_sentencepiece *sp, dc_error *err) {
  const dc_spm *spm = &sp->spm;
  dc_normalizer *n = &sp->normalizer;
  n->dummy_prefix = spm->dummy_prefix;
  n->as_suffix = spm->as_suffix;
  n->squeeze = spm->squeeze;
  n->escape = spm->escape;
  return check_type(spm, err) &&
         dc_charsmap_init(&n->map, spm->charsmap, err) &&
         dc_trie_of_kinds(&n->user, &spm->vocab, 1u << DC_PIECE_USER, err) &&
         dc_unigram_init(&sp->unigram, &spm->vocab, spm->unk, err);
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
    ok = dc_encoding_add(out, (dc_span){at, 1, sp->spm.byte_ids[byte]}, err);
  }
  return ok;
}


/* Unknown spans side by side, from span `first` on, become one. */
static void merge_unknown (dc_encoding *e, size_t first, int32_t unk) {
  size_t kept = first;
  for (size_t i = first; i < e->n; i++) {
    dc_span span = e->spans[i];
    bool joins = kept > first && span.id == unk &&
                 e->spans[kept - 1].id == unk;
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
                              dc_encoding *out, dc_error *err) {
  size_t start = out->text.size, first = out->n;
  if (!dc_normalize(&sp->normalizer, text, &out->text, err) ||
      !dc_unigram_cut(&sp->unigram, out, start, err))
    return false;
  if (sp->spm.byte_fallback) return spell_unknown(sp, out, first, err);
  merge_unknown(out, first, sp->spm.unk);
  return true;
}


void dc_sentencepiece_free (dc_sentencepiece *sp) {
  dc_unigram_free(&sp->unigram);
  dc_normalizer_free(&sp->normalizer);
  dc_spm_free(&sp->spm);
}
