--- Makes the test server's certificates, with the command `openssl`.
-- Owns nothing: everything is written into the folder it is given. A CA of
-- its own signs a good certificate, one that has expired and one for another
-- host; a fourth is signed by itself. Keys are P-256, so it takes about 0.1 s.

local quote = require("spec.support.quote").shell

local certificates = {}

local SCRIPT = [[
cd %s || exit 1
umask 077
export OPENSSL_CONF="$PWD/openssl.cnf"
cat > openssl.cnf <<END
[req]
distinguished_name = dn
prompt = no
[dn]
CN = squarecloud test server
END
new_key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
sign() { # name, days, alternative names
  printf 'subjectAltName=%%s\nextendedKeyUsage=serverAuth\n' "$3" > $1.ext &&
  openssl req -new $new_key -keyout $1.key -out $1.csr -subj "/CN=$1" &&
  openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -set_serial $4 \
    -days $2 -extfile $1.ext -out $1.pem
}
openssl req -x509 $new_key -keyout ca.key -out ca.pem -days 2 \
  -subj '/CN=squarecloud test CA' \
  -addext basicConstraints=critical,CA:TRUE \
  -addext keyUsage=critical,keyCertSign,cRLSign &&
sign good 2 "$names" 1 && sign expired -1 "$names" 2 &&
sign wrong_host 2 DNS:elsewhere.example 3 &&
openssl req -x509 $new_key -keyout self_signed.key -out self_signed.pem \
  -days 2 -subj /CN=localhost -addext "subjectAltName=$names"
]]

-- The platform's names are there so that a client that cannot be told another
-- address can be led here by a name map.
local NAMES = "DNS:localhost,DNS:api.squarecloud.app,"
  .. "DNS:snapshots.squarecloud.app,IP:127.0.0.1,IP:::1"

--- Writes ca.pem and, each with its .key, good.pem, expired.pem,
-- wrong_host.pem and self_signed.pem into an existing folder.
-- Raises with openssl's words when that fails.
function certificates.make(dir)
  local script = ("exec 2>&1 </dev/null; names='%s'\n"):format(NAMES)
    .. SCRIPT:format(quote(dir))
  local pipe = assert(io.popen(script, "r"))
  local words = pipe:read "a"
  if not pipe:close() then
    error("openssl made no certificates:\n" .. words, 2)
  end
end

return certificates
