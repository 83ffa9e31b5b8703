import { sql } from "kysely";
import { credentialRoutes } from "../../src/credentials/routes.ts";
import type { Request } from "../../src/egress/client.ts";
import type { Result } from "../../src/egress/result.ts";
import type { Json } from "../../src/events/event.ts";
import { newId, toShortId } from "../../src/events/id.ts";
import { findPort, listen } from "../../src/http/server.ts";
import { inboundRoutes } from "../../src/inbound/routes.ts";
import { type ConfirmDeps, confirmDue } from "../../src/inbound/ses/confirm.ts";
import { createReceiver } from "../../src/inbound/ses/receiver.ts";
import { sesEventRoutes } from "../../src/inbound/ses/routes.ts";
import { sesTopicRoutes } from "../../src/inbound/ses/topic-routes.ts";
import { createTestApp, type TestApp, type TestCustomer } from "./app.ts";
import { smtpCredential } from "./campaign-api.ts";
import { TEST_ENCRYPTION_KEY } from "./campaigns.ts";
import { snsCertificate } from "./certificate.ts";
import { CERTIFICATE_URL, type Envelope, snsHeaders, TOPIC } from "./sns.ts";
import { noBots } from "./telegram.ts";

export type SesEdge = TestApp & {
  credentialId: string;
  /** Every request that went out, to the world and to trusted hosts. */
  asked: string[];
  trusted: string[];
  /** What is at an address; anything else is a 404. */
  answers: Map<string, Result>;
  /** As `recorded` and `matched 1`. */
  counted: string[];
  /** Moves the receiver's clock. */
  setTime(time: number): void;
  post(
    body: Envelope | string,
    headers?: Record<string, string>,
  ): Promise<{ status: number; detail: string }>;
  /** One round of confirmations. */
  confirm(): Promise<number>;
  createCredential(topicArns: readonly string[], customer?: TestCustomer): Promise<string>;
  createMessage(message?: Partial<SentMessage>): Promise<SentMessage>;
  events(customerId?: string): Promise<LoggedEvent[]>;
  /** Every row that a message could change, as one text. */
  state(): Promise<string>;
};

export type SentMessage = {
  customerId: string;
  id: string;
  to: string;
  providerId: string | null;
  shortId: string;
};

export type LoggedEvent = {
  type: string;
  messageId: string | null;
  contactId: string | null;
  at: Date;
  userAgent: string | null;
  ip: string | null;
  data: { [name: string]: Json };
};

/** The app, on a port, with everything about SES, a customer whose credential names `TOPIC`, and a world that only remembers. */
export async function createSesEdge(trustedHosts: readonly string[] = []): Promise<SesEdge> {
  const api = await createTestApp([
    credentialRoutes({
      encryptionKey: TEST_ENCRYPTION_KEY,
      bots: noBots(),
      answerWithinMs: 1_000,
      now: () => new Date(),
    }),
    sesTopicRoutes(),
    inboundRoutes(),
  ]);
  const { db } = api.database;
  const answers = new Map([[CERTIFICATE_URL, answered(200, snsCertificate.cert)]]);
  const [asked, trusted, counted]: string[][] = [[], [], []];
  if (asked === undefined || trusted === undefined || counted === undefined) throw new Error("three lists");
  const egress = (log: string[]) => ({
    async send({ url }: Request) {
      log.push(url);
      return answers.get(url) ?? answers.get(new URL(url).origin) ?? answered(404, "");
    },
  });
  let time: number | null = null;
  const parts: ConfirmDeps & Parameters<typeof createReceiver>[0] = {
    db,
    egress: egress(asked),
    trustedEgress: egress(trusted),
    trustedHosts,
    now: () => time ?? Date.now(),
    takesOld: false,
    onAppend: () => {},
    counters: {
      sesRequest: (outcome) => counted.push(outcome),
      sesFacts: (counts) => {
        for (const [name, count] of Object.entries(counts)) if (count > 0) counted.push(`${name} ${count}`);
      },
    },
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  };
  api.app.route("/", sesEventRoutes(createReceiver(parts)));
  const address = { host: "127.0.0.1", port: await findPort({ host: "127.0.0.1", port: 0 }) };
  const server = listen(api.app, address);

  async function createCredential(topicArns: readonly string[], customer = api.customer): Promise<string> {
    const body = smtpCredential({ ses: { topicArns } });
    const answer = await api.call("POST", "/api/v1/credentials", { body, customer });
    if (answer.status !== 201) throw new Error(answer.text);
    return answer.body.id;
  }

  return {
    ...api,
    credentialId: await createCredential([TOPIC]),
    asked,
    trusted,
    answers,
    counted,
    setTime(present) {
      time = present;
    },
    async post(body, headers) {
      const sent =
        typeof body === "string"
          ? { text: body, headers: {} }
          : { text: JSON.stringify(body), headers: snsHeaders(body) };
      const init = { method: "POST", headers: { ...sent.headers, ...headers }, body: sent.text };
      const response = await fetch(`http://${address.host}:${address.port}/api/ses-events`, init);
      const text = await response.text();
      const problem: { detail?: string } = text === "" ? {} : JSON.parse(text);
      return { status: response.status, detail: problem.detail ?? "" };
    },
    confirm: () => confirmDue(parts),
    async close() {
      await server.stop(0);
      await api.close();
    },
    createCredential,
    async createMessage(given = {}) {
      const id = given.id ?? newId();
      const message = {
        customerId: api.customer.id,
        to: "ann@example.com",
        providerId: null,
        ...given,
        id,
        shortId: toShortId(id),
      };
      await sql`
        insert into message (customer_id, id, direction, channel, contact_id, credential_id, to_address,
          provider_message_id, status)
        values (${message.customerId}, ${id}, 'outbound', 'email', ${newId()}, ${newId()}, ${message.to},
          ${message.providerId}, 'sent')`.execute(db);
      return message;
    },
    async events(customerId = api.customer.id) {
      const { rows } = await sql<LoggedEvent>`
        select type, message_id as "messageId", contact_id as "contactId", at, user_agent as "userAgent",
          host(ip) as ip, data
        from event_log where customer_id = ${customerId} order by position`.execute(db);
      return rows;
    },
    async state() {
      const { rows } = await sql`
        select (select json_agg(e order by position) from event_log e) as events,
          (select json_agg(i order by id) from inbound_event i) as inbound,
          (select json_agg(s order by customer_id, source, key) from inbound_seen s) as seen,
          (select json_agg(t order by topic_arn) from ses_topic t) as topics,
          (select json_agg(a order by topic_arn) from ses_asking a) as asking`.execute(db);
      return JSON.stringify(rows);
    },
  };
}

/** What the world answers. */
export function answered(status: number, body: string): Result {
  const timings = { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null, totalMs: 1 };
  return {
    ok: true,
    status,
    headers: {},
    body: Buffer.from(body),
    isTruncated: false,
    address: null,
    timings,
  };
}

/** What SES publishes about a message that bounced, in either dialect. */
export function bounce(
  message: Pick<SentMessage, "shortId" | "to" | "providerId">,
  {
    dialect = "eventType",
    feedbackId = "0100018f-bounce",
    tags = true,
    recipient = message.to,
    subType = "General",
  } = {},
): string {
  return JSON.stringify({
    [dialect]: "Bounce",
    bounce: {
      bounceType: subType === "MailboxFull" ? "Transient" : "Permanent",
      bounceSubType: subType,
      bouncedRecipients: [
        {
          emailAddress: recipient,
          action: "failed",
          status: "5.1.1",
          diagnosticCode: "smtp; 550 5.1.1 user unknown",
        },
      ],
      timestamp: "2026-11-25T01:00:00.000Z",
      feedbackId,
    },
    mail: {
      timestamp: "2026-11-25T00:59:58.000Z",
      messageId: message.providerId ?? "0100018f3c1a2b4d-unknown-000000",
      source: "news@example.com",
      destination: [message.to],
      ...(tags
        ? { tags: { "edgr-message": [message.shortId], "edgr-customer": ["AAAAAAAAAAAAAAAAAAAAAA"] } }
        : {}),
    },
  });
}
