import { findAwsKeys } from "../../credentials/aws-queries.ts";
import type { Logger } from "../../logger.ts";
import { type Repeating, repeat } from "../../repeat.ts";
import type { Db } from "../../storage/pool.ts";
import { createMailReader, type MailReader } from "./read-mail.ts";
import { parseReceived, type Received } from "./received.ts";
import { keepReceived, type Taken, takeReceived } from "./received-queries.ts";
import { type Outcome, type Reading, type RecordingDeps, recordReceived } from "./record-received.ts";
import type { Fetched, FetchObject } from "./s3.ts";

export type ReadingDeps = RecordingDeps & {
  db: Db;
  fetchObject: FetchObject;
  /** Called when something was appended to the log. */
  onAppend: () => void;
  log: Pick<Logger, "error">;
};

const LOOK_MS = 1_000;
const CHUNK = 5;
/** So long mails wait when the process dies that reads them. Five of 40 MB from a slow bucket take longer: it is renewed. */
const LEASE_MS = 30_000;
/** The tries of a day and a half: who has to give keys or rights has slept over it. */
const MAX_ATTEMPTS = 18;

/** Reads received mail for as long as the process lives; several processes may do so beside each other. */
export function runMailReading(deps: ReadingDeps): Repeating {
  const ending = new AbortController();
  const reader = createMailReader();
  const reading = repeat(
    LOOK_MS,
    async () => {
      const isBusy = (await readReceived(deps, reader, ending.signal)) === CHUNK;
      if (!isBusy) await reader.close();
      return isBusy ? "more" : "done";
    },
    (error) => deps.log.error({ err: error }, "ses: could not read received mail, tries again"),
  );
  return {
    wake: reading.wake,
    async stop() {
      ending.abort();
      await reading.stop();
      await reader.close();
    },
  };
}

/**
 * Reads the mails whose turn it is, and puts those of contacts into their conversations.
 * @param signal ends it early: what is not read yet is read later
 * @returns how many there were
 */
export async function readReceived(
  deps: ReadingDeps,
  reader: MailReader,
  signal: AbortSignal,
): Promise<number> {
  const taken = await takeReceived(deps.db, CHUNK, LEASE_MS);
  if (taken.length === 0) return 0;
  const keeping = keepWhileReading(taken, deps);
  const readings: Reading[] = [];
  // One after the other: each may take as much memory as a mail is large, several times.
  for (const notification of taken)
    readings.push({ taken: notification, outcome: await read(notification, reader, deps, signal) });
  await keeping.stop();
  if ((await record(readings, deps)) > 0) deps.onAppend();
  return taken.length;
}

function keepWhileReading(taken: readonly Taken[], { db, log }: ReadingDeps): Repeating {
  return repeat(
    LEASE_MS / 3,
    async () => {
      await keepReceived(db, taken, LEASE_MS);
      return "done";
    },
    (error) => log.error({ err: error }, "ses: could not keep received mail that is being read"),
  );
}

async function read(
  taken: Taken,
  reader: MailReader,
  deps: ReadingDeps,
  signal: AbortSignal,
): Promise<Outcome> {
  if (signal.aborted) return { kind: "again", reason: "EDGR was stopped before it was read" };
  if (taken.attempts > MAX_ATTEMPTS)
    return { kind: "over", status: "odd", reason: "it could not be recorded" };
  try {
    return await readMail(taken, reader, deps, signal);
  } catch (error) {
    deps.log.error({ err: error }, "ses: could not read a received mail, tries again");
    return { kind: "again", reason: "it could not be read" };
  }
}

async function readMail(
  taken: Taken,
  reader: MailReader,
  deps: ReadingDeps,
  signal: AbortSignal,
): Promise<Outcome> {
  const parsed = parseReceived(JSON.parse(taken.raw));
  if (parsed.kind !== "mail") return { kind: "over", status: parsed.kind, reason: parsed.reason };
  const { mail: received } = parsed;
  if (received.isVirus) return { kind: "over", status: "ignored", reason: "SES says that it has a virus" };
  if (received.isSpam) return { kind: "over", status: "ignored", reason: "SES says that it is spam" };
  const content = await contentOf(taken, received, deps, signal);
  if (!content.ok) {
    const { reason } = content;
    const isOver = content.isFinal || taken.attempts >= MAX_ATTEMPTS;
    return isOver ? { kind: "over", status: "odd", reason } : { kind: "again", reason };
  }
  const mail = await reader.read(content.bytes, received.envelopeFrom);
  if (!mail.ok) return { kind: "over", status: "odd", reason: `it can't be read: ${mail.reason}` };
  return { kind: "mail", received, mail: mail.mail, text: mail.text };
}

async function contentOf(
  { customerId, credentialId }: Taken,
  { content }: Received,
  { db, encryptionKey, fetchObject }: ReadingDeps,
  signal: AbortSignal,
): Promise<Fetched> {
  if (content.in === "notification") return { ok: true, bytes: content.bytes };
  const keys = credentialId === null ? null : await findAwsKeys(db, encryptionKey, customerId, credentialId);
  if (keys === null)
    return { ok: false, reason: "it is in S3, and the credential has no AWS keys", isFinal: false };
  return fetchObject(keys, content, signal);
}

/** One that PostgreSQL refuses must not keep the others from it; it is taken again when its lease is over. */
async function record(readings: readonly Reading[], deps: ReadingDeps): Promise<number> {
  try {
    return await deps.db.transaction().execute((db) => recordReceived(db, readings, deps));
  } catch (error) {
    if (readings.length === 1) {
      deps.log.error({ err: error }, "ses: could not record a received mail, tries again");
      return 0;
    }
    let appended = 0;
    for (const reading of readings) appended += await record([reading], deps);
    return appended;
  }
}
