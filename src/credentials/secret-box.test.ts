import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { openSecret, sealSecret } from "./secret-box.ts";

const KEY = Buffer.alloc(32, 1);
const text = fc.string({ unit: "grapheme" });

describe("a sealed secret", () => {
  test("opens to what was sealed, for its owner", () => {
    fc.assert(
      fc.property(text, text, (owner, plain) => {
        expect(openSecret(KEY, owner, sealSecret(KEY, owner, plain))).toBe(plain);
      }),
    );
  });

  test("looks different each time, and shows nothing of what is in it", () => {
    const sealed = sealSecret(KEY, "a/b", "hunter2");
    expect(sealed.equals(sealSecret(KEY, "a/b", "hunter2"))).toBe(false);
    expect(sealed.includes("hunter2")).toBe(false);
  });

  test("does not open with another key, nor as another row's", () => {
    const sealed = sealSecret(KEY, "a/b", "hunter2");
    expect(() => openSecret(randomBytes(32), "a/b", sealed)).toThrow();
    expect(() => openSecret(KEY, "a/c", sealed)).toThrow();
  });

  test("does not open when any bit was changed or any of it is missing", () => {
    const sealed = sealSecret(KEY, "a/b", "hunter2");
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(() => openSecret(KEY, "a/b", changed)).toThrow();
    }
    for (let length = 0; length < sealed.length; length += 1) {
      expect(() => openSecret(KEY, "a/b", sealed.subarray(0, length))).toThrow();
    }
  });
});
