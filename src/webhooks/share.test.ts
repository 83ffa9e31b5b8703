import { expect, test } from "bun:test";
import fc from "fast-check";
import { shareOut } from "./share.ts";

const asking = fc.array(fc.record({ inHand: fc.nat(100), room: fc.nat(100) }), { maxLength: 300 });

test("nobody gets more than is asked for, nor all together more than is free", () => {
  fc.assert(
    fc.property(fc.nat(512), fc.nat(256), asking, (free, most, all) => {
      const shares = shareOut(free, most, all);
      expect(shares).toHaveLength(all.length);
      expect(shares.every((share, index) => share <= (all[index]?.room ?? 0))).toBe(true);
      expect(shares.every((share) => share >= 0)).toBe(true);
      expect(shares.reduce((sum, share) => sum + share, 0)).toBeLessThanOrEqual(Math.min(free, most));
    }),
  );
});

test("when something is free, somebody who asks and has little gets it", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 512 }),
      fc.integer({ min: 1, max: 256 }),
      asking,
      (free, most, all) => {
        const shares = shareOut(free, most, [...all, { inHand: 0, room: 1 }]);
        expect(shares.some((share) => share > 0)).toBe(true);
      },
    ),
  );
});

test("one alone gets all it asks for, and many get the same", () => {
  expect(shareOut(512, 256, [{ inHand: 0, room: 100 }])).toEqual([100]);
  expect(
    new Set(
      shareOut(
        512,
        256,
        Array.from({ length: 64 }, () => ({ inHand: 0, room: 100 })),
      ),
    ),
  ).toEqual(new Set([4]));
});

test("a dozen that hang and take all they may leave something for who comes next", () => {
  const hanging = Array.from({ length: 12 }, () => 0);
  const free = () => 1_024 - hanging.reduce((sum, each) => sum + each, 0);
  for (let turn = 0; turn < 3; turn += 1) {
    for (const [index, inHand] of hanging.entries()) {
      hanging[index] = inHand + (shareOut(free(), 256, [{ inHand, room: 100 - inHand }])[0] ?? 0);
    }
  }
  expect(shareOut(free(), 256, [{ inHand: 0, room: 10 }])).toEqual([10]);
});
