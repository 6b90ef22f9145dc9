/*
** memory.c: see memory.h. A header of 64 bytes in front of each block keeps
** its size for the count; it also keeps the block itself aligned.
*/
#include "base/memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

#define ALIGNMENT 64

static atomic_size_t used;


static size_t *size_of (void *block) {
  return (size_t *)(void *)((char *)block - ALIGNMENT);
}


void *dc_alloc (size_t size) {
  size_t total;
  if (!dc_size_align(size, ALIGNMENT, &total) ||
      !dc_size_add(total, ALIGNMENT, &total) || total > PTRDIFF_MAX)
    return NULL;
  char *start = aligned_alloc(ALIGNMENT, total);
  if (start == NULL) return NULL;
  memset(start, 0, total);
  char *block = start + ALIGNMENT;
  *size_of(block) = size;
  atomic_fetch_add(&used, size);
  return block;
}


void *dc_alloc_array (size_t count, size_t size) {
  size_t total;
  return dc_size_mul(count, size, &total) ? dc_alloc(total) : NULL;
}


void *dc_realloc (void *block, size_t size) {
  void *bigger = dc_alloc(size);
  if (bigger != NULL && block != NULL) {
    size_t old = *size_of(block);
    memcpy(bigger, block, old < size ? old : size);
    dc_free(block);
  }
  return bigger;
}


void dc_free (void *block) {
  if (block == NULL) return;
  atomic_fetch_sub(&used, *size_of(block));
  free(size_of(block));
}


size_t dc_memory_used (void) {
  return atomic_load(&used);
}
