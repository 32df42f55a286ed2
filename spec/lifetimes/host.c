/*
 * host.c - a C host that the specs of lifetimes run: Lua states made, run,
 * moved and ended as a script alone cannot.
 *
 *   host MODE SCRIPT [ARGUMENT...]
 *
 *   close     runs the script, times lua_close, lets what outlives it end,
 *             and prints "closed SECONDS threads N descriptors N"
 *   again     the same, once more in the same process
 *   exit      a child for each N of the environment's TIMES: runs the script
 *             in a state, then exit(3); prints "exited N", or how one ended
 *   thread    the script in two states on two threads, TIMES over
 *   leave     the script in a thread's state, and exit(0) while it runs, once
 *             the file SIGN is there; LINGER: seconds that an end of the
 *             host's own takes, the last of all
 *   move      each call of the function that the script returns on another
 *             thread, TIMES over, then lua_close on yet another
 *   bare      the script in a state without os, io, coroutine, debug
 *   curl      curl_global_init before and curl_global_cleanup behind, each
 *             of the host's own
 *   warn      the script, with lua_setwarnf; prints "warned: ..."
 */
#define _GNU_SOURCE
#include <curl/curl.h>
#include <dirent.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char **script; /* and its arguments */

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void nap(double seconds) {
  struct timespec t = {(time_t)seconds, 0};
  t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
  nanosleep(&t, NULL);
}

static int times(void) {
  const char *text = getenv("TIMES");
  return text ? atoi(text) : 1;
}

static int count(const char *path) {
  int n = 0;
  DIR *d = opendir(path);
  if (!d) return -1;
  for (const struct dirent *e; (e = readdir(d));)
    if (e->d_name[0] != '.') n++;
  closedir(d);
  return n;
}

static int say(lua_State *L, int failed) {
  if (failed) fprintf(stderr, "host: %s\n", luaL_tolstring(L, -1, NULL));
  return failed != 0;
}

static lua_State *state_new(void) {
  lua_State *L = luaL_newstate();
  if (!L) exit(9);
  luaL_openlibs(L);
  return L;
}

/* Leaves the script's one result on the stack. */
static int run(lua_State *L) {
  int n = 0;
  if (say(L, luaL_loadfile(L, script[0]))) return 1;
  for (; script[n + 1]; n++) lua_pushstring(L, script[n + 1]);
  return say(L, lua_pcall(L, n, 1, 0));
}

/* ---- close ------------------------------------------------------------ */

static int close_state(void) {
  lua_State *L = state_new();
  int before = count("/proc/self/fd"), idle = count("/proc/self/task");
  int failed = run(L);
  double start = now();
  lua_close(L);
  double took = now() - start;
  for (double end = now() + 30; count("/proc/self/task") > idle && now() < end;)
    nap(0.005);
  printf("closed %.3f threads %d descriptors %d\n", took,
         1 + count("/proc/self/task") - idle, count("/proc/self/fd") - before);
  return failed;
}

static int again(void) { return close_state() || close_state(); }

/* ---- exit ------------------------------------------------------------- */

static void child(int i) {
  lua_State *L = state_new();
  lua_pushinteger(L, i);
  lua_setglobal(L, "turn");
  if (run(L)) _exit(8);
  exit(3);
}

static int exit_children(void) {
  int n = times(), status = 0;
  for (int i = 0; i < n; i++) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) child(i);
    if (waitpid(pid, &status, 0) != pid) return 1;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 3) {
      printf("child %d: %s %d\n", i, WIFEXITED(status) ? "exit" : "signal",
             WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
      return 1;
    }
  }
  printf("exited %d\n", n);
  return 0;
}

/* ---- threads ---------------------------------------------------------- */

static void *one_thread(void *failed) {
  for (int i = 0; i < times() && !*(int *)failed; i++) {
    lua_State *L = state_new();
    *(int *)failed |= run(L);
    lua_close(L);
  }
  return NULL;
}

static int two_threads(void) {
  pthread_t ids[2];
  int failed[2] = {0, 0};
  for (int i = 0; i < 2; i++)
    if (pthread_create(&ids[i], NULL, one_thread, &failed[i])) return 1;
  for (int i = 0; i < 2; i++) pthread_join(ids[i], NULL);
  return failed[0] || failed[1];
}

static void linger(void) {
  const char *text = getenv("LINGER");
  if (text) nap(atof(text));
}

/* The script never comes to its end. */
static int leave(void) {
  static int failed;
  const char *sign = getenv("SIGN");
  pthread_t id;
  if (!sign || atexit(linger) != 0) return 2;
  if (pthread_create(&id, NULL, one_thread, &failed)) return 1;
  while (!failed && access(sign, F_OK) != 0) nap(0.001);
  exit(failed);
}

static void *call_there(void *L) {
  lua_pushvalue(L, -1);
  if (lua_pcall(L, 0, 0, 0)) {
    say(L, 1);
    lua_settop(L, 0);
  }
  return NULL;
}

static void *close_there(void *L) {
  lua_close(L);
  return NULL;
}

static int on_a_thread(void *(*f)(void *), lua_State *L) {
  pthread_t id;
  return pthread_create(&id, NULL, f, L) || pthread_join(id, NULL);
}

static int move(void) {
  lua_State *L = state_new();
  int failed = run(L);
  for (int i = 0; i < times() && !failed; i++)
    failed = on_a_thread(call_there, L) || lua_gettop(L) == 0;
  return on_a_thread(close_there, L) || failed;
}

/* ---- other hosts ------------------------------------------------------ */

static int bare(void) {
  static const luaL_Reg libraries[] = {
      {LUA_GNAME, luaopen_base},       {LUA_LOADLIBNAME, luaopen_package},
      {LUA_TABLIBNAME, luaopen_table}, {LUA_STRLIBNAME, luaopen_string},
      {LUA_MATHLIBNAME, luaopen_math}, {NULL, NULL}};
  lua_State *L = luaL_newstate();
  if (!L) return 1;
  for (const luaL_Reg *one = libraries; one->name; one++) {
    luaL_requiref(L, one->name, one->func, 1);
    lua_pop(L, 1);
  }
  int failed = run(L);
  lua_close(L);
  return failed;
}

/* Its own use of libcurl goes on before, during and behind ours. */
static int with_curl(void) {
  if (curl_global_init(CURL_GLOBAL_ALL)) return 1;
  CURL *mine = curl_easy_init();
  lua_State *L = state_new();
  int failed = run(L);
  lua_close(L);
  curl_easy_setopt(mine, CURLOPT_URL, script[1]);
  curl_easy_setopt(mine, CURLOPT_NOBODY, 1L);
  curl_easy_setopt(mine, CURLOPT_CAINFO, script[2]);
  curl_easy_setopt(mine, CURLOPT_PROXY, "");
  CURLcode rc = curl_easy_perform(mine);
  printf("the host's own: %s\n", curl_easy_strerror(rc));
  curl_easy_cleanup(mine);
  curl_global_cleanup();
  return failed;
}

static void on_warning(void *data, const char *text, int more) {
  (void)data;
  printf("%s%s", text, more ? "" : "\n");
}

static int with_warn(void) {
  lua_State *L = state_new();
  lua_setwarnf(L, on_warning, NULL);
  int failed = run(L);
  lua_close(L);
  return failed;
}

static void *tell_path(void *path) {
  sprintf(path, "/proc/self/task/%ld", syscall(SYS_gettid));
  return NULL;
}

/* A sanitizer has a thread of its own from the first on.  This one's is waited
 * for until the kernel counts it no more, which joining does not. */
static bool start_first_thread(void) {
  char path[64];
  pthread_t id;
  if (pthread_create(&id, NULL, tell_path, path)) return false;
  pthread_join(id, NULL);
  while (access(path, F_OK) == 0) nap(0.0001);
  return true;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    int (*run)(void);
  } modes[] = {
      {"close", close_state},  {"again", again},    {"exit", exit_children},
      {"thread", two_threads}, {"leave", leave},    {"move", move},
      {"bare", bare},          {"curl", with_curl}, {"warn", with_warn}};
  if (argc < 3 || !start_first_thread()) return 2;
  script = argv + 2;
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
    if (strcmp(argv[1], modes[i].name) == 0) return modes[i].run();
  return 2;
}
