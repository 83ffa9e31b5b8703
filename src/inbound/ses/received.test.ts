import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { parseMail } from "./parse-mail.ts";
import { parseReceived } from "./received.ts";

const CORPUS = path.join(import.meta.dirname, "../../../test/corpus");

type Case = {
  file: string;
  expected: {
    messageId?: string;
    envelopeFrom?: string;
    source?: string;
    envelopeTo?: string[];
    recipients?: string[];
    actionType?: string;
    hasContent?: boolean;
    objectKey?: string;
    spam?: string;
    virus?: string;
    subject?: string;
    text?: string;
    textBody?: string | null;
    html?: string;
    from?: string | string[];
    rfc822MessageId?: string;
  };
};

const index: { cases: Case[] } = JSON.parse(readFileSync(path.join(CORPUS, "INDEX.json"), "utf8"));
const cases = index.cases.filter(({ file }) => file.startsWith("ses-inbound/") && file.endsWith(".json"));
const read = (file: string) => JSON.parse(readFileSync(path.join(CORPUS, "ses-inbound", file), "utf8"));

describe("the corpus", () => {
  test("has cases to read", () => expect(cases.length).toBe(8));

  const wellFormed = cases.filter(({ file }) => !/invalid|bare-minimum|lambda/.test(file));
  test.each(wellFormed.map((each) => [each.file, each] as const))(
    "%s yields what its index says",
    async (file, { expected }) => {
      const parsed = parseReceived(read(path.basename(file)));
      if (parsed.kind !== "mail") throw new Error(parsed.reason);
      const { mail } = parsed;
      expect(mail).toMatchObject({
        sesMessageId: expected.messageId ?? "",
        envelopeFrom: (expected.envelopeFrom ?? expected.source ?? "").toLowerCase(),
        recipients: expected.envelopeTo ?? expected.recipients ?? [],
        isSpam: expected.spam === "FAIL",
        isVirus: expected.virus === "FAIL",
        isForged: false,
        content: { in: expected.hasContent ? "notification" : "s3" },
      });
      if (expected.objectKey !== undefined) expect(mail.content).toMatchObject({ key: expected.objectKey });
      if (mail.content.in === "s3") return;
      const { subject, wholeText, html, fromAddress, messageIdHeader } = await parseMail(
        mail.content.bytes,
        mail.envelopeFrom,
      );
      const text = expected.text ?? expected.textBody ?? "";
      expect(subject).toBe(expected.subject ?? "");
      expect(wholeText.trimEnd()).toBe(text.trimEnd());
      if (expected.html !== undefined) expect(html?.trimEnd()).toBe(expected.html.trimEnd());
      if (expected.from !== undefined) expect([expected.from].flat()[0]).toContain(fromAddress);
      if (expected.rfc822MessageId !== undefined) expect(messageIdHeader).toBe(expected.rfc822MessageId);
    },
  );

  test("content that is not base64 is odd, and no empty mail", () => {
    expect(parseReceived(read("base64-invalid.json"))).toEqual({
      kind: "odd",
      reason: "a received mail whose content is not base64",
    });
  });

  test("a mail that went elsewhere is passed over", () => {
    expect(parseReceived(read("lambda-action-alert.json"))).toEqual({
      kind: "ignored",
      reason: "a received mail that went to the action Lambda",
    });
  });

  test("a notification of no mail is odd and says what it lacks", () => {
    expect(parseReceived(read("received-bare-minimum.json"))).toEqual({
      kind: "odd",
      reason: "a received mail without a proper mail",
    });
  });
});

function notification(changes: { action?: object; content?: unknown; receipt?: object; mail?: object } = {}) {
  const action = { type: "SNS", ...changes.action };
  const base = {
    mail: { messageId: "m1", ...changes.mail },
    receipt: { recipients: ["a@b.example"], action, ...changes.receipt },
  };
  return {
    notificationType: "Received",
    ...base,
    content: "content" in changes ? changes.content : "Subject: x\r\n\r\nhé",
  };
}

test("content without an encoding is UTF-8", () => {
  const parsed = parseReceived(notification());
  expect(parsed.kind === "mail" && parsed.mail.content).toEqual({
    in: "notification",
    bytes: Buffer.from("Subject: x\r\n\r\nhé", "utf8"),
  });
});

test.each([undefined, null, "", 7, { text: "x" }])("content that is %p is odd", (content) => {
  expect(parseReceived(notification({ content }))).toMatchObject({ kind: "odd" });
});

test.each(["../other", "a", "arn:aws:s3:::mails", "evil.example/x", "a b", "x".repeat(256), "mails#"])(
  "%p is no bucket",
  (bucketName) => {
    const action = { type: "S3", bucketName, objectKey: "k" };
    expect(parseReceived(notification({ action }))).toEqual({
      kind: "odd",
      reason: "a received mail in no proper S3 bucket",
    });
  },
);

test("only a verdict of FAIL is one: gray mail and checks that failed pass", () => {
  for (const status of ["PASS", "GRAY", "PROCESSING_FAILED", "fail"]) {
    const parsed = parseReceived(
      notification({ receipt: { spamVerdict: { status }, virusVerdict: { status } } }),
    );
    expect(parsed).toMatchObject({ mail: { isSpam: false, isVirus: false } });
  }
  const failed = { receipt: { virusVerdict: { status: "FAIL" }, dmarcVerdict: { status: "FAIL" } } };
  expect(parseReceived(notification(failed))).toMatchObject({ mail: { isVirus: true, isForged: true } });
});

test("whatever the notification holds, it is a mail, odd or ignored", () => {
  const anything = fc.oneof(fc.jsonValue(), fc.constant("FAIL"), fc.constant("SNS"), fc.constant("S3"));
  const key = fc.constantFrom(
    "mail",
    "receipt",
    "content",
    "action",
    "recipients",
    "messageId",
    "type",
    "encoding",
  );
  const tree = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof({ maxDepth: 3 }, anything, fc.dictionary(key, tie("tree"), { maxKeys: 4 })),
  })).tree;
  fc.assert(
    fc.property(fc.dictionary(key, tree), (json) => {
      expect(["mail", "odd", "ignored"]).toContain(parseReceived(json).kind);
    }),
    { numRuns: 500 },
  );
});
