--- What a shell must set before this machine looks into a PREFIX that
-- something was installed under: lines for its profile, or nothing.
--   lua5.4 spec/support/exports.lua PREFIX

local prefix = ...
local share, modules = prefix .. "/share", prefix .. "/share/lua/5.4/"

local function has(list, one, separator)
  return (separator .. list .. separator):find(separator .. one .. separator,
    1, true) ~= nil
end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function export(name, value, rest)
  print(("export %s=%s%s"):format(name, quote(value), rest))
end

-- What a program prints, as a list with `:` between; nil when it is not there.
local function ask(program)
  local pipe <close> = io.popen(program .. " 2>/dev/null")
  local text = pipe:read("a"):gsub("\n$", ""):gsub("\n", ":")
  return text ~= "" and text or nil
end

local path = os.getenv "PATH" or ""
if not has(path, prefix .. "/bin", ":") then
  print "# so that the shell finds the command:"
  export("PATH", prefix .. "/bin", ':"$PATH"')
end

if not (has(package.path, modules .. "?.lua", ";")
  and has(package.path, modules .. "?/init.lua", ";")
  and has(package.cpath, prefix .. "/lib/lua/5.4/?.so", ";")) then
  print '# so that scripts find the module (require "squarecloud"):'
  export("LUA_PATH", modules .. "?.lua;" .. modules .. "?/init.lua;",
    '"${LUA_PATH:-;}"')
  export("LUA_CPATH", prefix .. "/lib/lua/5.4/?.so;", '"${LUA_CPATH:-;}"')
end

-- man looks beside the folders on the PATH by itself
local manpath = ask(("PATH=%s:\"$PATH\" manpath -q"):format(
  quote(prefix .. "/bin")))
if manpath and not has(manpath, share .. "/man", ":") then
  print "# so that man finds the manual page:"
  export("MANPATH", share .. "/man", ':"${MANPATH:-}"')
end

local function set(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end
local DEFAULT = "/usr/local/share:/usr/share"
local home = set "XDG_DATA_HOME" or (os.getenv "HOME" or "") .. "/.local/share"
local system = set "XDG_DATA_DIRS"
-- bash-completion 2.11 takes a home with a space in it for two folders
local bash_looks = share == home and not home:find "%s"
  or has(system or DEFAULT, share, ":")
-- without the variable, fish does not look into /usr/local/share
local fish_looks = share == home or has(system or "/usr/share", share, ":")
  or not ask "command -v fish"
if not bash_looks then
  print "# so that bash and fish find the completions:"
  export("XDG_DATA_DIRS", share, (':"${XDG_DATA_DIRS:-%s}"'):format(DEFAULT))
elseif not fish_looks then
  print "# so that fish finds the completions:"
  print(("export XDG_DATA_DIRS=%s"):format(DEFAULT))
end

local zsh = ask [[zsh -c 'print -rl -- $fpath']]
local functions = share .. "/zsh/site-functions"
if zsh and not has(zsh, functions, ":") then
  print "# so that zsh finds them, in ~/.zshrc before compinit:"
  print(("# fpath=(%s $fpath)"):format(quote(functions)))
end
