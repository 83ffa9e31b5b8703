import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { snsCertificate } from "../../test/support/certificate.ts";
import { answered, bounce, createSesEdge, type SesEdge } from "../../test/support/ses-edge.ts";
import { notification } from "../../test/support/sns.ts";
import { createReceiver, type Receiver } from "../inbound/ses/receiver.ts";
import { readBodies, replay } from "./ses.ts";

let edge: SesEdge;
let dir: string;

beforeAll(async () => {
  edge = await createSesEdge();
  dir = await mkdtemp(path.join(os.tmpdir(), "edgr-replay-"));
});
afterAll(async () => {
  await edge.close();
  await rm(dir, { recursive: true });
});

async function bodiesIn(text: string): Promise<string[]> {
  const file = path.join(dir, "stored");
  await writeFile(file, text);
  return Array.fromAsync(readBodies(file));
}

function createReplayer(): Receiver {
  return createReceiver({
    db: edge.database.db,
    egress: { send: async () => answered(200, snsCertificate.cert) },
    trustedEgress: { send: async () => answered(404, "") },
    trustedHosts: [],
    now: Date.now,
    takesOld: true,
    onAppend: () => {},
    counters: { sesRequest: () => {}, sesFacts: () => {} },
    log: { debug: () => {}, info: () => {}, error: () => {} },
  });
}

test("notifications are found one a line, in a list and alone", async () => {
  const [a, b] = [{ Type: "a", Message: "1\n2" }, { Type: "b" }];
  const both = [a, b].map((item) => JSON.stringify(item));
  expect(await bodiesIn(`${both.join("\n")}\n\n`)).toEqual(both);
  expect(await bodiesIn(`${both.join("\r\n")}`)).toEqual(both);
  expect(await bodiesIn(JSON.stringify([a, b]))).toEqual(both);
  expect(await bodiesIn(JSON.stringify([a, b], null, 2))).toEqual(both);
  expect(await bodiesIn(String(both[0]))).toEqual(both.slice(0, 1));
  expect((await bodiesIn(JSON.stringify(a, null, 2))).map((text) => JSON.parse(text))).toEqual([a]);
  expect(await bodiesIn("")).toEqual([]);
});

test("a file that is not there is a sentence", async () => {
  expect(Array.fromAsync(readBodies(path.join(dir, "missing")))).rejects.toThrow(/missing can't be read/);
});

test("what is fed again, however old, is verified and counts once", async () => {
  const message = await edge.createMessage();
  const Timestamp = "2025-01-01T00:00:00.000Z";
  const told = notification(bounce(message), { Timestamp });
  const forged = { ...notification(bounce(message)), Message: bounce(message, { feedbackId: "forged" }) };
  const foreign = notification("x", { TopicArn: "arn:aws:sns:us-east-1:123456789012:foreign" });
  const bodies = [told, forged, told, foreign].map((envelope) => JSON.stringify(envelope));
  const replayed = await replay(
    createReplayer(),
    (async function* () {
      yield* [...bodies, "not JSON"];
    })(),
  );
  expect(Object.fromEntries(replayed.counts)).toEqual({
    recorded: 2,
    forged: 1,
    unknown_topic: 1,
    malformed: 1,
  });
  expect(replayed.refused.sort()).toEqual([
    "notification 2: Its signature is not SNS's.",
    "notification 4: Nobody allowed this topic.",
    "notification 5: The message is not JSON.",
  ]);
  expect((await edge.events()).length).toBe(1);
});
