/*
 * response_codes.c - the one table of the platform's codes, and the order in
 * which code and status name the kind of a failure.  Owns nothing.
 */
#include "response_codes.h"

#include <string.h>

static const struct code {
  const char *name;
  const char *canonical; /* null: the name itself */
  enum sq_kind kind;
  const char *sentence;
} codes[] = {
    {"ACCESS_DENIED", NULL, SQ_AUTHENTICATION, "the API key is not accepted"},
    {"INVALID_ACCESS_TOKEN", NULL, SQ_AUTHENTICATION,
     "the API key is not valid"},
    {"INVALID_API_TOKEN", NULL, SQ_AUTHENTICATION, "the API key is not valid"},
    {"UNAUTHORIZED", NULL, SQ_AUTHENTICATION, "the API key is not accepted"},
    {"APIKEY_EXPIRED", NULL, SQ_AUTHENTICATION, "the API key has expired"},
    {"UPGRADE_REQUIRED", NULL, SQ_PERMISSION,
     "the account's plan does not include this"},
    {"SUBSCRIPTION_REQUIRED", "UPGRADE_REQUIRED", SQ_PERMISSION, NULL},
    {"PERMISSION_DENIED", NULL, SQ_PERMISSION, "the API key may not do this"},
    {"MISSING_SCOPE", NULL, SQ_PERMISSION, "the API key lacks a scope"},
    {"INSUFFICIENT_MEMORY", NULL, SQ_PERMISSION,
     "the plan has too little memory left"},
    {"APPLICATIONS_LIMIT_REACHED", NULL, SQ_PERMISSION,
     "the plan allows no more applications"},
    {"APP_NOT_FOUND", NULL, SQ_NOT_FOUND, "no such application"},
    {"DATABASE_NOT_FOUND", NULL, SQ_NOT_FOUND, "no such database"},
    {"SNAPSHOT_NOT_FOUND", NULL, SQ_NOT_FOUND, "no such snapshot or version"},
    {"USER_NOT_FOUND", NULL, SQ_NOT_FOUND, "no such account"},
    {"INVALID_ID", NULL, SQ_BAD_REQUEST, "the platform does not know this id"},
    {"ID_INVALID", "INVALID_ID", SQ_BAD_REQUEST, NULL},
    {"INVALID_SNAPSHOT_ID", NULL, SQ_BAD_REQUEST,
     "the snapshot id is not valid"},
    {"INVALID_VERSION_ID", NULL, SQ_BAD_REQUEST, "the version id is not valid"},
    {"INVALID_SCOPE", NULL, SQ_BAD_REQUEST, "the scope is not valid"},
    {"MISSING_PARAMETERS", NULL, SQ_BAD_REQUEST, "a parameter is missing"},
    {"INVALID_JSON_BODY", NULL, SQ_BAD_REQUEST,
     "the platform does not understand what was sent"},
    {"SNAPSHOT_DATABASE_MISMATCH", NULL, SQ_BAD_REQUEST,
     "the snapshot is of another database engine"},
    {"DATABASE_NOT_RUNNING", NULL, SQ_BAD_REQUEST,
     "the database is not running"},
    {"PAYLOAD_TOO_LARGE", NULL, SQ_BAD_REQUEST,
     "the request is larger than the platform accepts"},
    {"FILE_TOO_LARGE", NULL, SQ_BAD_REQUEST,
     "the file is larger than the platform accepts"},
    {"INVALID_FILE", NULL, SQ_BAD_REQUEST,
     "the platform does not accept the file"},
    {"INVALID_FILENAME", NULL, SQ_BAD_REQUEST,
     "the platform does not accept the file's name"},
    {"INVALID_PATH", NULL, SQ_BAD_REQUEST,
     "the platform does not accept the path"},
    {"SNAPSHOT_PROCESSING", NULL, SQ_PENDING,
     "the snapshot is still being made, list the snapshots later"},
    {"RESTORE_IN_PROGRESS", NULL, SQ_PENDING, "a restore is under way"},
    {"KEEP_CALM", NULL, SQ_RATE_LIMITED,
     "too many requests, wait and try again"},
    {"RATE_LIMIT", NULL, SQ_RATE_LIMITED,
     "too many requests, wait and try again"},
    {"RATE_LIMIT_EXCEEDED", NULL, SQ_RATE_LIMITED,
     "too many requests, wait and try again"},
    {"DAILY_SNAPSHOTS_LIMIT_REACHED", NULL, SQ_QUOTA,
     "the snapshots of the last 24 hours use up the plan's quota"},
    {"SNAPSHOT_FAILED", NULL, SQ_SERVER,
     "the platform failed to make the snapshot"},
    {"SNAPSHOT_RESTORE_FAILED", NULL, SQ_SERVER,
     "the platform failed to restore the snapshot"},
    {"INTERNAL_SERVER_ERROR", NULL, SQ_SERVER, "the platform failed"},
    {"INTERNAL_ERROR", "INTERNAL_SERVER_ERROR", SQ_SERVER, NULL},
    {"CLUSTER_MAINTENANCE_TRY_LATER", NULL, SQ_SERVER,
     "the cluster is under maintenance, try later"},
    {"CLUSTER_SELECTION_FAILED", NULL, SQ_SERVER,
     "the platform found no cluster for it"},
    {"UPLOAD_FAILED", NULL, SQ_SERVER, "the upload failed on the platform"},
    {"UPLOAD_ABORTED", NULL, SQ_SERVER, "the platform aborted the upload"},
    {"STORAGE_UPLOAD_FAILED", NULL, SQ_SERVER,
     "the platform could not store the upload"},
    {"COMMIT_FAILED", NULL, SQ_SERVER,
     "the platform failed to put the files in place"},
    {"EMPTY_RESPONSE", NULL, SQ_SERVER, "the platform gave no answer"},
};

static const struct code *find_code(const char *name) {
  for (size_t i = 0; i < SQ_COUNT(codes); i++)
    if (strcmp(codes[i].name, name) == 0) return &codes[i];
  return NULL;
}

const char *sq_code_canonical(const char *code) {
  const struct code *known = find_code(code);
  return known && known->canonical ? known->canonical : code;
}

const char *sq_code_sentence(const char *code, enum sq_kind kind) {
  const struct code *known = find_code(sq_code_canonical(code));
  return known && known->kind == kind ? known->sentence : NULL;
}

enum sq_kind sq_status_kind(int http_status) {
  switch (http_status) {
    case 401:
      return SQ_AUTHENTICATION;
    case 402:
    case 403:
      return SQ_PERMISSION;
    case 404:
    case 410:
      return SQ_NOT_FOUND;
    case 429:
      return SQ_RATE_LIMITED;
    default:
      break;
  }
  switch (http_status / 100) {
    case 2:
      return SQ_OK;
    case 4:
      return SQ_BAD_REQUEST;
    case 5:
      return SQ_SERVER;
    default:
      return SQ_PROTOCOL; /* a redirect, or no status at all */
  }
}

static bool begins(const char *s, const char *with) {
  return strncmp(s, with, strlen(with)) == 0;
}

static bool ends(const char *s, const char *with) {
  size_t n = strlen(s), m = strlen(with);
  return n >= m && memcmp(s + n - m, with, m) == 0;
}

/* What a new code is likely to mean; SQ_OK: no guess. */
static enum sq_kind guess(const char *code) {
  if (ends(code, "_NOT_FOUND")) return SQ_NOT_FOUND;
  if (ends(code, "_FAILED")) return SQ_SERVER;
  if (begins(code, "INVALID_") || begins(code, "MISSING_"))
    return SQ_BAD_REQUEST;
  return SQ_OK;
}

/* Whether a status says more than that something was wrong. */
static bool is_telling(enum sq_kind by_status) {
  return by_status == SQ_AUTHENTICATION || by_status == SQ_PERMISSION ||
         by_status == SQ_NOT_FOUND || by_status == SQ_RATE_LIMITED;
}

enum sq_kind sq_response_kind(int http_status, const char *code, bool post) {
  enum sq_kind by_status = sq_status_kind(http_status);
  bool gateway = http_status >= 502 && http_status <= 504;
  if (gateway || (post && by_status == SQ_SERVER)) return SQ_SERVER;
  const struct code *known = find_code(code);
  if (known) return known->kind;
  enum sq_kind guessed = guess(code);
  return is_telling(by_status) || guessed == SQ_OK ? by_status : guessed;
}
