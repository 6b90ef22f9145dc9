/*
** binding.h: what the binding files share. Each binding file owns one userdata
** and has one opener, called once per state by luaopen_decant_core with the
** module's table on top of the stack.
**
** The rules of all of them: userdata first, closed and with its metatable,
** then filled, so that whatever raises in between leaves nothing behind; no
** malloc'ed memory held by a C local alone while Lua may raise (scratch
** memory is userdata too); a caller's mistake raises with its argument
** number, the world's failure returns nil, message. Whatever allocates in Lua
** may run a finaliser, and that may close any object that Lua code can reach:
** after the last allocation an object is checked anew, or it is held (a view
** of a Tensor, a reference to a model) before the first one.
*/
#ifndef DC_BINDING_H
#define DC_BINDING_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"

/* Names of the metatables in the registry (and of the types in messages). */
#define DC_LUA_TENSOR "decant.Tensor"
#define DC_LUA_LOGITS "decant.Logits"
#define DC_LUA_RNG "decant.Rng"
#define DC_LUA_PROCESSOR "decant.Processor"
#define DC_LUA_CHAIN "decant.Chain"
#define DC_LUA_TOKENIZER "decant.Tokenizer"
#define DC_LUA_GGUF "decant.GGUF"
#define DC_LUA_GGUF_WRITER "decant.GGUFWriter"
#define DC_LUA_SAFETENSORS "decant.Safetensors"
#define DC_LUA_MODEL "decant.Model"
#define DC_LUA_ROWS "decant.Rows"

/* The openers; each adds its functions to the table on top of the stack. */
void dc_open_tensor (lua_State *L);
void dc_open_logits (lua_State *L);
void dc_open_processor (lua_State *L);
void dc_open_format (lua_State *L);
void dc_open_tokenizer (lua_State *L);
void dc_open_sentencepiece (lua_State *L);
void dc_open_model (lua_State *L);
void dc_open_path (lua_State *L);
void dc_open_line (lua_State *L);
void dc_open_system (lua_State *L);

/* Pushes nil and the message; returns 2. */
int dc_push_failure (lua_State *L, const dc_error *err);

/* Raises what `err` says. */
int dc_raise (lua_State *L, const dc_error *err);

/* A path argument: a string without NUL, which would cut the name. */
const char *dc_check_path (lua_State *L, int arg);

/* An integer argument in min..max, else an error that says the range. */
lua_Integer dc_check_range (lua_State *L, int arg, lua_Integer min,
                            lua_Integer max);

/* A finite number argument. */
double dc_check_finite (lua_State *L, int arg);

/* The number at `index` as a bias, a float: -inf bans, but nothing else may be
   infinite. False if it is none. */
bool dc_to_bias (lua_State *L, int index, float *bias);

#define DC_BIAS_RULE "must be a number from -3.4e38 to 3.4e38, or -inf"

/* A finite number argument, as a float, too. */
float dc_check_float (lua_State *L, int arg);

/* The value at `index` as messages show it, pushed: a text in quotes, and not
   all of a long one; of a table the word alone. */
const char *dc_show (lua_State *L, int index);

/* Whether the value at `index` is a function or has a __call that is one. */
bool dc_is_callable (lua_State *L, int index);

/* Scratch memory that the collector owns, zeroed; pushes one value. */
void *dc_push_scratch (lua_State *L, size_t count, size_t size);

/* Room for count elements: `few`, which has `bytes` of them, if that is enough,
   else pushed scratch. For what is done at every token. Not zeroed. */
void *dc_few_or_scratch (lua_State *L, void *few, size_t bytes, size_t count,
                         size_t size);

/* The sequence of token ids at `index` (a table of integers in 0..vocab-1, or
   any integer from 0 if vocab is 0) as int32. Pushes one value that owns the
   memory. Raises, naming argument `arg`, position and rule. */
int32_t *dc_check_ids (lua_State *L, int index, int arg, size_t vocab,
                       size_t *n);

/* The same in two halves, for who has memory already: how many there are, and
   n of them. Push nothing and allocate nothing (but for an error). */
size_t dc_check_list (lua_State *L, int index, int arg);
/* A single one: the value on top of the stack, which stays there. */
int32_t dc_read_id (lua_State *L, int arg, size_t position, size_t vocab);
void dc_read_ids (lua_State *L, int index, int arg, size_t vocab, int32_t *ids,
                  size_t n);

/* Pushes a sequence of ids as a table. */
void dc_push_ids (lua_State *L, const int32_t *ids, size_t n);

/* Creates the metatable `name`: __name, methods as __index, metamethods. */
void dc_new_type (lua_State *L, const char *name, const luaL_Reg *methods,
                  const luaL_Reg *metamethods);

/* Tells the collector about memory outside of Lua, else dropped objects pile
   up unseen (a 100-byte userdata may own 100 MB). */
void dc_report_memory (lua_State *L, size_t bytes);

#endif
