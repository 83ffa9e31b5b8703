import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createGroupCommit, GroupFullError, GroupTimeoutError } from "./group-commit.ts";

const LIMITS = { maxGroup: 100, maxWaiting: 1_000, maxWrites: 1, timeoutMs: 60_000, isRefusal: () => false };

class Refusal extends Error {}
const isRefusal = (error: unknown) => error instanceof Refusal;

/** A writer whose every write waits to be told how it ends. */
function heldWriter() {
  const writes: { items: readonly number[]; end: (error?: Error) => void }[] = [];
  let began = Promise.withResolvers<void>();
  const write = (items: readonly number[]) =>
    new Promise<void>((resolve, reject) => {
      writes.push({ items, end: (error) => (error === undefined ? resolve() : reject(error)) });
      began.resolve();
      began = Promise.withResolvers<void>();
    });
  /** The write with this number, counted from 0, as soon as it has begun. */
  async function nth(number: number) {
    for (;;) {
      const begun = writes[number];
      if (begun !== undefined) return begun;
      await began.promise;
    }
  }
  return { write, writes, nth };
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

describe("many writers", () => {
  test("of one moment share one write, in their order", async () => {
    const writes: number[][] = [];
    const group = createGroupCommit<number>(async (items) => void writes.push([...items]), LIMITS);
    await Promise.all(range(0, 50).map(group.append));
    expect(writes).toEqual([range(0, 50)]);
  });

  test("gather while a write is under way, and each settles with its own", async () => {
    const writer = heldWriter();
    const group = createGroupCommit(writer.write, LIMITS);
    const settled: number[] = [];
    const append = (item: number) => group.append(item).then(() => settled.push(item));
    const first = append(0);
    (await writer.nth(0)).items;
    const rest = range(1, 20).map(append);
    writer.writes[0]?.end();
    await first;
    expect((await writer.nth(1)).items).toEqual(range(1, 20));
    expect(settled).toEqual([0]);
    writer.writes[1]?.end();
    await Promise.all(rest);
    expect(settled).toEqual(range(0, 20));
  });

  test("more than one group holds fill further writes at once, as many as may be under way", async () => {
    const writer = heldWriter();
    const group = createGroupCommit(writer.write, { ...LIMITS, maxGroup: 10, maxWrites: 2 });
    const all = range(0, 35).map(group.append);
    await writer.nth(1);
    expect(writer.writes.map(({ items }) => items)).toEqual([range(0, 10), range(10, 20)]);
    writer.writes[0]?.end();
    expect((await writer.nth(2)).items).toEqual(range(20, 30));
    writer.writes[1]?.end();
    writer.writes[2]?.end();
    (await writer.nth(3)).end();
    await Promise.all(all);
    expect(writer.writes).toHaveLength(4);
  });

  test("learn of a failed write, and the next group is written all the same", async () => {
    const writer = heldWriter();
    const group = createGroupCommit(writer.write, LIMITS);
    const failed = [group.append(1), group.append(2)];
    (await writer.nth(0)).end(new Error("gone"));
    expect((await Promise.allSettled(failed)).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    const next = group.append(3);
    (await writer.nth(1)).end();
    await next;
  });
});

describe("an item that is refused", () => {
  test("fails alone, whatever stands beside it, and everything else is written once", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 20 }),
        async (poisoned, maxGroup) => {
          const written: number[] = [];
          const group = createGroupCommit<number>(
            async (items) => {
              if (items.some((item) => poisoned[item])) throw new Refusal();
              written.push(...items);
            },
            { ...LIMITS, maxGroup, isRefusal },
          );
          const results = await Promise.allSettled(poisoned.map((_, item) => group.append(item)));
          expect(results.map(({ status }) => status === "rejected")).toEqual(poisoned);
          expect(written).toEqual(poisoned.flatMap((bad, item) => (bad ? [] : [item])));
        },
      ),
      { numRuns: 50 },
    );
  });

  test("is not looked for when the connection failed: nothing is written item by item", async () => {
    let writes = 0;
    const group = createGroupCommit<number>(
      async () => {
        writes += 1;
        throw new Error("no connection");
      },
      { ...LIMITS, isRefusal },
    );
    await Promise.allSettled(range(0, 8).map(group.append));
    expect(writes).toBe(1);
  });
});

describe("an outage", () => {
  test("keeps no more than may wait, and refuses the next at once", async () => {
    const writer = heldWriter();
    const group = createGroupCommit(writer.write, { ...LIMITS, maxWaiting: 3 });
    const first = group.append(0);
    await writer.nth(0);
    const waiting = range(1, 4).map(group.append);
    await expect(group.append(4)).rejects.toBeInstanceOf(GroupFullError);
    writer.writes[0]?.end();
    await first;
    (await writer.nth(1)).end();
    await Promise.all(waiting);
  });
});

describe("draining", () => {
  test("resolves at once when nothing was appended", async () => {
    await createGroupCommit<number>(async () => {}, LIMITS).drain();
  });

  test("waits until everything has settled, failed items too", async () => {
    const settled: number[] = [];
    const group = createGroupCommit<number>(
      async (items) => {
        if (items.includes(3)) throw new Error("gone");
      },
      { ...LIMITS, maxGroup: 2 },
    );
    for (const item of range(0, 6))
      void group.append(item).then(
        () => settled.push(item),
        () => settled.push(item),
      );
    await group.drain();
    expect(settled.sort()).toEqual(range(0, 6));
  });
});

describe("a write that hangs", () => {
  test("lets its writers and those behind it go after the time allowed, and is not made again", async () => {
    const writer = heldWriter();
    const group = createGroupCommit(writer.write, { ...LIMITS, timeoutMs: 20 });
    const outcomes = await Promise.allSettled([1, 2, 3].map(group.append));
    expect(outcomes.map((outcome) => outcome.status === "rejected" && outcome.reason)).toEqual(
      Array(3).fill(expect.any(GroupTimeoutError)),
    );
    expect(writer.writes).toHaveLength(1);
  });

  test("that ends after all gives the way free for those who come then", async () => {
    const writer = heldWriter();
    const group = createGroupCommit(writer.write, { ...LIMITS, timeoutMs: 20 });
    await expect(group.append(1)).rejects.toBeInstanceOf(GroupTimeoutError);
    writer.writes[0]?.end();
    await group.drain();
    const second = group.append(2);
    (await writer.nth(1)).end();
    await second;
    expect(writer.writes.map(({ items }) => items)).toEqual([[1], [2]]);
  });
});
