import { describe, expect, test } from "bun:test";
import { type LaunchedEdgr, launchEdgr } from "../support/edgr-process.ts";
import { until, useInstallation } from "../support/installation.ts";

const installation = useInstallation();

function startDemo(contacts: number): LaunchedEdgr {
  return launchEdgr(["demo", "--contacts", String(contacts)], { env: installation.env() });
}

/** Ends the demo and its EDGR as the kernel would, at once; the database of the dead stays running. */
async function killAll(demo: LaunchedEdgr): Promise<void> {
  if (demo.child.pid === undefined) throw new Error("the demo did not start");
  process.kill(-demo.child.pid, "SIGKILL");
  await demo.ended;
}

const acceptedMails = (demo: LaunchedEdgr) =>
  Number(/(\d+) mails accepted(?![\s\S]*mails accepted)/.exec(demo.output())?.[1]);

describe("the demo", () => {
  test("finds both sides equal: what people did and what EDGR says", async () => {
    const demo = startDemo(60);
    expect([await demo.ended, demo.output()]).toEqual([0, expect.stringContaining("Both sides agree")]);
    expect(demo.output()).toMatch(/welcome: sent +60 +60 +ok/);
    expect(demo.output()).toMatch(/edge welcome-story fired +42 +42 +ok/);
  }, 120_000);

  test("killed while it sends, twice, and started again, misses nothing and mails nobody twice", async () => {
    for (const share of [20, 70]) {
      const demo = startDemo(60);
      await until(async () => acceptedMails(demo) >= share || demo.child.exitCode !== null);
      await killAll(demo);
    }
    const demo = startDemo(60);
    expect([await demo.ended, demo.output()]).toEqual([
      0,
      expect.stringContaining("nobody was mailed twice"),
    ]);
    expect(demo.output()).toContain("Continues the demo that was interrupted");
  }, 180_000);
});
