/*
** outfile.h: a file that appears whole or not at all. It is written under
** another name in the same folder; commit makes it durable (fsync) and gives
** it its name (rename), so that whoever opens or has mapped that name sees
** the old file or the new one, never a part.
*/
#ifndef DC_OUTFILE_H
#define DC_OUTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"

/* Starts zeroed. */
typedef struct dc_outfile {
  char *path, *temporary;  /* NULL while closed */
  int fd;
  uint64_t written;        /* bytes so far */
} dc_outfile;

/* The messages do not name the path. */
bool dc_outfile_open (dc_outfile *file, const char *path, dc_error *err);
bool dc_outfile_write (dc_outfile *file, const void *data, size_t size,
                       dc_error *err);

/* After a failure the temporary file is still there, for close to remove. */
bool dc_outfile_commit (dc_outfile *file, dc_error *err);

/* Removes the temporary file unless committed. Idempotent. */
void dc_outfile_close (dc_outfile *file);

#endif
