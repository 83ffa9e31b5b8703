import type { Db } from "../storage/pool.ts";
import { contactColumns } from "./contact-columns.ts";
import { BOM, type Dialect, toCsv } from "./csv.ts";
import {
  fetchContacts,
  fetchSuppressions,
  findShape,
  openContacts,
  openSuppressions,
  type Selection,
} from "./queries.ts";

const ROWS_AT_A_TIME = 250;

/** The selected contacts as they are at this moment, as the pieces of a CSV file. */
export async function* contactPieces(db: Db, selection: Selection, dialect: Dialect): AsyncGenerator<string> {
  yield* atOneMoment(db, async function* (snapshot) {
    const columns = contactColumns(await findShape(snapshot, selection));
    yield head(columns.header, dialect);
    await openContacts(snapshot, selection);
    for (;;) {
      const contacts = await fetchContacts(snapshot, ROWS_AT_A_TIME);
      if (contacts.length === 0) return;
      yield toCsv(contacts.map(columns.cells), dialect);
    }
  });
}

/** A customer's suppressions as they are at this moment, as the pieces of a CSV file. */
export async function* suppressionPieces(
  db: Db,
  customerId: string,
  dialect: Dialect,
): AsyncGenerator<string> {
  yield* atOneMoment(db, async function* (snapshot) {
    yield head(["address", "channel", "reason", "createdAt"], dialect);
    await openSuppressions(snapshot, customerId);
    for (;;) {
      const rows = await fetchSuppressions(snapshot, ROWS_AT_A_TIME);
      if (rows.length === 0) return;
      yield toCsv(
        rows.map((row) => [row.address, row.channel, row.reason, row.createdAt.toISOString()]),
        dialect,
      );
    }
  });
}

function head(header: string[], dialect: Dialect): string {
  return `${dialect.spreadsheet ? BOM : ""}${toCsv([header], dialect)}`;
}

/** The transaction ends with the pieces, also when nobody wants the rest of them. */
async function* atOneMoment(
  db: Db,
  pieces: (snapshot: Db) => AsyncGenerator<string>,
): AsyncGenerator<string> {
  const snapshot = await db
    .startTransaction()
    .setIsolationLevel("repeatable read")
    .setAccessMode("read only")
    .execute();
  try {
    yield* pieces(snapshot);
  } finally {
    // It has written nothing; when its connection is gone, it has ended already.
    await snapshot
      .rollback()
      .execute()
      .catch(() => {});
  }
}
