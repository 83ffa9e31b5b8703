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

const CONNECT_TIMEOUT_MS = 10_000;
const OLDEST_VERSION = 14;

/**
 * Finds or starts the database this installation lives in.
 * @throws AppError, a sentence for a person, when it cannot be used
 */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const { databaseUrl, dataDir, purpose, onLost } = options;
  if (databaseUrl === null) return startEmbedded({ dataDir, purpose, settings: {}, onLost });
  await checkServer(databaseUrl);
  return { connection: databaseUrl, stop: async () => {}, kill: async () => {} };
}

/** Where an address leads, without the password that may be in it. */
export function describeDatabase(databaseUrl: string): string {
  const { hostname, port, pathname, searchParams } = new URL(databaseUrl);
  const host = hostname || searchParams.get("host") || "localhost";
  return `${host}${port === "" ? "" : `:${port}`}${pathname}`;
}

async function checkServer(databaseUrl: string): Promise<void> {
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
    throw new AppError(
      "unavailable",
      `The database at ${where} cannot be used (${reasonOf(error)}). Check DATABASE_URL.`,
    );
  } finally {
    await client.end().catch(() => {});
  }
}

function reasonOf(error: unknown): string {
  // A host with several addresses fails with one error for each of them and no message of its own.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(", ");
  return error instanceof Error ? error.message : String(error);
}
