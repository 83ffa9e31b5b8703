import { expect, test } from "bun:test";
import { type Pending, type Waiting, waitingFor } from "./waiting.ts";

const NOW = new Date("2026-03-06T20:00:00Z");
const inSeconds = (seconds: number) => new Date(NOW.getTime() + seconds * 1000);

const due: Pending = {
  dueAt: NOW,
  isRunning: false,
  isEndpointDisabled: false,
  pausedUntil: null,
  slowedUntil: null,
  isBehind: false,
};

const cases: [string, Partial<Pending>, Waiting["code"], number | null][] = [
  ["is due", {}, "turn", null],
  ["is being tried", { isRunning: true, dueAt: inSeconds(60) }, "running", null],
  [
    "has a disabled endpoint",
    { isEndpointDisabled: true, pausedUntil: inSeconds(9) },
    "endpoint_disabled",
    null,
  ],
  ["is due later", { dueAt: inSeconds(5) }, "schedule", 5],
  ["has an endpoint that fails", { pausedUntil: inSeconds(30), dueAt: inSeconds(5) }, "endpoint_paused", 30],
  [
    "has an endpoint that is slowed",
    { slowedUntil: inSeconds(60), pausedUntil: inSeconds(30) },
    "endpoint_slowed",
    60,
  ],
  ["is due after its endpoint's pause", { pausedUntil: inSeconds(30), dueAt: inSeconds(90) }, "schedule", 90],
  ["has a pause behind it", { pausedUntil: inSeconds(-1), slowedUntil: inSeconds(-1) }, "turn", null],
  ["is behind another", { isBehind: true }, "order", null],
];

test.each(cases)("a delivery that %s waits for that", (_, pending, code, seconds) => {
  const waiting = waitingFor({ ...due, ...pending }, NOW);
  expect([waiting.code, waiting.until]).toEqual([code, seconds === null ? null : inSeconds(seconds)]);
});
