import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { sql } from "kysely";
import { z } from "zod";
import { answered, createSesEdge, type LoggedEvent, type SesEdge } from "../../../test/support/ses-edge.ts";
import { confirmedXml, type Envelope, notification } from "../../../test/support/sns.ts";

/** Every case of the corpus, through HTTP: what it yields is what its INDEX says. */
const CORPUS = path.join(import.meta.dirname, "../../../test/corpus");

const index = z
  .object({
    cases: z.array(
      z.object({
        file: z.string(),
        kind: z.string(),
        sha256: z.string(),
        requestHeaders: z.record(z.string(), z.string()).default({}),
        expected: z.record(z.string(), z.json()),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(path.join(CORPUS, "INDEX.json"), "utf8")));

type Case = (typeof index.cases)[number];

const envelopes = z.record(z.string(), z.string());
const readCase = (file: string) => readFileSync(path.join(CORPUS, file), "utf8");
const of = (folder: string) => index.cases.filter(({ file }) => file.startsWith(folder));
const named = (cases: Case[]) => cases.map((item) => [item.file, item] as const);

const genuine = of("sns/").filter(({ expected }) => expected.signatureValid === true);
const unsigned = [...of("sns/"), ...of("hostile/")].filter(
  ({ expected }) => expected.signatureValid !== true,
);
const mails = [...of("ses-events/"), ...of("ses-notifications/")].filter(
  ({ expected }) => typeof expected.type === "string" && expected.type !== "AmazonSnsSubscriptionSucceeded",
);
const inbound = of("ses-inbound/");

let edge: SesEdge;

beforeAll(async () => {
  edge = await createSesEdge();
  const arns = genuine.map(({ file }) => String(JSON.parse(readCase(file)).TopicArn));
  await edge.createCredential([...new Set(arns)]);
});
afterAll(() => edge.close());

/** SNS has the certificate of a case where the case says, and it is the time of the message. */
function enterWorldOf({ file, expected }: Case): Envelope {
  const { Records: _, ...body } = JSON.parse(readCase(file));
  const envelope = envelopes.parse(
    Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null)),
  );
  const url = String(envelope.SigningCertURL ?? envelope.SigningCertUrl);
  edge.answers.set(url, answered(200, readCase(String(expected.cert))));
  edge.setTime(Date.parse(String(envelope.Timestamp)));
  return envelope;
}

async function forget() {
  for (const table of ["event_log", "inbound_event", "inbound_seen", "message"])
    await sql`delete from ${sql.table(table)}`.execute(edge.database.db);
  edge.asked.length = 0;
}

test("the corpus is whole, and every case of SNS and SES is driven here", () => {
  for (const { file, sha256 } of index.cases)
    expect([
      file,
      createHash("sha256")
        .update(readFileSync(path.join(CORPUS, file)))
        .digest("hex"),
    ]).toEqual([file, sha256]);
  const ignored = of("ses-notifications/").filter((item) => !mails.includes(item));
  expect(ignored.map(({ file }) => file)).toEqual(["ses-notifications/amazonsnssubscriptionsucceeded.json"]);
  const driven = genuine.length + unsigned.length + mails.length + inbound.length + ignored.length;
  const all = ["sns/", "hostile/", "ses-events/", "ses-notifications/", "ses-inbound/"].flatMap(of);
  expect(driven).toBe(all.length);
});

describe("a genuine message", () => {
  test.each(named(genuine))("%s is taken", async (file, item) => {
    await forget();
    const { TopicArn, Type, Token } = enterWorldOf(item);
    expect(await edge.post(readCase(file))).toEqual({ status: 200, detail: "" });
    expect(await edge.events()).toEqual([]);
    if (Type === "SubscriptionConfirmation") {
      const origin = `https://sns.${String(TopicArn).split(":")[3]}.amazonaws.com`;
      edge.answers.set(origin, answered(200, confirmedXml(String(TopicArn))));
      expect(await edge.confirm()).toBe(1);
      expect(edge.asked.at(-1)).toBe(
        `${origin}/?${new URLSearchParams({ Action: "ConfirmSubscription", TopicArn: String(TopicArn), Token: String(Token) })}`,
      );
    }
    if (Type === "UnsubscribeConfirmation") expect(await edge.confirm()).toBe(0);
  });

  test("whose signature is spelt in another way, with the same bits, is refused", async () => {
    await forget();
    const [item] = genuine;
    if (item === undefined) throw new Error("there is a genuine message");
    const { Signature = "", ...rest } = enterWorldOf(item);
    expect(Signature).toEndWith("Q==");
    const before = await edge.state();
    for (const end of ["R==", "e==", "Q=", "Q", "Q== ", "Q==\n"]) {
      const { status } = await edge.post({ ...rest, Signature: Signature.slice(0, -3) + end });
      expect([end, status]).toEqual([end, 400]);
    }
    expect(await edge.state()).toBe(before);
  });

  test("changed in any byte is refused, and no row changes", async () => {
    await forget();
    const bodies = genuine.map((item) => ({ item, bytes: Buffer.from(readCase(item.file)) }));
    const before = await edge.state();
    const asProperty = fc.asyncProperty(
      fc.constantFrom(...bodies),
      fc.nat(),
      fc.integer({ min: 0, max: 255 }),
      async ({ item, bytes }, at, byte) => {
        enterWorldOf(item);
        const place = at % bytes.length;
        fc.pre(bytes[place] !== byte);
        const changed = Buffer.from(bytes);
        changed[place] = byte;
        fc.pre(!meansTheSame(changed, bytes));
        const response = await edge.app.request(
          "/api/ses-events",
          { method: "POST", body: changed },
          { ip: null },
        );
        expect(response.status).toBeOneOf([400, 403]);
        expect(await edge.state()).toBe(before);
      },
    );
    await fc.assert(asProperty, { numRuns: 1_000 });
  }, 60_000);
});

/** Whether nothing of what is signed was touched: white space, or a field that SNS does not sign. */
function meansTheSame(changed: Buffer, original: Buffer): boolean {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(changed);
    return JSON.stringify(signedFields(text)) === JSON.stringify(signedFields(original.toString()));
  } catch {
    return false;
  }
}

function signedFields(text: string): unknown[] {
  const { Message, MessageId, Subject, SubscribeURL, Timestamp, Token, TopicArn, Type, ...rest } =
    JSON.parse(text);
  const isNotification = Type === "Notification";
  const { Signature, SignatureVersion, SigningCertURL, SigningCertUrl } = rest;
  const only = isNotification ? [Subject ?? null] : [SubscribeURL, Token];
  const of = [Message, MessageId, Timestamp, TopicArn, Type, ...only];
  return [...of, Signature, SignatureVersion, SigningCertURL, SigningCertUrl];
}

describe("a message without a signature that holds", () => {
  test.each(named(unsigned))("%s is refused, and no row changes", async (file, item) => {
    await forget();
    edge.setTime(Date.now());
    const isHttp = file.endsWith("-http.txt");
    const [head = "", ...rest] = readCase(file).split("\r\n\r\n");
    const body = isHttp ? rest.join("\r\n\r\n") : readCase(file);
    const contentType = /content-type: (.*)/i.exec(isHttp ? head : "")?.[1] ?? "text/plain; charset=UTF-8";
    if (isHttp) expect(contentType).toBe(String(item.expected.contentType));
    const timestamp = /"Timestamp"\s*:\s*"([^"]+)"/.exec(body)?.[1];
    if (timestamp !== undefined) edge.setTime(Date.parse(timestamp));
    const before = await edge.state();
    const { "Content-Length": _, Connection: __, Host: ___, ...headers } = item.requestHeaders;
    const { status } = await edge.post(body, { "Content-Type": contentType, ...headers });
    expect(status).toBeOneOf([400, 403]);
    expect(await edge.state()).toBe(before);
    expect(
      edge.asked.every((url) =>
        /^https:\/\/sns\.[a-z0-9-]+\.amazonaws\.com\/SimpleNotificationService-\w+\.pem$/.test(url),
      ),
    ).toBe(true);
  });

  const notifications = unsigned.filter(
    ({ file, expected }) => file.endsWith(".json") && expected.Type === "Notification",
  );
  test.each(named(notifications))("%s is taken when SNS signs what it says", async (file, { expected }) => {
    await forget();
    edge.setTime(Date.now());
    const { Message, Subject } = JSON.parse(readCase(file));
    const ses = z.object({ messageId: z.string(), recipients: z.array(z.string()) }).safeParse(expected.ses);
    const message = ses.success ? await edge.createMessage({ providerId: ses.data.messageId }) : null;
    expect((await edge.post(notification(Message, { Subject }))).status).toBe(200);
    const events = await edge.events();
    expect(events.map(({ data }) => data.recipient)).toEqual(ses.success ? ses.data.recipients : []);
    for (const event of events)
      expect(event).toMatchObject({ type: "message_bounced", messageId: message?.id });
  });
});

const TYPES: Record<string, string> = {
  Bounce: "message_bounced",
  Complaint: "message_complained",
  Delivery: "message_delivered",
  DeliveryDelay: "message_delayed",
  Reject: "message_rejected",
  "Rendering Failure": "message_rejected",
  Send: "provider_sent",
  Open: "provider_opened",
  Click: "provider_clicked",
  Subscription: "provider_preferences_changed",
};

/** What of the data follows from the action that INDEX names, when the address is the message's own. */
const EFFECTS: Record<string, Record<string, string | boolean>> = {
  "message_bounced suppress": { suppress: "bounce" },
  "message_bounced soft-bounce": { soft: true },
  "message_complained suppress": { suppress: "complaint" },
  "provider_preferences_changed unsubscribe": { suppress: "unsubscribe" },
};

const texts = z.array(z.string());

describe("what SES tells of a message", () => {
  test.each(named(mails))("%s becomes its events", async (file, { expected }) => {
    await forget();
    edge.setTime(Date.now());
    const recipients = texts.parse(expected.recipients);
    const own = String(recipients[0]);
    const message = await edge.createMessage({ providerId: String(expected.messageId), to: own });
    const sent = notification(readCase(file));
    expect((await edge.post(sent)).status).toBe(200);
    const events = await edge.events();
    expect(events.map(({ data }) => data.recipient)).toEqual(recipients);
    for (const event of events) {
      const type = String(TYPES[String(expected.type)]);
      expect(event).toMatchObject({ type, messageId: message.id, data: { provider: "ses" } });
      expect(event.at).toEqual(new Date(String(expected.timestamp ?? sent.Timestamp)));
      const effects = event.data.recipient === own ? (EFFECTS[`${type} ${expected.action}`] ?? {}) : {};
      if (!String(expected.action).startsWith("suppress recipient1")) expectEffects(event, effects);
    }
    expectDetails(events, expected);
    await edge.post(notification(readCase(file)));
    expect((await edge.events()).length).toBe(recipients.length);
  });

  test("a report that names who has not bounced yet suppresses only who has", async () => {
    for (const [to, effects] of [
      ["recipient1@example.com", { suppress: "bounce" }],
      ["recipient2@example.com", {}],
    ] as const) {
      await forget();
      const providerId = "0100018f3c1a2b4d-6e5f7a8b-9c0d-4e1f-8a2b-3c4d5e6f7a8b-000000";
      await edge.createMessage({ providerId, to });
      await edge.post(notification(readCase("ses-notifications/bounce-multi-mixed-actions.json")));
      const own = (await edge.events()).filter(({ data }) => data.recipient === to);
      expect(own.length).toBe(1);
      for (const event of own) expectEffects(event, effects);
    }
  });

  test.each(named(mails))("%s waits when its message is not known", async (file, { expected }) => {
    await forget();
    edge.setTime(Date.now());
    expect((await edge.post(notification(readCase(file)))).status).toBe(200);
    expect(await edge.events()).toEqual([]);
    const { body } = await edge.call("GET", "/api/v1/inbound-events?status=waiting");
    expect(body.items).toMatchObject([
      { name: expected.type, providerMessageId: expected.messageId, recipients: expected.recipients },
    ]);
  });
});

function expectEffects({ data }: LoggedEvent, effects: Record<string, string | boolean>): void {
  const { suppress, soft } = data;
  expect({
    ...(suppress === undefined ? {} : { suppress }),
    ...(soft === undefined ? {} : { soft }),
  }).toEqual(effects);
}

function expectDetails(events: readonly LoggedEvent[], expected: Case["expected"]): void {
  const [first] = events;
  const details = {
    bounceType: expected.bounceType,
    bounceSubType: expected.bounceSubType,
    complaintType: expected.complaintFeedbackType ?? undefined,
    feedbackId: expected.feedbackId,
    clickedUrl: expected.link,
    delayType: expected.delayType,
    expirationTime: expected.expirationTime,
    arrivalDate: expected.arrivalDate ?? undefined,
    templateName: expected.templateName,
    unsubscribeAll: expected.unsubscribeAll,
    contactList: expected.contactList,
    smtpResponse: expected.smtpResponse === "" ? undefined : expected.smtpResponse,
  };
  for (const [name, value] of Object.entries(details))
    if (value !== undefined) expect(first?.data).toMatchObject({ [name]: value });
  const per = { status: expected.statuses, diagnosticCode: expected.diagnosticCodes };
  for (const [name, values] of Object.entries(per))
    if (Array.isArray(values)) expect(events.map(({ data }) => data[name] ?? null)).toEqual(values);
  if (expected.userAgent !== undefined && expected.type !== "Complaint")
    expect<unknown>(first?.userAgent).toBe(expected.userAgent);
  if (expected.ipAddress !== undefined) expect<unknown>(first?.ip).toBe(expected.ipAddress);
}

describe("mail that SES received", () => {
  test.each(named(inbound))(
    "%s is acknowledged, and kept whole where it is one",
    async (file, { expected }) => {
      await forget();
      edge.setTime(Date.now());
      expect((await edge.post(notification(readCase(file)))).status).toBe(200);
      expect(await edge.events()).toEqual([]);
      const { body } = await edge.call("GET", "/api/v1/inbound-events?status=waiting");
      const isJson = expected.jsonParses !== false;
      expect(body.items).toMatchObject(
        isJson ? [{ name: "Received", text: readCase(file).slice(0, 4_000) }] : [],
      );
    },
  );
});

test("SES's word that a topic works is acknowledged and leaves nothing", async () => {
  await forget();
  edge.setTime(Date.now());
  const file = "ses-notifications/amazonsnssubscriptionsucceeded.json";
  expect((await edge.post(notification(readCase(file)))).status).toBe(200);
  expect((await edge.call("GET", "/api/v1/inbound-events")).body.items).toEqual([]);
});

test("a genuine message that names another certificate than its own is refused", async () => {
  await forget();
  const [item] = genuine;
  if (item === undefined) throw new Error("there is a genuine message");
  const envelope = enterWorldOf(item);
  const SigningCertURL = String(envelope.SigningCertURL).replace(/Service-\w+/, "Service-other");
  const pem = readCase("certs/SimpleNotificationService-7506a1e35b36ef5a444dd1a8e7cc3ed8.pem");
  edge.answers.set(SigningCertURL, answered(200, pem));
  expect((await edge.post({ ...envelope, SigningCertURL })).status).toBe(403);
});
