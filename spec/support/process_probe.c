/*
 * process_probe.c - what Lua has no word for and the specs of lifetimes need
 * in a process of their own.  A test's tool; nothing of it is installed.
 *
 *   probe.fork()             the child's pid, 0 in the child
 *   probe.exit(n)            exit(n), from inside a Lua call
 *   probe.wait(pid[, s])     "exit" or "signal", and which; nil when it has
 *                            not ended within `s` seconds
 *   probe.kill(pid, signal)
 *   probe.alarm(seconds[, signal])   a signal (SIGINT) to this process, from
 *                            a thread of its own
 *   probe.burn(threads)      keeps that many threads busy to the end
 *   probe.now()              seconds, monotonic
 *   probe.pid()
 */
#include "../../csrc/config.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

SQ_EXPORT int luaopen_process_probe(lua_State *L);

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

static int f_fork(lua_State *L) {
  lua_pushinteger(L, fork());
  return 1;
}

static int f_exit(lua_State *L) { exit((int)luaL_checkinteger(L, 1)); }

static int f_wait(lua_State *L) {
  pid_t pid = (pid_t)luaL_checkinteger(L, 1);
  double end = now() + luaL_optnumber(L, 2, 3600);
  int status = 0;
  while (waitpid(pid, &status, WNOHANG) != pid) {
    if (now() > end) return 0;
    nap(0.001);
  }
  lua_pushstring(L, WIFEXITED(status) ? "exit" : "signal");
  lua_pushinteger(L,
                  WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
  return 2;
}

static int f_kill(lua_State *L) {
  int signal_number = (int)luaL_checkinteger(L, 2);
  lua_pushinteger(L, kill((pid_t)luaL_checkinteger(L, 1), signal_number));
  return 1;
}

static struct {
  double seconds;
  int signal_number;
} ring;

static void *ring_main(void *arg) {
  (void)arg;
  nap(ring.seconds);
  kill(getpid(), ring.signal_number);
  return NULL;
}

static void *burn_main(void *arg) {
  volatile int burning = 1;
  (void)arg;
  while (burning) continue;
  return NULL;
}

/* lua_close unloads modules, and these threads may outlive it. */
static void pin(void) {
  Dl_info info;
  if (dladdr((void *)(uintptr_t)&luaopen_process_probe, &info))
    (void)dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

/* Its signals are the main thread's to take. */
static void start(lua_State *L, void *(*run)(void *)) {
  pin();
  pthread_t id;
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  int rc = pthread_create(&id, NULL, run, NULL);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (rc) luaL_error(L, "no thread to be had");
  pthread_detach(id);
}

static int f_alarm(lua_State *L) {
  ring.seconds = luaL_checknumber(L, 1);
  ring.signal_number = (int)luaL_optinteger(L, 2, SIGINT);
  start(L, ring_main);
  return 0;
}

static int f_burn(lua_State *L) {
  for (lua_Integer n = luaL_checkinteger(L, 1); n > 0; n--) start(L, burn_main);
  return 0;
}

static int f_now(lua_State *L) {
  lua_pushnumber(L, now());
  return 1;
}

static int f_pid(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

int luaopen_process_probe(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"fork", f_fork}, {"exit", f_exit},   {"wait", f_wait},
      {"kill", f_kill}, {"alarm", f_alarm}, {"burn", f_burn},
      {"now", f_now},   {"pid", f_pid},     {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
