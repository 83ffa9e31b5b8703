import { expect, test } from "bun:test";
import { newId } from "../events/id.ts";
import { createTokens, urlDigest } from "../tracking/token.ts";
import { inspectToken } from "./token.ts";

const NOW = new Date("2026-03-01T00:00:00Z");
const key = { kid: "1", secret: Buffer.alloc(32, 1), retired: false };
const secrets = { encryptionKey: Buffer.alloc(32, 2), signingKeys: [key] };
const claims = {
  customerId: newId(),
  campaignId: newId(),
  node: "hello",
  runId: newId(),
  messageId: newId(),
  expiresAt: NOW.getTime() / 1000 + 86_400 * 3,
  urlDigest: urlDigest("https://example.com/buy"),
};
const token = createTokens([key]).sign(claims);

function inspect(text: string, of: typeof secrets | null = secrets) {
  const { lines, genuine } = inspectToken(text, of, NOW);
  return { genuine, ...Object.fromEntries(lines) };
}

test("a token of ours is shown with its ids as UUIDs", () => {
  expect(inspect(token)).toMatchObject({
    genuine: true,
    signature: "good (key 1)",
    expires: "2026-03-04T00:00:00.000Z (in 3 days)",
    customer: claims.customerId,
    campaign: claims.campaignId,
    node: "hello",
    run: claims.runId,
    message: claims.messageId,
    for: `click on the URL whose digest is ${claims.urlDigest}`,
  });
});

test("an expired token is still ours, and says when it expired", () => {
  const expired = createTokens([key]).sign({ ...claims, expiresAt: claims.expiresAt - 86_400 * 10 });

  expect(inspect(expired)).toMatchObject({
    genuine: true,
    expires: "2026-02-22T00:00:00.000Z (EXPIRED 7 days ago)",
  });
});

test.each([
  [
    "another installation's",
    { ...key, secret: Buffer.alloc(32, 9) },
    "BAD: not signed by this installation, or changed",
  ],
  ["an unknown key's", { ...key, kid: "2" }, "BAD: this installation has no key 2"],
])("%s token is shown, and is not ours", (_, signer, signature) => {
  expect(inspect(createTokens([signer]).sign(claims))).toMatchObject({
    genuine: false,
    signature,
    customer: claims.customerId,
  });
});

test("a token of a retired key is not ours any more", () => {
  const rotated = {
    ...secrets,
    signingKeys: [
      { ...key, kid: "2" },
      { ...key, retired: true },
    ],
  };

  expect(inspect(token, rotated)).toMatchObject({ genuine: false, signature: "BAD: key 1 is retired" });
});

test("before the first start nothing can be verified", () => {
  expect(inspect(token, null)).toMatchObject({ genuine: false, customer: claims.customerId });
});

test.each(["", "hello", "a.b.c", `${token.split(".")[0]}.e30.x`, "e30.e30.", "\0.\0.\0"])(
  "%p is refused as no token at all",
  (text) => {
    expect(() => inspect(text)).toThrow("This is no tracking token");
  },
);
