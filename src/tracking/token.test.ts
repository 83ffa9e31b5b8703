import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { createDecoder, createSigner, createVerifier } from "fast-jwt";
import { newId, toShortId } from "../events/id.ts";
import {
  createTokens,
  MAX_TOKEN_CHARS,
  nodeClaim,
  type SigningKey,
  type TokenClaims,
  urlDigest,
} from "./token.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const secret = Buffer.from("0123456789abcdef0123456789abcdef");
const key: SigningKey = { kid: "k1", secret, retired: false };
const tokens = createTokens([key]);

const claims: TokenClaims = {
  customerId: newId(),
  campaignId: newId(),
  node: nodeClaim("hello"),
  runId: newId(),
  messageId: newId(),
  expiresAt: 1_900_000_000,
  urlDigest: urlDigest("https://example.com/buy"),
};

const anyClaims: fc.Arbitrary<TokenClaims> = fc.record({
  customerId: fc.uuid(),
  campaignId: fc.uuid(),
  node: fc.string({ unit: "grapheme", minLength: 1, maxLength: 64 }).map(nodeClaim),
  runId: fc.uuid(),
  messageId: fc.uuid(),
  expiresAt: fc.integer({ min: 0, max: 99_999_999_999 }),
  urlDigest: fc.option(fc.webUrl().map(urlDigest)),
});

/** A token with any header and payload, signed as HS256 is, to try what our own signer never makes. */
function forge(header: unknown, payload: unknown, hash = "sha256", secretBytes: Buffer = secret): string {
  const signed = [header, payload]
    .map((part) => Buffer.from(typeof part === "string" ? part : JSON.stringify(part)).toString("base64url"))
    .join(".");
  return `${signed}.${createHmac(hash, secretBytes).update(signed).digest("base64url")}`;
}

const goodHeader = { alg: "HS256", kid: "k1" };
const goodPayload = {
  c: toShortId(claims.customerId),
  k: toShortId(claims.campaignId),
  n: claims.node,
  r: toShortId(claims.runId),
  m: toShortId(claims.messageId),
  exp: claims.expiresAt,
};

describe("what was signed", () => {
  test("is read back whole, whatever the ids", () => {
    fc.assert(
      fc.property(anyClaims, (given) => {
        expect(tokens.verify(tokens.sign(given))).toEqual(given);
      }),
    );
  });

  test("never takes more than 320 characters, with the longest key id, node and expiry", () => {
    const longest = createTokens([{ kid: "abcd", secret, retired: false }]);
    fc.assert(
      fc.property(anyClaims, (given) => {
        const token = longest.sign({
          ...given,
          expiresAt: 99_999_999_999,
          urlDigest: urlDigest("https://example.com"),
        });
        expect(token.length).toBeLessThanOrEqual(MAX_TOKEN_CHARS);
      }),
    );
  });

  test("is verified when it has expired: the caller decides what an old link may still do", () => {
    expect(tokens.verify(tokens.sign({ ...claims, expiresAt: 1 }))?.expiresAt).toBe(1);
  });

  test("carries the header {alg, kid} and no claim beyond c, k, n, r, m, exp and u", () => {
    const { header, payload } = createDecoder({ complete: true })(tokens.sign(claims));
    expect(header).toEqual(goodHeader);
    expect(payload).toEqual({ ...goodPayload, u: claims.urlDigest });
    expect(createDecoder()(tokens.sign({ ...claims, urlDigest: null }))).toEqual(goodPayload);
  });

  test("cannot be a claim that would not be read back", () => {
    expect(() => tokens.sign({ ...claims, customerId: "not-a-uuid" })).toThrow(RangeError);
    expect(() => tokens.sign({ ...claims, runId: claims.runId.toUpperCase() })).toThrow(RangeError);
    expect(() => tokens.sign({ ...claims, node: "a node that is too long" })).toThrow(RangeError);
    expect(() => tokens.sign({ ...claims, expiresAt: 1.5 })).toThrow(RangeError);
    expect(() => tokens.sign({ ...claims, urlDigest: "short" })).toThrow(RangeError);
  });
});

describe("a changed token is refused", () => {
  test("after the change of any one character, the last one included", () => {
    const token = tokens.sign(claims);
    for (let at = 0; at < token.length; at++) {
      for (const other of `${ALPHABET}.=\u0000é\u0141`) {
        if (other === token[at]) continue;
        expect(tokens.verify(token.slice(0, at) + other + token.slice(at + 1))).toBeNull();
      }
    }
  });

  test("after a cut, an addition or a repetition", () => {
    const token = tokens.sign(claims);
    for (let length = 0; length < token.length; length++) {
      expect(tokens.verify(token.slice(0, length))).toBeNull();
    }
    for (const longer of [`${token}=`, `${token}A`, ` ${token}`, `${token}.`, `${token}\0`, token + token]) {
      expect(tokens.verify(longer)).toBeNull();
    }
    expect(tokens.verify("A".repeat(1_000_000))).toBeNull();
  });

  test("and so is any other text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 330 }), (text) => {
        expect(tokens.verify(text)).toBeNull();
      }),
    );
  });
});

describe("a header that we do not issue is refused, even over a good signature", () => {
  test.each([
    ["alg none", { alg: "none", kid: "k1" }, "sha256"],
    ["alg HS512", { alg: "HS512", kid: "k1" }, "sha512"],
    ["alg hs256 in lower case", { alg: "hs256", kid: "k1" }, "sha256"],
    ["an unknown key", { alg: "HS256", kid: "k2" }, "sha256"],
    ["no key", { alg: "HS256" }, "sha256"],
    ["the key of a prototype", { alg: "HS256", kid: "__proto__" }, "sha256"],
    ["a typ", { alg: "HS256", kid: "k1", typ: "JWT" }, "sha256"],
    ["another order", { kid: "k1", alg: "HS256" }, "sha256"],
  ])("%s", (_name, header, hash) => {
    expect(tokens.verify(forge(goodHeader, goodPayload))).not.toBeNull();
    expect(tokens.verify(forge(header, goodPayload, hash))).toBeNull();
  });

  test("alg none without a signature", () => {
    const unsigned = forge({ alg: "none", kid: "k1" }, goodPayload).split(".").slice(0, 2).join(".");
    expect(tokens.verify(`${unsigned}.`)).toBeNull();
  });
});

describe("a payload that we do not issue is refused, even over a good signature", () => {
  test.each<[string, unknown]>([
    ["not JSON", "{"],
    ["null", "null"],
    ["a list", "[]"],
    ["a missing claim", { ...goodPayload, m: undefined }],
    ["a claim of the wrong type", { ...goodPayload, exp: "1900000000" }],
    ["an expiry out of range", { ...goodPayload, exp: 1e300 }],
    ["a negative expiry", { ...goodPayload, exp: -1 }],
    ["an id that is too short", { ...goodPayload, c: "AAAA" }],
    ["an id with stray bits", { ...goodPayload, c: `${"A".repeat(21)}B` }],
    ["an id that is a number", { ...goodPayload, c: 1 }],
    ["a node that is too long", { ...goodPayload, n: "abcdefghijklm" }],
    ["a digest that is too short", { ...goodPayload, u: "AAAA" }],
    ["a digest that is null", { ...goodPayload, u: null }],
    ["a claim of nobody's", { ...goodPayload, iat: 1 }],
    ["a prototype key", `${JSON.stringify(goodPayload).slice(0, -1)},"__proto__":{}}`],
  ])("%s", (_name, payload) => {
    expect(tokens.verify(forge(goodHeader, payload))).toBeNull();
  });
});

describe("keys rotate", () => {
  const older: SigningKey = { kid: "old", secret: Buffer.alloc(32, 1), retired: false };

  test("the newest signs, and all that are not retired verify", () => {
    const before = createTokens([older]).sign(claims);
    const rotated = createTokens([key, older]);
    expect(rotated.verify(before)).toEqual(claims);
    expect(createTokens([key]).verify(rotated.sign(claims))).toEqual(claims);
  });

  test("a retired key verifies nothing and signs nothing", () => {
    const before = createTokens([older]).sign(claims);
    const retired = createTokens([{ ...older, retired: true }, key]);
    expect(retired.verify(before)).toBeNull();
    expect(createTokens([key]).verify(retired.sign(claims))).toEqual(claims);
  });

  test("the same kid with another secret verifies nothing", () => {
    expect(createTokens([{ ...key, secret: older.secret }]).verify(tokens.sign(claims))).toBeNull();
  });

  test("keys that cannot work are refused at the start", () => {
    expect(() => createTokens([])).toThrow(RangeError);
    expect(() => createTokens([{ ...key, retired: true }])).toThrow(RangeError);
    expect(() => createTokens([key, key])).toThrow(RangeError);
    expect(() => createTokens([{ ...key, kid: "12345" }])).toThrow(RangeError);
    expect(() => createTokens([{ ...key, secret: Buffer.alloc(31) }])).toThrow(RangeError);
  });
});

describe("other JWT implementations agree", () => {
  test("fast-jwt verifies ours", () => {
    const verify = createVerifier({ key: secret, algorithms: ["HS256"], clockTimestamp: 1_800_000_000_000 });
    fc.assert(
      fc.property(anyClaims, (given) => {
        const payload = verify(tokens.sign({ ...given, expiresAt: claims.expiresAt }));
        expect(payload.m).toBe(toShortId(given.messageId));
        expect(payload.exp).toBe(claims.expiresAt);
      }),
    );
  });

  test("ours verifies fast-jwt's", () => {
    const header = { ...goodHeader };
    // fast-jwt adds `typ: JWT` unless it is told that there is none.
    Reflect.set(header, "typ", undefined);
    const sign = createSigner({ key: secret, algorithm: "HS256", kid: "k1", header, noTimestamp: true });
    expect(tokens.verify(sign({ ...goodPayload, u: claims.urlDigest }))).toEqual(claims);
    expect(tokens.verify(sign(goodPayload))).toEqual({ ...claims, urlDigest: null });
  });
});

describe("a node's id in a token", () => {
  test("is itself when short and plain, else a short digest that differs for different ids", () => {
    expect(nodeClaim("welcome-mail")).toBe("welcome-mail");
    expect(nodeClaim("welcome-mail1")).toMatch(/^~[A-Za-z0-9_-]{11}$/);
    expect(nodeClaim("welcome-mail1")).not.toBe(nodeClaim("welcome-mail2"));
    expect(nodeClaim("~bcdefghijkl")).not.toBe("~bcdefghijkl");
    expect(nodeClaim('"')).toHaveLength(12);
  });
});
