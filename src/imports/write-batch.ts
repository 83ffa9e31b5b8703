import { MAX_ATTRIBUTES_BYTES, MAX_TAGS } from "../contacts/schema.ts";
import type { FieldProblem } from "../errors.ts";
import { newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { appendEvents } from "../events/queries.ts";
import type { Db } from "../storage/pool.ts";
import { type ContactOutcome, upsertImported } from "./contact-queries.ts";
import { contactReader, type ImportedContact, type RowReader } from "./contact-row.ts";
import { type FileFormat, type Import, isForContacts } from "./import.ts";
import { advance, commitLater, deleteChunks, lockRunning } from "./queries.ts";
import type { Batch, Cursor, FileRow } from "./reader.ts";
import { insertRefusals, type Refusal } from "./refusal-queries.ts";
import { insertImported } from "./suppression-queries.ts";
import { type ImportedSuppression, suppressionReader } from "./suppression-row.ts";
import { inWaves } from "./waves.ts";

/** How many refused lines are kept for the report; all are counted. */
export const MAX_REFUSALS = 100_000;

type Numbered<Row> = { source: FileRow; row: Row };

type Outcome = { created: number; updated: number; unchanged: number; refusals: Refusal[] };

export type WriteBatch = (
  connection: Db,
  batch: Batch,
  from: Cursor,
  refusedBefore: number,
  workedMs: () => number,
) => Promise<number | null>;

/**
 * How the batches of an import are written: the rows, what was refused, the counts and the cursor in one
 * transaction, so that whoever goes on after a crash finds all of a batch or nothing of it. What the cursor has
 * passed is deleted from the upload.
 * @returns a function that gives the number of refused rows, or null when the import does not run any more
 */
export function batchWriter(job: Import, format: FileFormat): WriteBatch {
  const prepare = preparer(job, format);
  return (connection, batch, from, refusedBefore, workedMs) => {
    const write = prepare(batch.rows);
    return connection.transaction().execute(async (db) => {
      if (!(await lockRunning(db, job, from))) return null;
      if (job.kind === "contacts" && !batch.isLast) await commitLater(db);
      const { refusals, ...counts } = await write(db);
      await insertRefusals(db, job, refusals, MAX_REFUSALS - refusedBefore);
      const { cursor, doneBytes, isLast } = batch;
      const refused = refusals.length;
      await advance(db, job, { ...counts, cursor, doneBytes, isLast, refused, workedMs: workedMs() });
      if (isLast || cursor.chunk > from.chunk) await deleteChunks(db, job, isLast ? null : cursor.chunk);
      return refused;
    });
  };
}

function preparer(
  job: Import,
  { columns }: FileFormat,
): (rows: readonly FileRow[]) => (db: Db) => Promise<Outcome> {
  const { settings, customerId } = job;
  if (settings === null) throw new Error(`the import ${job.id} runs without settings`);
  if (isForContacts(settings)) {
    const read = contactReader(columns, settings.mapping, settings);
    return (rows) => {
      const { valid, refusals } = readRows(rows, read);
      return (db) => writeContacts(db, customerId, valid, refusals, settings.onExisting);
    };
  }
  const read = suppressionReader(columns, settings.mapping, settings);
  return (rows) => {
    const { valid, refusals } = readRows(rows, read);
    return (db) => writeSuppressions(db, customerId, valid, refusals);
  };
}

function readRows<Row>(
  rows: readonly FileRow[],
  read: RowReader<Row>,
): { valid: Numbered<Row>[]; refusals: Refusal[] } {
  const valid: Numbered<Row>[] = [];
  const refusals: Refusal[] = [];
  for (const source of rows) {
    const result = "fault" in source ? { problem: FAULTS[source.fault] } : read(source.cells);
    if ("row" in result) valid.push({ source, row: result.row });
    else refusals.push(refusal(source, result.problem));
  }
  return { valid, refusals };
}

/** Rows of one email follow each other, so that each is counted for what it did to what the one before it left. */
async function writeContacts(
  db: Db,
  customerId: string,
  valid: readonly Numbered<ImportedContact>[],
  refused: readonly Refusal[],
  onExisting: "update" | "skip",
): Promise<Outcome> {
  const outcome = { created: 0, updated: 0, unchanged: 0, refusals: [...refused] };
  const keysOf = ({ row }: Numbered<ImportedContact>) =>
    row.telegramChatId === null ? [row.email.toLowerCase()] : [row.email.toLowerCase(), row.telegramChatId];
  for (const wave of inWaves(valid, keysOf)) {
    const rows = wave.map(({ row }) => row);
    const outcomes = await upsertImported(db, customerId, rows, onExisting);
    for (const [index, { source }] of wave.entries()) {
      const became = outcomes[index] ?? "unchanged";
      if (became === "chat_taken" || became === "too_much")
        outcome.refusals.push(refusal(source, REFUSALS[became]));
      else outcome[became] += 1;
    }
  }
  outcome.refusals.sort((a, b) => a.row - b.row);
  return outcome;
}

async function writeSuppressions(
  db: Db,
  customerId: string,
  valid: readonly Numbered<ImportedSuppression>[],
  refusals: Refusal[],
): Promise<Outcome> {
  const added = await insertImported(
    db,
    customerId,
    valid.map(({ row }) => row),
  );
  const events = added.flatMap(({ contactId, reason, createdAt }) =>
    contactId === null
      ? []
      : [
          newEvent({
            id: newId(),
            type: "contact_suppressed",
            at: createdAt,
            customerId,
            contactId,
            data: { reason },
          }),
        ],
  );
  await appendEvents(db, events);
  return { created: added.length, updated: 0, unchanged: valid.length - added.length, refusals };
}

function refusal({ row, line, isCut }: FileRow, { field, reason }: FieldProblem): Refusal {
  return { row, field: field.replaceAll("\0", ""), reason, line, isCut };
}

const FAULTS: Record<Extract<FileRow, { fault: unknown }>["fault"], FieldProblem> = {
  quote_not_closed: { field: "line", reason: "opens a quote that is not closed" },
  bad_quote: {
    field: "line",
    reason: "has a quote in a cell that is not quoted, or text behind a closing quote",
  },
  too_long: { field: "line", reason: "is too long" },
  too_many_cells: { field: "line", reason: "has more cells than there are columns" },
  nul: { field: "line", reason: "contains a NUL character" },
  undecodable: { field: "line", reason: "has bytes that are no characters in the file's encoding" },
};

const REFUSALS: Record<Extract<ContactOutcome, "chat_taken" | "too_much">, FieldProblem> = {
  chat_taken: { field: "telegramChatId", reason: "belongs to another contact" },
  too_much: {
    field: "attributes",
    reason: `with what is there, would pass ${MAX_ATTRIBUTES_BYTES} bytes, or its tags would be more than ${MAX_TAGS}`,
  },
};
