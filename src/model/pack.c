/*
** pack.c: a second copy of small weights, in the order in which products read
** them (math/panels.h).
**
** Rows of Q8_0 lie in a file so that one input vector streams past them. To
** lay 16 of them side by side costs as much as several columns of products,
** anew in every product; a model that fits the caches gains by paying once. A
** large one waits for memory either way, and has to start at once: it keeps
** to its file.
*/
#include "model/weights.h"

#include "base/memory.h"
#include "base/size.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

typedef bool visitor (dc_matrix *matrix, void *context);


static bool visit_stack (dc_stack *stack, visitor *visit, void *context) {
  for (uint32_t i = 0; i < stack->sizes.n_layers && stack->layers; i++) {
    dc_layer *l = &stack->layers[i];
    dc_linear *all[] = {&l->self.q, &l->self.k, &l->self.v, &l->self.o,
                        &l->cross.q, &l->cross.k, &l->cross.v, &l->cross.o,
                        &l->gate, &l->up, &l->down};
    for (size_t j = 0; j < COUNT(all); j++)
      if (all[j]->weight.type == DC_Q8_0 && all[j]->weight.data != NULL &&
          !visit(&all[j]->weight, context))
        return false;
  }
  return true;
}


/* All Q8_0 matrices that inputs are multiplied with; false: a visit failed.
   (A tied output is a matrix of its own here; the embedding stays.) */
static bool visit_all (dc_weights *w, visitor *visit, void *context) {
  return visit_stack(&w->encoder, visit, context) &&
         visit_stack(&w->decoder, visit, context) &&
         (w->output.weight.type != DC_Q8_0 ||
          visit(&w->output.weight, context));
}


static bool count_panels (dc_matrix *m, void *context) {
  size_t *total = context, n;
  return dc_q8_panels(m->rows, m->cols, &n) && dc_size_add(*total, n, total);
}


static bool pack_matrix (dc_matrix *m, void *context) {
  dc_q8_panel **next = context;
  size_t n;
  if (!dc_q8_panels(m->rows, m->cols, &n)) return false;
  dc_q8_pack(*next, m->data, m->row_bytes, m->rows, m->cols);
  m->packed = *next;
  *next += n;
  return true;
}


void dc_weights_pack (dc_weights *w, size_t most) {
  size_t n = 0;
  if (!visit_all(w, count_panels, &n) || n == 0 ||
      n > most / sizeof *w->packed)
    return;
  dc_q8_panel *next = w->packed = dc_alloc_array(n, sizeof *w->packed);
  if (w->packed == NULL) return;
  w->packed_bytes = n * sizeof *w->packed;
  visit_all(w, pack_matrix, &next);
}
