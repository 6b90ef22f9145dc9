/* model.h (lua): the userdata decant.Model and decant.Rows, for each other. */
#ifndef DC_LUA_MODEL_H
#define DC_LUA_MODEL_H

#include "lua/binding.h"
#include "model/model.h"

#define DC_LUA_SOURCE "decant.Source"

/* A model as Lua holds it: NULL when it is closed. */
typedef struct dc_lua_model {
  dc_model *model;
} dc_lua_model;

/* The open model at argument `arg`; dc_check_model wants it with weights,
   dc_check_seq2seq with an encoder. */
dc_model *dc_check_open_model (lua_State *L, int arg);
dc_model *dc_check_model (lua_State *L, int arg);
dc_model *dc_check_seq2seq (lua_State *L, int arg);

/* A list of lists of ids at `arg`; each may be empty. Pushes two values that
   own the memory. */
typedef struct dc_lua_ids {
  int32_t *ids;
  size_t n;
} dc_lua_ids;

dc_lua_ids *dc_check_id_lists (lua_State *L, int arg, size_t vocab,
                               size_t *count);

/* The encoder's output as the decoder reads it; immutable. Once closed it takes
   no new readers, and is let go with the last one. */
typedef struct dc_lua_source {
  dc_model *model;  /* holds a reference; NULL when let go */
  dc_timeline timeline;
  size_t readers;   /* open rows that read it */
  bool closed;
} dc_lua_source;

/* Timelines that go on together (the rows of a session). */
typedef struct dc_lua_rows {
  dc_model *model;  /* holds a reference; NULL when closed */
  dc_timeline *timelines;  /* [n] */
  size_t n;
  dc_timeline *spare;      /* [n_spare], empty: for reordering */
  size_t n_spare;
  dc_lua_source *source;  /* kept alive by the user value; NULL: causal */
  size_t request;  /* forward.c: the last one that they were found in */
} dc_lua_rows;

/* Pushes a source or rows without a model; dc_rows_open makes them rows of m,
   none as yet, that read `source` (NULL: none). Open rows keep their model:
   where a C function allocates while it works on a model, such rows hold it. */
dc_lua_source *dc_new_source (lua_State *L);
dc_lua_rows *dc_new_rows (lua_State *L);
void dc_rows_open (dc_lua_rows *rows, dc_model *m, dc_lua_source *source);

/* Lets go of timelines and model; closed rows may be closed again. */
void dc_rows_close (dc_lua_rows *rows);

/* The source at `index`, which must be of m; else an error about `arg`. */
dc_lua_source *dc_check_source (lua_State *L, int index, int arg,
                                dc_model *m);

/* n empty rows in place of what was there; false when memory is short. */
bool dc_rows_resize (dc_lua_rows *rows, size_t n);

/* The open rows at argument `arg`. */
dc_lua_rows *dc_check_rows (lua_State *L, int arg);

int dc_model_hparams (lua_State *L);  /* m:hparams() */
int dc_model_cache_sizes (lua_State *L);  /* core.cache_sizes(gguf) */
int dc_model_architectures (lua_State *L);  /* core.architectures() */
int dc_model_restore (lua_State *L);  /* m:restore(path) */
int dc_rows_save (lua_State *L);      /* rows:save(path) */
int dc_model_rows (lua_State *L);     /* m:rows(n [, source]) */
void dc_open_rows (lua_State *L);     /* core.copied_bytes, ... */
void dc_open_forward (lua_State *L);  /* core.forward */
void dc_open_step (lua_State *L);     /* core.step, core.step_all */

#endif
