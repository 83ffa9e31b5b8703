import { afterAll, beforeAll, expect, test } from "bun:test";
import { type S3StandIn, startS3 } from "../../../test/support/s3.ts";
import { createEgress } from "../../egress/client.ts";
import { resolveBySystem } from "../../egress/resolve.ts";
import { failed } from "../../egress/result.ts";
import { createObjectFetch } from "./s3.ts";

const KEYS = { region: "us-east-1", accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "secret" };

let s3: S3StandIn;
beforeAll(async () => {
  s3 = await startS3();
});
afterAll(() => s3.close());

const going = new AbortController().signal;
const egress = createEgress({ allow: ["127.0.0.1"], resolve: resolveBySystem });
afterAll(() => egress.close());

const fetchFrom = (endpoint: string, key: string, maxBytes = 1_000, signal = going) =>
  createObjectFetch({ egress, endpoint, maxBytes, now: Date.now })(KEYS, { bucket: "mails", key }, signal);
const fetchObject = (key: string, maxBytes = 1_000) => fetchFrom(s3.endpoint, key, maxBytes);

test("an object is fetched with the keys", async () => {
  s3.objects.set("mails/inbound/a b", { body: Buffer.from("From: a@b.example\r\n\r\nHi\r\n") });
  const fetched = await fetchObject("inbound/a b");
  expect(fetched.ok && fetched.bytes.toString()).toBe("From: a@b.example\r\n\r\nHi\r\n");
  expect(s3.asked).toEqual([`GET mails/inbound/a b by ${KEYS.accessKeyId}`]);
});

test("one that is too large is given up for good, however much comes", async () => {
  s3.objects.set("mails/endless", { endless: true });
  const tooLarge = { ok: false as const, reason: "it is larger than 40 MiB", isFinal: true };
  expect(await fetchObject("endless")).toEqual(tooLarge);
  s3.objects.set("mails/large", { body: Buffer.alloc(1_001) });
  expect(await fetchObject("large")).toEqual(tooLarge);
  s3.objects.set("mails/fits", { body: Buffer.alloc(1_000) });
  expect(await fetchObject("fits")).toMatchObject({ ok: true });
});

test("what is refused or not there is tried again, and says why", async () => {
  s3.objects.set("mails/secret", { status: 403, code: "AccessDenied" });
  expect(await fetchObject("secret")).toEqual({
    ok: false,
    reason: "S3 did not give it: AccessDenied: no",
    isFinal: false,
  });
  expect(await fetchObject("nowhere")).toMatchObject({ ok: false, isFinal: false });
  expect(await fetchFrom("http://127.0.0.1:1", "a")).toMatchObject({ ok: false, isFinal: false });
});

test("what SES encrypted before it stored it is not taken for a mail", async () => {
  s3.objects.set("mails/sealed", { body: Buffer.from("x"), metadata: { "x-amz-key-v2": "AQ==" } });
  expect(await fetchObject("sealed")).toMatchObject({ ok: false, isFinal: true });
});

test("a download that is not waited for any more is given up", async () => {
  const stopping = new AbortController();
  s3.objects.set("mails/kept", { body: Buffer.from("x") });
  stopping.abort(new Error("EDGR stops"));
  expect(await fetchFrom(s3.endpoint, "kept", 1_000, stopping.signal)).toMatchObject({
    ok: false,
    reason: "S3 did not give it: Error: EDGR stops",
  });
});

test("nobody but Amazon and the endpoint is asked", async () => {
  const asked: string[] = [];
  const watched = {
    async send(request: { url: string }) {
      asked.push(new URL(request.url).hostname);
      return failed("connect", "Nobody answers at the address.");
    },
  };
  const fetch = createObjectFetch({ egress: watched, endpoint: null, maxBytes: 10, now: Date.now });
  await fetch(KEYS, { bucket: "mails", key: "a" }, going);
  expect(asked).toEqual(["mails.s3.us-east-1.amazonaws.com"]);
});
