import { expect, test } from "bun:test";
import { createSignal } from "./signal.ts";

// Longer than the test runner waits: a sleep that is not woken fails its test.
const FOREVER_MS = 1_000_000;

test("a sleeper is woken", async () => {
  const signal = createSignal();
  const slept = signal.sleep(FOREVER_MS);
  signal.wake();
  await slept;
});

test("a wake that nobody slept through ends the next sleep at once, and only that one", async () => {
  const signal = createSignal();
  signal.wake();
  signal.wake();
  await signal.sleep(FOREVER_MS);
  const second = signal.sleep(FOREVER_MS);
  expect(await Promise.race([second, Promise.resolve("still asleep")])).toBe("still asleep");
  signal.wake();
  await second;
});

test("a sleep ends by itself when its time is over, and the signal can be slept at again", async () => {
  const signal = createSignal();
  await signal.sleep(1);
  const second = signal.sleep(FOREVER_MS);
  signal.wake();
  await second;
});
