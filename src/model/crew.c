/* crew.c: see crew.h. */
#include "model/crew.h"

/* Each worker reads all weights. So many rows of one pay for that where they
   stay in the caches, and so many where they come from memory. */
#define CACHED ((size_t)16 << 20)
#define LEAST_ROWS 4
#define LEAST_FAR_ROWS 8


/* Cuts the items where the shares are most even; returns the rows of the
   largest one. */
static size_t cut (dc_crew *crew, const void *items, size_t count,
                   size_t (*rows_of) (const void *, size_t), size_t total) {
  size_t item = 0, done = 0, largest = 0;
  for (size_t i = 0; i < crew->n; i++) {
    size_t end = total * (i + 1) / crew->n, before = done;
    crew->begin[i] = item;
    while (item < count) {
      size_t rows = rows_of(items, item);
      if (i + 1 < crew->n && done + rows / 2 >= end) break;
      done += rows;
      item++;
    }
    crew->rows[i] = done - before;
    largest = crew->rows[i] > largest ? crew->rows[i] : largest;
  }
  crew->begin[crew->n] = count;
  return largest;
}


void dc_crew_form (dc_crew *crew, dc_model *m, const void *items, size_t count,
                   size_t (*rows_of) (const void *items, size_t i)) {
  int budget = m->threads > 0 ? m->threads : dc_threads();
  size_t total = 0;
  for (size_t i = 0; i < count; i++) total += rows_of(items, i);
  crew->model = m;
  crew->n = total / (m->weight_bytes > CACHED ? LEAST_FAR_ROWS : LEAST_ROWS);
  if (crew->n > (size_t)budget) crew->n = (size_t)budget;
  if (crew->n < 1) crew->n = 1;
  /* who has done his rows waits for the others */
  while (cut(crew, items, count, rows_of, total) * crew->n * 4 > total * 5 &&
         crew->n > 1)
    crew->n--;
  crew->threads = crew->n > 1 ? 1 : budget;
}


bool dc_crew_reserve (const dc_crew *crew, size_t worker, size_t n,
                      size_t n_keys) {
  dc_worker *w = &crew->model->workers[worker];
  w->model = crew->model;
  return dc_batch_reserve(&w->batch, &crew->model->hp, n, n_keys,
                          crew->threads);
}


void dc_crew_pack (const dc_crew *crew, size_t n) {
  dc_model *m = crew->model;
  dc_weights_pack_part(&m->weights, m->file, n,
                       (int)crew->n * crew->threads);
}


typedef struct shift {
  const dc_crew *crew;
  void (*work) (dc_worker *, size_t, void *);
  void *context;
} shift;


static void some_workers (void *context, size_t begin, size_t end,
                          int thread) {
  const shift *s = context;
  (void)thread;
  for (size_t i = begin; i < end; i++)
    s->work(&s->crew->model->workers[i], i, s->context);
}


void dc_crew_run (const dc_crew *crew,
                  void (*work) (dc_worker *worker, size_t i, void *context),
                  void *context) {
  const dc_hparams *hp = &crew->model->hp;
  shift s = {crew, work, context};
  double weights = (double)hp->d_model * hp->d_model, rows = 0;
  for (size_t i = 0; i < crew->n; i++) rows += (double)crew->rows[i];
  dc_parallel_for(crew->n, rows * weights, (int)crew->n, some_workers, &s);
}
