import { expect, test } from "bun:test";
import fc from "fast-check";
import { inWaves } from "./waves.ts";

test("no group has a key twice, every item is in one, and items that share a key keep their order", () => {
  const keys = fc.uniqueArray(fc.constantFrom("a", "b", "c", 1, 2), { minLength: 1, maxLength: 2 });
  fc.assert(
    fc.property(fc.array(keys, { maxLength: 20 }), (given) => {
      const items = given.map((keys, place) => ({ keys, place }));
      const waves = inWaves(items, ({ keys }) => keys);
      for (const wave of waves) {
        const all = wave.flatMap(({ keys }) => keys);
        expect(new Set(all).size).toBe(all.length);
      }
      const flat = waves.flat();
      expect(flat.map(({ place }) => place).toSorted((a, b) => a - b)).toEqual(
        items.map(({ place }) => place),
      );
      for (const key of ["a", "b", "c", 1, 2]) {
        const places = flat.filter(({ keys }) => keys.includes(key)).map(({ place }) => place);
        expect(places).toEqual(places.toSorted((a, b) => a - b));
      }
    }),
  );
});
