/*
** st_file.h: what safetensors.c and st_header.c share and nobody else needs.
*/
#ifndef DC_ST_FILE_H
#define DC_ST_FILE_H

#include "base/file.h"
#include "format/names.h"
#include "format/safetensors.h"

typedef struct dc_st_pair {
  dc_string key, value;
} dc_st_pair;

/* A list that grows by doubling: of tensors, of pairs. */
typedef struct dc_st_list {
  void *items;
  size_t count, room;
} dc_st_list;

struct dc_safetensors {
  char *path;
  dc_file file;
  dc_st_list tensors;   /* dc_st_tensor, in the order of the header */
  dc_st_list metadata;  /* dc_st_pair */
  dc_names names;
  char *unescaped;      /* [header size] texts that had escapes in them */
  size_t used;
  size_t header_size;
};

/* Reads the header of st->file into tensors and metadata. Each tensor then
   lies inside the data and has the size of its shape and dtype; how they lie
   to each other is not looked at. */
bool dc_st_read_header (dc_safetensors *st, dc_error *err);

#endif
