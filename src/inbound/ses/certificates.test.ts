import { describe, expect, test } from "bun:test";
import { snsCertificate } from "../../../test/support/certificate.ts";
import type { Request } from "../../egress/client.ts";
import { failed, type Result } from "../../egress/result.ts";
import { createCertificates } from "./certificates.ts";
import { parseSnsMessage, type SnsMessage } from "./sns.ts";

const AT = Date.parse("2027-01-01T00:00:00Z");

function messageNaming(signingCertUrl: string, region = "us-east-1"): SnsMessage {
  const parsed = parseSnsMessage(
    JSON.stringify({
      Type: "Notification",
      MessageId: "m",
      TopicArn: `arn:aws:sns:${region}:123456789012:edgr`,
      Message: "",
      Timestamp: "2027-01-01T00:00:00.000Z",
      SignatureVersion: "2",
      Signature: "AAAA",
      SigningCertURL: signingCertUrl,
    }),
  );
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.message;
}

const url = (name = "0", region = "us-east-1") =>
  `https://sns.${region}.amazonaws.com/SimpleNotificationService-${name}.pem`;

function answer(status: number, body: string): Result {
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

/** A world in which every address answers the same, and that counts who asks. */
function world(answers: Result = answer(200, snsCertificate.cert), trustedHosts: string[] = []) {
  const asked: string[] = [];
  const trusted: string[] = [];
  let time = AT;
  let present = answers;
  const egress = (log: string[]) => ({
    async send(request: Request) {
      log.push(request.url);
      return present;
    },
  });
  const certificates = createCertificates({
    egress: egress(asked),
    trustedEgress: egress(trusted),
    trustedHosts,
    now: () => time,
  });
  return {
    certificates,
    asked,
    trusted,
    pass(ms: number) {
      time += ms;
    },
    answerWith(result: Result) {
      present = result;
    },
  };
}

describe("a certificate", () => {
  test("is fetched once, by however many messages at the same moment and later", async () => {
    const { certificates, asked, pass } = world();
    const all = await Promise.all(Array.from({ length: 50 }, () => certificates.of(messageNaming(url()))));
    pass(30 * 24 * 3_600_000);
    all.push(await certificates.of(messageNaming(url())));
    expect(all.every(({ ok }) => ok)).toBe(true);
    expect(asked).toEqual([url()]);
  });

  test("at an address that is not SNS's is refused, and nobody is asked", async () => {
    const { certificates, asked, trusted } = world();
    for (const elsewhere of [
      url("0", "us-west-2"),
      "https://evil.example/a.pem",
      "http://localhost:4566/a.pem",
    ])
      expect(await certificates.of(messageNaming(elsewhere))).toMatchObject({ ok: false, kind: "refused" });
    expect([...asked, ...trusted]).toEqual([]);
  });

  test("of another region is refused", async () => {
    const { certificates } = world();
    const message = messageNaming(url("0", "af-south-1"), "af-south-1");
    expect(await certificates.of(message)).toMatchObject({ ok: false, kind: "refused" });
  });

  test.each([
    [answer(200, "<html>"), "refused"],
    [answer(200, `<xml>${snsCertificate.cert}</xml>`), "refused"],
    [{ ...answer(200, snsCertificate.cert), isTruncated: true }, "refused"],
    [answer(301, ""), "refused"],
    [answer(404, ""), "refused"],
    [answer(503, ""), "unavailable"],
    [answer(429, ""), "unavailable"],
    [failed("timeout", "There was no answer."), "unavailable"],
    [failed("refused", "The address leads to 127.0.0.1."), "unavailable"],
  ] as [Result, string][])("that comes as %j is %s", async (result, kind) => {
    const { certificates } = world(result);
    expect(await certificates.of(messageNaming(url()))).toMatchObject({ ok: false, kind });
  });

  test("that could not be had is asked for again after a minute, and not before", async () => {
    const { certificates, asked, pass, answerWith } = world(answer(503, ""));
    await certificates.of(messageNaming(url()));
    answerWith(answer(200, snsCertificate.cert));
    pass(59_000);
    expect(await certificates.of(messageNaming(url()))).toMatchObject({ ok: false });
    pass(2_000);
    expect(await certificates.of(messageNaming(url()))).toMatchObject({ ok: true });
    expect(asked.length).toBe(2);
  });

  test("of ever new names is asked for thirty times a minute at most, and known ones go on", async () => {
    const { certificates, asked, pass } = world();
    for (let number = 0; number < 100; number += 1) await certificates.of(messageNaming(url(`a${number}`)));
    expect(asked.length).toBe(30);
    expect(await certificates.of(messageNaming(url("a3")))).toMatchObject({ ok: true });
    expect(await certificates.of(messageNaming(url("new")))).toMatchObject({
      ok: false,
      kind: "unavailable",
    });
    pass(60_000);
    expect(await certificates.of(messageNaming(url("new")))).toMatchObject({ ok: true });
  });
});

describe("a stand-in for SNS that the operator trusts", () => {
  test("serves certificates over http, for every region", async () => {
    const { certificates, trusted, asked } = world(answer(200, snsCertificate.cert), ["localhost:4566"]);
    const message = messageNaming("http://localhost:4566/_aws/sns/a.pem", "af-south-1");
    expect(await certificates.of(message)).toMatchObject({ ok: true });
    expect([trusted.length, asked.length]).toEqual([1, 0]);
  });

  test.each([
    "http://localhost:4567/a.pem",
    "http://localhost/a.pem",
    "http://a@localhost:4566/a.pem",
    "ftp://localhost:4566/a.pem",
  ])("is not %s", async (elsewhere) => {
    const { certificates, trusted } = world(answer(200, snsCertificate.cert), ["localhost:4566"]);
    expect(await certificates.of(messageNaming(elsewhere))).toMatchObject({ ok: false, kind: "refused" });
    expect(trusted).toEqual([]);
  });
});
