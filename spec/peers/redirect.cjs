// Leads the platform's two addresses to the test server, and lets nothing go
// anywhere else.  Required before the client (node -r), which stays as it is:
// it asks for its fixed addresses, by TLS, with their names in the handshake,
// and checks the certificate for them.
"use strict";

const net = require("node:net");
const tls = require("node:tls");

const port = Number(process.env.PEERS_PORT);
const hosts = ["api.squarecloud.app", "snapshots.squarecloud.app"];
const connect = tls.connect;

function refuse(options) {
  throw new Error(`not one of the platform's: ${options.host ?? options}`);
}

tls.connect = (options, ...rest) => {
  if (!hosts.includes(options.host) || options.port != 443) refuse(options);
  const servername = options.host;
  return connect({ ...options, servername, host: "127.0.0.1", port }, ...rest);
};
net.connect = net.createConnection = refuse;
