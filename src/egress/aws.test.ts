import { expect, test } from "bun:test";
import { type AwsRequest, createAwsHandler } from "./aws.ts";
import type { Request } from "./client.ts";
import { failed, type Result } from "./result.ts";

const REQUEST: AwsRequest = {
  method: "POST",
  protocol: "https:",
  hostname: "sns.us-east-1.amazonaws.com",
  path: "/",
  headers: { authorization: "AWS4-HMAC-SHA256 …" },
  body: "Action=ListTopics",
};

const ANSWERED: Result = {
  ok: true,
  status: 200,
  headers: {},
  body: Buffer.from("<ok/>"),
  isTruncated: false,
  address: null,
  timings: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null, totalMs: 1 },
};

/** Sends one request of the SDK. */
async function send(
  change: Partial<AwsRequest>,
  answer: Result = ANSWERED,
  trustedOrigin: string | null = null,
  nowMs = 1_000,
) {
  const sent: Request[] = [];
  const egress = {
    async send(request: Request) {
      sent.push(request);
      return answer;
    },
  };
  const handler = createAwsHandler({ egress, trustedOrigin, until: 5_000, now: () => nowMs });
  try {
    const { response } = await handler.handle({ ...REQUEST, ...change });
    return { sent, response, error: null };
  } catch (error) {
    return { sent, response: null, error: error instanceof Error ? error : null };
  }
}

test("a request to AWS goes out as the SDK signed it", async () => {
  const { sent, response } = await send({ query: { a: "ü (1)", b: ["x", "y"], c: null } });
  expect(sent).toHaveLength(1);
  expect(sent[0]).toMatchObject({
    url: "https://sns.us-east-1.amazonaws.com/?a=%C3%BC%20%281%29&b=x&b=y&c=",
    method: "POST",
    headers: REQUEST.headers,
    body: "Action=ListTopics",
  });
  expect(response?.statusCode).toBe(200);
});

test.each([
  "email.us-east-1.amazonaws.com",
  "sns.cn-north-1.amazonaws.com.cn",
  "sns.eusc-de-east-1.amazonaws.eu",
])("%s is AWS", async (hostname) => {
  expect((await send({ hostname })).sent).toHaveLength(1);
});

test.each<Partial<AwsRequest>>([
  { hostname: "sns.us-east-1.amazonaws.com.evil.example" },
  { hostname: "evil-amazonaws.com" },
  { hostname: "amazonaws.com" },
  { hostname: "169.254.169.254" },
  { hostname: "127.0.0.1", protocol: "http:", port: 4567 },
  { protocol: "http:" },
  { port: 8443 },
  { method: "HEAD" },
])("%p is refused, and nothing goes out", async (change) => {
  const { sent, error } = await send(change, ANSWERED, "http://127.0.0.1:4566");
  expect(sent).toEqual([]);
  expect(error?.name).toBe("AwsUnreachable");
});

test("a stand-in is reached at exactly the origin that is trusted", async () => {
  const standIn = { hostname: "127.0.0.1", protocol: "http:", port: 4566 };
  const { sent } = await send(standIn, ANSWERED, "http://127.0.0.1:4566");
  expect(sent[0]?.url).toBe("http://127.0.0.1:4566/");
});

test("the SDK tries again after what passes, and not after what stays", async () => {
  expect((await send({}, failed("lost", "Lost."))).error?.name).toBe("TimeoutError");
  expect((await send({}, failed("timeout", "Late."))).error?.name).toBe("TimeoutError");
  expect((await send({}, failed("tls", "No."))).error?.name).toBe("AwsUnreachable");
  expect((await send({}, failed("refused", "No."))).error?.name).toBe("AwsUnreachable");
});

test("an answer that is too long is none", async () => {
  expect((await send({}, { ...ANSWERED, isTruncated: true })).error?.message).toBe("The answer is too long.");
});

test("a request has the time that is left, and none goes out when that is over", async () => {
  expect((await send({})).sent[0]?.deadlineMs).toBe(4_000);
  const { sent, error } = await send({}, ANSWERED, null, 5_000);
  expect(sent).toEqual([]);
  expect(error?.name).toBe("AwsUnreachable");
});
