import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { AppError } from "../errors.ts";
import { LOCKS } from "./locks.ts";
import { type Cluster, prepareCluster, SOCKET_PORT } from "./postgres-cluster.ts";
import { launchServer, stopServer } from "./postgres-server.ts";

export type EmbeddedOptions = {
  /** Absolute; the cluster is its folder `postgres`. */
  dataDir: string;
  /** A server refuses a directory that another EDGR holds. A command works beside a server. */
  purpose: "serve" | "command";
  /** PostgreSQL settings over EDGR's defaults, by their own names; they hold from the next launch. */
  settings: Record<string, string>;
  /** Called once if the database goes away before `stop`. */
  onLost: () => void;
};

export type Embedded = {
  connection: pg.ClientConfig;
  /** Fast shutdown, waits until no process is left; beside another EDGR's server it leaves that alone. */
  stop(): Promise<void>;
  /** For an exit that cannot wait: the next start recovers. */
  kill(): Promise<void>;
};

// A server's lock is free a moment after its death; a command's when its work is done.
const LOCK_WAIT_MS = { serve: 3_000, command: 60_000 };
const LAUNCH_WAIT_MS = 10_000;
const POLL_MS = 20;

const NOBODY_LISTENS = ["ENOENT", "ECONNREFUSED"];
const COMING_OR_GOING = ["57P03", "57P01", "EPIPE", "ECONNRESET"];
const DATABASE_EXISTS = ["42P04", "23505"];

/**
 * A real PostgreSQL under `dataDir`, private to this user through a Unix socket. A server that a killed EDGR left
 * running is taken over; who owns the directory is decided by an advisory lock, which dies with its holder.
 * @throws AppError, a sentence for a person, when the directory is in use or PostgreSQL does not start
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const cluster = await prepareCluster(options.dataDir, options.settings);
  const start = performance.now();
  for (;;) {
    const client = await connectOrLaunch(cluster, options.purpose);
    const outcome = await takeOwnership(client, options.purpose, start);
    // The server we were waiting on has been stopped by its owner: begin again.
    if (outcome === "gone") continue;
    if (typeof outcome === "object") {
      await client.end();
      throw new AppError(
        "unavailable",
        `EDGR is already running on ${options.dataDir} (process ${outcome.holder}).`,
      );
    }
    const connection = connectionTo(cluster, "edgr");
    if (outcome === "owned") return owned(cluster, client, connection, options.onLost);
    await client.end();
    return { connection, stop: async () => {}, kill: async () => {} };
  }
}

function owned(
  cluster: Cluster,
  client: pg.Client,
  connection: pg.ClientConfig,
  onLost: () => void,
): Embedded {
  let stopping = false;
  client.once("end", () => {
    if (!stopping) onLost();
  });
  const shutDown = (mode: "fast" | "immediate") => {
    stopping = true;
    // The lock is let go by the shutdown itself: freed earlier, somebody could take a server about to end.
    return stopServer(cluster, mode);
  };
  return { connection, stop: () => shutDown("fast"), kill: () => shutDown("immediate") };
}

/** A connection to the cluster's server, which is started when none answers. */
async function connectOrLaunch(cluster: Cluster, purpose: string): Promise<pg.Client> {
  const deadline = Date.now() + LAUNCH_WAIT_MS;
  let failure: Promise<string> | null = null;
  for (;;) {
    const answer = await connect(cluster, purpose);
    if (answer instanceof pg.Client) return answer;
    if (answer === "absent") failure ??= (await launchServer(cluster)).failure;
    const poll = delay(POLL_MS, null);
    const ended = await (failure === null ? poll : Promise.race([failure, poll]));
    if (ended === null) continue;
    if (!isTransient(ended) || Date.now() > deadline)
      throw new AppError("unavailable", `PostgreSQL did not start on ${cluster.dir}:\n${ended}`);
    failure = null;
    await delay(POLL_MS * 5);
  }
}

/** Two EDGRs starting at once, or the last processes of a killed server, are gone in a moment. */
function isTransient(log: string): boolean {
  return /lock file "[^"]*" already exists|pre-existing shared memory block|lock file "[^"]*" is empty/.test(
    log,
  );
}

async function connect(cluster: Cluster, purpose: string): Promise<pg.Client | "absent" | "changing"> {
  const client = new pg.Client({
    ...connectionTo(cluster, "postgres"),
    application_name: `edgr ${purpose} ${process.pid}`,
  });
  client.on("error", () => {});
  try {
    await client.connect();
    await createDatabase(client);
    return client;
  } catch (error) {
    await client.end().catch(() => {});
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (NOBODY_LISTENS.includes(code)) return "absent";
    // The driver's own error for a connection that closed has no code.
    if (COMING_OR_GOING.includes(code) || isClosed(error)) return "changing";
    throw error;
  }
}

function isClosed(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("Connection terminated");
}

async function createDatabase(client: pg.Client): Promise<void> {
  const found = await client.query("select from pg_database where datname = 'edgr'");
  if (found.rowCount !== 0) return;
  await client.query("create database edgr").catch((error: pg.DatabaseError) => {
    if (!DATABASE_EXISTS.includes(error.code ?? "")) throw error;
  });
}

function connectionTo(cluster: Cluster, database: string): pg.ClientConfig {
  return { host: cluster.socketDir, port: SOCKET_PORT, user: "postgres", database };
}

/** Who holds the directory decides: nobody, then it is ours; a server, then a command works beside it. */
async function takeOwnership(
  client: pg.Client,
  purpose: EmbeddedOptions["purpose"],
  start: number,
): Promise<"owned" | "shared" | "gone" | { holder: string }> {
  try {
    for (;;) {
      const { rows } = await client.query<{ taken: boolean }>("select pg_try_advisory_lock($1, 0) as taken", [
        LOCKS.installation,
      ]);
      if (rows[0]?.taken === true) return "owned";
      const holder = await findHolder(client);
      if (holder?.purpose === "serve" && purpose === "command") return "shared";
      if (holder !== null && performance.now() > start + LOCK_WAIT_MS[holder.purpose])
        return { holder: holder.process };
      await delay(POLL_MS * 5);
    }
  } catch {
    await client.end().catch(() => {});
    return "gone";
  }
}

type Holder = { purpose: EmbeddedOptions["purpose"]; process: string };

async function findHolder(client: pg.Client): Promise<Holder | null> {
  const { rows } = await client.query<{ application_name: string }>(
    `select a.application_name from pg_locks l join pg_stat_activity a using (pid)
     where l.locktype = 'advisory' and l.classid = $1 and l.objid = 0 and l.granted`,
    [LOCKS.installation],
  );
  const [, purpose, process] = /^edgr (serve|command) (\d+)$/.exec(rows[0]?.application_name ?? "") ?? [];
  if (process === undefined) return null;
  return { purpose: purpose === "serve" ? "serve" : "command", process };
}
