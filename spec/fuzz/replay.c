/*
 * replay.c - gives a fuzz target each of the files named, in order: for
 * compilers without libFuzzer, and for what was found once.
 */
#include "fuzz.h"

static bool replay(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) return false;
  size_t capacity = 1 << 20;
  uint8_t *all = malloc(capacity);
  CHECK(all != NULL);
  size_t size = fread(all, 1, capacity, file);
  fclose(file);
  uint8_t *exact = malloc(size + !size); /* a byte too far is seen */
  CHECK(exact != NULL);
  memcpy(exact, all, size);
  free(all);
  LLVMFuzzerTestOneInput(exact, size);
  free(exact);
  return true;
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    fprintf(stderr, "%s\n", argv[i]); /* the last one, when it ends here */
    if (!replay(argv[i])) return EXIT_FAILURE;
  }
  printf("%d\n", argc - 1);
  return EXIT_SUCCESS;
}
