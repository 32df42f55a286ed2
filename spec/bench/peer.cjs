// The platform's own client downloads an application's newest snapshot.
//   node -r ../peers/redirect.cjs peer.cjs FILE APP_ID
"use strict";

const { writeFile } = require("node:fs/promises");
const { createRequire } = require("node:module");
const { resolve } = require("node:path");

const [file, id] = process.argv.slice(2);
const load = createRequire(resolve(process.env.PEERS_MODULES, "index.js"));
const { SquareCloudAPI } = load("@squarecloud/api");

async function main() {
  const client = new SquareCloudAPI(process.env.SQUARECLOUD_API_KEY);
  const application = await client.applications.fetch(id);
  const [newest] = await application.snapshots.list();
  await writeFile(file, await newest.download());
}

main();
