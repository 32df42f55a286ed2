// The platform's own client, over all that it knows and that has to do with
// snapshots.  What it can do besides (logs, files, deploys, networks) the test
// server does not play.
//   node -r ./redirect.cjs client.cjs FOLDER ROUND APP_ID OTHER_APP_ID
// FOLDER has `one.zip`, and gets what is downloaded; PEERS_MODULES is the
// folder with node_modules; the key comes in SQUARECLOUD_API_KEY.  Writes what
// the client saw to stdout, as JSON.  ROUND: "granted" or "refused".
"use strict";

const { readFile, writeFile } = require("node:fs/promises");
const { createRequire } = require("node:module");
const { resolve } = require("node:path");

const [folder, round, id, other] = process.argv.slice(2);
const load = createRequire(resolve(process.env.PEERS_MODULES, "index.js"));
const { SquareCloudAPI } = load("@squarecloud/api");
const { version } = load("./node_modules/@squarecloud/api/package.json");
const key = process.env.SQUARECLOUD_API_KEY;
const archive = resolve(folder, "one.zip");

async function snapshots(application) {
  const created = await application.snapshots.create();
  const list = await application.snapshots.list();
  const [listed] = list;
  await writeFile(`${folder}/listed.zip`, await listed.download());
  // this one makes another, and downloads it by the url that it got
  await writeFile(`${folder}/created.zip`,
    await application.snapshots.download());
  const { url, size, key, modifiedTimestamp } = listed;
  return { created, count: list.length,
    listed: { url, size, key, modifiedTimestamp } };
}

// The status after each action, by each of the three ways to it.
async function actions(client, application) {
  const seen = [];
  for (const action of ["stop", "start", "restart"]) {
    const done = await application[action]();
    const { running, status, uptime } = await application.getStatus();
    const all = await client.applications.statusAll();
    const brief = all.find((one) => one.applicationId === application.id);
    const full = await brief.fetch();
    seen.push({ action, done, running, status, up: uptime !== undefined,
      brief: brief.running, used: brief.usage !== undefined,
      full: full.status, all: all.length });
  }
  return seen;
}

async function uploads(client, application) {
  const made = await client.applications.create(archive);
  const uploaded = await client.applications.fetch(made.id);
  return {
    commits: [await application.commit(archive),
      await application.commit(Buffer.from("by a peer\n"), "peer.txt")],
    made, name: uploaded.name, deleted: await uploaded.delete(),
  };
}

async function granted(client) {
  const user = await client.user.get();
  const application = await client.applications.fetch(id);
  const { name, ram, language } = application;
  return {
    version, node: process.version,
    user: { id: user.id, name: user.name, email: user.email, plan: user.plan },
    mine: [...(await client.applications.get()).keys()],
    application: { name, ram, language,
      same: (await (await client.applications.get(id)).fetch()).name },
    ...await snapshots(application),
    actions: await actions(client, application),
    uploads: await uploads(client, application),
  };
}

// The words of each error that the client makes of a refusal.
async function refused(client) {
  const mine = await client.applications.fetch(id);
  const zip = await readFile(archive);
  const calls = {
    key: () => new SquareCloudAPI("no-key").user.get(),
    missing: () => client.applications.fetch("0".repeat(32)),
    calm: () => mine.snapshots.create(),
    later: async () =>
      (await client.applications.fetch(other)).snapshots.create(),
    large: () => mine.commit(zip),
  };
  const seen = {};
  for (const [name, call] of Object.entries(calls)) {
    seen[name] = await call().then(() => "nothing", (error) => error.message);
  }
  return seen;
}

const client = new SquareCloudAPI(key);
({ granted, refused })[round](client)
  .then((seen) => console.log(JSON.stringify(seen)));
