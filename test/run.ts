// What `npm test` runs: a throwaway PostgreSQL with a migrated template database, then `bun test` over every file,
// each cloning that template. `npm test -- src/tracking` runs a part; further arguments go to `bun test`.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { stripVTControlCharacters } from "node:util";
import type pg from "pg";
import { type Embedded, startEmbedded } from "../src/storage/embedded.ts";
import { migrate } from "../src/storage/migrate.ts";
import { openDatabase } from "../src/storage/pool.ts";
import { TEMPLATE } from "./support/database.ts";

type Outcome = { passed: number; failed: number };

const SERVER_SETTINGS = { fsync: "off", full_page_writes: "off", max_connections: "300", autovacuum: "off" };

async function main(): Promise<number> {
  const dataDir = path.join(os.tmpdir(), `edgr-test-${randomBytes(6).toString("hex")}`);
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => interrupted.abort());
  const server = await startEmbedded({
    dataDir,
    purpose: "serve",
    settings: SERVER_SETTINGS,
    onLost: () => interrupted.abort(),
  });
  try {
    await createTemplate(server.connection);
    const outcome = await runTests(addressOf(server.connection), interrupted.signal);
    console.log(`${outcome.passed} passed, ${outcome.failed} failed`);
    return outcome.failed === 0 && outcome.passed > 0 ? 0 : 1;
  } finally {
    await throwAway(server, dataDir);
  }
}

async function createTemplate(connection: pg.ClientConfig): Promise<void> {
  const admin = openDatabase({ ...connection, database: "postgres" }, 1);
  await admin.pool.query(`create database ${TEMPLATE}`);
  await admin.close();
  const template = openDatabase({ ...connection, database: TEMPLATE }, 1);
  await migrate(template.db);
  await template.close();
}

/** A Unix socket as an address: `postgres:///postgres?host=/path&user=postgres`. */
function addressOf(connection: pg.ClientConfig): string {
  const address = new URL("postgres:///postgres");
  address.searchParams.set("host", connection.host ?? "");
  address.searchParams.set("user", connection.user ?? "");
  return address.href;
}

function runTests(serverUrl: string, interrupted: AbortSignal): Promise<Outcome> {
  const workers = `--parallel=${os.availableParallelism()}`;
  const color = process.stderr.isTTY ? { FORCE_COLOR: "1" } : {};
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      ["test", workers, "--no-orphans", "--timeout=30000", ...process.argv.slice(2)],
      {
        env: { ...process.env, ...color, EDGR_TEST_DATABASE_URL: serverUrl },
        stdio: ["ignore", "inherit", "pipe"],
      },
    );
    interrupted.addEventListener("abort", () => child.kill("SIGTERM"));
    let output = "";
    child.stderr.on("data", (chunk: Buffer) => {
      process.stderr.write(chunk);
      output += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", (code) => resolve(readOutcome(stripVTControlCharacters(output), code)));
  });
}

/** Whatever went wrong outside a test (a crash, an interruption, a filter that fits nothing) is one more failure. */
function readOutcome(output: string, code: number | null): Outcome {
  const count = (word: string) =>
    Number([...output.matchAll(new RegExp(`^ *(\\d+) ${word}$`, "gm"))].at(-1)?.[1] ?? 0);
  const passed = count("pass");
  const failed = count("fail");
  return { passed, failed: failed === 0 && (code !== 0 || passed === 0) ? 1 : failed };
}

async function throwAway(server: Embedded, dataDir: string): Promise<void> {
  await server.stop();
  await rm(dataDir, { recursive: true, force: true });
}

process.exit(await main());
