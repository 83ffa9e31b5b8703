#!/usr/bin/env node
// `npm start` and `npx edgr` run on whatever Node the machine has; EDGR itself runs on the Bun that
// `npm ci` brought. This file is the whole bridge between the two.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

function fail(reason) {
  console.error(`EDGR could not start Bun (${reason}). Run "npm ci" in ${root} again.`);
  process.exit(1);
}

function findBun() {
  try {
    return createRequire(import.meta.url).resolve("bun/bin/bun.exe");
  } catch {
    return fail("it is not installed");
  }
}

// The channel is how EDGR learns that this process has died, however it died: it drains then as well.
const child = spawn(findBun(), [path.join(root, "src/main.ts"), ...process.argv.slice(2)], {
  stdio: ["inherit", "inherit", "inherit", "ipc"],
});

// A terminal sends Ctrl-C to the whole group, a supervisor sends SIGTERM to this process alone, npm sends some
// twice. All become one request to stop; EDGR decides when it has drained, and this process leaves with its answer.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    if (child.connected) child.send("stop");
  });
}
child.on("error", (error) => fail(error.message));
child.on("exit", (code) => process.exit(code ?? 1));
