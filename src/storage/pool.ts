import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";

/** The database, or a transaction on it. Only `sql` templates run on it, in each module's `queries.ts`. */
export type Db = Kysely<unknown>;

export type Database = {
  db: Db;
  pool: pg.Pool;
  close(): Promise<void>;
};

const CONNECT_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 60_000;

/**
 * Opens a pool of at most `max` connections. `bigint` columns come back as numbers: every one we keep (positions,
 * counts, Telegram's 52-bit ids) is exact in a double.
 * @param answerWithinMs for those who can't wait: a connection or a statement that takes longer fails, whether or
 * not the server says so
 */
export function openDatabase(
  connection: string | pg.ConnectionConfig,
  max: number,
  answerWithinMs: number | null = null,
): Database {
  const base = typeof connection === "string" ? { connectionString: connection } : connection;
  const pool = new pg.Pool({
    ...base,
    max,
    connectionTimeoutMillis: answerWithinMs ?? CONNECT_TIMEOUT_MS,
    statement_timeout: answerWithinMs ?? STATEMENT_TIMEOUT_MS,
    ...(answerWithinMs === null ? {} : { query_timeout: answerWithinMs }),
    idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
    application_name: "edgr",
    // What is asked is planned for tables of millions and answered in milliseconds: compiling it would take longer.
    options: "-c jit=off",
    types: { getTypeParser: parserFor },
  });
  // A connection that the server closes fails the query under way, or is replaced on next use. Without listeners the
  // event itself would end the process: the pool speaks for idle connections, each client for the one in use.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  return {
    db: new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) }),
    pool,
    close: () => pool.end(),
  };
}

const parserFor: typeof pg.types.getTypeParser = (oid: number, format?: "text" | "binary") =>
  oid === pg.types.builtins.INT8
    ? Number
    : pg.types.getTypeParser(oid, format === "binary" ? "binary" : "text");

/** Rejects when the database does not answer. */
export async function ping(pool: pg.Pool): Promise<void> {
  await pool.query("select 1");
}

/** SQLSTATE classes 22 (data exception) and 23 (constraint violation): the contents are wrong, not the connection. */
export function isRefusal(error: unknown): boolean {
  return error instanceof pg.DatabaseError && /^2[23]/.test(error.code ?? "");
}
