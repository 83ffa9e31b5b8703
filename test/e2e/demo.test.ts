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

/** Of sixty people, three have no mailbox, three a full one, three complain and six answer. */
const REPORTS = [
  /welcome: delivered +54 +54 +ok/,
  /welcome: bounced +6 +6 +ok/,
  /welcome: complained +3 +3 +ok/,
  /welcome: answered +6 +6 +ok/,
  /edge welcome-answered fired +6 +6 +ok/,
  /edge welcome-unreachable fired +6 +6 +ok/,
  /addresses suppressed after a bounce +3 +3 +ok/,
  /addresses suppressed after a complaint +3 +3 +ok/,
  /forged reports refused +(\d+) +\1 +ok/,
];

describe("the demo", () => {
  test("finds both sides equal: what people did and SES reported, and what EDGR says", async () => {
    const demo = startDemo(60);
    expect([await demo.ended, demo.output()]).toEqual([0, expect.stringContaining("Both sides agree")]);
    expect(demo.output()).toMatch(/welcome: sent +60 +60 +ok/);
    expect(demo.output()).toMatch(/edge welcome-story fired +42 +42 +ok/);
    for (const report of REPORTS) expect(demo.output()).toMatch(report);
  }, 120_000);

  test("killed while it sends, twice, and started again, misses nothing and mails nobody twice", async () => {
    for (const share of [20, 70]) {
      const demo = startDemo(60);
      await until(async () => acceptedMails(demo) >= share || demo.child.exitCode !== null);
      if (demo.child.exitCode !== null) throw new Error(`the demo ended:\n${demo.output()}`);
      await killAll(demo);
    }
    const demo = startDemo(60);
    expect([await demo.ended, demo.output()]).toEqual([
      0,
      expect.stringContaining("nobody was mailed twice"),
    ]);
    expect(demo.output()).toContain("Continues the demo that was interrupted");
    for (const report of [
      "welcome: delivered",
      "welcome: bounced",
      "welcome: complained",
      "addresses suppressed",
      "forged",
    ])
      expect(demo.output()).toMatch(new RegExp(`${report}.* (\\d+) +\\1 +ok`));
  }, 180_000);
});
