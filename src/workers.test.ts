import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { sql } from "kysely";
import pino from "pino";
import {
  createCampaign,
  createContacts,
  createCredential,
  createCustomer,
  enroll,
  listRuns,
  projectAll,
  TEST_ENCRYPTION_KEY,
} from "../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../test/support/database.ts";
import { until } from "../test/support/installation.ts";
import { startSmtpSink } from "../test/support/smtp.ts";
import { readConfig } from "./config.ts";
import { createEgress } from "./egress/client.ts";
import { resolveBySystem } from "./egress/resolve.ts";
import { newId } from "./events/id.ts";
import { createMetrics } from "./http/metrics.ts";
import { ANSWER_WITHIN_MS } from "./spool/hit-log.ts";
import { openSpool, type Spool } from "./spool/spool.ts";
import { openDatabase } from "./storage/pool.ts";
import { createTokens } from "./tracking/token.ts";
import { startWorkers } from "./workers.ts";

test("nothing is sent while an unsubscribe waits in the spool, and then not to whom it is of", async () => {
  const database = await createTestDatabase();
  const dataDir = await mkdtemp(path.join(os.tmpdir(), "edgr-workers-"));
  const sink = await startSmtpSink();
  const { customerId, messageIds } = await queueForTwo(database, sink.port);
  const spool = openSpool(dataDir, { maxBytes: 1024 ** 2, maxEvents: 1_000 }, Date.now);
  keepUnsubscribe(spool, customerId, messageIds[0] ?? "");

  // Whoever wants to suppress somebody has to wait; claims only read who is suppressed.
  const { letGo, done } = await holdSuppressions(database);
  const { workers, hitDatabase } = start(database, dataDir, spool);
  await until(async () => workers.hits.status().state === "away");
  expect(sink.received).toEqual([]);
  expect(workers.hits.status().events).toBe(1);

  letGo();
  await done;
  await until(async () => workers.hits.status().state === "database");
  await sink.until(1);
  await until(async () => (await statuses(database, messageIds)).join() === "suppressed,sent");
  expect(sink.received.map(({ to }) => to)).toEqual(["c1@example.com"]);

  await workers.stop();
  spool.close();
  await Promise.all([hitDatabase.close(), sink.close()]);
  await database.close();
  await rm(dataDir, { recursive: true, force: true });
}, 60_000);

async function queueForTwo(database: TestDatabase, port: number) {
  const { db } = database;
  const customerId = await createCustomer(db);
  const credentialId = await createCredential(db, customerId, { port, rateLimitPerSecond: 1_000 });
  const node = {
    id: "hello",
    type: "message",
    channel: "email",
    credentialId,
    subject: "Hi",
    html: "<p>Hi</p>",
  };
  const campaign = await createCampaign(db, customerId, { nodes: [node], edges: [] });
  await createContacts(db, customerId, 2);
  await enroll(db, campaign, { all: true });
  await projectAll(db);
  const runs = await listRuns(db, campaign.campaignId);
  const { rows } = await sql<{ id: string }>`
    select id from message where campaign_id = ${campaign.campaignId} order by to_address`.execute(db);
  expect(runs).toHaveLength(2);
  return { customerId, messageIds: rows.map(({ id }) => id) };
}

function keepUnsubscribe(spool: Spool, customerId: string, messageId: string): void {
  const visitor = { agent: "human", agentRule: "no-rule", userAgent: null, ip: null } as const;
  const hit = { eventId: newId(), customerId, messageId, at: new Date(), ...visitor, via: "link" } as const;
  spool.append([{ kind: "unsubscribe", hit }]);
}

async function holdSuppressions({ db }: TestDatabase) {
  const held = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const done = db.transaction().execute(async (tx) => {
    await sql`lock table suppression in exclusive mode`.execute(tx);
    held.resolve();
    await released.promise;
  });
  await held.promise;
  return { letGo: released.resolve, done };
}

function start(database: TestDatabase, dataDir: string, spool: Spool) {
  const hitDatabase = openDatabase(database.url, 4, ANSWER_WITHIN_MS);
  const signingKeys = [{ kid: "a", secret: Buffer.alloc(32, 1), retired: false }];
  const workers = startWorkers({
    config: readConfig({}, dataDir),
    database,
    hitDatabase,
    spool,
    arrive: null,
    secrets: { encryptionKey: TEST_ENCRYPTION_KEY, signingKeys },
    tokens: createTokens(signingKeys),
    egress: createEgress({ allow: [], resolve: resolveBySystem }),
    trustedEgress: createEgress({ allow: [], resolve: resolveBySystem }),
    metrics: createMetrics(),
    logger: pino({ level: "silent" }),
  });
  return { workers, hitDatabase };
}

async function statuses({ db }: TestDatabase, messageIds: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ status: string }>`
    select status from message where id = any (${messageIds}::uuid[]) order by to_address`.execute(db);
  return rows.map(({ status }) => status);
}
