---@meta _

-- The client and the options of its methods: definitions for editors and for
-- the reference pages; nobody runs this.

---@alias squarecloud.ApplicationType "app"|"database"

---@alias squarecloud.AnySnapshot squarecloud.SnapshotInfo|squarecloud.Snapshot

---@class squarecloud.RehearsalOptions
---@field consent true must be said: the copy boots with the original's
---secrets, and may talk to the same database
---@field keep? boolean the copy is left running; default false
---@field timeout? number seconds until it has to run, transfers included;
---default 1800
---@field settle? number seconds that it has to go on running; default 5
---@field progress? squarecloud.RehearsalProgress false cancels
---@field report? table is filled as the rehearsal goes; one for each

---Is told of each step as it goes on; the last three in transfers only.
---@alias squarecloud.RehearsalProgress
---| fun(step: squarecloud.RehearsalStep, done?: integer, total?: integer, bytes_per_second?: number): false?

---@alias squarecloud.RehearsalStep "download"|"upload"|"start"|"delete"

---@class squarecloud.Rehearsal
---@field id? string the copy's, once the platform has named it
---@field status? string the platform's last word on it
---@field bytes? integer of the snapshot
---@field seconds table<squarecloud.RehearsalStep, number> each step's
---@field deleted boolean the copy is gone again

---A client of the platform. Its calls block outside of a task and yield inside
---one. What the network, the disk or the platform decides is nil and an error;
---wrong use raises. Closed by `<close>`, `close` or the collector.
---@class squarecloud.Client
local Client = {}

---@class squarecloud.SnapshotOptions
---@field app_id string an application's id, or a database's
---@field application_type? squarecloud.ApplicationType default "app"
---@field wait? number seconds to wait until the platform has made it, when it
---only promises to; default 0

---@class squarecloud.ListOptions
---@field app_id string an application's id, or a database's
---@field application_type? squarecloud.ApplicationType default "app"

---@class squarecloud.ListAllOptions
---@field scope? "applications"|"databases" default "applications"

---@class squarecloud.RestoreOptions
---@field app_id string what is restored
---@field application_type? squarecloud.ApplicationType default "app"
---@field snapshot_id string the snapshot's `id`
---@field version_id string the snapshot's `version_id`
---@field wait? number seconds to wait until it runs again; default 0

---@class squarecloud.DownloadOptions
---@field path? string the folder, made if missing; default "."
---@field filename? string plain, without folders; default
---`<id>_<YYYYMMDDTHHMMSSZ>.zip`
---@field overwrite? boolean default false: error kind `exists`
---@field resume? boolean goes on with what an earlier call left; default true
---@field verify? "full"|"structure"|false how the ZIP is checked before it
---gets its name: every CRC, its directory, or not; default "full"
---@field segments? integer connections at once, 1 to 16; default the client's
---@field progress? squarecloud.ProgressFunction

---@class squarecloud.UrlDownloadOptions: squarecloud.DownloadOptions
---@field url string a snapshot's address; `filename` comes from it unless given

---Called as bytes come: how many there are, of how many (nil when not known),
---and how many a second. What it raises is raised by the call; `false` cancels
---the download (what came is kept for the next call).
---@alias squarecloud.ProgressFunction
---| fun(done: integer, total: integer?, bytes_per_second: number): false?

---Creates a snapshot. Sent once: never repeated when it may have been carried
---out (see the error's `sent`).
---@param options squarecloud.SnapshotOptions|string or the application's id
---@return squarecloud.Snapshot? snapshot
---@return squarecloud.Error? err
function Client:snapshot(options) end

---The snapshots of an application or database, in the platform's order.
---@param options squarecloud.ListOptions|string or the application's id
---@return squarecloud.SnapshotInfo[]? infos
---@return squarecloud.Error? err
function Client:all_app_snapshots(options) end

---The snapshots of everything that the account has.
---@param options? squarecloud.ListAllOptions|string or the scope
---@return squarecloud.SnapshotInfo[]? infos
---@return squarecloud.Error? err `permission` on plans without it
function Client:all_snapshots(options) end

---Restores a snapshot: replaces what the application or database holds now.
---Sent once, like `snapshot`.
---@param options squarecloud.RestoreOptions|squarecloud.AnySnapshot
---@return squarecloud.Response? response
---@return squarecloud.Error? err
function Client:restore_snapshot(options) end

---Tries a restore out: downloads and checks a snapshot, uploads it as a new
---application, waits until that runs, and deletes it again, also when a step
---fails. Raises without `consent`, and for a database's snapshot.
---@param snapshot squarecloud.Snapshot|squarecloud.SnapshotInfo
---@param options squarecloud.RehearsalOptions
---@return squarecloud.Rehearsal? report
---@return squarecloud.Error? err its message ends with what became of the
---copy; `err.rehearsal` is the report so far
function Client:rehearse_restore(snapshot, options) end

---Downloads a snapshot by its address.
---@param options squarecloud.UrlDownloadOptions|string or the url
---@return squarecloud.ZipFile? zip to be closed
---@return squarecloud.Error? err
function Client:download(options) end

---Who the key belongs to: `response.response.user`, and what there is.
---@return squarecloud.Response? response
---@return squarecloud.Error? err
function Client:account() end

---A handle for an application, so that its id is said once. Nothing is sent.
---@param id string
---@return squarecloud.Handle app
function Client:app(id) end

---A handle for a database, so that its id is said once. Nothing is sent.
---@param id string
---@return squarecloud.Handle database
function Client:database(id) end

---Starts a task and runs it up to its first wait.
---@param f function its results are those of `task:wait`
---@param ... any passed to `f`
---@return squarecloud.Task task
function Client:spawn(f, ...) end

---Spawns a function and steps until no task is left. Raises what it raised, or
---the first error of another task that nobody waited for.
---@param f function
---@param ... any passed to `f`
---@return any ... what `f` returned
function Client:run(f, ...) end

---Handles what has come, and resumes tasks. With 0 it never blocks: for a
---host's frame.
---@param seconds? number the longest wait for something to come; default 0
---@param events? integer at most so many are handled; default 100
---@return integer unfinished the number of unfinished tasks
function Client:step(seconds, events) end

---Yields in a task, blocks outside.
---@param seconds number
---@return true? done
---@return squarecloud.Error? err `closed`
function Client:sleep(seconds) end

---@return integer unfinished the number of unfinished tasks
function Client:pending() end

---The descriptor that is readable while something waits for `step`: for any
---event loop. Owned by the module; not to be read or closed.
---@return integer fd
function Client:pollfd() end

---The same as `pollfd`, under the name that luasocket's `select` asks for.
---@return integer fd
function Client:getfd() end

---What an event loop is to wait for.
---@return "r" events
function Client:events() end

---When an event loop is to call at the latest: never.
---@return nil timeout
function Client:timeout() end

---Ends what is under way and closes the client, its records and handles; their
---plain fields stay readable. A second time does nothing.
function Client:close() end
