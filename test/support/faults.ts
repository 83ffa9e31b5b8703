import type { KyselyPlugin } from "kysely";
import { type Database, type Db, openDatabase } from "../../src/storage/pool.ts";

/** `rollback`: the statement fails. `drop`: the connection is cut while the statement runs, or soon after. */
export type Fault = { kind: "rollback" | "drop"; statement: number };

export class InjectedFault extends Error {}

/**
 * Lets a worker work on a connection of its own that goes wrong at one of its statements, as a worker does that is
 * killed. Whatever it throws because of that is its end, and nobody else's business.
 */
export async function workWithFault(
  database: Database & { url: string },
  { kind, statement }: Fault,
  work: (db: Db) => Promise<unknown>,
): Promise<void> {
  const own = openDatabase(database.url, 1);
  const { rows } = await own.pool.query<{ pid: number }>("select pg_backend_pid() as pid");
  let cut: Promise<unknown> = Promise.resolve();
  const fail = () => {
    if (kind === "rollback") throw new InjectedFault("a statement failed");
    cut = database.pool.query("select pg_terminate_backend($1)", [rows[0]?.pid]);
  };
  try {
    await work(own.db.withPlugin(atStatement(statement, fail)));
  } catch (error) {
    if (!(error instanceof InjectedFault) && kind !== "drop") throw error;
  }
  await cut;
  await own.close();
}

function atStatement(number: number, act: () => void): KyselyPlugin {
  let seen = 0;
  return {
    transformQuery({ node }) {
      seen += 1;
      if (seen === number) act();
      return node;
    },
    transformResult: async ({ result }) => result,
  };
}
