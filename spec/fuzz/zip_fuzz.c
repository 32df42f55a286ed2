/*
 * zip_fuzz.c - hostile archives: the layout (csrc/base/zip_layout.c), and
 * what libzip is let do with one that passes it (csrc/engine/zip*.c): load,
 * check, read, extract into a folder.
 *
 * Bytes that begin with "S" describe an archive that is well made but for
 * what they say, so that names, modes and extra fields of all kinds get
 * through; others are the archive.
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../csrc/base/zip_layout.h"
#include "../../csrc/engine/zip.h"

enum { ARCHIVE_MAX = 1 << 17, UNPACKED_MAX = 1 << 20 };

/* ---- an archive as described ------------------------------------------ */

struct out {
  uint8_t *bytes;
  size_t n;
};

static void put(struct out *o, uint64_t value, int bytes) {
  for (; bytes > 0 && o->n < ARCHIVE_MAX; bytes--, value >>= 8)
    o->bytes[o->n++] = (uint8_t)value;
}

static void put_bytes(struct out *o, const uint8_t *bytes, size_t n) {
  if (n > ARCHIVE_MAX - o->n) n = ARCHIVE_MAX - o->n;
  memcpy(o->bytes + o->n, bytes, n);
  o->n += n;
}

static uint32_t crc32_of(const uint8_t *bytes, size_t n) {
  uint32_t crc = ~UINT32_C(0);
  for (size_t i = 0; i < n; i++) {
    crc ^= bytes[i];
    for (int k = 0; k < 8; k++)
      crc = crc >> 1 ^ (UINT32_C(0xedb88320) & -(crc & 1));
  }
  return ~crc;
}

static void put_fields(struct out *o, uint32_t crc, size_t data, size_t name,
                       size_t extra, unsigned flags) {
  put(o, 20, 2);
  put(o, flags, 2);
  put(o, 0, 2);
  put(o, 33 << 16, 4);
  put(o, crc, 4);
  put(o, data, 4);
  put(o, data, 4);
  put(o, name, 2);
  put(o, extra, 2);
}

/* Per entry: lengths of name, extra field and data, a mode, flags; these. */
static size_t describe(const uint8_t *data, size_t size, uint8_t *archive) {
  struct out o = {archive, 0}, directory = {malloc(ARCHIVE_MAX), 0};
  unsigned count = 0;
  CHECK(directory.bytes != NULL);
  while (size > 6 && count < 64) {
    size_t name = (size_t)fuzz_take(&data, &size, 1);
    size_t extra = (size_t)fuzz_take(&data, &size, 1) & 31;
    size_t body = (size_t)fuzz_take(&data, &size, 1) & 31, at = o.n;
    uint64_t mode = fuzz_take(&data, &size, 2);
    unsigned flags = fuzz_take(&data, &size, 1) & 1 ? 0x800 : 0;
    if (name > size) name = size;
    if (extra > size - name) extra = size - name;
    if (body > size - name - extra) body = size - name - extra;
    uint32_t crc = crc32_of(data + name + extra, body);
    put(&o, 0x04034b50, 4);
    put_fields(&o, crc, body, name, extra, flags);
    put_bytes(&o, data, name + extra + body);
    put(&directory, 0x02014b50, 4);
    put(&directory, 0x0314, 2);
    put_fields(&directory, crc, body, name, extra, flags);
    put(&directory, 0, 6);
    put(&directory, 0, 2);
    put(&directory, mode << 16, 4);
    put(&directory, at, 4);
    put_bytes(&directory, data, name + extra);
    data += name + extra + body;
    size -= name + extra + body;
    count++;
  }
  size_t at = o.n;
  put_bytes(&o, directory.bytes, directory.n);
  put(&o, 0x06054b50, 4);
  put(&o, 0, 4);
  put(&o, count, 2);
  put(&o, count, 2);
  put(&o, directory.n, 4);
  put(&o, at, 4);
  put(&o, 0, 2);
  free(directory.bytes);
  return o.n;
}

/* ---- folders ---------------------------------------------------------- */

/* Removes what is in the folder and counts its regular files; nothing but
 * files and folders may be there. */
static uint64_t empty_folder(int folder) {
  uint64_t files = 0;
  DIR *dir = fdopendir(folder);
  CHECK(dir != NULL);
  for (struct dirent *e; (e = readdir(dir));) {
    struct stat st;
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    CHECK(fstatat(folder, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0);
    CHECK(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
    CHECK((st.st_mode & 07077) == 0);
    CHECK(strstr(e->d_name, ".squarecloud-") != e->d_name);
    if (S_ISDIR(st.st_mode)) {
      int inner = openat(folder, e->d_name, O_RDONLY | O_DIRECTORY);
      CHECK(inner >= 0);
      files += empty_folder(inner);
      CHECK(unlinkat(folder, e->d_name, AT_REMOVEDIR) == 0);
    } else {
      files++;
      CHECK(unlinkat(folder, e->d_name, 0) == 0);
    }
  }
  closedir(dir);
  return files;
}

static const char *base(void) {
  static char path[64];
  if (!path[0]) {
    const char *best = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(path, sizeof path, "%s/squarecloud-fuzz.XXXXXX", best);
    CHECK(mkdtemp(path) != NULL);
  }
  return path;
}

static void remove_base(void) { rmdir(base()); }

/* Nothing is written but beneath the target. */
static void check_extract(struct sq_zip *z, const struct sq_zip_watch *w) {
  char target[96];
  uint64_t count = 0;
  struct sq_failure f;
  struct sq_zip_limits limits = {UNPACKED_MAX, 1000, false};
  snprintf(target, sizeof target, "%s/in/side", base());
  bool ok = sq_zip_extract(z, target, &limits, w, &count, &f);
  CHECK(ok == (f.kind == SQ_OK));
  CHECK(fuzz_line_is_plain(f.message));
  int inside = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  CHECK(inside >= 0 || !ok);
  uint64_t files = inside >= 0 ? empty_folder(inside) : 0;
  /* a name that comes twice is written once, and counted once */
  CHECK(files == count);
  rmdir(target);
  snprintf(target, sizeof target, "%s/in", base());
  rmdir(target);
  int outside = open(base(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  CHECK(outside >= 0 && empty_folder(outside) == 0);
}

/* ---- the check -------------------------------------------------------- */

static void check_entries(struct sq_zip *z, const struct sq_zip_watch *w) {
  for (size_t i = 0; i < sq_zip_count(z); i++) {
    const struct sq_zip_entry *e = sq_zip_get(z, i);
    struct sq_failure f;
    char *bytes;
    size_t n;
    CHECK(e->name != NULL);
    bool ok = sq_zip_read(z, e->name, UNPACKED_MAX, w, &bytes, &n, &f);
    CHECK(ok == (f.kind == SQ_OK) && ok == (bytes != NULL));
    CHECK(!ok || n <= UNPACKED_MAX);
    CHECK(fuzz_line_is_plain(f.message));
    free(bytes);
  }
}

static void check_archive(int fd, int64_t size) {
  static const atomic_bool never;
  struct sq_zip_watch w = {&never, NULL, NULL};
  struct sq_zip_layout layout;
  struct sq_failure f;
  uint64_t unverifiable;
  bool sound = sq_zip_layout_check(fd, size, &never, &layout, &f);
  CHECK(sound == (f.kind == SQ_OK));
  CHECK(fuzz_line_is_plain(f.message));
  if (sound) {
    CHECK(layout.entries <= (uint64_t)size / 76);
    CHECK(layout.compressed <= (uint64_t)size);
    CHECK(layout.unpacked <= (uint64_t)size * SQ_ZIP_MAX_RATIO);
  }
  struct sq_zip *z = sq_zip_new(fd, "/fuzz.zip");
  CHECK(z != NULL);
  bool loaded = sq_zip_load(z, &w, &f);
  CHECK(loaded == (f.kind == SQ_OK));
  CHECK(sound || !loaded);
  if (loaded && layout.entries <= 64 && layout.unpacked <= UNPACKED_MAX) {
    CHECK(sq_zip_count(z) == layout.entries);
    check_entries(z, &w);
    sq_zip_test(z, &w, &unverifiable, &f);
    check_extract(z, &w);
  }
  sq_zip_release(z);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static bool begun;
  if (!begun) atexit(remove_base);
  begun = true;
  uint8_t *archive = malloc(ARCHIVE_MAX);
  CHECK(archive != NULL);
  size_t n = size < ARCHIVE_MAX ? size : ARCHIVE_MAX;
  if (size > 0 && data[0] == 'S')
    n = describe(data + 1, size - 1, archive);
  else if (n > 0)
    memcpy(archive, data, n);
  int fd = memfd_create("fuzz", MFD_CLOEXEC);
  CHECK(fd >= 0 && write(fd, archive, n) == (ssize_t)n);
  free(archive);
  check_archive(fd, (int64_t)n);
  return 0;
}
