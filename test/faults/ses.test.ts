import { expect, test } from "bun:test";
import { sql } from "kysely";
import { newId, toShortId } from "../../src/events/id.ts";
import { findPort } from "../../src/http/server.ts";
import { openStorage } from "../../src/storage/open.ts";
import { type Db, openDatabase } from "../../src/storage/pool.ts";
import { smtpCredential } from "../support/campaign-api.ts";
import { until, useInstallation } from "../support/installation.ts";
import { bounce } from "../support/ses-edge.ts";
import { confirmation, confirmedXml, type Envelope, notification, startSns, TOPIC } from "../support/sns.ts";

const KEY = "edgr_test_0123456789abcdef";
const MESSAGES = 150;
const KILLS = 3;

const here = useInstallation();

/** Work on the database of the installation, while EDGR serves from it. */
async function withDatabase<T>(work: (db: Db) => Promise<T>): Promise<T> {
  const storage = await openStorage({
    databaseUrl: null,
    dataDir: here.dataDir,
    purpose: "command",
    onLost: () => {},
  });
  const database = openDatabase(storage.connection, 2);
  try {
    return await work(database.db);
  } finally {
    await database.close();
    await storage.stop();
  }
}

type Message = { id: string; shortId: string; to: string; providerId: string };

function makeMessages(): Message[] {
  return Array.from({ length: MESSAGES }, (_, number) => {
    const id = newId();
    return {
      id,
      shortId: toShortId(id),
      to: `c${number}@example.com`,
      providerId: `0100018f-${number}-000000`,
    };
  });
}

/** Sent mail; of half of it nobody knows yet how SES calls it. */
async function insertMessages(db: Db, messages: readonly Message[]): Promise<void> {
  await sql`
    insert into message (customer_id, id, direction, channel, contact_id, credential_id, to_address, status,
      provider_message_id)
    select c.customer_id, m.id, 'outbound', 'email', new_id(), new_id(), m."to", 'sent',
      case when m.number % 2 = 0 then m.provider_id end
    from customer c, unnest(${messages.map(({ id }) => id)}::uuid[], ${messages.map(({ to }) => to)}::text[],
      ${messages.map(({ providerId }) => providerId)}::text[]) with ordinality as m(id, "to", provider_id, number)`.execute(
    db,
  );
}

async function learnProviderIds(db: Db, messages: readonly Message[]): Promise<void> {
  await sql`
    update message set provider_message_id = m.provider_id
    from unnest(${messages.map(({ id }) => id)}::uuid[], ${messages.map(({ providerId }) => providerId)}::text[])
      as m(id, provider_id)
    where message.id = m.id`.execute(db);
}

/** Each bounce in both dialects, the one with tags and the one without; a few that nobody allowed or signed. */
function tell(messages: readonly Message[], SigningCertURL: string): Envelope[] {
  const told = messages.flatMap((message) => [
    notification(bounce(message, { tags: false, dialect: "notificationType" }), { SigningCertURL }),
    ...(Number(message.to.slice(1, -12)) % 3 === 0
      ? [notification(bounce(message), { SigningCertURL })]
      : []),
  ]);
  const foreign = notification("{}", { SigningCertURL, TopicArn: `${TOPIC}-foreign` });
  return [...told, foreign, { ...notification("{}", { SigningCertURL }), Message: "forged" }];
}

test("notifications told twice, in any order, while EDGR is killed again and again, count once each", async () => {
  const port = await findPort({ host: "127.0.0.1", port: 0 });
  const sns = await startSns({ retries: 2_000 });
  const env = { ...here.env(), PORT: String(port), EDGR_API_KEY: KEY, EDGR_SNS_TRUSTED_HOSTS: sns.host };
  let edgr = await here.start({ env });
  const endpoint = `${edgr.url}/api/ses-events`;
  const call = async (method: string, path: string, body?: object) => {
    const headers = { Authorization: `Bearer ${KEY}`, "Content-Type": "application/json" };
    return (
      await fetch(`${edgr.url}/api/v1${path}`, { method, headers, body: JSON.stringify(body) ?? null })
    ).json();
  };
  const restart = async () => {
    edgr.child.kill("SIGKILL");
    await edgr.ended;
    edgr = await here.start({ env });
  };

  const { id } = await call("POST", "/credentials", smtpCredential({ ses: { topicArns: [TOPIC] } }));
  const subscription = async () => (await call("GET", `/credentials/${id}/ses/topics`)).items[0].subscription;
  sns.answerConfirmations(503);
  expect(await sns.deliver(endpoint, confirmation({ SigningCertURL: sns.certificateUrl }))).toBe(200);
  await until(async () => sns.confirmed.length > 0);
  await restart();
  expect(await subscription()).toBe("pending");
  sns.answerConfirmations(200, confirmedXml(TOPIC));

  const messages = makeMessages();
  await withDatabase((db) => insertMessages(db, messages));
  const delivered = sns.deliverAll(endpoint, tell(messages, sns.certificateUrl));
  for (let kill = 0; kill < KILLS; kill += 1) {
    const count = () =>
      withDatabase(async (db) => (await sql`select from inbound_seen`.execute(db)).rows.length);
    const before = await count();
    await until(async () => (await count()) > before + 30);
    await restart();
  }
  const statuses = await delivered;
  expect([...statuses.keys()].sort()).toEqual([200, 403]);

  await withDatabase((db) => learnProviderIds(db, messages));
  const bounced = () =>
    withDatabase(async (db) => {
      const { rows } = await sql<{ id: string }>`
        select message_id as id from event_log where type = 'message_bounced' order by message_id`.execute(
        db,
      );
      return rows.map((row) => row.id);
    });
  const expected = messages.map((message) => message.id).sort();
  await until(async () => (await bounced()).length >= MESSAGES);
  await until(async () => (await call("GET", "/inbound-events?status=waiting")).items.length === 0);
  expect(await bounced()).toEqual(expected);
  await until(async () => (await subscription()) === "confirmed");
  await sns.deliver(endpoint, {
    ...notification("{}", { SigningCertURL: sns.certificateUrl }),
    Message: "forged",
  });
  const metrics = await (await fetch(`${edgr.url}/metrics`)).text();
  expect(metrics).toContain('edgr_ses_requests_total{outcome="forged"} ');
  await sns.stop();
}, 120_000);
