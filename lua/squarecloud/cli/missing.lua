-- What to install when something that the command needs is not on the machine.

local missing = {}

-- By the module's name: Debian's package, the rock.
local MODULES = {
  argparse = { "lua-argparse", "argparse" },
  cjson = { "lua-cjson", "lua-cjson" },
  lfs = { "lua-filesystem", "luafilesystem" },
}

-- By the library's name.  The -dev packages: their names stay the same from
-- one Debian to the next.
local LIBRARIES = {
  libcurl = "libcurl4-openssl-dev",
  libzip = "libzip-dev",
}

local CORE = "squarecloud.core"

-- Why the loader of shared objects refused the part in C.
local function core_line(why)
  local library = why:find "No such file" and why:match "lib[%w_+-]+%.so[%d.]*"
  local package = library and LIBRARIES[library:match "^[%w_+-]+"]
  if package then
    return ("%s is missing: install Debian's package %s, then squarecloud "
      .. "again"):format(library, package)
  end
  return ("squarecloud's part in C does not load (%s): install squarecloud "
    .. "again"):format(why)
end

--- The line for an error that `require` raised; nil for every other error.
function missing.line(message)
  local name = message:match "module '([^']+)' not found"
  if MODULES[name] then
    return ("the Lua module %s is missing: install Debian's package %s or the "
      .. "rock %s"):format(name, table.unpack(MODULES[name]))
  elseif name == CORE then
    return "squarecloud's part in C (squarecloud/core.so) is missing: "
      .. "install squarecloud again"
  end
  local broken, why = message:match
    "error loading module '([^']+)' from file '[^\n]*':%s*([^\n]*)"
  return broken == CORE and core_line(why) or nil
end

return missing
