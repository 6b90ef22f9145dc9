/*
** bpe.c: see bpe.h. Two ways with the same result: a word of few symbols is
** scanned for its best pair again and again, which beats any queue; a longer
** stretch goes through a binary heap of candidates over a linked list.
*/
#include "text/bpe.h"

#include "base/memory.h"
#include "base/size.h"

#define FEW 48  /* symbols */

#define NOTHING UINT32_MAX  /* rank of a pair that cannot be joined */


static uint32_t rank_of (const dc_bpe_rules *r, const char *text,
                         const dc_span *left, const dc_span *right,
                         int32_t *id) {
  dc_merge merge;
  if (!r->find(r->model, text, left, right, &merge)) return NOTHING;
  *id = merge.id;
  return merge.rank;
}


/* ---- few symbols -------------------------------------------------------- */

/* pairs[i]: what spans i and i + 1 become. */
static void rate (const dc_bpe_rules *r, const dc_encoding *e,
                  const dc_span *spans, dc_merge *pairs, size_t i) {
  pairs[i].rank = rank_of(r, e->text.data, &spans[i], &spans[i + 1],
                          &pairs[i].id);
}


static size_t best_of (const dc_merge *pairs, size_t n) {
  size_t best = 0;
  for (size_t i = 1; i < n; i++)
    if (pairs[i].rank < pairs[best].rank) best = i;
  return best;
}


/* n spans, at least one; returns how many are left. */
static size_t join_few (const dc_bpe_rules *r, dc_encoding *e, dc_span *spans,
                        size_t n, size_t enough) {
  dc_merge pairs[FEW];
  for (size_t i = 0; i + 1 < n; i++) rate(r, e, spans, pairs, i);
  while (n > 1 && n > enough) {
    size_t i = best_of(pairs, n - 1);
    if (pairs[i].rank == NOTHING) break;
    spans[i].size += spans[i + 1].size;
    spans[i].id = pairs[i].id;
    n--;
    for (size_t k = i + 1; k < n; k++) spans[k] = spans[k + 1];
    for (size_t k = i; k + 1 < n; k++) pairs[k] = pairs[k + 1];
    if (i + 1 < n) rate(r, e, spans, pairs, i);
    if (i > 0) rate(r, e, spans, pairs, i - 1);
  }
  return n;
}


/* ---- many --------------------------------------------------------------- */

/* A pair that could be joined when it was found. It is out of date as soon as
   one of the two has grown or gone, which its size tells: a symbol only ever
   grows. */
typedef struct candidate {
  uint32_t rank;
  uint32_t left, right;  /* symbols */
  int32_t id;
  size_t size;           /* of both */
} candidate;

typedef struct symbol {
  uint32_t before, after;  /* neighbours, NONE at the ends */
} symbol;

#define NONE UINT32_MAX

typedef struct queue {
  const dc_bpe_rules *rules;
  const char *text;
  dc_span *spans;       /* [n]; size 0: joined to its left neighbour */
  symbol *symbols;      /* [n] */
  candidate *heap;      /* [count], the first one goes first */
  size_t count;
} queue;


static bool goes_first (const candidate *a, const candidate *b) {
  return a->rank != b->rank ? a->rank < b->rank : a->left < b->left;
}


static void push (queue *q, candidate c) {
  size_t at = q->count++;
  while (at > 0 && goes_first(&c, &q->heap[(at - 1) / 2])) {
    q->heap[at] = q->heap[(at - 1) / 2];
    at = (at - 1) / 2;
  }
  q->heap[at] = c;
}


static candidate pop (queue *q) {
  candidate first = q->heap[0], last = q->heap[--q->count];
  size_t at = 0;
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= q->count) break;
    if (child + 1 < q->count &&
        goes_first(&q->heap[child + 1], &q->heap[child]))
      child++;
    if (!goes_first(&q->heap[child], &last)) break;
    q->heap[at] = q->heap[child];
    at = child;
  }
  q->heap[at] = last;
  return first;
}


static void consider (queue *q, uint32_t left, uint32_t right) {
  int32_t id;
  if (left == NONE || right == NONE) return;
  dc_span *a = &q->spans[left], *b = &q->spans[right];
  uint32_t rank = rank_of(q->rules, q->text, a, b, &id);
  if (rank != NOTHING)
    push(q, (candidate){rank, left, right, id, a->size + b->size});
}


static bool up_to_date (const queue *q, const candidate *c) {
  const dc_span *a = &q->spans[c->left], *b = &q->spans[c->right];
  return a->size > 0 && b->size > 0 && a->size + b->size == c->size;
}


static void join (queue *q, const candidate *c) {
  uint32_t after = q->symbols[c->right].after;
  q->spans[c->left].size = c->size;
  q->spans[c->left].id = c->id;
  q->spans[c->right].size = 0;
  q->symbols[c->left].after = after;
  if (after != NONE) q->symbols[after].before = c->left;
  consider(q, q->symbols[c->left].before, c->left);
  consider(q, c->left, after);
}


/* Each join takes one candidate and offers two, so there are never more than
   two for each symbol. */
static bool open_queue (queue *q, size_t n, dc_error *err) {
  size_t room;
  if (n >= NONE) return dc_fail(err, "a text of more than 4 GiB");
  q->symbols = dc_alloc_array(n, sizeof *q->symbols);
  q->heap = dc_size_mul(n, 2, &room) ? dc_alloc_array(room, sizeof *q->heap)
                                     : NULL;
  if (q->symbols == NULL || q->heap == NULL) return dc_no_memory(err);
  for (size_t i = 0; i < n; i++)
    q->symbols[i] = (symbol){i > 0 ? (uint32_t)i - 1 : NONE,
                             i + 1 < n ? (uint32_t)i + 1 : NONE};
  for (size_t i = 0; i + 1 < n; i++)
    consider(q, (uint32_t)i, (uint32_t)i + 1);
  return true;
}


static bool join_many (const dc_bpe_rules *r, dc_encoding *e, size_t first,
                       size_t enough, dc_error *err) {
  queue q = {.rules = r, .text = e->text.data, .spans = e->spans + first};
  size_t n = e->n - first, left = n, kept = 0;
  bool ok = open_queue(&q, n, err);
  while (ok && left > enough && q.count > 0) {
    candidate c = pop(&q);
    if (!up_to_date(&q, &c)) continue;
    join(&q, &c);
    left--;
  }
  dc_free(q.symbols);
  dc_free(q.heap);
  for (size_t i = 0; ok && i < n; i++)
    if (q.spans[i].size > 0) q.spans[kept++] = q.spans[i];
  if (ok) e->n = first + kept;
  return ok;
}


bool dc_bpe_join (const dc_bpe_rules *rules, dc_encoding *e, size_t first,
                  size_t enough, dc_error *err) {
  size_t n = e->n - first;
  if (n > FEW) return join_many(rules, e, first, enough, err);
  if (n > 1)
    e->n = first + join_few(rules, e, e->spans + first, n, enough);
  return true;
}
