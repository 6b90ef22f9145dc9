/*
** pack.c: a second copy of quantised weights, in the order in which products
** read them (math/panels.h).
**
** A file has rows, in pages of 4 KB. The copy has panels, in large pages
** (base/memory.h), matrix behind matrix in the order of a step: one stream from
** the memory, without a look-up of an address at each of its small pages, and
** of blocks that are turned already. Whoever multiplies a few columns by it is
** bound by the memory, and gets half as much again from it.
**
** To make it takes as long as several steps of one token. So its room is taken
** when the model is loaded, where a lack of memory costs no more than speed,
** and it is filled part by part, in front of the first tokens: what is copied
** already is read from here, and the rest from the file. The bits are the same,
** and who loads a model to ask it for one token pays for one part.
**
** The rows of a matrix that is copied are not read any more, save those of an
** embedding that tokens look up: their pages go back to the system, so that the
** model is in memory once.
*/
#include "model/weights.h"

#include "base/memory.h"
#include "base/size.h"
#include "base/threads.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define WORK 2.0  /* of copying a weight, in multiply-adds */

/* What a token of a pass copies of it: so that a pass of one takes about half
   as long again while something is left, but no crumbs; many tokens pay for all
   of it at once. */
#define PARTS 16
#define LEAST_PART ((size_t)1 << 20)

typedef bool visitor (dc_matrix *matrix, void *context);


static bool visit_if_quantised (dc_matrix *m, visitor *visit, void *context) {
  return m->data == NULL || dc_type_of(m->type)->block == 1 ||
         visit(m, context);
}


static bool visit_layer (dc_layer *l, visitor *visit, void *context) {
  dc_linear *all[] = {&l->self.q, &l->self.k, &l->self.v, &l->self.o,
                      &l->cross.q, &l->cross.k, &l->cross.v, &l->cross.o,
                      &l->gate, &l->up, &l->down};
  for (size_t i = 0; i < COUNT(all); i++)
    if (!visit_if_quantised(&all[i]->weight, visit, context)) return false;
  return true;
}


static bool visit_stack (dc_stack *stack, visitor *visit, void *context) {
  for (uint32_t i = 0; i < stack->sizes.n_layers && stack->layers; i++)
    if (!visit_layer(&stack->layers[i], visit, context)) return false;
  return true;
}


/* All quantised matrices that inputs are multiplied with; false: a visit
   failed. (A tied output is a matrix of its own here; the embedding stays.) */
static bool visit_all (dc_weights *w, visitor *visit, void *context) {
  return visit_stack(&w->encoder, visit, context) &&
         visit_stack(&w->decoder, visit, context) &&
         visit_if_quantised(&w->output.weight, visit, context);
}


static bool count_bytes (dc_matrix *m, void *context) {
  size_t *total = context, n;
  return dc_packed_bytes(m->type, m->rows, m->cols, &n) &&
         dc_size_add(*total, n, total);
}


bool dc_weights_packed_bytes (dc_weights *w, size_t *bytes) {
  *bytes = 0;
  return visit_all(w, count_bytes, bytes);
}


/* A matrix and where its panels go, from strip `first` on. */
typedef struct copy {
  const dc_matrix *m;
  uint8_t *to;
  size_t first;
} copy;


static void pack_strips (void *context, size_t begin, size_t end, int thread) {
  const copy *c = context;
  const dc_matrix *m = c->m;
  size_t row = (c->first + begin) * DC_LANES;
  size_t last = (c->first + end) * DC_LANES;
  (void)thread;
  dc_kernels_get()->pack(
    m->type, c->to + begin * dc_strip_bytes(m->type, m->cols),
    (const uint8_t *)m->data + row * m->row_bytes, m->row_bytes,
    (last < m->rows ? last : m->rows) - row, m->cols);
}


typedef struct packing {
  dc_weights *w;
  const dc_gguf *file;
  int threads;
  size_t at;   /* where in the copy the matrix begins */
  size_t end;  /* so far is to be packed */
} packing;


/* What is missing of the strips of m that begin before the end. False: it has
   been reached. */
static bool pack_matrix (dc_matrix *m, void *context) {
  packing *p = context;
  dc_weights *w = p->w;
  size_t each = dc_strip_bytes(m->type, m->cols), at = p->at;
  size_t strips = (m->rows + DC_LANES - 1) / DC_LANES, last = strips;
  p->at += strips * each;
  if (w->packed_so_far >= p->at) return true;
  if (w->packed_so_far >= p->end) return false;
  copy c = {m, w->packed + w->packed_so_far, (w->packed_so_far - at) / each};
  if (p->end < p->at) last = (p->end - at + each - 1) / each;
  size_t n = last - c.first;
  dc_parallel_for(n, WORK * (double)(n * DC_LANES) * (double)m->cols,
                  p->threads, pack_strips, &c);
  w->packed_so_far += n * each;
  if (last < strips) return false;
  m->packed = w->packed + at;
  dc_gguf_release(p->file, m->data, m->rows * m->row_bytes);
  return true;
}


void dc_weights_pack_room (dc_weights *w, size_t most) {
  size_t n;
  if (!dc_weights_packed_bytes(w, &n) || n == 0 || n > most) return;
  w->packed = dc_alloc(n);
  if (w->packed != NULL) w->packed_bytes = n;
}


static void pack_more (dc_weights *w, const dc_gguf *file, size_t bytes,
                       int threads) {
  size_t left = w->packed_bytes - w->packed_so_far;
  if (left == 0) return;
  size_t end = w->packed_so_far + (bytes < left ? bytes : left);
  visit_all(w, pack_matrix, &(packing){w, file, threads, 0, end});
}


void dc_weights_pack_part (dc_weights *w, const dc_gguf *file, size_t tokens,
                           int threads) {
  size_t part = w->packed_bytes / PARTS;
  if (part < LEAST_PART) part = LEAST_PART;
  pack_more(w, file, tokens < PARTS ? tokens * part : SIZE_MAX, threads);
}


void dc_weights_pack_rest (dc_weights *w, const dc_gguf *file, int threads) {
  pack_more(w, file, w->packed_bytes, threads);
}
