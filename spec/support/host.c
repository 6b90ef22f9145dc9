/*
** host.c: a program that embeds decant, for guest_spec.lua. It runs a Lua file
** in states that it opens and closes itself and prints what it saw in one
** line, so that a word from decant on standard output would show.
**
**   host MODE SCRIPT [ARG]
**
**   cycle N       N states one after the other; prints the most threads seen
**   memory        a state on a counting allocator; prints the bytes left in it
**                 and decant's own before and after
**   float         the float control word before, after, and a denormal sum
**   fork          runs the script, forks, and runs it in the child
**   locale NAME   the script's result in the "C" locale and in this one
**   once          the script's result
**   interrupt N   stops the script by a count hook after N instructions
**
** The script returns a string. With -DDECANT_STATIC the module is linked in
** and comes from package.preload; there is no io, no os and no dlopen.
*/
#include <dirent.h>
#include <lauxlib.h>
#include <locale.h>
#include <lua.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

static const char *script;


static void die (const char *what, const char *why) {
  printf("%s: %s\n", what, why);
  exit(1);
}


#if defined(DECANT_STATIC)

int luaopen_decant_core (lua_State *L);

static void open_libraries (lua_State *L) {
  static const luaL_Reg libraries[] = {
    {LUA_GNAME, luaopen_base}, {LUA_LOADLIBNAME, luaopen_package},
    {LUA_TABLIBNAME, luaopen_table}, {LUA_STRLIBNAME, luaopen_string},
    {LUA_MATHLIBNAME, luaopen_math}, {LUA_UTF8LIBNAME, luaopen_utf8},
    {LUA_COLIBNAME, luaopen_coroutine}, {NULL, NULL}
  };
  for (const luaL_Reg *library = libraries; library->func; library++) {
    luaL_requiref(L, library->name, library->func, 1);
    lua_pop(L, 1);
  }
  lua_getglobal(L, "package");
  lua_pushliteral(L, "");
  lua_setfield(L, -2, "cpath");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_decant_core);
  lua_setfield(L, -2, "decant.core");
  lua_pop(L, 2);
}

#else

static void open_libraries (lua_State *L) {
  luaL_openlibs(L);
}

#endif


/* Runs the script in L; its result, a string, stays on the stack. */
static const char *run (lua_State *L) {
  if (luaL_loadfile(L, script) != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK)
    die("script", lua_tostring(L, -1));
  if (!lua_isstring(L, -1)) die("script", "returned no string");
  return lua_tostring(L, -1);
}


static lua_State *open_state (lua_Alloc allocate, void *data) {
  lua_State *L = allocate ? lua_newstate(allocate, data) : luaL_newstate();
  if (L == NULL) die("lua", "no state");
  open_libraries(L);
  return L;
}


static int threads_now (void) {
  int n = 0;
  DIR *tasks = opendir("/proc/self/task");
  if (tasks == NULL) return 0;
  for (struct dirent *entry; (entry = readdir(tasks)) != NULL;)
    n += entry->d_name[0] != '.';
  closedir(tasks);
  return n;
}


static void cycle (long n) {
  int most = 0;
  for (long i = 0; i < n; i++) {
    lua_State *L = open_state(NULL, NULL);
    run(L);
    int now = threads_now();
    if (now > most) most = now;
    lua_close(L);
  }
  printf("%ld states, %d threads\n", n, most);
}


/* lua_Alloc; `data` counts the bytes in use. */
static void *count (void *data, void *block, size_t old, size_t new) {
  size_t *used = data;
  if (new == 0) {
    if (block) *used -= old;
    free(block);
    return NULL;
  }
  void *grown = realloc(block, new);
  if (grown) *used += new - (block ? old : 0);
  return grown;
}


/* decant's memory outside of Lua, asked in a state of its own. */
static long long core_memory (void) {
  lua_State *L = open_state(NULL, NULL);
  if (luaL_dostring(L, "return require 'decant.core'.memory()"))
    die("memory", lua_tostring(L, -1));
  long long bytes = lua_tointeger(L, -1);
  lua_close(L);
  return bytes;
}


static void memory (void) {
  size_t used = 0;
  long long before = core_memory();
  lua_State *L = open_state(count, &used);
  run(L);
  lua_close(L);
  printf("%zu bytes left, %lld outside\n", used, core_memory() - before);
}


static unsigned control_word (void) {
#if defined(__x86_64__)
  return _mm_getcsr() & 0xFFC0;  /* control bits; flags of past sums go */
#else
  return 0;
#endif
}


static void float_mode (void) {
  unsigned before = control_word();
  lua_State *L = open_state(NULL, NULL);
  run(L);
  unsigned after = control_word();
  volatile float tiny = 1e-38f, half = tiny * 0.125f;  /* below FLT_MIN */
  lua_close(L);
  printf("control %s, denormals %s\n",
         before == after && after == control_word() ? "same" : "changed",
         half > 0 ? "kept" : "lost");
}


/* The child has 60 seconds: a hang ends in SIGALRM, not in a stuck spec. */
static void in_child (lua_State *L, const char *wanted) {
  alarm(60);
  int same = strcmp(run(L), wanted) == 0;
  lua_State *other = open_state(NULL, NULL);
  same = same && strcmp(run(other), wanted) == 0;
  lua_close(other);
  lua_close(L);
  _exit(same ? 0 : 1);
}


static void fork_after_use (void) {
  lua_State *L = open_state(NULL, NULL);
  const char *wanted = run(L);
  int status = 0;
  pid_t child = fork();
  if (child < 0) die("fork", "failed");
  if (child == 0) in_child(L, wanted);
  waitpid(child, &status, 0);
  int again = strcmp(run(L), wanted) == 0;
  lua_close(L);
  printf("child %s %d, parent %s\n",
         WIFSIGNALED(status) ? "signal" : "status",
         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
         again ? "same" : "differs");
}


static void in_locale (const char *name) {
  lua_State *L = open_state(NULL, NULL);
  const char *plain = run(L);
  if (setlocale(LC_NUMERIC, name) == NULL) die("locale", "not there");
  lua_State *other = open_state(NULL, NULL);
  int same = strcmp(run(other), plain) == 0;
  printf("point '%s', results %s\n", localeconv()->decimal_point,
         same ? "same" : "differ");
  lua_close(other);
  lua_close(L);
}


static void once (void) {
  lua_State *L = open_state(NULL, NULL);
  printf("%s\n", run(L));
  lua_close(L);
}


static void stop (lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "stopped");
}


static void interrupt (int n) {
  lua_State *L = open_state(NULL, NULL);
  run(L);
  if (luaL_loadfile(L, script) != LUA_OK) die("script", "does not load");
  lua_sethook(L, stop, LUA_MASKCOUNT, n);
  int status = lua_pcall(L, 0, 1, 0);
  lua_sethook(L, NULL, 0, 0);
  run(L);
  lua_close(L);
  printf("%s\n", status == LUA_OK ? "ran through" : "stopped and went on");
}


int main (int argc, char **argv) {
  if (argc < 3) die("usage", "host MODE SCRIPT [ARG]");
  const char *mode = argv[1], *arg = argc > 3 ? argv[3] : "";
  script = argv[2];
  if (!strcmp(mode, "cycle")) cycle(atol(arg));
  else if (!strcmp(mode, "memory")) memory();
  else if (!strcmp(mode, "float")) float_mode();
  else if (!strcmp(mode, "fork")) fork_after_use();
  else if (!strcmp(mode, "locale")) in_locale(arg);
  else if (!strcmp(mode, "once")) once();
  else if (!strcmp(mode, "interrupt")) interrupt(atoi(arg));
  else die("mode", mode);
  return 0;
}
