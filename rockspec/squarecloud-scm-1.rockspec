rockspec_format = "3.0"
package = "squarecloud"
version = "scm-1"
source = {
  url = ".", -- a checkout: luarocks make, test and pack fetch nothing
}
description = {
  summary = "Square Cloud's snapshots: create, list, download, check, restore",
  detailed = [[
A client for Square Cloud's snapshots (backups of applications and
databases).  Downloads go to disk in constant memory, are checked down to
every CRC, and never leave half a file under a final name.  Calls block in a
plain script and run on the module's own threads, so that hosts can embed it.]],
  license = "MIT",
  labels = { "backup", "snapshot", "squarecloud", "curl", "zip" },
}
supported_platforms = { "unix" }
dependencies = {
  "lua >= 5.4, < 5.5",
  "lua-cjson >= 2.1.0",
  "luafilesystem >= 1.8.0",
  "argparse >= 0.7.1",
}
external_dependencies = {
  CURL = { library = "curl" },
  ZIP = { library = "zip" },
}
build = {
  type = "builtin",
  install = { bin = { "lua/bin/squaresnap" } },
  modules = {
    ["squarecloud"] = "lua/squarecloud/init.lua",
    ["squarecloud.cli.console"] = "lua/squarecloud/cli/console.lua",
    ["squarecloud.cli.format"] = "lua/squarecloud/cli/format.lua",
    ["squarecloud.cli.json"] = "lua/squarecloud/cli/json.lua",
    ["squarecloud.cli.key"] = "lua/squarecloud/cli/key.lua",
    ["squarecloud.retention"] = "lua/squarecloud/retention.lua",
    ["squarecloud.retention.filters"] = "lua/squarecloud/retention/filters.lua",
    ["squarecloud.retention.limits"] = "lua/squarecloud/retention/limits.lua",
    ["squarecloud.retention.list"] = "lua/squarecloud/retention/list.lua",
    ["squarecloud.retention.options"] = "lua/squarecloud/retention/options.lua",
    ["squarecloud.retention.policy"] = "lua/squarecloud/retention/policy.lua",
    ["squarecloud.retention.time"] = "lua/squarecloud/retention/time.lua",
    ["squarecloud.retention.walk"] = "lua/squarecloud/retention/walk.lua",
    ["squarecloud.core"] = {
      sources = {
        "csrc/base/answer.c",
        "csrc/base/buf.c",
        "csrc/base/failure.c",
        "csrc/base/head.c",
        "csrc/base/isotime.c",
        "csrc/base/part.c",
        "csrc/base/pieces.c",
        "csrc/base/record.c",
        "csrc/base/store.c",
        "csrc/base/url.c",
        "csrc/base/zip_layout.c",
        "csrc/call.c",
        "csrc/client.c",
        "csrc/download.c",
        "csrc/endpoints.c",
        "csrc/engine/address.c",
        "csrc/engine/crew.c",
        "csrc/engine/download.c",
        "csrc/engine/engine.c",
        "csrc/engine/profile.c",
        "csrc/engine/request.c",
        "csrc/engine/stream.c",
        "csrc/engine/timer.c",
        "csrc/engine/transfer.c",
        "csrc/engine/zip.c",
        "csrc/engine/zip_extract.c",
        "csrc/engine/zip_op.c",
        "csrc/engine/zip_plan.c",
        "csrc/engine/zip_reader.c",
        "csrc/error.c",
        "csrc/handle.c",
        "csrc/json.c",
        "csrc/module.c",
        "csrc/object.c",
        "csrc/options.c",
        "csrc/response.c",
        "csrc/snapshot.c",
        "csrc/snapshot_info.c",
        "csrc/state.c",
        "csrc/task.c",
        "csrc/waiting.c",
        "csrc/zip_file.c",
      },
      libraries = { "curl", "zip", "pthread" },
      incdirs = { "$(CURL_INCDIR)", "$(ZIP_INCDIR)" },
      libdirs = { "$(CURL_LIBDIR)", "$(ZIP_LIBDIR)" },
    },
  },
}
test = {
  type = "command",
  command = "make check",
}
