import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fromShortId, newId, toShortId } from "./id.ts";

const V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const MAX_MS = 2 ** 48 - 1;

describe("a new id", () => {
  test("is a UUIDv7 that begins with its time, whatever the time", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: MAX_MS }), (ms) => {
        const id = newId(ms);
        expect(id).toMatch(V7);
        expect(Number.parseInt(id.replace("-", "").slice(0, 12), 16)).toBe(ms);
      }),
    );
  });

  test("sorts after every id of an earlier millisecond", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: MAX_MS - 1 }), (ms) => {
        expect(newId(ms) < newId(ms + 1)).toBe(true);
      }),
    );
  });

  test("sorts after the one made before it in the same millisecond", () => {
    const ids = Array.from({ length: 2_000 }, () => newId(1_700_000_000_001));
    expect(ids.toSorted()).toEqual(ids);
  });

  test("is like no other, in one millisecond and over refills of the random pool", () => {
    const ids = new Set(Array.from({ length: 100_000 }, () => newId(1_700_000_000_000)));
    expect(ids.size).toBe(100_000);
  });

  test("uses every random bit", () => {
    const seen = Array.from({ length: 400 }, (_, ms) => BigInt(`0x${newId(ms).replaceAll("-", "")}`));
    const everOne = seen.reduce((bits, id) => bits | id, 0n);
    const everZero = seen.reduce((bits, id) => bits | ~id, 0n);
    // 11 bits after the version and its first one, which leaves the sequence room to count; 62 after the variant.
    const random = (0x7ffn << 64n) | ((1n << 62n) - 1n);
    expect(everOne & random).toBe(random);
    expect(everZero & random).toBe(random);
  });
});

describe("a short id", () => {
  test("goes there and back for every UUID", () => {
    fc.assert(
      fc.property(fc.uuid(), (id) => {
        const short = toShortId(id);
        expect(short).toMatch(/^[A-Za-z0-9_-]{22}$/);
        expect(fromShortId(short)).toBe(id);
      }),
    );
  });

  test("is refused unless it is the one way to write 16 bytes", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[A-Za-z0-9_+/=-]{20,24}$/)), (text) => {
        const id = fromShortId(text);
        expect(id === null || toShortId(id) === text).toBe(true);
      }),
    );
    const short = toShortId(newId());
    for (const wrong of [
      "",
      `${short}A`,
      short.slice(1),
      `${short.slice(0, 21)}=`,
      `${short.slice(0, 21)}B`,
    ]) {
      expect(fromShortId(wrong)).toBeNull();
    }
  });
});
