--- Makes the test server's certificates, with the command `openssl`.
-- Owns nothing: everything is written into the folder it is given. A CA of
-- its own signs a good certificate, one for another host and, when asked, one
-- that has expired; a fourth is signed by itself. Keys are P-256, so it takes
-- about 0.1 s.

local quote = require("spec.support.quote").shell

local certificates = {}

-- What both scripts begin with; openssl's words go to stdout.
local BEGIN = [[
exec 2>&1 </dev/null
cd %s || exit 1
names=%s
umask 077
export OPENSSL_CONF="$PWD/openssl.cnf"
new_key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
request() { # name, alternative names
  printf 'subjectAltName=%%s\nextendedKeyUsage=serverAuth\n' "$2" > $1.ext &&
  openssl req -new $new_key -keyout $1.key -out $1.csr -subj "/CN=$1"
}
]]

local MAKE = [[
cat > openssl.cnf <<END
[req]
distinguished_name = dn
prompt = no
[dn]
CN = squarecloud test server
[past]
database = past.txt
rand_serial = yes
new_certs_dir = .
default_md = sha256
policy = any
[any]
commonName = supplied
END
sign() { # name, alternative names, serial
  request $1 "$2" &&
  openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -set_serial $3 \
    -days 2 -extfile $1.ext -out $1.pem
}
openssl req -x509 $new_key -keyout ca.key -out ca.pem -days 2 \
  -subj '/CN=squarecloud test CA' \
  -addext basicConstraints=critical,CA:TRUE \
  -addext keyUsage=critical,keyCertSign,cRLSign &&
sign good "$names" 1 && sign wrong_host DNS:elsewhere.example 2 &&
openssl req -x509 $new_key -keyout self_signed.key -out self_signed.pem \
  -days 2 -subj /CN=localhost -addext "subjectAltName=$names"
]]

-- `openssl x509` of version 3.5 takes no date in the past, before 3.4 no date
-- at all; `openssl ca` takes both in every version.
local EXPIRED = [[
: > past.txt
request expired "$names" &&
openssl ca -name past -batch -cert ca.pem -keyfile ca.key -in expired.csr \
  -startdate 20200101000000Z -enddate 20200102000000Z \
  -extfile expired.ext -notext -out expired.pem
]]

-- The platform's names are there so that a client that cannot be told another
-- address can be led here by a name map.
local NAMES = "DNS:localhost,DNS:api.squarecloud.app,"
  .. "DNS:snapshots.squarecloud.app,IP:127.0.0.1,IP:::1"

local function run(script, dir)
  local pipe = assert(io.popen(BEGIN:format(quote(dir), NAMES) .. script, "r"))
  local words = pipe:read "a"
  if not pipe:close() then
    error("openssl made no certificates:\n" .. words, 3)
  end
end

--- Writes ca.pem and, each with its .key, good.pem, wrong_host.pem and
-- self_signed.pem into an existing folder.
-- Raises with openssl's words when that fails.
function certificates.make(dir)
  run(MAKE, dir)
end

--- Adds expired.pem and its .key to the folder; raises as `make` does.
function certificates.make_expired(dir)
  run(EXPIRED, dir)
end

return certificates
