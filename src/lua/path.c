/*
** path.c: what lies at a path, for Lua code that is about to open it.
**
**   core.file_info(path) -> {kind=, size=, real=} | nil, message
**     kind: "file", "directory" or "other" (FIFO, device, socket: opening one
**           may block for ever or never end)
**     real: the path without symbolic links, "." and ".."
**
** Links are followed: the answer is about what an open would reach. Plain Lua
** can see none of this, and io.open cuts a path at its first NUL.
*/
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lua/binding.h"


static const char *kind_of (mode_t mode) {
  if (S_ISREG(mode)) return "file";
  if (S_ISDIR(mode)) return "directory";
  return "other";
}


static int push_errno (lua_State *L, const char *path) {
  lua_pushnil(L);
  lua_pushfstring(L, "%s: %s", path, strerror(errno));
  return 2;
}


static int path_info (lua_State *L) {
  const char *path = dc_check_path(L, 1);
  struct stat info;
  char real[PATH_MAX];
  if (stat(path, &info) != 0 || realpath(path, real) == NULL)
    return push_errno(L, path);
  lua_createtable(L, 0, 3);
  lua_pushstring(L, kind_of(info.st_mode));
  lua_setfield(L, -2, "kind");
  lua_pushinteger(L, (lua_Integer)info.st_size);
  lua_setfield(L, -2, "size");
  lua_pushstring(L, real);
  lua_setfield(L, -2, "real");
  return 1;
}


void dc_open_path (lua_State *L) {
  lua_pushcfunction(L, path_info);
  lua_setfield(L, -2, "file_info");
}
