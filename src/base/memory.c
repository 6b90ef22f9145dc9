/*
** memory.c: see memory.h. A header of 64 bytes in front of each block keeps
** its size for the count; it also keeps the block itself aligned.
**
** A large block is a mapping of its own, so that its whole stretches of 2 MB
** can be pages of that size, and that fresh pages, which are zero, need not be
** written before they are used. The system may refuse the one and still give
** the other.
*/
#include "base/memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/size.h"

#define ALIGNMENT 64
#define HUGE ((size_t)2 << 20)   /* bytes of a large page */
#define LARGE ((size_t)4 << 20)  /* a block from here on has a mapping */

typedef struct header {
  size_t size;     /* of the block, as asked for */
  void *mapping;   /* NULL: the block came from aligned_alloc */
  size_t length;   /* of the mapping */
} header;

_Static_assert(sizeof(header) <= ALIGNMENT, "the header has its room");

static atomic_size_t used;


static header *header_of (void *block) {
  return (header *)(void *)((char *)block - ALIGNMENT);
}


/* Room of `total` bytes, all zero, whose header knows how to free it. */
static header *small_room (size_t total) {
  header *h = aligned_alloc(ALIGNMENT, total);
  if (h != NULL) memset(h, 0, total);
  return h;
}


#if defined(MAP_ANONYMOUS) && defined(MADV_HUGEPAGE)

/* Between the start of the mapping and the first large page up to 2 MB of
   addresses stay unused; nothing stands behind them. */
static header *large_room (size_t total) {
  size_t length;
  if (!dc_size_add(total, HUGE, &length)) return NULL;
  char *mapping = mmap(NULL, length, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return NULL;
  header *h = (void *)(mapping + (HUGE - (uintptr_t)mapping % HUGE) % HUGE);
  madvise(h, total / HUGE * HUGE, MADV_HUGEPAGE);  /* a wish: it may fail */
  *h = (header){.mapping = mapping, .length = length};
  return h;
}

#else

static header *large_room (size_t total) {
  return small_room(total);
}

#endif


void *dc_alloc (size_t size) {
  size_t total;
  if (!dc_size_align(size, ALIGNMENT, &total) ||
      !dc_size_add(total, ALIGNMENT, &total) || total > PTRDIFF_MAX)
    return NULL;
  header *h = total < LARGE ? small_room(total) : large_room(total);
  if (h == NULL) return NULL;
  h->size = size;
  atomic_fetch_add(&used, size);
  return (char *)h + ALIGNMENT;
}


void *dc_alloc_array (size_t count, size_t size) {
  size_t total;
  return dc_size_mul(count, size, &total) ? dc_alloc(total) : NULL;
}


void *dc_realloc (void *block, size_t size) {
  void *bigger = dc_alloc(size);
  if (bigger != NULL && block != NULL) {
    size_t old = header_of(block)->size;
    memcpy(bigger, block, old < size ? old : size);
    dc_free(block);
  }
  return bigger;
}


void dc_free (void *block) {
  if (block == NULL) return;
  header *h = header_of(block);
  atomic_fetch_sub(&used, h->size);
  if (h->mapping != NULL)
    munmap(h->mapping, h->length);
  else
    free(h);
}


size_t dc_memory_used (void) {
  return atomic_load(&used);
}
