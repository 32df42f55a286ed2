---@meta _

-- What calls give: snapshots, entries of listings, answers, handles.
-- Definitions for editors and for the reference pages; nobody runs this.

---A snapshot that was just created. Read-only; `pairs`, `tostring`, and `==`
---by id and version, with entries of listings, too.
---@class squarecloud.Snapshot
---@field url string where to download it
---@field key string its key in the store
---@field id string its file's name in the store: pass it as `snapshot_id`
---@field app_id string
---@field application_type squarecloud.ApplicationType
---@field version_id? string tells the snapshots of one application apart; most
---answers do not name it: see `resolve`
---@field created_at? string ISO 8601, from the answer's date
local Snapshot = {}

---Downloads it, checks it, and gives the file its name.
---@param options? squarecloud.DownloadOptions|string or the folder
---@return squarecloud.ZipFile? zip must be closed
---@return squarecloud.Error? err
function Snapshot:download(options) end

---@class squarecloud.ResolveOptions
---@field wait? number seconds to wait until the list shows it, which is looked
---at every 2 minutes; default 0: it is looked at once
---@field progress? squarecloud.WaitProgress

---Finds its entry in the list: by its version, or as the only one that is not
---older than its request and was not shown to this client before. The platform
---may answer with a listing that is 30 minutes old.
---@param options? squarecloud.ResolveOptions
---@return squarecloud.SnapshotInfo? info
---@return squarecloud.Error? err `pending` when the list does not show it yet,
---`protocol` when it cannot be told from another
function Snapshot:resolve(options) end

---@return table fields a plain copy
function Snapshot:to_table() end

---An entry of a listing. Read-only; `pairs`, `tostring`, and `==` by id and
---version, with created snapshots, too. Reading a field sends nothing.
---@class squarecloud.SnapshotInfo
---@field id string the application's or database's name in the store
---@field size string bytes, as in the platform's guide
---@field created_at string ISO 8601
---@field name string the same as `id`, under its name on the wire
---@field modified string the same as `created_at`
---@field bytes integer
---@field timestamp number epoch seconds, with a fraction
---@field expires_at string ISO 8601: 30 days after `created_at`
---@field key string its key in the store
---@field version_id? string tells the snapshots of one application apart
---@field url string where to download it
---@field application_type squarecloud.ApplicationType
local SnapshotInfo = {}

---Downloads it, checks it, and gives the file its name.
---@param options? squarecloud.DownloadOptions|string or the folder
---@return squarecloud.ZipFile? zip must be closed
---@return squarecloud.Error? err
function SnapshotInfo:download(options) end

---@class squarecloud.InfoRestoreOptions
---@field wait? number seconds, as for `client:restore_snapshot`
---@field progress? squarecloud.WaitProgress

---Restores it: replaces what its application or database holds now. Raises
---without a version id.
---@param options? squarecloud.InfoRestoreOptions
---@return squarecloud.Response? response
---@return squarecloud.Error? err
function SnapshotInfo:restore(options) end

---@return table fields a plain copy
function SnapshotInfo:to_table() end

---An answer of the platform. Read-only; `pairs`, `tostring`.
---@class squarecloud.Response
---@field status? string "success"
---@field code? string
---@field message? string
---@field response? any its content, decoded; integers are integers
---@field http_status integer
local Response = {}

---@return table fields a plain copy
function Response:to_table() end

---An application or database of a client, known by its id.
---@class squarecloud.Handle
---@field id string
---@field application_type squarecloud.ApplicationType
local Handle = {}

---@class squarecloud.HandleSnapshotOptions
---@field wait? number seconds, as for `client:snapshot`
---@field progress? squarecloud.WaitProgress

---@class squarecloud.HandleListOptions
---@field account_id? string as for `client:all_app_snapshots`

---@class squarecloud.HandleRestoreOptions
---@field snapshot_id string the snapshot's `id`
---@field version_id string the snapshot's `version_id`
---@field wait? number seconds, as for `client:restore_snapshot`
---@field progress? squarecloud.WaitProgress

---Creates a snapshot.
---@param options? squarecloud.HandleSnapshotOptions
---@return squarecloud.Snapshot? snapshot
---@return squarecloud.Error? err
function Handle:snapshot(options) end

---Its snapshots, in the platform's order.
---@param options? squarecloud.HandleListOptions
---@return squarecloud.SnapshotInfos? infos
---@return squarecloud.Error? err
function Handle:all_snapshots(options) end

---Restores one of its snapshots.
---@param options squarecloud.HandleRestoreOptions
---@return squarecloud.Response? response
---@return squarecloud.Error? err
function Handle:restore_snapshot(options) end

---@return table fields a plain copy
function Handle:to_table() end
