/*
** saved.h: sessions in files: the timelines of some rows and of their source,
** each block of the cache once.
**
** A file belongs to one model: its fingerprint is in front. Read, it is as
** hostile as any other: sizes are checked before they are used, and a checksum
** closes it. The layout is in saved.c; numbers are little-endian.
*/
#ifndef DC_SAVED_H
#define DC_SAVED_H

#include "model/model.h"

/* Rows of one session. */
typedef struct dc_saved {
  dc_timeline *rows;    /* [n]; owned by whoever restored them */
  size_t n;
  dc_timeline source;   /* empty for a causal model */
} dc_saved;

/* The file appears whole or not at all (outfile.h). */
bool dc_saved_write (const dc_saved *saved, const dc_model *m,
                     const char *path, dc_error *err);

/* `saved` is to be zeroed. On failure it stays so, and the message names file,
   field and rule. */
bool dc_saved_read (dc_saved *saved, dc_model *m, const char *path,
                    dc_error *err);

/* Gives the rows and the source back to the model's pool. */
void dc_saved_clear (dc_saved *saved, dc_model *m);

#endif
