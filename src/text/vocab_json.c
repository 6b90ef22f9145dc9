/* vocab_json.c: see vocab_json.h. */
#include "text/vocab_json.h"

#include "base/memory.h"
#include "base/size.h"
#include "text/buffer.h"


bool dc_vocab_json_count (dc_vocab_json *v, const dc_json_text *piece,
                          uint64_t id, dc_error *err) {
  v->n++;
  if (id >= v->end && id < UINT64_MAX) v->end = id + 1;
  return dc_size_add(v->bytes, piece->size, &v->bytes) || dc_no_memory(err);
}


bool dc_vocab_json_make (dc_vocab_json *v, dc_error *err) {
  size_t n = v->end < v->n ? (size_t)v->end : v->n;
  v->texts = dc_alloc(v->bytes);
  if (v->texts == NULL) return dc_no_memory(err);
  return dc_vocab_init(&v->vocab, n, err);
}


bool dc_vocab_json_put (dc_vocab_json *v, const dc_json_text *piece,
                        uint64_t id, dc_error *err) {
  size_t n = v->vocab.n;
  if (id >= n)
    return dc_fail(err, "id %llu of \"%.*s\": there are %zu pieces, ids must "
                   "be 0 to %zu", (unsigned long long)id,
                   DC_SHOWN(piece->raw), n, n - 1);
  dc_piece *p = &v->vocab.pieces[id];
  dc_string text = {v->texts + v->used, piece->size};
  dc_json_copy(piece, v->texts + v->used);
  if (p->text.data != NULL && dc_string_equal(p->text, text)) return true;
  if (p->text.data != NULL)
    return dc_fail(err, "id %llu is that of \"%.*s\" and of \"%.*s\"",
                   (unsigned long long)id, DC_SHOWN(p->text),
                   DC_SHOWN(piece->raw));
  *p = (dc_piece){text, 0, DC_PIECE_NORMAL};
  v->used += piece->size;
  return true;
}


bool dc_vocab_json_whole (const dc_vocab_json *v, dc_error *err) {
  for (size_t i = 0; i < v->vocab.n; i++)
    if (v->vocab.pieces[i].text.data == NULL)
      return dc_fail(err, "no piece has the id %zu, and others go up to %zu",
                     i, v->vocab.n - 1);
  return true;
}


/* One walk over an object; `take` sees each member. */
static bool walk (dc_vocab_json *v, dc_json j,
                  bool (*take) (dc_vocab_json *v, const dc_json_text *piece,
                                uint64_t id, dc_error *err),
                  dc_error *err) {
  dc_json_text piece;
  uint64_t id;
  bool more;
  if (!dc_json_object(&j, err)) return false;
  while (dc_json_key(&j, &piece, &more, err)) {
    if (!more) return true;
    if (!dc_json_uint(&j, &id, err) || !take(v, &piece, id, err))
      return false;
  }
  return false;
}


bool dc_vocab_json_count_object (dc_vocab_json *v, dc_json object,
                                 dc_error *err) {
  return walk(v, object, dc_vocab_json_count, err);
}


bool dc_vocab_json_put_object (dc_vocab_json *v, dc_json object,
                               dc_error *err) {
  return walk(v, object, dc_vocab_json_put, err);
}


void dc_vocab_json_free (dc_vocab_json *v) {
  dc_vocab_free(&v->vocab);
  dc_free(v->texts);
  *v = (dc_vocab_json){0};
}
