import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { sql } from "kysely";
import { toShortId } from "../../src/events/id.ts";
import { matchWaiting } from "../../src/inbound/ses/match-waiting.ts";
import { createMailReader } from "../../src/inbound/ses/read-mail.ts";
import { type ReadingDeps, readReceived } from "../../src/inbound/ses/read-received.ts";
import {
  append,
  createCampaign,
  createContacts,
  enroll,
  eventOf,
  listRuns,
  projectAll,
  type Run,
  TEST_ENCRYPTION_KEY,
} from "../support/campaigns.ts";
import { createSesEdge, type SesEdge } from "../support/ses-edge.ts";
import { type Envelope, notification } from "../support/sns.ts";

const RUNS = 25;
const PROPERTY_MS = 300_000;
const CONTACTS = 3;
const CAMPAIGNS = 2;
const BEGIN = Date.now() - 20 * 86_400_000;
const FIRING = ["always", "sent", "failed", "delivered", "bounced", "complained", "replied"];

let edge: SesEdge;
let deps: ReadingDeps;
const reader = createMailReader();

beforeAll(async () => {
  edge = await createSesEdge();
  deps = {
    db: edge.database.db,
    encryptionKey: TEST_ENCRYPTION_KEY,
    fetchObject: () => Promise.reject(new Error("nothing is in S3 here")),
    onAppend: () => {},
    now: Date.now,
    random: Math.random,
    log: { error: (...said: unknown[]) => console.error(...said) },
  };
});

afterAll(async () => {
  await reader.close();
  await edge.close();
});

const KINDS = [
  "Send",
  "Delivery",
  "DeliveryDelay",
  "Reject",
  "Hard",
  "Soft",
  "Soft",
  "Complaint",
  "Reply",
] as const;

/** What happened to one of the messages, and how it is told when it is not told straight. */
const fact = fc.record({
  message: fc.constantFrom(0, 0, 0, 3, 3, 1, 2, 4, 5),
  hour: fc.integer({ min: 1, max: 400 }),
  kind: fc.constantFrom(...KINDS),
  /** `plain`: in the dialect without tags, and without the headers too. */
  dialects: fc.constantFrom(["tagged"], ["plain"], ["tagged", "plain"], ["headers", "plain", "tagged"]),
  isRedelivered: fc.boolean(),
  isForgedToo: fc.boolean(),
});

const drawn = fc.record({
  facts: fc.array(fact, { minLength: 4, maxLength: 20, size: "max" }),
  order: fc.array(fc.nat(), { minLength: 200, maxLength: 200 }),
  /** So many deliveries at once, then a look of EDGR's workers. */
  groups: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 10 }),
  /** Before which place each message's own answer from the mail server is recorded. */
  answeredAt: fc.array(fc.nat(40), { minLength: CONTACTS * CAMPAIGNS, maxLength: CONTACTS * CAMPAIGNS }),
});

type Fact = typeof fact extends fc.Arbitrary<infer T> ? T : never;
type Drawn = typeof drawn extends fc.Arbitrary<infer T> ? T : never;

test(
  "what SES reports in any order, twice, in both dialects and before its mail's answer ends as it does in order",
  async () => {
    await fc.assert(
      fc.asyncProperty(drawn, async (example) => {
        const straight = await begin();
        for (let message = 0; message < straight.runs.length; message += 1) await answer(straight, message);
        const inOrder = example.facts.map((each, number) => ({ each, number }));
        inOrder.sort((one, other) => one.each.hour - other.each.hour);
        for (const { each, number } of inOrder) {
          await tell([envelopeOf(straight, each, number, "tagged")]);
          await work();
        }
        const mixed = await begin();
        await tellMixed(mixed, example);
        expect(await readEnd(mixed)).toEqual(await readEnd(straight));
      }),
      { numRuns: RUNS, endOnFailure: true },
    );
  },
  PROPERTY_MS,
);

async function tellMixed(scene: Scene, { facts, order, groups, answeredAt }: Drawn): Promise<void> {
  const told = facts.flatMap((each, number) => {
    const dialects = each.kind === "Reply" ? ["tagged"] : each.dialects;
    const genuine = dialects.map((dialect) => envelopeOf(scene, each, number, dialect));
    const again = each.isRedelivered ? genuine.slice(0, 1) : [];
    const forged = each.isForgedToo ? genuine.map((envelope) => forge(envelope)) : [];
    return [...genuine, ...again, ...forged];
  });
  const line = told
    .map((envelope, index) => ({ envelope, place: order[index % order.length] ?? 0 }))
    .toSorted((one, other) => one.place - other.place)
    .map(({ envelope }) => envelope);
  const unanswered = new Set(answeredAt.keys());
  for (let turn = 0, from = 0; from < line.length; turn += 1) {
    const to = from + (groups[turn % groups.length] ?? 1);
    for (const message of [...unanswered].filter((index) => (answeredAt[index] ?? 0) < to)) {
      unanswered.delete(message);
      await answer(scene, message);
    }
    await tell(line.slice(from, to));
    await work();
    from = to;
  }
  for (const message of unanswered) await answer(scene, message);
  await work();
}

/** Delivers at once; only what nobody signed is refused. */
async function tell(envelopes: readonly Envelope[]): Promise<void> {
  const answers = await Promise.all(envelopes.map((envelope) => edge.post(envelope)));
  expect(answers.map(({ status }) => status)).toEqual(
    envelopes.map(({ Message = "" }) => (Message.endsWith(FORGED) ? 403 : 200)),
  );
}

const FORGED = " ";
const forge = (envelope: Envelope): Envelope => ({ ...envelope, Message: `${envelope.Message}${FORGED}` });

/** Everything that EDGR does by itself, as if it were time for it. */
async function work(): Promise<void> {
  const { db } = deps;
  await sql`
    update inbound_event
    set look_at = case when look_at is not null then now() end, read_at = case when read_at is not null then now() end
    where status = 'waiting'`.execute(db);
  await matchWaiting(db);
  await readReceived(deps, reader, new AbortController().signal);
  await projectAll(db);
}

type Scene = { customerId: string; topicArn: string; runs: Run[]; campaigns: string[] };
let scenes = 0;

/** Two campaigns whose message went to three people each, and nobody has answered it. */
async function begin(): Promise<Scene> {
  const { db } = deps;
  scenes += 1;
  const customer = await edge.createCustomer(`order ${scenes}`);
  const topicArn = `arn:aws:sns:us-east-1:123456789012:order-${scenes}`;
  const credentialId = await edge.createCredential([topicArn], customer);
  await sql`
    update customer set soft_bounces = 2, soft_bounce_days = 5 where customer_id = ${customer.id}`.execute(
    db,
  );
  await createContacts(db, customer.id, CONTACTS);
  const hello = { id: "hello", type: "message", channel: "email", credentialId, subject: "Hi", html: "Hi" };
  const pauses = FIRING.map((id) => ({ id, type: "wait", duration: "P200D" }));
  const edges = FIRING.map((firesWhen) => ({ id: firesWhen, from: "hello", to: firesWhen, firesWhen }));
  const runs: Run[] = [];
  const campaigns: string[] = [];
  for (let number = 0; number < CAMPAIGNS; number += 1) {
    const campaign = await createCampaign(db, customer.id, { nodes: [hello, ...pauses], edges });
    await enroll(db, campaign, { all: true });
    await projectAll(db);
    campaigns.push(campaign.campaignId);
    const begun = await listRuns(db, campaign.campaignId);
    runs.push(...begun.toSorted((one, other) => (one.contactId < other.contactId ? -1 : 1)));
  }
  return { customerId: customer.id, topicArn, runs, campaigns };
}

const providerIdOf = (scene: Scene, message: number) => `0100-${scene.customerId}-${message}-000000`;

/** The mail server's answer is recorded, with the id it gave. */
async function answer(scene: Scene, message: number): Promise<void> {
  const run = runOf(scene, message);
  const data = { subject: "Hi", providerMessageId: providerIdOf(scene, message) };
  const sent = eventOf(run, "message_sent", { at: new Date(BEGIN), contactId: run.contactId, data });
  await append(deps.db, sent);
  await projectAll(deps.db);
}

function runOf({ runs }: Scene, message: number): Run & { messageId: string } {
  const run = runs[message];
  if (run === undefined || run.messageId === null) throw new Error("there is no such message");
  return { ...run, messageId: run.messageId };
}

function envelopeOf(scene: Scene, each: Fact, number: number, dialect: string): Envelope {
  const timestamp = timeOf(each, number);
  const text = textOf(scene, each, timestamp, number, dialect);
  return notification(text, { TopicArn: scene.topicArn, Timestamp: timestamp });
}

/** These have no time of their own but the notification's, and happen once. */
function timeOf({ hour, kind }: Fact, number: number): string {
  const hasNone = kind === "Send" || kind === "Reject";
  return new Date(BEGIN + (hasNone ? 3_600_000 : hour * 3_600_000 + number)).toISOString();
}

function textOf(
  scene: Scene,
  { message, kind }: Fact,
  timestamp: string,
  number: number,
  dialect: string,
): string {
  const shortId = toShortId(runOf(scene, message).messageId);
  const to = `c${message % CONTACTS}@example.com`;
  const feedback = { timestamp, feedbackId: `feedback-${number}` };
  if (kind === "Reply") return replyTo(shortId, to, timestamp, `answer-${scene.customerId}-${number}`);
  const bounce = (bounceType: string, status: string) => {
    const bouncedRecipients = [
      { emailAddress: to, action: "failed", status, diagnosticCode: `550 ${message}` },
    ];
    return { bounce: { bounceType, bounceSubType: "General", bouncedRecipients, ...feedback } };
  };
  const details = {
    Send: () => ({ send: {} }),
    Delivery: () => ({ delivery: { timestamp, recipients: [to], smtpResponse: "250 OK" } }),
    DeliveryDelay: () => ({ deliveryDelay: { timestamp, delayedRecipients: [{ emailAddress: to }] } }),
    Reject: () => ({ reject: { reason: "Bad content" } }),
    Hard: () => bounce("Permanent", "5.1.1"),
    Soft: () => bounce("Transient", "4.4.7"),
    Complaint: () => ({ complaint: { complainedRecipients: [{ emailAddress: to }], ...feedback } }),
  };
  const name = kind === "Hard" || kind === "Soft" ? "Bounce" : kind;
  const mail = {
    timestamp: new Date(BEGIN).toISOString(),
    messageId: providerIdOf(scene, message),
    destination: [to],
    ...(dialect === "headers"
      ? { headers: [{ name: "Message-ID", value: `<${shortId}@example.com>` }] }
      : {}),
    ...(dialect === "tagged" ? { tags: { "edgr-message": [shortId] } } : {}),
  };
  return JSON.stringify({
    [dialect === "tagged" ? "eventType" : "notificationType"]: name,
    mail,
    ...details[kind](),
  });
}

function replyTo(shortId: string, from: string, timestamp: string, messageId: string): string {
  const content = `From: ${from}\r\nTo: news@example.com\r\nSubject: Re: Hi\r\nIn-Reply-To: <${shortId}@example.com>\r\n\r\nYes\r\n`;
  return JSON.stringify({
    notificationType: "Received",
    mail: { timestamp, messageId, source: from, destination: ["news@example.com"] },
    receipt: { timestamp, recipients: ["news@example.com"], action: { type: "SNS" } },
    content,
  });
}

/**
 * What there is to see in the end, without ids and without the times at which it was told. A message that bounced in
 * two ways is unique under the one that was told first.
 */
async function readEnd({ customerId, runs, campaigns }: Scene) {
  const { db } = deps;
  const numberOf = (campaignId: string | null) => campaigns.indexOf(campaignId ?? "");
  const read = async (query: ReturnType<typeof sql<Row>>) =>
    (await query.execute(db)).rows
      .map(({ campaignId, ...row }) => JSON.stringify([numberOf(campaignId), row]))
      .sort();
  return {
    runs: (await Promise.all(campaigns.map((id) => listRuns(db, id)))).map((all) =>
      all
        .filter(({ id }) => runs.some((run) => run.id === id))
        .map(({ output }) => JSON.stringify(output, Object.keys(output).sort()))
        .sort(),
    ),
    messages: await read(sql<Row>`
      select campaign_id as "campaignId", direction, to_address, subject, status, error,
        case when direction = 'outbound' then sent_at end as sent_at
      from message where customer_id = ${customerId}`),
    fired: await read(sql<Row>`
      select en.campaign_id as "campaignId", c.email, f.edge_id, f.round
      from edge_firing f
      join enrollment en on en.customer_id = f.customer_id and en.id = f.enrollment_id
      join contact c on c.customer_id = en.customer_id and c.id = en.contact_id
      where f.customer_id = ${customerId}`),
    suppressions: await read(sql<Row>`
      select null as "campaignId", address, reason, detail from suppression where customer_id = ${customerId}`),
    softBounces: await read(sql<Row>`
      select null as "campaignId", address, at from soft_bounce where customer_id = ${customerId}`),
    activity: await read(sql<Row>`
      select a.campaign_id as "campaignId", c.email, a.type, a.at
      from activity a join contact c on c.customer_id = a.customer_id and c.id = a.contact_id
      where a.customer_id = ${customerId} and a.type not in ('run_completed', 'message_queued', 'enrolled')
        and a.at < ${new Date(BEGIN + 401 * 3_600_000)}`),
    counters: await read(sql<Row>`
      select campaign_id as "campaignId", node_id, type, sum(total) as total, sum(unique_total) as unique_total
      from counter where customer_id = ${customerId} group by campaign_id, node_id, type`),
    edges: await read(sql<Row>`
      select campaign_id as "campaignId", edge_id, sum(fired) as fired
      from edge_counter where customer_id = ${customerId} group by campaign_id, edge_id`),
    breakdown: await read(sql<Row>`
      select campaign_id as "campaignId", dimension, value, node_id, type, total,
        case when dimension <> 'bounce' then unique_total end as unique_total
      from breakdown where customer_id = ${customerId} and total > 0`),
    waiting: await read(sql<Row>`
      select null as "campaignId", status, reason from inbound_event
      where customer_id = ${customerId} and status <> 'matched'`),
  };
}

type Row = { campaignId: string | null; [column: string]: unknown };
