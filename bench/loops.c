/*
** loops.c: the loops of lua/decant/strategies in C, to show what their being
** written in Lua costs. It is linked against the objects of the core and
** knows no Lua. bench/loops.lua talks to it through two pipes:
**
**   loops MODEL
**     ids ID ID ...   the source             -> ok
**     greedy N  sample N  beam N             -> seconds and allocations of the
**                                               core for N new tokens
**
** Each run encodes the source, then decodes N tokens; no token ends it. It
** does what generate does with the same config, score and text included.
** Seconds are processor time: the machine's other work does not count.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/threads.h"
#include "decode/beam.h"
#include "decode/logits.h"
#include "math/kernels.h"
#include "model/model.h"

#define MAX_SOURCE 1024
#define MAX_TOKENS 1024
#define WIDTH 4
#define CANDIDATES (2 * WIDTH)


/* Linked with --wrap: every block of the core comes from here. */
static size_t allocations;
void *__real_aligned_alloc (size_t alignment, size_t size);
void *__wrap_aligned_alloc (size_t alignment, size_t size);

void *__wrap_aligned_alloc (size_t alignment, size_t size) {
  allocations++;
  return __real_aligned_alloc(alignment, size);
}


typedef struct bench {
  dc_model *m;
  int32_t source[MAX_SOURCE];
  size_t n_source;
  float *x[WIDTH];     /* [vocab] each: the scores of a step */
  dc_logits row;       /* with scratch */
  int32_t ids[WIDTH][MAX_TOKENS + 1];
  double score;
  size_t n_text;       /* bytes of the result */
} bench;


static void must (bool fine, const dc_error *err) {
  if (fine) return;
  fprintf(stderr, "loops: %s\n", err->text);
  exit(1);
}


static double seconds (void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}


static void make_source (bench *b, dc_timeline *source) {
  static size_t places[MAX_SOURCE], slots[MAX_SOURCE];
  dc_error err;
  size_t n = b->n_source;
  float *out = dc_alloc_array(n, b->m->hp.d_model * sizeof *out);
  for (size_t i = 0; i < n; i++) slots[i] = i;
  dc_number_places(&b->m->hp, b->source, n, places);
  dc_sequence sequence = {b->source, slots, places, n, out};
  must(dc_encode(b->m, &sequence, 1, &err), &err);
  must(dc_sources_make(b->m, &(dc_source){source, out, n}, 1, &err), &err);
  dc_free(out);
}


/* ---- one row ------------------------------------------------------------- */

static void step (bench *b, dc_timeline *t, const dc_timeline *source,
                  int32_t id) {
  dc_error err;
  dc_feed feed = {.timeline = t, .source = source, .ids = &id, .n = 1,
                  .out = &b->x[0]};
  must(dc_decode(b->m, &feed, 1, &err), &err);
}


static size_t best (bench *b, dc_rng *rng, size_t n) {
  dc_error err;
  size_t id;
  (void)rng, (void)n;
  must(dc_logits_argmax(&b->row, &id, &err), &err);
  return id;
}


/* The five processors of loops.lua, in their order. */
static size_t drawn (bench *b, dc_rng *rng, size_t n) {
  dc_error err;
  size_t id = 0;
  float p;
  dc_logits_penalize(&b->row, 1.2f, b->ids[0], n);
  dc_logits_temperature(&b->row, 0.8f);
  must(dc_logits_top_k(&b->row, 40, &err), &err);
  must(dc_logits_top_p(&b->row, 0.9, 1, &err), &err);
  must(dc_logits_min_p(&b->row, 0.02f, 1, &err), &err);
  must(dc_logits_draw(&b->row, dc_rng_uniform(rng), &id, &p, &err), &err);
  return id;
}


static void one_row (bench *b, size_t n, const dc_timeline *source,
                     size_t (*choose) (bench *, dc_rng *, size_t)) {
  dc_error err;
  dc_timeline t = {0};
  dc_rng rng = {1, 0, 0};
  float logprob;
  b->row.x = b->x[0];
  b->score = 0;
  b->ids[0][0] = (int32_t)b->m->hp.decoder_start;
  for (size_t i = 0; i < n; i++) {
    step(b, &t, source, b->ids[0][i]);
    size_t id = choose(b, &rng, i + 1);
    must(dc_logits_log_probability(&b->row, id, &logprob, &err), &err);
    b->score += logprob;
    b->ids[0][i + 1] = (int32_t)id;
  }
  dc_timeline_clear(&t, &b->m->pool);
}


/* ---- beams --------------------------------------------------------------- */

typedef struct beam {
  double score;
  dc_timeline timeline;
  int32_t *ids;  /* [MAX_TOKENS + 1] */
} beam;


/* One pass over the rows of all beams (of the first alone at the start). */
static void beam_scores (bench *b, beam *beams, size_t rows, size_t length,
                         const dc_timeline *source) {
  dc_error err;
  dc_feed feeds[WIDTH];
  for (size_t i = 0; i < rows; i++)
    feeds[i] = (dc_feed){.timeline = &beams[i].timeline, .source = source,
                         .ids = &beams[i].ids[length], .n = 1,
                         .out = &b->x[i]};
  must(dc_decode(b->m, feeds, rows, &err), &err);
  for (size_t i = 0; i < rows; i++) {
    b->row.x = b->x[i];
    must(dc_logits_log_softmax(&b->row, &err), &err);
  }
}


/* The best WIDTH candidates become the beams; parents are shared, not copied. */
static void go_on (bench *b, beam *beams, const dc_candidate *found,
                   size_t length) {
  static int32_t copies[WIDTH][MAX_TOKENS + 1];
  dc_timeline old[WIDTH];
  for (size_t i = 0; i < WIDTH; i++) {
    old[i] = beams[i].timeline;
    memcpy(copies[i], beams[i].ids, (length + 1) * sizeof **copies);
  }
  for (size_t i = 0; i < WIDTH; i++) {
    size_t parent = (size_t)found[i].row;
    beams[i].timeline = (dc_timeline){0};
    if (!dc_timeline_share(&beams[i].timeline, &old[parent], &b->m->pool))
      exit(1);
    memcpy(beams[i].ids, copies[parent], (length + 1) * sizeof **copies);
    beams[i].ids[length + 1] = found[i].id;
    beams[i].score = found[i].score;
  }
  for (size_t i = 0; i < WIDTH; i++)
    dc_timeline_clear(&old[i], &b->m->pool);
}


static void beam_search (bench *b, size_t n, const dc_timeline *source) {
  dc_error err;
  beam beams[WIDTH] = {{0}};
  double scores[WIDTH] = {0};
  for (size_t i = 0; i < WIDTH; i++) beams[i].ids = b->ids[i];
  b->ids[0][0] = (int32_t)b->m->hp.decoder_start;
  for (size_t i = 0; i < n; i++) {
    dc_candidate found[CANDIDATES];
    size_t rows = i == 0 ? 1 : WIDTH, count = CANDIDATES;
    beam_scores(b, beams, rows, i, source);
    for (size_t j = 0; j < rows; j++) scores[j] = beams[j].score;
    dc_beams all = {(const float **)b->x, scores, rows, b->m->hp.n_vocab};
    must(dc_beam_top(&all, found, &count, &err), &err);
    go_on(b, beams, found, i);
  }
  b->score = beams[0].score;
  for (size_t i = 0; i < WIDTH; i++)
    dc_timeline_clear(&beams[i].timeline, &b->m->pool);
}


/* ---- text ---------------------------------------------------------------- */

/* The text of the best row, where the model has a tokenizer. */
static void make_text (bench *b, size_t n) {
  dc_error err;
  dc_decoder d;
  if (b->m->tokenizer == NULL) return;
  dc_tokenizer_decoder(b->m->tokenizer, false, &d);
  for (size_t i = 0; i <= n; i++)
    must(dc_decoder_add(&d, b->ids[0][i], &err), &err);
  must(dc_decoder_end(&d, &err), &err);
  b->n_text = dc_decoder_take(&d).size;
  dc_decoder_free(&d);
}


/* ---- commands ------------------------------------------------------------ */

static void run (bench *b, const char *name, size_t n) {
  dc_timeline source = {0};
  double began = seconds();
  size_t before;
  make_source(b, &source);
  before = allocations;
  if (strcmp(name, "greedy") == 0) one_row(b, n, &source, best);
  else if (strcmp(name, "sample") == 0) one_row(b, n, &source, drawn);
  else beam_search(b, n, &source);
  make_text(b, n);
  before = allocations - before;
  dc_timeline_clear(&source, &b->m->pool);
  printf("%.9f %zu %.17g\n", seconds() - began, before, b->score);
}


static void read_ids (bench *b, char *line) {
  b->n_source = 0;
  for (char *word = strtok(line, " \n"); word != NULL;
       word = strtok(NULL, " \n"))
    if (b->n_source < MAX_SOURCE) b->source[b->n_source++] = atoi(word);
  puts("ok");
}


static void open_bench (bench *b, const char *path) {
  dc_error err;
  dc_model_options options = {.map = true, .pack_most = DC_PACK_MOST,
                              .threads = 1};
  must(dc_kernels_init(&err), &err);
  must(dc_model_open(&b->m, path, &options, &err), &err);
  size_t vocab = b->m->hp.n_vocab;
  for (size_t i = 0; i < WIDTH; i++)
    b->x[i] = dc_alloc_array(vocab, sizeof *b->x[i]);
  b->row = (dc_logits){.n = vocab,
    .a = dc_alloc_array(vocab, sizeof(float)),
    .b = dc_alloc_array(vocab, sizeof(float)),
    .ids = dc_alloc_array(vocab, sizeof(int32_t))};
}


int main (int argc, char **argv) {
  static bench b;
  static char line[16 * MAX_SOURCE];
  if (argc != 2) return 2;
  open_bench(&b, argv[1]);
  while (fgets(line, sizeof line, stdin) != NULL) {
    char name[16];
    size_t n;
    if (strncmp(line, "ids ", 4) == 0)
      read_ids(&b, line + 4);
    else if (sscanf(line, "%15s %zu", name, &n) == 2 && n <= MAX_TOKENS)
      run(&b, name, n);
    fflush(stdout);
  }
  return 0;
}
