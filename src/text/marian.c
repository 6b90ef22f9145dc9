/* marian.c: see marian.h. Behaviour as of transformers' MarianTokenizer. */
#include "text/marian.h"

#include "base/memory.h"
#include "text/vocab_json.h"


/* ---- vocab.json --------------------------------------------------------- */

static int32_t id_of_text (const dc_vocab *v, const char *text) {
  for (size_t i = 0; i < v->n; i++)
    if (dc_string_is(v->pieces[i].text, text)) return (int32_t)i;
  return -1;
}


static bool read_pieces (dc_vocab_json *v, dc_json j, dc_error *err) {
  dc_json end = j;
  return dc_json_skip(&end, err) && dc_json_end(&end, err) &&
         dc_vocab_json_count_object(v, j, err) && dc_vocab_json_make(v, err) &&
         dc_vocab_json_put_object(v, j, err) && dc_vocab_json_whole(v, err);
}


bool dc_marian_read_vocab (dc_marian_parts *parts, dc_string json,
                           dc_error *err) {
  dc_vocab_json v = {0};
  dc_json j;
  dc_json_init(&j, json.data, json.size);
  bool ok = read_pieces(&v, j, err);
  parts->vocab = v.vocab;
  parts->texts = v.texts;
  if (!ok) return false;
  parts->eos = id_of_text(&parts->vocab, "</s>");
  parts->pad = id_of_text(&parts->vocab, "<pad>");
  parts->unk = id_of_text(&parts->vocab, "<unk>");
  if (parts->eos < 0 || parts->unk < 0)
    return dc_fail(err, "has no %s", parts->eos < 0 ? "</s>" : "<unk>");
  return true;
}


void dc_marian_parts_free (dc_marian_parts *parts) {
  dc_vocab_free(&parts->vocab);
  dc_free(parts->texts);
  *parts = (dc_marian_parts){0};
}


/* ---- putting it together ------------------------------------------------ */

static bool read_models (dc_marian *m, const dc_string files[2],
                         dc_error *err) {
  if (!dc_sentencepiece_read(&m->models[0], files[0], err))
    return dc_fail_in(err, "source.spm");
  m->sides[DC_SOURCE] = m->sides[DC_TARGET] = &m->models[0];
  if (files[1].size == 0 || dc_string_equal(files[0], files[1])) return true;
  if (!dc_sentencepiece_read(&m->models[1], files[1], err))
    return dc_fail_in(err, "target.spm");
  m->sides[DC_TARGET] = &m->models[1];
  return true;
}


static int32_t *translate_ids (const dc_marian *m, const dc_vocab *from) {
  int32_t *ids = dc_alloc_array(from->n, sizeof *ids);
  for (size_t i = 0; ids != NULL && i < from->n; i++) {
    int32_t id = dc_vocab_find(&m->vocab, from->pieces[i].text);
    ids[i] = id >= 0 ? id : m->unk;
  }
  return ids;
}


/* How each piece decodes is what the source's file says of its text, as in
   the reference; both files agree on all that matters. */
static void set_kinds (dc_marian *m) {
  const dc_vocab *spm = &m->sides[DC_SOURCE]->spm.vocab;
  int32_t special[] = {m->eos, m->pad, m->unk};
  for (size_t i = 0; i < m->vocab.n; i++) {
    int32_t id = dc_vocab_find(spm, m->vocab.pieces[i].text);
    m->vocab.pieces[i].kind =
      id >= 0 ? spm->pieces[id].kind : DC_PIECE_FOREIGN;
  }
  for (size_t i = 0; i < sizeof special / sizeof special[0]; i++)
    if (special[i] >= 0)
      m->vocab.pieces[special[i]].kind = DC_PIECE_SPECIAL;
}


static bool build (dc_marian *m, const dc_string files[2], dc_error *err) {
  if (!dc_vocab_index(&m->vocab, err)) return dc_fail_in(err, "vocabulary");
  if (!read_models(m, files, err)) return false;
  for (int side = 0; side < 2; side++) {
    m->ids[side] = translate_ids(m, &m->sides[side]->spm.vocab);
    if (m->ids[side] == NULL) return dc_no_memory(err);
  }
  set_kinds(m);
  return true;
}


bool dc_marian_init (dc_marian *m, dc_marian_parts *parts, dc_error *err) {
  *m = (dc_marian){
    .vocab = parts->vocab, .texts = parts->texts, .eos = parts->eos,
    .pad = parts->pad, .unk = parts->unk
  };
  parts->vocab = (dc_vocab){0};
  parts->texts = NULL;
  if (build(m, parts->files, err)) return true;
  dc_marian_free(m);
  return false;
}


void dc_marian_free (dc_marian *m) {
  for (int side = 0; side < 2; side++) {
    dc_sentencepiece_free(&m->models[side]);
    dc_free(m->ids[side]);
  }
  dc_vocab_free(&m->vocab);
  dc_free(m->texts);
  *m = (dc_marian){0};
}


/* ---- encoding ----------------------------------------------------------- */

/* `>>fr<<` in front: its size, or 0. */
static size_t language_token (dc_string text) {
  if (text.size < 4 || memcmp(text.data, ">>", 2) != 0) return 0;
  const char *end = memmem(text.data + 2, text.size - 2, "<<", 2);
  return end != NULL ? (size_t)(end - text.data) + 2 : 0;
}


static bool take_language (const dc_marian *m, dc_string *text, bool special,
                           dc_encoding *out, dc_error *err) {
  size_t size = language_token(*text);
  if (size == 0) return true;
  int32_t id = dc_vocab_find(&m->vocab, (dc_string){text->data, size});
  if (id < 0 && !special) return true;
  *text = (dc_string){text->data + size, text->size - size};
  return dc_encoding_add(out, (dc_span){.id = id >= 0 ? id : m->unk}, err);
}


/* A run of characters that SentencePiece does not know may still be in the
   vocabulary: the other side's file may know it. */
static int32_t vocab_id (const dc_marian *m, dc_side side, dc_string text,
                         int32_t spm_id, bool special) {
  int32_t id = m->ids[side][spm_id];
  if (spm_id == m->sides[side]->spm.unk) {
    id = dc_vocab_find(&m->vocab, text);
    if (id < 0) id = m->unk;
  }
  bool plain = m->vocab.pieces[id].kind != DC_PIECE_SPECIAL;
  return plain || special ? id : m->unk;
}


bool dc_marian_encode (const dc_marian *m, dc_string text, dc_side side,
                       bool special, dc_encoding *out, dc_error *err) {
  if (!take_language(m, &text, special, out, err)) return false;
  size_t first = out->n;
  if (!dc_sentencepiece_encode(m->sides[side], text, true, out, err))
    return false;
  for (size_t i = first; i < out->n; i++) {
    dc_span *span = &out->spans[i];
    dc_string piece = {out->text.data + span->start, span->size};
    span->id = vocab_id(m, side, piece, span->id, special);
    span->verbatim = false;
  }
  return true;
}
