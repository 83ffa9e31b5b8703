import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";
import type { ImportKey } from "./import.ts";

export type Refusal = {
  row: number;
  field: string;
  reason: string;
  /** The line as it stands in the file, its beginning if it is long. */
  line: string;
  isCut: boolean;
};

/** Keeps what was refused and why; of the report only the first `room` rows are kept. */
export async function insertRefusals(
  db: Db,
  { customerId, id }: ImportKey,
  refusals: readonly Refusal[],
  room: number,
): Promise<void> {
  const kept = refusals.slice(0, Math.max(room, 0));
  if (kept.length === 0) return;
  await sql`
    insert into import_refusal (customer_id, import_id, row_number, field, reason, line, is_cut)
    select ${customerId}::uuid, ${id}::uuid, r."row", r.field, r.reason, r.line, r."isCut"
    from jsonb_to_recordset(${JSON.stringify(kept)}::jsonb)
      as r("row" bigint, field text, reason text, line text, "isCut" boolean)`.execute(db);
}

/** In the order of the file, after a row. */
export async function selectRefusals(
  db: Db,
  { customerId, id }: Pick<ImportKey, "customerId" | "id">,
  after: number,
  limit: number,
): Promise<Refusal[]> {
  const { rows } = await sql<Refusal>`
    select row_number as "row", field, reason, line, is_cut as "isCut" from import_refusal
    where customer_id = ${customerId} and import_id = ${id} and row_number > ${after}
    order by row_number limit ${limit}`.execute(db);
  return rows;
}
