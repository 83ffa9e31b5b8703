import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import { newId, toShortId } from "../src/events/id.ts";
import { parseSesMessage } from "../src/inbound/ses/events.ts";
import { recordNotices } from "../src/inbound/ses/record.ts";
import { isSignedBy, parseCertificate, parseSnsMessage } from "../src/inbound/ses/sns.ts";
import { migrate } from "../src/storage/migrate.ts";
import type { Db } from "../src/storage/pool.ts";
import { snsCertificate } from "../test/support/certificate.ts";
import { notification, snsHeaders, startSns, TOPIC } from "../test/support/sns.ts";
import { type Audience, createAudience } from "./audience.ts";
import { readCpu } from "./cpu.ts";
import { freePort, type Place } from "./place.ts";
import { startServer } from "./server.ts";
import { type Row, round, row } from "./table.ts";

const CONTACTS = 20_000;
const CONNECTIONS = 128;
const WARM_UP = 2_000;
/** More than are taken: each is signed before, which takes longer than everything that is measured. */
const SIGNED_PER_SECOND = 6_000;
const GROUP = 100;

/** Notifications of SES: verified, matched with their message and recorded, over HTTP; and what each part takes. */
export async function measureSes({ dataDir, seconds, withDatabase }: Place): Promise<Row[]> {
  const audience = await withDatabase(async ({ db }) => {
    await migrate(db);
    const made = await createAudience(db, CONTACTS);
    await allowTopic(db, made.customerId);
    return made;
  });
  const sns = await startSns();
  const bodies = signAll(audience, sns.certificateUrl, WARM_UP + SIGNED_PER_SECOND * seconds);
  const server = await startServer(dataDir, await freePort(), { EDGR_SNS_TRUSTED_HOSTS: sns.host });
  const endpoint = `${server.origin}/api/ses-events`;
  await drive(endpoint, bodies.splice(0, WARM_UP), seconds);
  const before = readCpu(dataDir);
  const { load, recorded, lagMs } = await withDatabase(({ db }) =>
    counted(db, () => drive(endpoint, bodies, seconds)),
  );
  const after = readCpu(dataDir);
  const cpuEach = (who: keyof typeof before) =>
    `${((after[who] - before[who]) / load.answered).toFixed(0)} µs each`;
  const rssMiB = await server.rssMiB();
  await server.stop();
  await sns.stop();
  const parts = await withDatabase(({ db }) => measureParts(db, audience, sns.certificateUrl));
  return [
    row("notifications taken", `${round(load.perSecond)}/s`, "", load.perSecond / 3_000, "≥ 3,000/s"),
    row(
      "p50, p99",
      `${load.p50Ms.toFixed(1)}, ${load.p99Ms.toFixed(1)} ms`,
      `${CONNECTIONS} connections`,
      null,
      "—",
    ),
    row("recorded", `${recorded}`, `${load.answered} answered`, null, "+0"),
    row("answers that were errors", `${load.errors}`, "", null, "0"),
    row("projected after", `${(lagMs / 1000).toFixed(1)} s`, "", null, "—"),
    row("server memory", `${rssMiB.toFixed(0)} MiB`, "", null, "≤ 250 MiB"),
    row("processor time: load generator", cpuEach("client"), "", null, "—"),
    row("  PostgreSQL, projection included", cpuEach("database"), "", null, "—"),
    row("  EDGR, projection included", cpuEach("server"), "", null, "—"),
    ...parts.map(({ what, microseconds }) => row(what, `${microseconds.toFixed(0)} µs each`, "", null, "—")),
  ];
}

async function allowTopic(db: Db, customerId: string): Promise<void> {
  await sql`
    insert into ses_topic (customer_id, topic_arn, credential_id) values (${customerId}, ${TOPIC}, ${newId()})`.execute(
    db,
  );
}

function signAll(audience: Audience, certificateUrl: string, count: number): string[] {
  return Array.from({ length: count }, (_, number) =>
    JSON.stringify(notification(delivery(audience, number), { SigningCertURL: certificateUrl })),
  );
}

/** As SES publishes a delivery, with the headers that it publishes. */
function delivery({ runs }: Audience, number: number): string {
  const shortId = toShortId(runs[number % runs.length]?.messageId ?? "");
  const header = (name: string, value: string) => ({ name, value });
  const at = new Date().toISOString();
  return `${JSON.stringify({
    eventType: "Delivery",
    mail: {
      timestamp: at,
      source: "news@example.com",
      sourceArn: "arn:aws:ses:us-east-1:123456789012:identity/example.com",
      sendingAccountId: "123456789012",
      messageId: `0100018f3c1a2b4d-6e5f7a8b-9c0d-4e1f-8a2b-${String(number).padStart(12, "0")}-000000`,
      destination: ["c@example.com"],
      headersTruncated: false,
      headers: [
        header("From", "News <news@example.com>"),
        header("To", "c@example.com"),
        header("Subject", "Hi"),
        header("Message-ID", `<${shortId}@example.com>`),
        header(
          "List-Unsubscribe",
          `<https://edgr.example.com/api/tracking/unsubscribe?t=${"x".repeat(280)}>`,
        ),
        header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        header("Content-Type", "multipart/alternative; boundary=boundary"),
        header("MIME-Version", "1.0"),
      ],
      commonHeaders: { from: ["News <news@example.com>"], to: ["c@example.com"], subject: "Hi" },
      tags: {
        "ses:configuration-set": ["edgr"],
        "ses:source-ip": ["192.0.2.0"],
        "ses:from-domain": ["example.com"],
        "ses:caller-identity": ["edgr"],
        "edgr-message": [shortId],
      },
    },
    delivery: {
      timestamp: new Date(Date.parse(at) + (number % 86_400_000)).toISOString(),
      processingTimeMillis: 893,
      recipients: ["c@example.com"],
      smtpResponse: "250 2.6.0 Message received",
      reportingMTA: "a8-53.smtp-out.amazonses.com",
    },
  })}\n`;
}

type Load = { perSecond: number; answered: number; errors: number; p50Ms: number; p99Ms: number };

/** Delivers until the time is over or nothing is left, over connections that stay. */
async function drive(endpoint: string, bodies: readonly string[], seconds: number): Promise<Load> {
  const headers = snsHeaders({ Type: "Notification", TopicArn: TOPIC });
  const begun = performance.now();
  const end = begun + seconds * 1_000;
  const took: number[] = [];
  let errors = 0;
  const line = bodies.values();
  const work = async () => {
    for (const body of line) {
      const start = performance.now();
      if (start > end) return;
      const answer = await fetch(endpoint, { method: "POST", headers, body });
      await answer.arrayBuffer();
      took.push(performance.now() - start);
      if (answer.status !== 200) errors += 1;
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, work));
  const elapsed = (performance.now() - begun) / 1_000;
  took.sort((a, b) => a - b);
  const at = (part: number) => took[Math.floor(took.length * part)] ?? 0;
  return { perSecond: took.length / elapsed, answered: took.length, errors, p50Ms: at(0.5), p99Ms: at(0.99) };
}

async function counted(db: Db, work: () => Promise<Load>) {
  const count = async () => {
    const { rows } = await sql<{ count: number }>`
      select count(*) as count from event_log where type = 'message_delivered'`.execute(db);
    return rows[0]?.count ?? 0;
  };
  const before = await count();
  const load = await work();
  const ended = performance.now();
  const recorded = (await count()) - before;
  while (await isBehind(db)) await sleep(50);
  return { load, recorded, lagMs: performance.now() - ended };
}

async function isBehind(db: Db): Promise<boolean> {
  const { rows } = await sql<{ behind: boolean }>`
    select exists (
      select from event_log where position > (select position from projector_cursor where name = 'projector')
    ) as behind`.execute(db);
  return rows[0]?.behind === true;
}

/** The processor time that one notification takes in each step, without HTTP and one after the other. */
async function measureParts(db: Db, audience: Audience, certificateUrl: string) {
  const bodies = signAll(audience, certificateUrl, 2_000);
  const certificate = parseCertificate(snsCertificate.cert);
  if (certificate === null) throw new Error("the certificate can't be read");
  const each = async (what: string, work: () => unknown) => {
    const start = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(start);
    return { what, microseconds: (user + system) / bodies.length };
  };
  const messages = bodies.flatMap((body) => {
    const parsed = parseSnsMessage(body);
    return parsed.ok ? [parsed.message] : [];
  });
  const notices = messages.flatMap((message) => {
    const told = parseSesMessage(message.message);
    if (told.kind !== "facts") return [];
    const { customerId } = audience;
    const about = {
      id: newId(),
      customerId,
      topicArn: TOPIC,
      envelopeId: message.messageId,
      sentAt: message.at,
    };
    return [{ ...about, content: told }];
  });
  return [
    await each("    of which: the envelope read", () => bodies.map(parseSnsMessage)),
    await each("    the signature verified", () =>
      messages.map((message) => isSignedBy(message, certificate.key)),
    ),
    await each("    SES's JSON read", () => messages.map(({ message }) => parseSesMessage(message))),
    await each(`    recorded, in groups of ${GROUP}`, async () => {
      for (let at = 0; at < notices.length; at += GROUP)
        await recordNotices(db, notices.slice(at, at + GROUP));
    }),
  ];
}
