import { expect, test } from "bun:test";
import { signatureHeaders, toKeyPair, toSecret } from "./sign.ts";
import { verification } from "./verification.ts";

const [older, newer] = [toSecret(Buffer.alloc(32, 1)), toSecret(Buffer.alloc(32, 2))];
const { signingKey, publicKey } = toKeyPair(Buffer.alloc(32, 3));
const AT = new Date("2026-03-06T20:00:00Z");
const body = '{"type":"email_opened"}';
const headers = {
  "Content-Type": "application/json",
  ...signatureHeaders(
    { id: "evt_1", timestamp: AT.getTime() / 1000, body },
    { secrets: [older], signingKey },
  ),
};
const secrets = [
  { id: "2", secret: newer },
  { id: "1", secret: older },
];

test("a request is verified with each key, as it was when it was made", () => {
  const later = new Date(AT.getTime() + 86_400_000);
  expect(verification({ headers, body }, { secrets, publicKey }, later)).toEqual({
    id: "evt_1",
    timestamp: String(AT.getTime() / 1000),
    signature: headers["webhook-signature"],
    signedContent: `evt_1.${AT.getTime() / 1000}.${body}`,
    secrets: [
      { id: "2", last4: newer.slice(-4), isVerified: false },
      { id: "1", last4: older.slice(-4), isVerified: true },
    ],
    publicKey: { key: publicKey, isVerified: true },
    isRecent: false,
  });
});

test("a body with one byte more is nobody's", () => {
  const found = verification({ headers, body: `${body} ` }, { secrets, publicKey }, AT);
  expect([found?.secrets.map((key) => key.isVerified), found?.publicKey.isVerified, found?.isRecent]).toEqual(
    [[false, false], false, true],
  );
});

test("what was not signed is not verified", () => {
  expect(verification({ headers: { "X-A": "b" }, body }, { secrets, publicKey }, AT)).toBeNull();
});
