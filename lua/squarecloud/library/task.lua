---@meta _

-- Tasks. Definitions for editors and for the reference pages; nobody runs
-- this.

---A coroutine that belongs to the client, made by `client:spawn`.
---@class squarecloud.Task
---@field status "running"|"done"|"failed"|"cancelled"
---@field traceback? string where it raised its error
local Task = {}

---Waits until it is done; may be called again. Raises the same error that the
---task raised.
---@param seconds? number default no limit
---@return any ... what the function returned; or nil and an error of kind
---`timeout` (the task keeps running), `cancelled` or `closed`
function Task:wait(seconds) end

---Ends it at once: its `<close>` variables are closed, its body never resumes.
function Task:cancel() end

---@return table fields a plain copy: status, traceback
function Task:to_table() end
