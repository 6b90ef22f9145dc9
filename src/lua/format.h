/*
** format.h: what the bindings of the file formats share (format.c,
** safetensors.c, gguf_source.c, gguf_writer.c).
*/
#ifndef DC_LUA_FORMAT_H
#define DC_LUA_FORMAT_H

#include "format/gguf_write.h"
#include "format/safetensors.h"
#include "lua/binding.h"
#include "math/types.h"

/* The field `mmap` of the table of options at `arg`, if any; else true. */
bool dc_check_mmap (lua_State *L, int arg);

/* Element i of an array in a GGUF file. An integer above 2^63 - 1 becomes a
   float, as Lua's own reader does. */
void dc_push_gguf_element (lua_State *L, const dc_gguf_array *array, size_t i);

/* The open safetensors file at `index`; raises if it is none or closed. */
dc_safetensors *dc_check_safetensors (lua_State *L, int index);

/* The same of a GGUF file. */
dc_gguf *dc_check_gguf (lua_State *L, int index);

/* What a tensor of the writer, of this type, is made of (gguf_source.c); then
   the value that owns its bytes lies on top. Before they are read it is shown
   to the second function, which raises if it was closed meanwhile. */
dc_gguf_source dc_check_gguf_source (lua_State *L, int arg, dc_type type);
void dc_check_source_open (lua_State *L, int index);

/* Pushes a sequence of the dimensions, last one first if `reversed`. */
void dc_push_shape (lua_State *L, const uint64_t *shape, int n, bool reversed);

/* The parts of dc_open_format; each adds to the table on top. */
void dc_open_safetensors (lua_State *L);
void dc_open_gguf_writer (lua_State *L);

#endif
