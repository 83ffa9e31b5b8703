import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { sql } from "kysely";
import {
  createCampaign,
  createContacts,
  createCredential,
  createCustomer,
  enroll,
  listRuns,
  projectAll,
} from "../support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { listMessages } from "../support/sending.ts";
import { type SmtpSink, startSmtpSink } from "../support/smtp.ts";

const SCRIPT = path.join(import.meta.dirname, "sending-process.ts");
const TIMEOUT_MS = 60_000;

let database: TestDatabase;
let sink: SmtpSink;
let children: ChildProcess[];

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.close());

beforeEach(async () => {
  children = [];
  sink = await startSmtpSink({ delayMs: 5 });
});

afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await sink.close();
});

/** A campaign of one message to so many contacts, queued. */
async function queue(contacts: number, maxConnections: number) {
  const customerId = await createCustomer(database.db);
  const settings = { port: sink.port, rateLimitPerSecond: 10_000, maxConnections };
  const credentialId = await createCredential(database.db, customerId, settings);
  const hello = {
    id: "hello",
    type: "message",
    channel: "email",
    credentialId,
    subject: "Hi",
    html: "<p>Hi</p>",
  };
  const campaign = await createCampaign(database.db, customerId, { nodes: [hello], edges: [] });
  await createContacts(database.db, customerId, contacts);
  await enroll(database.db, campaign, { all: true });
  await projectAll(database.db);
  return campaign.campaignId;
}

function run(mode: "send" | "hit" | "count", campaignId: string): ChildProcess {
  const child = spawn(process.execPath, [SCRIPT, mode, database.url, campaignId], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  return child;
}

/** @returns whether it was done, and not killed */
async function ending(child: ChildProcess): Promise<boolean> {
  const [code] = await once(child, "exit");
  return code === 0;
}

const between = (from: number, to: number) => from + Math.floor(Math.random() * (to - from));

test(
  "killed again and again while it sends, nobody gets two mails, and what is not known is said to be uncertain",
  async () => {
    const contacts = 200;
    const maxConnections = 3;
    const inHandPerKill = maxConnections * 2;
    const campaignId = await queue(contacts, maxConnections);
    let kills = 0;
    for (let isDone = false; !isDone; ) {
      const child = run("send", campaignId);
      let stepsLeft = kills < 6 ? between(5, 120) : Number.POSITIVE_INFINITY;
      sink.script(() => {
        stepsLeft -= 1;
        if (stepsLeft === 0) child.kill("SIGKILL");
        return null;
      });
      isDone = await ending(child);
      if (!isDone) kills += 1;
    }

    const received = sink.received.map(({ to }) => to);
    expect(new Set(received).size).toBe(received.length);
    const messages = await listMessages(database, campaignId);
    expect(messages).toHaveLength(contacts);
    const sent = messages.filter(({ status }) => status === "sent").map(({ to }) => to);
    const uncertain = messages.filter(({ status }) => status === "uncertain").map(({ to }) => to);
    expect(sent.length + uncertain.length).toBe(contacts);
    expect(sent.filter((to) => !received.includes(to))).toEqual([]);
    expect(received.filter((to) => !sent.includes(to) && !uncertain.includes(to))).toEqual([]);
    expect(uncertain.length).toBeLessThanOrEqual(kills * inHandPerKill);
    expect(messages.filter(({ isClaimed }) => isClaimed)).toEqual([]);
    expect(kills).toBeGreaterThan(0);
    // Every attempt is on the credential's day, those whose end nobody saw too; and the progress knows of each message.
    const { rows } = await sql<{ attempts: number; sent: number; uncertain: number; others: number }>`
      select (
          select sum(d.sent)::int from credential_day d
          where d.credential_id in (select credential_id from message where campaign_id = ${campaignId})
        ) as attempts,
        coalesce(sum(messages) filter (where status = 'sent'), 0)::int as sent,
        coalesce(sum(messages) filter (where status = 'uncertain'), 0)::int as uncertain,
        coalesce(sum(messages) filter (where status not in ('sent', 'uncertain')), 0)::int as others
      from sending_tally where campaign_id = ${campaignId}`.execute(database.db);
    expect(rows).toEqual([{ attempts: contacts, sent: sent.length, uncertain: uncertain.length, others: 0 }]);
  },
  TIMEOUT_MS,
);

test(
  "killed again and again while it counts, every hit that was acknowledged is counted, and counted once",
  async () => {
    const campaignId = await queue(20, 1);
    await sql`update campaign set status = 'paused' where id = ${campaignId}`.execute(database.db);
    const acknowledged: string[] = [];
    while (acknowledged.length < 5_000) {
      const child = run("hit", campaignId);
      if (child.stdout === null) throw new Error("it has no output");
      let linesLeft = between(5, 25);
      for await (const line of createInterface(child.stdout)) {
        // The last line may have been cut off with the process; 50 ids have 1,849 characters.
        if (line.length === 1_849) acknowledged.push(...line.split(" "));
        linesLeft -= 1;
        if (linesLeft === 0) child.kill("SIGKILL");
      }
    }
    expect(await ending(run("count", campaignId))).toBe(true);

    const { rows: activity } = await sql<{ id: string }>`
      select id from activity where campaign_id = ${campaignId} and type = 'email_opened'`.execute(
      database.db,
    );
    const recorded = new Set(activity.map(({ id }) => id));
    expect(recorded.size).toBe(activity.length);
    expect(acknowledged.filter((id) => !recorded.has(id))).toEqual([]);
    const { rows: counters } = await sql<{ total: number; unique: number; human: number }>`
      select sum(total)::int as total, sum(unique_total)::int as "unique", sum(human)::int as human
      from counter where campaign_id = ${campaignId} and type = 'email_opened'`.execute(database.db);
    expect(counters[0]).toEqual({ total: recorded.size, unique: 20, human: recorded.size });
    const runs = await listRuns(database.db, campaignId);
    expect(runs.every(({ output }) => output.opened === true)).toBe(true);
  },
  TIMEOUT_MS,
);
