/*
 * slow.c - preloaded by the specs: name lookups, syncs and the reading of
 * OpenSSL's configuration that take their time, as with a dead name server or
 * a slow disk.
 *
 *   SLOW_LOOKUP, SLOW_SYNC, SLOW_CONFIG   seconds; absent: as fast as ever
 *
 * A lookup then fails; the others are done behind the wait.  While one of them
 * is under way, the file SLOW_SIGN is there; with SLOW_STAYS, ever after.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Nobody changes the environment in these processes. */
static int delay(const char *name) {
  const char *text = getenv(name), *sign = getenv("SLOW_SIGN");
  double seconds = text ? atof(text) : 0;
  struct timespec t = {(time_t)seconds, 0};
  if (seconds <= 0) return 0;
  t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
  if (sign) close(open(sign, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  nanosleep(&t, NULL);
  if (sign && !getenv("SLOW_STAYS")) unlink(sign);
  return 1;
}

int getaddrinfo(const char *node, const char *service,
                const struct addrinfo *hints, struct addrinfo **result) {
  int (*real)(const char *, const char *, const struct addrinfo *,
              struct addrinfo **);
  if (delay("SLOW_LOOKUP")) return EAI_AGAIN;
  *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
  return real(node, service, hints, result);
}

static int sync_real(const char *name, int fd) {
  int (*real)(int);
  delay("SLOW_SYNC");
  *(void **)&real = dlsym(RTLD_NEXT, name);
  return real(fd);
}

int fdatasync(int fd) { return sync_real("fdatasync", fd); }

int fsync(int fd) { return sync_real("fsync", fd); }

static FILE *open_real(const char *name, const char *path, const char *mode) {
  FILE *(*real)(const char *, const char *);
  if (strstr(path, "openssl.cnf")) delay("SLOW_CONFIG");
  *(void **)&real = dlsym(RTLD_NEXT, name);
  return real(path, mode);
}

FILE *fopen(const char *path, const char *mode) {
  return open_real("fopen", path, mode);
}

FILE *fopen64(const char *path, const char *mode) {
  return open_real("fopen64", path, mode);
}
