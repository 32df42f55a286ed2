--- Every error code that the platform is known to answer, the HTTP status that
-- usually comes with it, and the kind that the library makes of it.

local codes = {}

-- kind, status, the codes
local ROWS = {
  { "authentication", 401, "ACCESS_DENIED", "INVALID_ACCESS_TOKEN",
    "INVALID_API_TOKEN", "UNAUTHORIZED", "APIKEY_EXPIRED" },
  { "permission", 402, "UPGRADE_REQUIRED" },
  { "permission", 403, "PERMISSION_DENIED", "MISSING_SCOPE" },
  { "not_found", 404, "APP_NOT_FOUND", "DATABASE_NOT_FOUND",
    "SNAPSHOT_NOT_FOUND", "USER_NOT_FOUND" },
  { "bad_request", 400, "INVALID_ID", "INVALID_SNAPSHOT_ID",
    "INVALID_VERSION_ID", "INVALID_SCOPE", "MISSING_PARAMETERS",
    "INVALID_JSON_BODY", "SNAPSHOT_DATABASE_MISMATCH" },
  { "pending", 409, "RESTORE_IN_PROGRESS" },
  { "pending", 202, "SNAPSHOT_PROCESSING" },
  { "bad_request", 413, "PAYLOAD_TOO_LARGE" },
  { "rate_limited", 429, "KEEP_CALM", "RATE_LIMIT", "RATE_LIMIT_EXCEEDED" },
  { "quota", 429, "DAILY_SNAPSHOTS_LIMIT_REACHED" },
  { "server", 500, "SNAPSHOT_FAILED", "SNAPSHOT_RESTORE_FAILED",
    "INTERNAL_SERVER_ERROR" },
  { "server", 503, "CLUSTER_MAINTENANCE_TRY_LATER" },
  -- uploads, commits, databases
  { "bad_request", 400, "INVALID_FILE", "INVALID_FILENAME", "INVALID_PATH",
    "DATABASE_NOT_RUNNING" },
  { "bad_request", 413, "FILE_TOO_LARGE" },
  { "permission", 403, "INSUFFICIENT_MEMORY", "APPLICATIONS_LIMIT_REACHED" },
  { "server", 500, "CLUSTER_SELECTION_FAILED", "UPLOAD_FAILED",
    "UPLOAD_ABORTED", "STORAGE_UPLOAD_FAILED", "COMMIT_FAILED",
    "EMPTY_RESPONSE" },
}

--- An array of { code, kind, status }.
codes.all = {}

for _, row in ipairs(ROWS) do
  for i = 3, #row do
    codes.all[#codes.all + 1] = { code = row[i], kind = row[1],
      status = row[2] }
  end
end

--- Old names that can still arrive, and the names of today.
codes.old = {
  ID_INVALID = "INVALID_ID",
  INTERNAL_ERROR = "INTERNAL_SERVER_ERROR",
  SUBSCRIPTION_REQUIRED = "UPGRADE_REQUIRED",
}

return codes
