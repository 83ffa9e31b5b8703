#!/usr/bin/env node
// `npm start` and `npx edgr` run on whatever Node the machine has; EDGR itself runs on the Bun that
// `npm ci` brought. This file is the whole bridge between the two.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const bun = createRequire(import.meta.url).resolve("bun/bin/bun.exe");
const child = spawn(bun, [path.join(root, "src/main.ts"), ...process.argv.slice(2)], { stdio: "inherit" });

// A terminal sends Ctrl-C to the whole group, a supervisor sends SIGTERM to this process alone: in both
// cases the child decides when it has drained, and this process leaves with the child's answer.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => child.kill("SIGTERM"));
child.on("error", (error) => {
  console.error(`EDGR could not start Bun (${error.message}). Run "npm ci" in ${root} again.`);
  process.exit(1);
});
child.on("exit", (code, signal) => process.exit(signal === null ? (code ?? 1) : 1));
