import { expect, test } from "bun:test";
import { createPausable } from "./pausable.ts";

function setUp() {
  const told: string[] = [];
  let stopped = Promise.withResolvers<void>();
  const pausable = createPausable(
    () => {
      told.push("start");
      return {
        wake: () => void told.push("wake"),
        async stop() {
          told.push("stop");
          await stopped.promise;
          stopped = Promise.withResolvers();
          told.push("stopped");
        },
      };
    },
    (error) => told.push(String(error)),
  );
  return { told, pausable, finishStop: () => stopped.resolve() };
}

test("nothing runs until it is allowed, and a call before that wakes nobody", async () => {
  const { told, pausable } = setUp();
  pausable.wake();
  await pausable.stop();
  expect(told).toEqual([]);
});

test("it begins anew only when it has ended", async () => {
  const { told, pausable, finishStop } = setUp();
  pausable.allow(true);
  await settled();
  pausable.wake();
  pausable.allow(false);
  await settled();
  pausable.allow(true);
  await settled();
  expect(told).toEqual(["start", "wake", "stop"]);
  finishStop();
  await settled();
  expect(told).toEqual(["start", "wake", "stop", "stopped", "start"]);
  finishStop();
  await pausable.stop();
  expect(told.slice(-2)).toEqual(["stop", "stopped"]);
});

test("a permission that is taken back and given again at once changes nothing", async () => {
  const { told, pausable, finishStop } = setUp();
  pausable.allow(true);
  await settled();
  pausable.allow(false);
  pausable.allow(true);
  await settled();
  expect(told).toEqual(["start"]);
  finishStop();
  await pausable.stop();
});

const settled = () => new Promise(setImmediate);
