/*
** threads.h: the module's thread budget. Parallel loops ask here how many
** threads to use and say so in a num_threads clause; the host's own OpenMP
** settings are never touched.
*/
#ifndef DC_THREADS_H
#define DC_THREADS_H

#include <stdbool.h>
#include <stddef.h>

#define DC_MAX_THREADS 64

/* The budget: at first the processors that this process may run on. */
int dc_threads (void);

/* Sets the budget; n is cut to 1..DC_MAX_THREADS. Returns the new one. */
int dc_threads_set (int n);

/* What workers do between two loops: they spin for a while before they sleep
   (libgomp's own way, unless its environment says otherwise), or they end
   with the step, and a later one starts new ones. */
typedef enum dc_wait { DC_WAIT_ACTIVE, DC_WAIT_PASSIVE } dc_wait;

dc_wait dc_threads_wait (void);
void dc_threads_set_wait (dc_wait how);

/* Around the loops of one step. A loop outside of any is a step of its own. */
void dc_step_begin (void);
void dc_step_end (void);

/* Runs body(context, begin, end, thread) over pieces of 0..n-1 that cover it
   once, on one thread where starting a team costs more than `work` elementary
   operations (multiply-adds, say), in a child after fork, when threads cannot
   be had, and for a while after other processes kept them from running; else
   on at most `budget` of them, or dc_threads() for 0; thread is below that
   number. All parallel loops of decant are this one. The body must not raise,
   and no result may depend on how the range is cut. */
void dc_parallel_for (size_t n, double work, int budget,
                      void (*body) (void *context, size_t begin, size_t end,
                                    int thread),
                      void *context);

/* Sets from how many operations on a loop gets a team; returns what it was.
   For benchmarks, and for specs: 0 makes every loop parallel, also where the
   threads have been waited for in vain. */
double dc_threads_worth (double work);

/* Installs the fork handler. Once per process; further calls do nothing. */
void dc_threads_init (void);

#endif
