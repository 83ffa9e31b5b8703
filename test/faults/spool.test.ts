import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { runEmbeddedOutage, runOutage } from "../support/outage.ts";

let root = "";

beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "edgr-outage-"));
  await chmod(root, 0o755);
});
afterEach(() => rm(root, { recursive: true, force: true }));

// A minute of it: `bun test/faults/outage-60s.ts`.
test("PostgreSQL killed under load, EDGR killed during the outage and the drain: every answered hit is there once, in order", async () => {
  const { duringOutage, spooled, wrong } = await runOutage({
    root,
    seconds: 3,
    connections: 16,
    contacts: 200,
  });

  expect(wrong).toEqual([]);
  expect(duringOutage.refused).toBe(0);
  expect(spooled).toBeGreaterThan(0);
}, 120_000);

test("the embedded PostgreSQL killed under load: EDGR ends, and the next one has every answered hit once", async () => {
  const { answered, wrong } = await runEmbeddedOutage(root);

  expect(wrong).toEqual([]);
  expect(answered).toBeGreaterThan(0);
}, 120_000);
