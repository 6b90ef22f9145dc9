/*
** saved.c: rows in files, the core of session:save and model:restore.
**
**   rows:save(path)    -> true | nil, message
**   m:restore(path)    -> Rows | nil, message
*/
#include "model/saved.h"

#include "lua/model.h"


int dc_rows_save (lua_State *L) {
  dc_error err;
  dc_lua_rows *rows = dc_check_rows(L, 1);
  const char *path = dc_check_path(L, 2);
  dc_saved saved = {.rows = rows->timelines, .n = rows->n};
  if (rows->source != NULL) saved.source = rows->source->timeline;
  if (!dc_saved_write(&saved, rows->model, path, &err))
    return dc_push_failure(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}


int dc_model_restore (lua_State *L) {
  dc_error err;
  dc_saved saved = {0};
  const char *path = dc_check_path(L, 2);
  dc_lua_rows *rows = dc_new_rows(L);
  dc_lua_source *source = dc_new_source(L);
  lua_setiuservalue(L, -2, 1);
  dc_model *m = dc_check_model(L, 1);
  size_t before = dc_pool_bytes(&m->pool);
  if (!dc_saved_read(&saved, m, path, &err)) return dc_push_failure(L, &err);
  if (!m->hp.arch->causal) {
    source->timeline = saved.source;
    source->model = m;
    source->closed = true;  /* nobody else reads it */
    m->refs++;
  }
  dc_rows_open(rows, m, m->hp.arch->causal ? NULL : source);
  rows->timelines = saved.rows;
  rows->n = saved.n;
  dc_report_memory(L, dc_pool_bytes(&m->pool) - before);
  return 1;
}
