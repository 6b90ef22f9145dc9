/*
** crew.h: who takes which rows of a pass through a stack.
**
** The timelines of a step are independent of each other, and so are the
** sequences that go through an encoder. Where there are enough of them each
** thread takes some through all layers alone: nobody waits for anybody before
** the end. Where there are few, one worker takes all, and the threads share out
** each of its products. No sum knows the difference.
*/
#ifndef DC_CREW_H
#define DC_CREW_H

#include "model/model.h"

typedef struct dc_crew {
  dc_model *model;
  size_t n;                          /* workers: the model's first n */
  size_t begin[DC_MAX_THREADS + 1];  /* items begin[i]..begin[i+1]-1 are i's, */
  size_t rows[DC_MAX_THREADS];       /* and they have so many rows */
  int threads;                       /* budget of each worker */
} dc_crew;

/* Shares out `count` items, of which item i has rows_of(items, i) rows. */
void dc_crew_form (dc_crew *crew, dc_model *m, const void *items, size_t count,
                   size_t (*rows_of) (const void *items, size_t i));

/* Makes room in a worker's batch for n rows that see at most n_keys positions;
   false when memory is short. */
bool dc_crew_reserve (const dc_crew *crew, size_t worker, size_t n,
                      size_t n_keys);

/* Before the workers begin with n rows: the part of the packed copy that is
   made with so many (pack.c). */
void dc_crew_pack (const dc_crew *crew, size_t n);

/* Calls work(worker, i, context) for each, side by side. It must not touch what
   the others do, the pool of blocks for one. */
void dc_crew_run (const dc_crew *crew,
                  void (*work) (dc_worker *worker, size_t i, void *context),
                  void *context);

#endif
