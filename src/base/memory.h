/*
** memory.h: all memory that is not Lua's. Blocks are aligned to 64 bytes (one
** cache line, one AVX-512 register) and zeroed. The bytes in use are counted,
** so that a spec can show that nothing is left behind.
**
** A block of 4 MB or more lies in pages of 2 MB, where the system has them for
** those who ask (Linux): reading through it costs the processor fewer look-ups
** of addresses, half again as many bytes a second. Its pages take memory from
** the first write to them on, so that threads that fill it together share that
** work, too. Elsewhere it is a block like any other.
*/
#ifndef DC_MEMORY_H
#define DC_MEMORY_H

#include <stddef.h>

/* NULL when memory is short or the size is absurd; size 0 gives a block. */
void *dc_alloc (size_t size);

/* dc_alloc(count * size), NULL when the product overflows. */
void *dc_alloc_array (size_t count, size_t size);

/* A block of at least `size` bytes with the old content in front and zeros
   behind it, or NULL (then `block` is still whole). `block` may be NULL. */
void *dc_realloc (void *block, size_t size);

void dc_free (void *block);

/* Bytes in blocks that are not freed yet, over all threads. */
size_t dc_memory_used (void);

#endif
