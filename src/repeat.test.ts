import { expect, test } from "bun:test";
import { repeat } from "./repeat.ts";

const NEVER_MS = 3_600_000;

/** Work that does this and that at its turns, and rests afterwards. */
function turns(...plan: (() => "more" | "done")[]) {
  const rested = Promise.withResolvers<void>();
  let done = 0;
  const work = async () => {
    const act = plan[done];
    done += 1;
    if (done >= plan.length) rested.resolve();
    return act === undefined ? ("done" as const) : act();
  };
  return { work, rested: rested.promise, count: () => done };
}

test("work that has more is done again at once, until it has no more", async () => {
  const plan = turns(
    () => "more",
    () => "more",
    () => "done",
  );
  const repeating = repeat(NEVER_MS, plan.work, () => {});
  await plan.rested;
  await repeating.stop();
  expect(plan.count()).toBe(3);
});

test("a failure is told, and the next turn comes all the same", async () => {
  const errors: unknown[] = [];
  const failure = new Error("no database");
  const plan = turns(
    () => {
      throw failure;
    },
    () => "done",
  );
  const repeating = repeat(1, plan.work, (error) => errors.push(error));
  await plan.rested;
  await repeating.stop();
  expect(errors).toEqual([failure]);
});

test("stopping does not wait for the next turn", async () => {
  const plan = turns(() => "done");
  const repeating = repeat(NEVER_MS, plan.work, () => {});
  await plan.rested;
  await repeating.stop();
  expect(plan.count()).toBe(1);
});
