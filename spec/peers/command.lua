--- The shell's line that runs a script with the platform's JavaScript client,
-- led to the test server `s`, with its account's key.
-- `modules`: the folder with node_modules, as `make peers` leaves it.
-- `path`: where the script writes; further arguments are the script's own.

local quote = require("spec.support.quote").shell

return function(s, modules, script, path, ...)
  local words = { "env", "-u", "NODE_OPTIONS",
    "PEERS_PORT=" .. s.ports.https, "PEERS_MODULES=" .. quote(modules),
    "NODE_EXTRA_CA_CERTS=" .. quote(s.ca_file),
    "SQUARECLOUD_API_KEY=" .. quote(s.key), "node", "-r",
    "./spec/peers/redirect.cjs", script, quote(path) }
  for _, word in ipairs { ... } do words[#words + 1] = quote(word) end
  return table.concat(words, " ")
end
