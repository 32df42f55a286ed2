---@meta _

-- The client and the options of its methods: definitions for editors and for
-- the reference pages; nobody runs this.

---@alias squarecloud.ApplicationType "app"|"database"

---@alias squarecloud.AnySnapshot squarecloud.SnapshotInfo|squarecloud.Snapshot

---@class squarecloud.RehearsalOptions
---@field consent true required: the copy boots with the original's secrets,
---and may talk to the same database
---@field keep? boolean leave the copy running; default false
---@field timeout? number seconds within which it must run, transfers included;
---default 1800
---@field settle? number seconds that it must keep running to count; default 5
---@field progress? squarecloud.RehearsalProgress return false to cancel
---@field report? table filled in as the rehearsal proceeds; use one for each

---Called during each step; the last three arguments are given for transfers
---only.
---@alias squarecloud.RehearsalProgress
---| fun(step: squarecloud.RehearsalStep, done?: integer, total?: integer, bytes_per_second?: number): false?

---@alias squarecloud.RehearsalStep "download"|"upload"|"start"|"delete"

---@class squarecloud.Rehearsal
---@field id? string the copy's, once the platform has named it
---@field status? string its status, as the platform last reported it
---@field bytes? integer the snapshot's size
---@field seconds table<squarecloud.RehearsalStep, number> how long each step
---took
---@field deleted boolean whether the copy has been deleted

---A client of the platform. Its calls block outside a task and yield inside
---one. Whatever the network, the disk or the platform decides is returned as
---nil and an error; wrong use raises. Closed by `<close>`, `close` or the
---garbage collector.
---@class squarecloud.Client
local Client = {}

---What waits calls it before each pause: what is waited for, and the seconds
---until the next look. `false` ends the waiting (error kind `cancelled`).
---@alias squarecloud.WaitProgress
---| fun(what: "snapshot"|"restore"|"earlier restore", seconds: number): false?

---@class squarecloud.SnapshotOptions
---@field app_id string an application's id, or a database's
---@field application_type? squarecloud.ApplicationType default "app"
---@field wait? number seconds to wait, if the platform makes the snapshot in the
---background (202), until the list shows it: 2 minutes at least are worth it, and
---40 outlast a listing that the platform has cached; default 0
---@field progress? squarecloud.WaitProgress

---@class squarecloud.ListOptions
---@field app_id string an application's id, or a database's
---@field application_type? squarecloud.ApplicationType default "app"
---@field account_id? string of the account that owns it, for the addresses;
---default the client's, else the account of the workspace that it is in, else
---the key's

---@class squarecloud.ListAllOptions
---@field scope? "applications"|"databases" default "applications"
---@field account_id? string for the addresses; default the client's, else the
---key's

---@class squarecloud.RestoreOptions
---@field app_id string the application or database to restore
---@field application_type? squarecloud.ApplicationType default "app"
---@field snapshot_id string the snapshot's `id`
---@field version_id string the snapshot's `version_id`
---@field wait? number seconds to wait until it has settled: until the minute
---that a restore takes is over and it runs, or is stopped, as before; and until
---an earlier restore, for which this one is refused, is over; default 0
---@field progress? squarecloud.WaitProgress

---@class squarecloud.DownloadOptions
---@field path? string the folder, created if missing; default "."
---@field filename? string a plain name, without folders; default
---`<id>_<YYYYMMDDTHHMMSSZ>.zip`
---@field overwrite? boolean replace an existing file; default false, which
---gives an error of kind `exists`
---@field resume? boolean continue what an earlier call left; default true
---@field verify? "full"|"structure"|false how the ZIP is checked before it
---gets its name: every CRC, its directory, or not at all; default "full"
---@field segments? integer connections to use at once, 1 to 16; default the
---client's
---@field progress? squarecloud.ProgressFunction

---@class squarecloud.UrlDownloadOptions: squarecloud.DownloadOptions
---@field url string a snapshot's address; `filename` defaults to the name in it

---Called as bytes arrive: how many there are, out of how many (nil when not
---known), and how many per second. What it raises is raised by the call;
---returning `false` cancels the download (what has arrived is kept for the next
---call).
---@alias squarecloud.ProgressFunction
---| fun(done: integer, total: integer?, bytes_per_second: number): false?

---Creates a snapshot. Sent once: never again if it may have been carried out
---(see the error's `sent`). With `wait`, a snapshot that is made in the
---background is the list's only entry that is not older than the request, by the
---server's clock, and that this client was not shown before it.
---Creates of one key go the client's `pace` apart, so that many may be asked for
---at once.
---@param options squarecloud.SnapshotOptions|string or the application's id
---@return squarecloud.Snapshot? snapshot
---@return squarecloud.Error? err `pending` when there is none (yet), `protocol`
---when there are two: it cannot be told which
function Client:snapshot(options) end

---A list of snapshots. An entry whose name, size, time or key is missing or
---wrong is left out; a list in which none can be read is an error, `protocol`.
---@class squarecloud.SnapshotInfos: { [integer]: squarecloud.SnapshotInfo }
---@field problems? string[] which entries were left out, and why: "entry 3 (id
---a1): its time is missing or wrong"; nil when none was

---The snapshots of an application or database, in the platform's order. Their
---addresses are those of the account that owns it: without an `account_id` the
---client asks for `account` and, for what is not the account's own, for
---`workspaces`, each once.
---@param options squarecloud.ListOptions|string or the application's id
---@return squarecloud.SnapshotInfos? infos
---@return squarecloud.Error? err
function Client:all_app_snapshots(options) end

---The snapshots of all the account's applications, or of all its databases.
---
---A list is decoded on the caller's thread, in a task too, and nothing else runs
---in its Lua state meanwhile: about 20 ms for each MB. A list of 60,000
---snapshots, 14 MB, takes 0.3 s and 55 MB of memory, of which 27 MB stay in use
---with the list.
---@param options? squarecloud.ListAllOptions|string or the scope
---@return squarecloud.SnapshotInfos? infos
---@return squarecloud.Error? err `permission` on plans without it
function Client:all_snapshots(options) end

---Restores a snapshot: replaces what the application or database holds now.
---Sent once, like `snapshot`; with `wait` again after a refusal because another
---restore is under way (HTTP 409). A Snapshot whose version is not known is
---resolved first.
---@param options squarecloud.RestoreOptions|squarecloud.AnySnapshot
---@return squarecloud.Response? response
---@return squarecloud.Error? err
function Client:restore_snapshot(options) end

---Tries out a restore: downloads and checks a snapshot, uploads it as a new
---application, waits until it runs, and deletes it, even if a step fails.
---Raises without `consent`, and for a database's snapshot.
---@param snapshot squarecloud.Snapshot|squarecloud.SnapshotInfo
---@param options squarecloud.RehearsalOptions
---@return squarecloud.Rehearsal? report
---@return squarecloud.Error? err its message ends with what happened to the
---copy; `err.rehearsal` is the report so far
function Client:rehearse_restore(snapshot, options) end

---Downloads a snapshot by its address.
---@param options squarecloud.UrlDownloadOptions|string or the url
---@return squarecloud.ZipFile? zip must be closed
---@return squarecloud.Error? err
function Client:download(options) end

---The key's account: `response.response` has `user`, `applications` and
---`databases`.
---@return squarecloud.Response? response
---@return squarecloud.Error? err
function Client:account() end

---The workspaces that the key is in: what it may manage of other accounts, as
---`response.response`: an array of { name, owner, applications, … }.
---@return squarecloud.Response? response
---@return squarecloud.Error? err
function Client:workspaces() end

---A handle for an application, which saves repeating its id. Nothing is sent.
---@param id string
---@return squarecloud.Handle app
function Client:app(id) end

---A handle for a database, which saves repeating its id. Nothing is sent.
---@param id string
---@return squarecloud.Handle database
function Client:database(id) end

---Starts a task and runs it up to its first wait.
---@param f function `task:wait` returns its results
---@param ... any passed to `f`
---@return squarecloud.Task task
function Client:spawn(f, ...) end

---Spawns a function and steps until no task is left. Raises the function's
---error, or else the first error of a task that nobody waited for.
---@param f function
---@param ... any passed to `f`
---@return any ... what `f` returned
function Client:run(f, ...) end

---Handles whatever has arrived, and resumes tasks. With 0 it never blocks,
---which suits a host's frame.
---@param seconds? number how long to wait for something to arrive; default 0
---@param events? integer how many events to handle at most; default 100
---@return integer unfinished the number of unfinished tasks
function Client:step(seconds, events) end

---Sleeps: yields in a task, blocks outside one.
---@param seconds number
---@return true? done
---@return squarecloud.Error? err `closed`
function Client:sleep(seconds) end

---@return integer unfinished the number of unfinished tasks
function Client:pending() end

---The descriptor that is readable while something is ready for `step`, for any
---event loop. It belongs to the module: do not read or close it.
---@return integer fd
function Client:pollfd() end

---The same as `pollfd`, under the name that luasocket's `select` uses.
---@return integer fd
function Client:getfd() end

---What an event loop should wait for.
---@return "r" events
function Client:events() end

---When an event loop must call at the latest: never.
---@return nil timeout
function Client:timeout() end

---Ends what is under way and closes the client, its records and handles; their
---plain fields stay readable. Closing twice does nothing.
function Client:close() end
