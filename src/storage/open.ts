import pg from "pg";
import { AppError } from "../errors.ts";
import { startEmbedded } from "./embedded.ts";

export type StorageOptions = {
  /** Null: the embedded PostgreSQL under `dataDir`. */
  databaseUrl: string | null;
  dataDir: string;
  purpose: "serve" | "command";
  /** Called once when an embedded database that we started goes away by itself. */
  onLost: () => void;
};

/** A database to connect to, and what it takes to leave it: nothing, when it is somebody else's server. */
export type Storage = {
  connection: string | pg.ClientConfig;
  stop(): Promise<void>;
  kill(): Promise<void>;
};

/** There is no answer, as far as can be told: it may come back, unlike a wrong name or password. */
export class DatabaseAwayError extends AppError {}

const CONNECT_TIMEOUT_MS = 10_000;
const OLDEST_VERSION = 14;

/**
 * Finds or starts the database this installation lives in.
 * @throws AppError, a sentence for a person, when it cannot be used; DatabaseAwayError when DATABASE_URL leads to a
 * server that does not answer
 */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const { databaseUrl, dataDir, purpose, onLost } = options;
  if (databaseUrl === null) return startEmbedded({ dataDir, purpose, settings: {}, onLost });
  await checkServer(databaseUrl);
  return somebodyElses(databaseUrl);
}

/** A server that we neither start nor stop, whether or not it answers. */
export function somebodyElses(databaseUrl: string): Storage {
  return { connection: databaseUrl, stop: async () => {}, kill: async () => {} };
}

/** Where an address leads, without the password that may be in it. */
export function describeDatabase(databaseUrl: string): string {
  const { hostname, port, pathname, searchParams } = new URL(databaseUrl);
  const host = hostname || searchParams.get("host") || "localhost";
  return `${host}${port === "" ? "" : `:${port}`}${pathname}`;
}

/** @throws AppError as `openStorage` does */
export async function checkServer(databaseUrl: string): Promise<void> {
  const where = describeDatabase(databaseUrl);
  const client = new pg.Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  client.on("error", () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ server_version_num: string }>("show server_version_num");
    const major = Math.floor(Number(rows[0]?.server_version_num) / 10_000);
    if (major < OLDEST_VERSION)
      throw new AppError(
        "unavailable",
        `The database at ${where} is PostgreSQL ${major}; EDGR needs ${OLDEST_VERSION} or newer.`,
      );
  } catch (error) {
    if (error instanceof AppError) throw error;
    const text = `The database at ${where} cannot be used (${reasonOf(error)}). Check DATABASE_URL.`;
    throw isAway(error) ? new DatabaseAwayError("unavailable", text) : new AppError("unavailable", text);
  } finally {
    await client.end().catch(() => {});
  }
}

// Node's names for a server that is not there, PostgreSQL's for one that starts, stops or has no room; the driver's own
// errors for a connection that was cut or took too long have no code.
const AWAY =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOENT|ENOTFOUND|EAI_AGAIN|57P0.|53300|08...)$/;

function isAway(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isAway);
  if (!(error instanceof Error)) return false;
  return "code" in error && error.code !== undefined
    ? AWAY.test(String(error.code))
    : /^(Connection terminated|timeout expired)/.test(error.message);
}

function reasonOf(error: unknown): string {
  // A host with several addresses fails with one error for each of them and no message of its own.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(", ");
  return error instanceof Error ? error.message : String(error);
}
