/*
** limits.c: what this machine can do at most, to read other figures by.
**
**   limits read        thousand million bytes a second from memory, in small
**                      and in large pages
**   limits multiply    thousand million multiply-adds a second, of floats and
**                      of bytes
**   limits pages FILE  milliseconds to map the file and touch each page of it
**
** Output: one limit a line, "name threads value", tabs between, on one thread
** and on one for each processor; a line "# ..." says what could not be
** measured. The best of some runs counts, for this is about limits.
**
** The loops are written with the compiler's vectors, as wide as the machine
** that it compiles for has them (-march=native), and know no instruction by
** name but the products of bytes. It knows nothing of decant.
*/
#include <fcntl.h>
#include <omp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define WIDTH 64  /* bytes of a vector */
#define CHAINS 12 /* enough to hide the latency of an operation, and few
                     enough for the registers */
#elif defined(__AVX2__)
#define WIDTH 32
#define CHAINS 12
#else
#define WIDTH 16
#define CHAINS 12
#endif

#define MEMORY ((size_t)128 << 20)  /* bytes: no cache holds them */
#define STEPS 8000000               /* operations of a run */
#define REPEATS 5
#define AT_LEAST 0.1                /* seconds, all runs of a limit together */

typedef float floats __attribute__((vector_size(WIDTH)));
typedef int64_t words __attribute__((vector_size(WIDTH)));

static void *memory;
static volatile float sink;
static volatile float tiny = 1e-30f;  /* what the compiler must not know */


/* ---- memory ------------------------------------------------------------- */

/* All bits of a part of the memory, eight chains. */
static void read_part (int part, int parts) {
  const words *x = memory;
  size_t n = MEMORY / sizeof *x / (size_t)parts, at = n * (size_t)part;
  words bits[8] = {{0}};
  for (size_t i = 0; i + 8 <= n; i += 8)
#pragma GCC unroll 8
    for (size_t j = 0; j < 8; j++) bits[j] |= x[at + i + j];
  for (int j = 1; j < 8; j++) bits[0] |= bits[j];
  sink = (float)bits[0][0];
}


/* A mapped file has pages of 4 KB, on most systems; in pages of 2 MB the same
   bytes arrive faster, for the processor looks up fewer addresses. */
static bool make_memory (bool large) {
  void *p = aligned_alloc((size_t)2 << 20, MEMORY);
  if (p == NULL) return false;
#if defined(MADV_HUGEPAGE)
  madvise(p, MEMORY, large ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#endif
  memset(p, 1, MEMORY);
  free(memory);
  memory = p;
  return true;
}


/* ---- arithmetic --------------------------------------------------------- */

#define FLOATS_A_STEP (WIDTH / 4)

/* sum = a * sum + a is one instruction where the machine has it
   (-ffp-contract=fast). */
static void multiply_floats (int part, int parts) {
  floats a = {0}, sum[CHAINS] = {{0}};
  (void)part, (void)parts;
  a += tiny;
  for (int j = 0; j < CHAINS; j++) sum[j] += tiny;  /* else all are one */
  for (int i = 0; i < STEPS / CHAINS; i++)
#pragma GCC unroll 16
    for (int j = 0; j < CHAINS; j++) sum[j] = a * sum[j] + a;
  for (int j = 1; j < CHAINS; j++) sum[0] += sum[j];
  sink = sum[0][0];
}


/* One step: `sum` plus products of bytes, four to an element of 32 bits. */
#if defined(__AVX512VNNI__)
#define BYTES_A_STEP 64
typedef __m512i bytes;
#define SPLAT(b) _mm512_set1_epi8(b)
#define DOT(sum, a) _mm512_dpbusd_epi32(sum, a, a)
#elif defined(__AVX2__)
#define BYTES_A_STEP 32
typedef __m256i bytes;
#define SPLAT(b) _mm256_set1_epi8(b)
#define DOT(sum, a) _mm256_add_epi32(sum, _mm256_madd_epi16( \
  _mm256_maddubs_epi16(a, sum), _mm256_set1_epi16(1)))
#elif defined(__ARM_FEATURE_DOTPROD)
#define BYTES_A_STEP 16
typedef int32x4_t bytes;
#define SPLAT(b) vreinterpretq_s32_s8(vdupq_n_s8(b))
#define DOT(sum, a) vdotq_s32(sum, vreinterpretq_s8_s32(a), \
                              vreinterpretq_s8_s32(a))
#endif

#if defined(BYTES_A_STEP)

static void multiply_bytes (int part, int parts) {
  bytes a = SPLAT((char)(tiny > 0)), sum[CHAINS];
  int32_t first[BYTES_A_STEP / 4];
  (void)part, (void)parts;
  for (int j = 0; j < CHAINS; j++) sum[j] = a;
  for (int i = 0; i < STEPS / CHAINS; i++)
#pragma GCC unroll 16
    for (int j = 0; j < CHAINS; j++) sum[j] = DOT(sum[j], a);
  for (int j = 0; j < CHAINS; j++) {
    memcpy(first, &sum[j], sizeof first);
    sink = (float)first[0];
  }
}

#endif


/* ---- runs --------------------------------------------------------------- */

/* Seconds of the fastest run, each part on a thread of its own. Some time must
   pass, too: the system first may have put two threads on one processor. */
static double fastest (void (*work) (int part, int parts), int threads) {
  double best = 1e9, until = omp_get_wtime() + AT_LEAST;
  for (int i = 0; i < REPEATS || omp_get_wtime() < until; i++) {
    double began = omp_get_wtime();
#pragma omp parallel num_threads(threads)
    work(omp_get_thread_num(), threads);
    double seconds = omp_get_wtime() - began;
    best = seconds < best ? seconds : best;
  }
  return best;
}


/* `amount` units on each thread, in thousand millions a second. */
static void print (const char *name, int threads, double amount,
                   double seconds) {
  printf("%s\t%d\t%.1f\n", name, threads, amount / seconds * 1e-9);
}


static bool limit_read (int threads) {
  if (!make_memory(false)) return false;
  print("read", threads, (double)MEMORY, fastest(read_part, threads));
#if defined(MADV_HUGEPAGE)
  if (!make_memory(true)) return false;
  print("read-large", threads, (double)MEMORY, fastest(read_part, threads));
#else
  printf("# reading large pages: the system has no word for them\n");
#endif
  return true;
}


static bool limit_multiply (int threads) {
  print("f32", threads, (double)STEPS * FLOATS_A_STEP * threads,
        fastest(multiply_floats, threads));
#if defined(BYTES_A_STEP)
  print("int8", threads, (double)STEPS * BYTES_A_STEP * threads,
        fastest(multiply_bytes, threads));
#else
  printf("# products of bytes: no instruction for them that this knows\n");
#endif
  return true;
}


/* Milliseconds until each page of the file was touched through a mapping. */
static bool touch_pages (const char *path) {
  struct stat about;
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  double began = omp_get_wtime();
  int file = open(path, O_RDONLY);
  if (file < 0 || fstat(file, &about) != 0) return false;
  size_t size = (size_t)about.st_size;
  const char *p = mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (p == MAP_FAILED) return false;
  for (size_t i = 0; i < size; i += page) sink += p[i];
  printf("pages\t1\t%.2f\n", (omp_get_wtime() - began) * 1e3);
  return true;
}


int main (int argc, char **argv) {
  int all = omp_get_num_procs();
  bool fine = false;
  const char *what = argc > 1 ? argv[1] : "";
  if (argc == 3 && strcmp(what, "pages") == 0)
    fine = touch_pages(argv[2]);
  else if (strcmp(what, "read") == 0)
    fine = limit_read(1) && (all == 1 || limit_read(all));
  else if (strcmp(what, "multiply") == 0)
    fine = limit_multiply(1) && (all == 1 || limit_multiply(all));
  if (fine) return 0;
  fprintf(stderr, "usage: limits read | multiply | pages FILE "
          "(or there is no such file, or too little memory)\n");
  return 1;
}
