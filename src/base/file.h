/*
** file.h: a read-only file, whole, as bytes in memory.
**
** Mapped (shared pages, nothing read before it is touched) or read into
** memory. A mapped file that somebody truncates or rewrites while it is in
** use cannot be made safe (SIGBUS, changed weights): read mode is for that.
*/
#ifndef DC_FILE_H
#define DC_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"

typedef struct dc_file {
  const uint8_t *data;  /* [size]; never NULL once open */
  size_t size;
  bool mapped;
} dc_file;

/* Opens a regular file (no directory, FIFO or device: those would block or
   never end). The message names the path. */
bool dc_file_open (dc_file *file, const char *path, bool map, dc_error *err);

/* Some bytes will hardly be read again: pages of a mapping that hold nothing
   else go back to the system. (To read them still works.) */
void dc_file_release (const dc_file *file, const void *bytes, size_t size);

/* Idempotent; accepts a zeroed dc_file. */
void dc_file_close (dc_file *file);

#endif
