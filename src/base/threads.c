/*
** threads.c: see threads.h.
**
** Four habits of libgomp shape this file.
**
** It ends the process when a thread cannot be created, so before a team grows
** for the first time as many plain threads are started and joined: what failed
** then lowers the limit. (Each thread of the host that computes has a team of
** its own, so each proves its own.)
**
** Its pool does not survive a fork: a child that enters a parallel region
** hangs, so a child gets one thread for good.
**
** A loop ends when the last of its team does. Where another process has taken
** one of our processors, every loop waits for that process to be done with it:
** milliseconds instead of microseconds, a hundred times slower than one thread
** alone. So who has waited long works alone for ten times as long before the
** team is tried again.
**
** How idle workers wait is read from the environment when libgomp is loaded
** and cannot be changed later. Workers that shall not spin have to end: they
** do so behind each step, and the next one starts, and proves, a new team.
*/
#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "base/clock.h"

/* Below this many multiply-adds (about 10 us of one core) starting a team costs
   more than it gains. */
static _Atomic double worth_a_team = 400000.0;

#define LONG_WAIT 200e-6  /* seconds */
#define ALONE_FOR 10      /* times the wait: at most a tenth is lost */

static atomic_int budget;      /* 0: not asked for yet */
static atomic_int wait = DC_WAIT_ACTIVE;
static _Thread_local int proved = 1;  /* a team of this size can start; above
                                         1: workers of this thread may wait */
static _Thread_local int steps;       /* begun and not ended */
static _Thread_local double alone_until;  /* on the clock of dc_seconds */
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


dc_wait dc_threads_wait (void) {
  return (dc_wait)atomic_load(&wait);
}


void dc_threads_set_wait (dc_wait how) {
  atomic_store(&wait, (int)how);
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
  double worth = atomic_load(&worth_a_team);
  if (work < worth || atomic_load(&forked)) return 1;
  if (worth > 0 && alone_until > 0 && dc_seconds() < alone_until) return 1;
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


#if defined(_OPENMP)

/* Looks at a loop of which this thread's own share took from `began` until
   `done`, and which was entered and left before and after that: the shares are
   equal, so who waits for more than twice as long again, and for longer than
   any hiccup, waits for a thread that does not run. */
static void learn (double entered, double began, double done, double left) {
  double own = done - began, waited = began - entered + left - done;
  if (waited > 2 * own + LONG_WAIT)
    alone_until = left + ALONE_FOR * waited;
}


/* Ends the idle workers of this thread, unless they may spin. (Inside of a
   parallel region of the host it cannot be done, nor need it be.) */
static void dismiss (void) {
  if (proved > 1 && dc_threads_wait() == DC_WAIT_PASSIVE &&
      omp_pause_resource_all(omp_pause_soft) == 0)
    proved = 1;
}


static void work_together (int team, size_t n,
                           void (*body) (void *, size_t, size_t, int),
                           void *context) {
  double entered = dc_seconds(), began = entered, done = entered;
#pragma omp parallel num_threads(team)
  {
    size_t i = (size_t)omp_get_thread_num();
    if (i == 0) began = dc_seconds();
    size_t count = (size_t)omp_get_num_threads();
    size_t begin = n * i / count, end = n * (i + 1) / count;
    if (begin < end) body(context, begin, end, (int)i);
    if (i == 0) done = dc_seconds();
  }
  learn(entered, began, done, dc_seconds());
  if (steps == 0) dismiss();
}

#else

static void dismiss (void) {}

static void work_together (int team, size_t n,
                           void (*body) (void *, size_t, size_t, int),
                           void *context) {
  (void)team;
  body(context, 0, n, 0);
}

#endif


void dc_step_begin (void) {
  steps++;
}


void dc_step_end (void) {
  if (--steps == 0) dismiss();
}


void dc_parallel_for (size_t n, double work, int wanted,
                      void (*body) (void *context, size_t begin, size_t end,
                                    int thread),
                      void *context) {
  int team = n <= 1 ? 1 : threads_for(work, wanted);
  if (team > 1)
    work_together(team, n, body, context);
  else
    body(context, 0, n, 0);
}


static void in_child (void) {
  atomic_store(&forked, true);
  proved = 1;  /* there is no team that could be dismissed */
}


void dc_threads_init (void) {
  static atomic_flag done = ATOMIC_FLAG_INIT;
  if (!atomic_flag_test_and_set(&done))
    pthread_atfork(NULL, NULL, in_child);
}
