/*
 * zip_op.c - work on a ZIP file as an operation: one job on a ZIP thread.
 *
 * The operation holds a reference to the sq_zip; a load that opens the file
 * itself gives it to the caller afterwards.
 */
#include "op.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct zip_op {
  struct sq_op op;
  struct sq_zip *zip;
  struct sq_zip_options options; /* its strings are ours */
  struct sq_failure result;      /* the job's */
  struct sq_buf data;
  uint64_t count;
};

static struct zip_op *zip_op_of(struct sq_op *op) {
  return (struct zip_op *)op;
}

static bool open_file(struct zip_op *z) {
  const char *path = z->options.path;
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return sq_failure_errno(&z->result, errno, "cannot open", path);
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    close(fd);
    return sq_failure_errno(&z->result, S_ISDIR(st.st_mode) ? EISDIR : EINVAL,
                            "not a regular file:", path);
  }
  z->zip = sq_zip_new(fd, path);
  return z->zip || sq_failure_errno(&z->result, ENOMEM, "cannot open", path);
}

static void run(struct sq_op *op) {
  struct zip_op *z = zip_op_of(op);
  struct sq_zip_watch w = {&op->cancel, NULL, NULL};
  struct sq_failure *f = &z->result;
  if (!z->zip && !open_file(z)) return;
  if (!sq_zip_load(z->zip, &w, f)) return;
  switch (z->options.task) {
    case SQ_ZIP_LOAD:
      break;
    case SQ_ZIP_TEST:
      sq_zip_test(z->zip, &w, &z->count, f);
      break;
    case SQ_ZIP_READ:
      if (sq_zip_read(z->zip, z->options.name, z->options.max_bytes, &w,
                      &z->data.data, &z->data.size, f))
        z->data.capacity = z->data.size;
      break;
    case SQ_ZIP_EXTRACT:
      sq_zip_extract(z->zip, z->options.path, &z->options.limits, &w, &z->count,
                     f);
      break;
  }
}

static void start(struct sq_op *op) {
  sq_failure_clear(&zip_op_of(op)->result);
  sq_op_work(op, SQ_ZIP_CREW, run);
}

static void job_done(struct sq_op *op) {
  sq_op_fail(op, &zip_op_of(op)->result);
}

static void stop(struct sq_op *op) { (void)op; /* the job sees op->cancel */ }

static void destroy(struct sq_op *op) {
  struct zip_op *z = zip_op_of(op);
  sq_zip_release(z->zip);
  sq_buf_free(&z->data);
  free((void *)(uintptr_t)z->options.path);
  free((void *)(uintptr_t)z->options.name);
}

static const struct sq_op_class zip_class = {
    .start = start,
    .job_done = job_done,
    .stop = stop,
    .destroy = destroy,
};

struct sq_op *sq_zip_op_new(struct sq_zip *zip,
                            const struct sq_zip_options *options) {
  struct zip_op *z = calloc(1, sizeof *z);
  if (!z) return NULL;
  sq_op_init(&z->op, &zip_class, NULL);
  z->options = *options;
  z->options.path = sq_strdup(options->path);
  z->options.name = sq_strdup(options->name);
  z->zip = zip;
  if (zip) sq_zip_retain(zip);
  if ((z->options.path || !options->path) &&
      (z->options.name || !options->name))
    return &z->op;
  sq_op_unref(&z->op); /* frees it */
  return NULL;         /* cppcheck-suppress memleak */
}

struct sq_zip *sq_zip_op_take_zip(struct sq_op *op) {
  struct sq_zip *zip = zip_op_of(op)->zip;
  zip_op_of(op)->zip = NULL;
  return zip;
}

const struct sq_buf *sq_zip_op_data(const struct sq_op *op) {
  return &((const struct zip_op *)op)->data;
}

uint64_t sq_zip_op_count(const struct sq_op *op) {
  return ((const struct zip_op *)op)->count;
}
