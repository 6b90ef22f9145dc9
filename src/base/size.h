/*
** size.h: arithmetic on sizes that come from a file or a caller. Every such
** size passes through here before any + or *; a product that has wrapped
** already cannot be tested (that is how several loaders were broken).
** Each returns false on overflow and then leaves *out alone.
*/
#ifndef DC_SIZE_H
#define DC_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool dc_size_add (size_t a, size_t b, size_t *out) {
  size_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return false;
  *out = sum;
  return true;
}

static inline bool dc_size_mul (size_t a, size_t b, size_t *out) {
  size_t product;
  if (__builtin_mul_overflow(a, b, &product)) return false;
  *out = product;
  return true;
}

/* Rounds n up to a multiple of `unit`, a power of two. */
static inline bool dc_size_align (size_t n, size_t unit, size_t *out) {
  size_t sum;
  if (!dc_size_add(n, unit - 1, &sum)) return false;
  *out = sum & ~(unit - 1);
  return true;
}

#endif
