import { type RawBuilder, sql } from "kysely";
import type { Json } from "../events/event.ts";
import type { Db } from "../storage/pool.ts";

/** What was derived again from the log, beside what is there. */
export type TableComparison = {
  table: string;
  /** Rows that are there. */
  live: number;
  /** Rows that the log says there should be. */
  rebuilt: number;
  /** Of these, the ones that are not there. */
  missing: number;
  /** Rows that are there without the log saying so. */
  extra: number;
  /** Rows that say something else. */
  different: number;
  /** The keys of some that are not the same. */
  examples: { [column: string]: Json }[];
};

type Compared = {
  table: string;
  key: readonly string[];
  /** What is compared; null: the whole row. */
  columns: readonly string[] | null;
  /** Which rows of `t` can be: the log of their customer `c` reaches back far enough. */
  scope: RawBuilder<unknown>;
};

/** Hours after which what has expired is really gone, at the latest. */
const RETENTION_LATE_HOURS = 24;

const isKeptForEver = sql`c.event_retention_days is null`;

const keptDays = sql`least(c.event_retention_days, c.activity_retention_days)`;

const isKept = sql`(${keptDays} is null or t.id >= first_id_at(
  now() + make_interval(hours => ${RETENTION_LATE_HOURS}) - make_interval(days => ${keptDays})))`;

const COMPARED: readonly Compared[] = [
  { table: "activity", key: ["contact_id", "id"], columns: null, scope: isKept },
  { table: "node_run", key: ["id"], columns: ["output", "seen"], scope: isKeptForEver },
  whole("counter", ["campaign_id", "node_id", "type", "hour"]),
  whole("campaign_hour", ["campaign_id", "hour", "type"]),
  whole("breakdown", ["campaign_id", "dimension", "value", "node_id", "type"]),
  whole("run_link", ["run_id", "link"]),
  whole("edge_counter", ["campaign_id", "edge_id", "hour"]),
];

function whole(table: string, key: readonly string[]): Compared {
  return { table, key, columns: null, scope: isKeptForEver };
}

const MAX_EXAMPLES = 5;

/**
 * Compares the temporary tables of a transaction with the real ones of the same names. A customer that keeps its log
 * for a limited time is left out, but for the activity of that time: counters are of what was before, too.
 */
export async function compare(db: Db): Promise<TableComparison[]> {
  const comparisons: TableComparison[] = [];
  for (const compared of COMPARED) comparisons.push(await compareTable(db, compared));
  return comparisons;
}

type Counts = Omit<TableComparison, "table" | "examples">;

async function compareTable(db: Db, compared: Compared): Promise<TableComparison> {
  const { table, key, columns, scope } = compared;
  const keys = sql.join(["customer_id", ...key].map((name) => sql.ref(name)));
  const side = (schema: string) => sql`
    select t.* from ${sql.id(schema, table)} t join customer c on c.customer_id = t.customer_id where ${scope}`;
  const rowOf = (alias: string) =>
    columns === null
      ? sql`${sql.ref(alias)}.*`
      : sql.join(columns.map((name) => sql.ref(`${alias}.${name}`)));
  const isOther = sql`row(${rowOf("l")}) is distinct from row(${rowOf("r")})`;
  const joined = sql`(${side("public")}) as l full join (${side("pg_temp")}) as r using (${keys})`;
  const { rows } = await sql<Counts>`
    select count(l.customer_id) as live, count(r.customer_id) as rebuilt,
      count(*) filter (where l.customer_id is null) as missing,
      count(*) filter (where r.customer_id is null) as extra,
      count(*) filter (where l.customer_id is not null and r.customer_id is not null and ${isOther}) as different
    from ${joined}`.execute(db);
  const counts = rows[0];
  if (counts === undefined) throw new Error("a count is one row");
  const isSame = counts.missing + counts.extra + counts.different === 0;
  if (isSame) return { table, ...counts, examples: [] };
  const examples = await sql<{ key: { [column: string]: Json } }>`
    select jsonb_build_object(${sql.join(["customer_id", ...key].flatMap((name) => [sql.lit(name), sql.ref(name)]))}) as key
    from ${joined} where ${isOther} limit ${MAX_EXAMPLES}`.execute(db);
  return { table, ...counts, examples: examples.rows.map((row) => row.key) };
}
