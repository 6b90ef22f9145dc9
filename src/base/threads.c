/*
** threads.c: see threads.h.
**
** Two habits of libgomp shape this file. It ends the process when a thread
** cannot be created, so before a team grows for the first time as many plain
** threads are started and joined: what failed then lowers the limit. (Each
** thread of the host that computes has a team of its own, so each proves its
** own.) And its pool does not survive a fork: a child that enters a parallel
** region hangs, so a child gets one thread for good.
*/
#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#if defined(_OPENMP)
#include <omp.h>
#endif

/* Below this many multiply-adds (about 10 us of one core) starting a team costs
   more than it gains. */
static _Atomic double worth_a_team = 400000.0;

static atomic_int budget;      /* 0: not asked for yet */
static _Thread_local int proved = 1;  /* a team of this size can start */
static atomic_int limit = DC_MAX_THREADS;
static atomic_bool forked;


static int processors (void) {
  cpu_set_t set;
  int n = 1;
  if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
  return n < 1 ? 1 : n > DC_MAX_THREADS ? DC_MAX_THREADS : n;
}


int dc_threads (void) {
  int n = atomic_load(&budget);
  return n > 0 ? n : dc_threads_set(processors());
}


int dc_threads_set (int n) {
  n = n < 1 ? 1 : n > DC_MAX_THREADS ? DC_MAX_THREADS : n;
  atomic_store(&budget, n);
  return n;
}


double dc_threads_worth (double work) {
  return atomic_exchange(&worth_a_team, work);
}


static void *wait_for_release (void *gate) {
  pthread_mutex_lock(gate);
  pthread_mutex_unlock(gate);
  return NULL;
}


/* How many of n - 1 further threads exist at once when asked for, plus one. */
static int probe (int n) {
  pthread_t threads[DC_MAX_THREADS];
  pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
  int started = 0;
  pthread_mutex_lock(&gate);
  while (started < n - 1 && pthread_create(&threads[started], NULL,
                                           wait_for_release, &gate) == 0)
    started++;
  pthread_mutex_unlock(&gate);
  for (int i = 0; i < started; i++)
    pthread_join(threads[i], NULL);
  return started + 1;
}


static int threads_for (double work, int wanted) {
  if (work < atomic_load(&worth_a_team) || atomic_load(&forked)) return 1;
  int n = wanted > 0 ? wanted : dc_threads();
  int most = atomic_load(&limit);
  if (n > most) n = most;
  if (n > proved) {
    int got = probe(n);
    if (got < n) atomic_store(&limit, got);
    proved = got;
    n = got;
  }
  return n;
}


void dc_parallel_for (size_t n, double work, int wanted,
                      void (*body) (void *context, size_t begin, size_t end,
                                    int thread),
                      void *context) {
  int team = threads_for(work, wanted);
  if (team <= 1 || n <= 1) {
    body(context, 0, n, 0);
    return;
  }
#if defined(_OPENMP)
#pragma omp parallel num_threads(team)
  {
    size_t i = (size_t)omp_get_thread_num();
    size_t count = (size_t)omp_get_num_threads();
    size_t begin = n * i / count, end = n * (i + 1) / count;
    if (begin < end) body(context, begin, end, (int)i);
  }
#else
  body(context, 0, n, 0);
#endif
}


static void in_child (void) {
  atomic_store(&forked, true);
}


void dc_threads_init (void) {
  static atomic_flag done = ATOMIC_FLAG_INIT;
  if (!atomic_flag_test_and_set(&done))
    pthread_atfork(NULL, NULL, in_child);
}
