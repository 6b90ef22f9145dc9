/* tokenizer.h: what other bindings need of the Tokenizer userdata. */
#ifndef DC_LUA_TOKENIZER_H
#define DC_LUA_TOKENIZER_H

#include <lua.h>

#include "text/tokenizer.h"

/* Pushes a closed Tokenizer; what is put into the slot belongs to it. */
dc_tokenizer **dc_push_tokenizer (lua_State *L);

#endif
