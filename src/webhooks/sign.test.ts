import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";
import { signatureHeaders, toKeyPair, toSecret, verify, webhookId } from "./sign.ts";

const PAIR = {
  signingKey: "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==",
  publicKey: "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
};
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const FIRST = { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp: 1_614_265_330, body: '{"test": 2432232314}' };

/** protocols 6.1. */
const VECTORS = [
  { ...FIRST, key: SECRET, signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" },
  {
    id: "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
    timestamp: 1_649_367_553,
    body: '{"email":"test@example.com","username":"test_user"}',
    key: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    signature: "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
  },
  {
    ...FIRST,
    key: PAIR.publicKey,
    signature: "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
  },
];

const signed = (secrets: string[], message = FIRST) =>
  signatureHeaders(message, { secrets, signingKey: PAIR.signingKey });

describe("the specification's vectors", () => {
  test.each(VECTORS)("$signature is what $key gives, and verifies", ({ key, signature, ...message }) => {
    const secrets = key.startsWith("whsec_") ? [key] : [];
    const headers = signed(secrets, message);
    expect(headers["webhook-signature"].split(" ")).toContain(signature);
    const alone = { ...headers, "webhook-signature": signature };
    expect(verify(alone, message.body, key, message.timestamp)).toEqual({ ok: true });
  });

  test("the key pair is that of its seed", () => {
    const seed = Buffer.from(PAIR.signingKey.slice("whsk_".length), "base64").subarray(0, 32);
    expect(toKeyPair(seed)).toEqual(PAIR);
  });
});

describe("what is signed", () => {
  const id = webhookId("event", "01989c2a-7d3c-7cc3-98c4-dc0c0c07398f");
  const body = JSON.stringify({ type: "email_opened", data: { name: "Zoë 👍" } });
  const nowS = () => Math.floor(Date.now() / 1000);
  const [old, other] = [toSecret(Buffer.alloc(32, 1)), toSecret(Buffer.alloc(32, 2))];

  test.each([
    ["standardwebhooks", Webhook],
    ["svix", SvixWebhook],
  ])("is verified by %s: at first, again later, and with either secret of a rotation", (_, Library) => {
    for (const timestamp of [nowS(), nowS() + 60]) {
      const headers = signed([other, old], { id, timestamp, body });
      for (const secret of [old, other])
        expect(new Library(secret).verify(body, headers)).toEqual(JSON.parse(body));
      expect(() => new Library(SECRET).verify(body, headers)).toThrow("No matching signature");
      expect(() => new Library(old).verify(body.replace("Zoë", "Zoe"), headers)).toThrow();
    }
    const late = signed([old], { id, timestamp: nowS() - 302, body });
    expect(() => new Library(old).verify(body, late)).toThrow("too old");
  });

  test("is signed by the newest secret first and the key pair last", () => {
    const [first, second, third, ...more] = signed([other, old])["webhook-signature"].split(" ");
    expect(more).toEqual([]);
    expect(signed([other])["webhook-signature"]).toStartWith(`${first} `);
    expect(signed([old])["webhook-signature"]).toStartWith(`${second} `);
    expect(third).toStartWith("v1a,");
  });

  test("has an id without a dot, the same however often it is told", () => {
    expect(id).toBe("evt_01989c2a7d3c7cc398c4dc0c0c07398f");
    expect(webhookId("digest", "01989c2a-7d3c-7cc3-98c4-dc0c0c07398f")).toStartWith("dig_");
    expect(webhookId("test", "01989c2a-7d3c-7cc3-98c4-dc0c0c07398f")).toStartWith("test_");
  });

  test("verifies whatever it says, and nothing else does", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (text, another) => {
        const headers = signed([old], { ...FIRST, body: text });
        for (const key of [old, PAIR.publicKey]) {
          expect(verify(headers, text, key, FIRST.timestamp).ok).toBe(true);
          // Halves of surrogate pairs are the same three bytes in UTF-8: what is signed are bytes.
          const isSame = Buffer.from(text).equals(Buffer.from(another));
          expect(verify(headers, another, key, FIRST.timestamp).ok).toBe(isSame);
        }
      }),
    );
  });
});

describe("a receiver refuses", () => {
  const headers = signed([SECRET]);
  const check = (change: { [name: string]: string }, now = FIRST.timestamp, key = SECRET) =>
    verify({ ...headers, ...change }, FIRST.body, key, now);
  const reasonOf = (checked: ReturnType<typeof verify>) => (checked.ok ? "accepted" : checked.reason);

  test.each(["webhook-id", "webhook-timestamp", "webhook-signature"])("a request without %s", (name) => {
    expect(reasonOf(check({ [name]: "" }))).toBe(`The header ${name} is missing.`);
  });

  test.each([
    [300, "accepted"],
    [301, "webhook-timestamp is too old."],
    [-300, "accepted"],
    [-301, "webhook-timestamp is too new."],
  ])("by age: %p s is %s", (age, verdict) => {
    expect(reasonOf(check({}, FIRST.timestamp + age))).toBe(verdict);
  });

  test.each(["abc", "1614265330abc", "-1", "1614265330.5", "9".repeat(40)])("%p as a time", (timestamp) => {
    expect(check({ "webhook-timestamp": timestamp }).ok).toBe(false);
  });

  test("another version before the right signature, and it alone", () => {
    const [right = ""] = headers["webhook-signature"].split(" ");
    expect(check({ "webhook-signature": right.replace("v1,", "v2,") }).ok).toBe(false);
    expect(check({ "webhook-signature": right.replace("v1,", "v1a,") }).ok).toBe(false);
    expect(check({ "webhook-signature": right.replace("v1,", "") }).ok).toBe(false);
    expect(check({ "webhook-signature": right.replace(",", ", ") }).ok).toBe(false);
  });

  test("none of four signatures, and accepts the third of four", () => {
    const [right = ""] = headers["webhook-signature"].split(" ");
    const wrong = signed([toSecret(Buffer.alloc(32, 9))])["webhook-signature"].split(" ")[0] ?? "";
    const four = (third: string) => ({ "webhook-signature": [wrong, `v2,${right}`, third, wrong].join(" ") });
    expect(check(four(right)).ok).toBe(true);
    expect(check(four(wrong)).ok).toBe(false);
  });

  test("another's id or time with a signature that is right for its own", () => {
    expect(check({ "webhook-id": "msg_other" }).ok).toBe(false);
    expect(check({ "webhook-timestamp": String(FIRST.timestamp + 1) }).ok).toBe(false);
    expect(check({ "webhook-id": "msg_other" }, FIRST.timestamp, PAIR.publicKey).ok).toBe(false);
  });

  test("nothing of that because of how the headers' names are written", () => {
    const shouted = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value]),
    );
    expect(verify(shouted, Buffer.from(FIRST.body), SECRET, FIRST.timestamp)).toEqual({ ok: true });
  });
});

test.each(["whsec_", "whsec_AAAA", `whsec_${Buffer.alloc(65).toString("base64")}`, "secret", "whsk_AAAA"])(
  "%s is no secret to sign with",
  (secret) => {
    expect(() => signed([secret])).toThrow();
  },
);
