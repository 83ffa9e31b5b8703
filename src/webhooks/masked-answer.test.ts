import { expect, test } from "bun:test";
import { answered, unanswered } from "../../test/support/deliveries.ts";
import { secretsOf } from "./endpoint-url.ts";
import { maskedAnswer } from "./masked-answer.ts";

const TOKEN = "aB3-_token0123456789";

test("a secret that a server repeats is masked in its headers and body, and nothing else changes", () => {
  const headers = { location: `/a/${TOKEN}`, via: "x" };
  const result = { ...answered(308, `no ${TOKEN} at /${TOKEN}?wait`), headers };
  const masked: object = maskedAnswer(result, [TOKEN]);
  expect(masked).toEqual({
    ...result,
    headers: { location: "/a/…", via: "x" },
    body: Buffer.from("no … at /…?wait"),
  });
});

test("bytes that are no text stay as they are", () => {
  const bytes = Buffer.from([0xff, 0xfe, 0x00, 0xc3]);
  const result = { ...answered(500, ""), body: Buffer.concat([bytes, Buffer.from(TOKEN), bytes]) };
  const masked = maskedAnswer(result, [TOKEN]);
  expect(masked).toMatchObject({ body: Buffer.concat([bytes, Buffer.from("…"), bytes]) });
});

test("without a secret, or an answer, it is the same", () => {
  const result = answered(200, "ok");
  expect(maskedAnswer(result, [])).toBe(result);
  const failed = unanswered();
  expect(maskedAnswer(failed, [TOKEN])).toBe(failed);
});

test.each([
  ["slack", `https://hooks.slack.com/services/T0/B0/${TOKEN}`, [TOKEN]],
  ["discord", `https://discord.com/api/webhooks/1/${TOKEN}/?thread_id=1`, [TOKEN]],
  ["custom", `https://example.com/${TOKEN}`, []],
  ["custom", `https://example.com/?key=${TOKEN}&a=1`, [TOKEN]],
  ["custom", "https://example.com/?key=a%2Fb%3Dc%C3%A9defgh", ["a/b=cédefgh", "a%2Fb%3Dc%C3%A9defgh"]],
  // So short a word is everywhere, and no secret.
  ["slack", "http://127.0.0.1/hook", []],
] as const)("of %s %s these are secret", (type, url, secrets) => {
  expect(secretsOf({ type, url, headers: {} })).toEqual([...secrets]);
});

test("the values of an endpoint's headers are secret, whole and word by word", () => {
  const headers = { authorization: `Bearer ${TOKEN}`, "x-tenant": "acme" };
  const secrets = secretsOf({ type: "custom", url: "https://example.com/", headers });
  expect(secrets).toEqual([`Bearer ${TOKEN}`, TOKEN]);
});
