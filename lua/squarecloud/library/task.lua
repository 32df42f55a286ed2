---@meta _

-- Tasks. Definitions for editors and for the reference pages; nobody runs
-- this.

---A coroutine of the client's, made by `client:spawn`.
---@class squarecloud.Task
---@field status "running"|"done"|"failed"|"cancelled"
---@field traceback? string of what it raised
local Task = {}

---Waits until it is done; may be repeated. Raises what it raised, the same
---object.
---@param seconds? number default without end
---@return any ... what the function returned; or nil and an error of kind
---`timeout` (it goes on), `cancelled`, `closed`
function Task:wait(seconds) end

---Ends it, at once: its `<close>` variables run, its body is never resumed.
function Task:cancel() end

---@return table fields a plain copy: status, traceback
function Task:to_table() end
