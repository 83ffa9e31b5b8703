import { type ChildProcess, spawn } from "node:child_process";
import { lstat, open, readFile, readlink, realpath, rename, rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Cluster, SOCKET_PORT } from "./postgres-cluster.ts";

const LOG_BYTES = 10 * 1024 * 1024;

/**
 * Starts a server in a session of its own, out of reach of the terminal's Ctrl-C, and does not wait for it.
 * `failure` resolves, with the end of what it logged, if it ends before it is ever asked to.
 */
export async function launchServer(cluster: Cluster): Promise<{ failure: Promise<string> }> {
  await removeStaleLocks(cluster);
  await rotateLog(cluster.logFile);
  const log = await open(cluster.logFile, "a", 0o600);
  const start = (await log.stat()).size;
  const { file, args, ids } = cluster.runner.launch(cluster.binaries.postgres, ["-D", cluster.dir]);
  const child = spawn(file, args, {
    ...ids,
    cwd: "/",
    detached: true,
    stdio: ["ignore", log.fd, log.fd],
  });
  child.unref();
  const ended = exitOf(child);
  await log.close();
  return { failure: ended.then((reason) => reason ?? readFrom(cluster.logFile, start)) };
}

function exitOf(child: ChildProcess): Promise<string | null> {
  return new Promise((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("exit", () => resolve(null));
  });
}

/**
 * After a crash and a restart of the machine, the process number in a lock file may be somebody else's; then
 * PostgreSQL would refuse to start beside a process that is no server. A server works in its data directory.
 */
async function removeStaleLocks(cluster: Cluster): Promise<void> {
  const serverDir = await realpath(cluster.dir);
  const socketLock = path.join(cluster.socketDir, `.s.PGSQL.${SOCKET_PORT}.lock`);
  for (const file of [path.join(cluster.dir, "postmaster.pid"), socketLock]) {
    const pid = await readPid(file);
    if (pid === null) continue;
    const workingDir = await readlink(`/proc/${pid}/cwd`).catch(() => null);
    if (workingDir !== null && workingDir !== serverDir) await rm(file, { force: true });
  }
}

async function rotateLog(file: string): Promise<void> {
  const found = await lstat(file).catch(() => null);
  if (found !== null && found.size > LOG_BYTES) await rename(file, `${file}.1`);
}

async function readFrom(file: string, start: number): Promise<string> {
  // After a stop the whole directory may be gone, and nobody waits for the answer any more.
  const log = await readFile(file).catch(() => Buffer.alloc(0));
  return log.subarray(start).toString("utf8").trim();
}

/**
 * Shuts the server down and waits until it is gone. `fast` ends running transactions and leaves a clean cluster;
 * `immediate` leaves the clean-up to the next start's recovery, and does not wait.
 */
export async function stopServer(cluster: Cluster, mode: "fast" | "immediate"): Promise<void> {
  const pid = await readPid(path.join(cluster.dir, "postmaster.pid"));
  if (pid === null || !(await isRunning(pid))) return;
  process.kill(pid, mode === "fast" ? "SIGINT" : "SIGQUIT");
  if (mode === "immediate") return;
  while (await isRunning(pid)) await delay(10);
}

async function readPid(file: string): Promise<number | null> {
  const text = await readFile(file, "utf8").catch(() => "");
  const pid = Number.parseInt(text, 10);
  return pid > 0 ? pid : null;
}

async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // A server whose EDGR was killed ends as a zombie where nobody, as in many containers, reaps orphans.
  const status = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return !status.includes(") Z ");
}
