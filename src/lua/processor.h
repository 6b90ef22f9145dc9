/*
** processor.h: processors as Lua values.
*/
#ifndef DC_LUA_PROCESSOR_H
#define DC_LUA_PROCESSOR_H

#include "decode/processors.h"
#include "lua/binding.h"

/* The processor at `index`; NULL if the value is something else. */
const dc_processor *dc_test_processor (lua_State *L, int index);

/* Applies it; raises what goes wrong, naming the kind and, unless it is 0, the
   place in a chain. */
void dc_run_processor (lua_State *L, const dc_processor *p, int place,
                       const dc_step *step);

/* Reads the argument of a factory, which is at index 1, into p, which is at
   index `object`. Pushes nothing. */
void dc_read_params (lua_State *L, dc_processor *p, int object);

/* Memory that lives as long as the processor at `object`. Pushes nothing. */
void *dc_keep_block (lua_State *L, int object, size_t count, size_t size);

void dc_open_chain (lua_State *L);  /* core.chain */

#endif
