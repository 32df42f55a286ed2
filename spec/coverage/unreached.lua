--- Lines that the suite does not run, and why: by words of the lines or of the
-- one before them.

return {
  { path = "^csrc/", why = "memory is short (the failing allocator's part)",
    "no memory", "no_memory", "out of memory", "not enough memory",
    "if (failed)", "if (!failed) return p;", "goto no_memory", "free(z);",
    "sq_op_unref(&r->op);", "sq_op_unref(&d->op);", "sq_op_unref(&z->op);",
    "if (!w->multi) {", "if (!s->transfer) {", "if (!r->transfer)",
    "if (!x->transfer)", "drop_parts(e);", "if (!e || " },
  { path = "^csrc/", why = "a system call fails that does not on a sound "
      .. "system (the failing shim's part)",
    "fstat(", "ftruncate(", "errno == EIO", "errno != EINTR", "pread(",
    "errno != EEXIST", "tree_failed(", "sq_part_sync", "RENAME_NOREPLACE",
    "linkat(", "cannot be started", "output_failed", "r->err_no" },
  { path = "^csrc/", why = "the compiler wants it: what is above has raised, "
      .. "or takes every case",
    '/* raises */', "no endpoint '%s'", "return SQ_STOP;" },
  { path = "^csrc/", why = "an object's finalizer comes in between, in an "
      .. "order that no spec can call up",
    "being collected", "call->finishing", "finalizer" },
  { path = "^csrc/", why = "libzip reads what the walk before it read; only "
      .. "a file that changes in between makes them differ",
    "libzip reads its record differently", "libzip counts the entries",
    "became shorter while it was read", "ZIP_SOURCE_SUPPORTS",
    "ZIP_ER_OPNOTSUPP", "sq_zip_reader_show" },
  { path = "^csrc/", why = "it takes files of gigabytes, or a million values",
    "5000000 entries", "too many arguments", "0xffff)" },
  { path = "^csrc/", why = "in processes that end without being counted "
      .. "(killed, or forked and gone by _exit)",
    "fork", "foreign", "exit" },
  { path = "^lua/", why = "in processes that end without being counted "
      .. "(killed, or in their own environment)",
    "is_interruption", "debug.traceback", "this is a bug", "interrupted" },
}
