-- One run of the torture: a download, told in lines on standard output.
--   lua5.4 child.lua 'OPTIONS as a Lua table { client =, download = }'
--
--   file <what>   the library's own word on the part (continuing, starting
--                 over)
--   all           every byte is there; what is left is sync, check, rename
--   done          or:  failed <kind> <message>
local square = require "squarecloud"
local options = load("return " .. ...)()

local function say(...)
  io.write(table.concat({ ... }, " "), "\n")
  io.flush()
end

local said
options.client.trace = function(record)
  if record.event == "file" then say("file", record.detail) end
end
options.download.progress = function(done, total)
  if done == total and not said then
    said = true
    say "all"
  end
end

local client <close> = square.Client(options.client)
local zip, err = client:download(options.download)
if zip then
  say "done"
else
  say("failed", err.kind, err.message)
end
