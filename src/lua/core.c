/*
** core.c: luaopen_decant_core, the one symbol that the module exports.
**
** The module must never be unmapped: libgomp's threads, and the libgomp that
** came in with the module, would lose their code while they sleep in it (a
** host that closes its last state then crashes). So it is linked with
** -z nodelete and also pins itself, for builds that lost the flag.
*/
#include <dlfcn.h>
#include <lauxlib.h>
#include <lua.h>

#include "base/threads.h"
#include "lua/binding.h"
#include "math/kernels.h"

#if defined(_WIN32)
#define DC_EXPORT __declspec(dllexport)
#else
#define DC_EXPORT __attribute__((visibility("default")))
#endif

DC_EXPORT int luaopen_decant_core (lua_State *L);


static void pin_module (void) {
  Dl_info info;
  void *self = (void *)(uintptr_t)luaopen_decant_core;
  if (dladdr(self, &info) != 0 && info.dli_fname != NULL)
    dlopen(info.dli_fname, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE | RTLD_NOLOAD);
}


int luaopen_decant_core (lua_State *L) {
  static void (*const openers[]) (lua_State *) = {
    dc_open_tensor, dc_open_logits, dc_open_processor, dc_open_format,
    dc_open_tokenizer, dc_open_sentencepiece, dc_open_model, dc_open_path,
    dc_open_line, dc_open_system,
  };
  luaL_checkversion(L);
  dc_error err;
  if (!dc_kernels_init(&err)) return luaL_error(L, "%s", err.text);
  pin_module();
  dc_threads_init();
  lua_newtable(L);
  for (size_t i = 0; i < sizeof openers / sizeof openers[0]; i++)
    openers[i](L);
  return 1;
}
