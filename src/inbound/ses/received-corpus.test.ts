import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import path from "node:path";
import { sql } from "kysely";
import { TEST_ENCRYPTION_KEY } from "../../../test/support/campaigns.ts";
import { createSesEdge, type SesEdge } from "../../../test/support/ses-edge.ts";
import { notification } from "../../../test/support/sns.ts";
import { createMailReader } from "./read-mail.ts";
import { readReceived } from "./read-received.ts";

const CORPUS = path.join(import.meta.dirname, "../../../test/corpus/ses-inbound");

let edge: SesEdge;
beforeAll(async () => {
  edge = await createSesEdge();
});
afterAll(() => edge.close());

test.each([
  ["doc-sns-content.json", "unmatched", "it answers no message of yours"],
  ["anymail-utf8.json", "unmatched", "it answers no message of yours"],
  ["doc-alert-s3.json", "waiting", "it is in S3, and the credential has no AWS keys"],
  ["anymail-s3.json", "waiting", "it is in S3, and the credential has no AWS keys"],
  ["anymail-base64-spamfail.json", "ignored", "SES says that it is spam"],
  ["lambda-action-alert.json", "ignored", "a received mail that went to the action Lambda"],
  ["base64-invalid.json", "odd", "a received mail whose content is not base64"],
  ["received-bare-minimum.json", "odd", "a received mail without a proper mail"],
])("%s is taken over HTTP, read, and listed as %s", async (file, status, reason) => {
  await sql`delete from inbound_event`.execute(edge.database.db);
  const told = notification(readFileSync(path.join(CORPUS, file), "utf8"));
  expect(await edge.post(told)).toEqual({ status: 200, detail: "" });
  await readTwice();
  const { items } = (await edge.call("GET", `/api/v1/inbound-events?status=${status}`)).body;
  expect(items).toMatchObject([{ reason: expect.stringContaining(reason) }]);
  expect(await edge.events()).toEqual([]);
});

async function readTwice(): Promise<void> {
  const { db } = edge.database;
  const reader = createMailReader();
  const deps = {
    db,
    encryptionKey: TEST_ENCRYPTION_KEY,
    fetchObject: () => Promise.reject(new Error("nothing is fetched without keys")),
    onAppend: () => {},
    now: Date.now,
    random: Math.random,
    log: { error: (...said: unknown[]) => console.error(...said) },
  };
  for (let times = 0; times < 2; times++) {
    await sql`update inbound_event set read_at = now()`.execute(db);
    await readReceived(deps, reader, new AbortController().signal);
  }
  await reader.close();
}
