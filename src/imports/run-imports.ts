import { createHash } from "node:crypto";
import type { Logger } from "../logger.ts";
import { type Repeating, repeat } from "../repeat.ts";
import { type Db, isRefusal } from "../storage/pool.ts";
import type { Import } from "./import.ts";
import { claimImport, failImport, findChunk, releaseImport, selectWaiting } from "./queries.ts";
import { type Cursor, createReader } from "./reader.ts";
import { batchWriter } from "./write-batch.ts";

const POLL_MS = 1_000;
/** How long one import is worked on before the next has its turn. */
const TURN_MS = 1_000;
const CANDIDATES = 20;

/** Works on imports that have been started, by whatever process, a turn for each. */
export function runImports(db: Db, log: Logger): Repeating {
  return repeat(
    POLL_MS,
    async () => ((await workOnImport(db, TURN_MS)) ? "more" : "done"),
    (error) => log.error({ err: error }, "imports: a turn failed, is tried again"),
  );
}

/**
 * Takes the import that has waited longest and works on it for a while, from where it was left.
 * @returns false when there is none that nobody else has
 */
export function workOnImport(db: Db, turnMs: number): Promise<boolean> {
  return db.connection().execute(async (connection) => {
    for (const job of await selectWaiting(connection, CANDIDATES)) {
      const lock = createHash("sha256").update(job.id).digest().readInt32BE(0);
      if (!(await claimImport(connection, lock))) continue;
      try {
        await work(db, connection, job, turnMs);
      } catch (error) {
        await giveUp(connection, job, error);
      } finally {
        // When the connection is gone, so is the lock.
        await releaseImport(connection, lock).catch(() => {});
      }
      return true;
    }
    return false;
  });
}

/** While a batch is being written the next is read. */
async function work(db: Db, connection: Db, job: Import, turnMs: number): Promise<void> {
  if (job.format === null) throw new Error(`the import ${job.id} runs without a format`);
  const until = performance.now() + turnMs;
  const write = batchWriter(job, job.format);
  const load = async (number: number) => {
    const chunk = await findChunk(db, job, number);
    if (chunk === null) throw new UploadGone();
    return chunk;
  };
  let cursor: Cursor = { chunk: job.nextChunk, offset: job.nextOffset, row: job.nextRow };
  const read = createReader({ chunks: job.chunks, load }, job.format, cursor);
  let { refused } = job;
  let since = performance.now();
  const workedMs = () => {
    const worked = Math.round(performance.now() - since);
    since += worked;
    return worked;
  };
  let batch = await read();
  for (;;) {
    const writing = write(connection, batch, cursor, refused, workedMs);
    const reading = batch.isLast || performance.now() >= until ? null : read();
    reading?.catch(() => {});
    const written = await writing;
    if (written === null || reading === null) return;
    refused += written;
    cursor = batch.cursor;
    batch = await reading;
  }
}

/** A file whose upload has been deleted was cancelled at this moment; what the database refuses it refuses again. */
async function giveUp(connection: Db, job: Import, error: unknown): Promise<void> {
  if (error instanceof UploadGone) return;
  if (!isRefusal(error) || isConflict(error)) throw error;
  await failImport(connection, job, error instanceof Error ? error.message : String(error));
}

/** Somebody else took a chat at the same moment: the next turn sees it. */
function isConflict(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "23505";
}

class UploadGone extends Error {}
