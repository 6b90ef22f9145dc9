/* unigram.c: see unigram.h. */
#include "text/unigram.h"

#include "base/memory.h"
#include "base/utf8.h"

/* Under the lowest score of a piece; the library's choice. */
#define UNKNOWN_PENALTY 10.0f

/* The best way to reach a place of the text. */
typedef struct place {
  union {
    float score;
    uint32_t next;  /* when all is known: of the piece that goes on from here */
  } u;
  uint32_t size;  /* of the last piece; 0: not reached */
  int32_t id;     /* of the last piece */
} place;


/* Only normal pieces count; with none of them, any number will do. */
static float lowest_score (const dc_vocab *v) {
  bool found = false;
  float lowest = 0;
  for (size_t i = 0; i < v->n; i++) {
    const dc_piece *piece = &v->pieces[i];
    if (piece->kind != DC_PIECE_NORMAL) continue;
    if (!found || piece->score < lowest) lowest = piece->score;
    found = true;
  }
  return lowest;
}


/* User-defined symbols win by scoring 0 where all others are below. */
static float score_of (const dc_piece *piece) {
  return piece->kind == DC_PIECE_USER ? 0.0f : piece->score;
}


bool dc_unigram_init (dc_unigram *u, const dc_vocab *vocab, int32_t unk,
                      dc_error *err) {
  u->unk = unk;
  u->unk_score = lowest_score(vocab) - UNKNOWN_PENALTY;
  u->scores = dc_alloc_array(vocab->n, sizeof *u->scores);
  if (u->scores == NULL) return dc_no_memory(err);
  for (size_t i = 0; i < vocab->n; i++)
    u->scores[i] = score_of(&vocab->pieces[i]);
  return dc_trie_of_kinds(&u->trie, vocab, 1u << DC_PIECE_NORMAL |
                                           1u << DC_PIECE_USER, err);
}


/* A piece from `from` to `to`: is this the best way there so far? Starts come
   in ascending order, so a tie keeps the path whose last piece is longest. */
static void relax (const place *from, place *to, float score, uint32_t size,
                   int32_t id) {
  float sum = score + from->u.score;
  if (to->size != 0 && !(sum > to->u.score)) return;
  *to = (place){{sum}, size, id};
}


/* All pieces that begin at `at`, and the unknown one if none is exactly the
   one character there. Returns the size of that character. */
static size_t relax_all (const dc_unigram *u, const char *s, size_t size,
                         place *at) {
  size_t width = dc_utf8_width(s, size);
  bool covered = false;
  uint32_t node = 0;
  for (size_t i = 0; i < size && u->trie.n > 0; i++) {
    node = dc_trie_step(&u->trie, node, (uint8_t)s[i]);
    if (node == 0) break;
    int32_t id = u->trie.nodes[node].id;
    if (id < 0) continue;
    relax(at, at + i + 1, u->scores[id], (uint32_t)(i + 1), id);
    covered = covered || i + 1 == width;
  }
  if (!covered) relax(at, at + width, u->unk_score, (uint32_t)width, u->unk);
  return width;
}


/* From the end back: tells every place of the best path what comes next, in
   place of its score, which nobody needs any more. */
static void link_path (place *places, size_t size) {
  for (size_t at = size; at > 0; at -= places[at].size)
    places[at - places[at].size].u.next = places[at].size;
}


bool dc_unigram_cut (const dc_unigram *u, dc_encoding *e, size_t start,
                     dc_error *err) {
  size_t size = e->text.size - start;
  bool ok = true;
  if (size == 0) return true;
  const char *s = e->text.data + start;
  place *places = dc_encoding_work(e, size + 1, sizeof *places);
  if (places == NULL) return dc_no_memory(err);
  for (size_t at = 0; at < size;)
    at += relax_all(u, s + at, size - at, places + at);
  link_path(places, size);
  for (size_t at = 0; ok && at < size;) {
    size_t n = places[at].u.next;
    dc_span piece = {.start = start + at, .size = n, .id = places[at + n].id};
    ok = dc_encoding_add(e, piece, err);
    at += n;
  }
  return ok;
}


void dc_unigram_free (dc_unigram *u) {
  dc_trie_free(&u->trie);
  dc_free(u->scores);
  *u = (dc_unigram){0};
}
