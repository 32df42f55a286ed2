// The main job, with the platform's own client: create, list, download.
//   node -r ./redirect.cjs snapshots.cjs FOLDER APP_ID
// FOLDER has the client's node_modules, and gets the files; the key comes in
// SQUARECLOUD_API_KEY.  Writes what it saw to stdout, as JSON.
"use strict";

const { writeFile } = require("node:fs/promises");
const { createRequire } = require("node:module");
const { resolve } = require("node:path");

const [folder, id] = process.argv.slice(2);
const load = createRequire(resolve(process.env.PEERS_MODULES, "index.js"));
const { SquareCloudAPI } = load("@squarecloud/api");
const { version } = load("./node_modules/@squarecloud/api/package.json");

async function main() {
  const client = new SquareCloudAPI(process.env.SQUARECLOUD_API_KEY);
  const user = await client.user.get();
  const application = await client.applications.fetch(id);

  const created = await application.snapshots.create();
  const list = await application.snapshots.list();
  const wanted = new URLSearchParams(created.key).get("versionId");
  const listed = list.find((one) => one.key.includes(wanted));
  await writeFile(`${folder}/listed.zip`, await listed.download());
  // this one makes another, and downloads it by the url that it got
  await writeFile(`${folder}/created.zip`,
    await application.snapshots.download());

  const { url, size, key, modifiedTimestamp } = listed;
  console.log(JSON.stringify({
    version, node: process.version, user: user.id, created,
    applications: [...user.applications.keys()], count: list.length,
    listed: { url, size, key, modifiedTimestamp },
  }));
}

main();
