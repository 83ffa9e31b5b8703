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

const messagesInTelegram = (demo: LaunchedEdgr) =>
  Number(/(\d+) messages in Telegram(?![\s\S]*messages in Telegram)/.exec(demo.output())?.[1]);

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

/**
 * Eighteen of them never open the welcome. In Telegram three have no chat, three have blocked the bot; of the others six
 * click, six answer, three like what they read and three leave.
 */
const CHATS = [
  /edge welcome-nudge fired +18 +18 +ok/,
  /nudge: sent +12 +12 +ok/,
  /nudge: delivered +12 +12 +ok/,
  /nudge: failed \(no chat, or the bot is blocked\) +6 +6 +ok/,
  /nudge: clicked by people +6 +6 +ok/,
  /nudge: answered +6 +6 +ok/,
  /nudge: unsubscribed +3 +3 +ok/,
  /edge nudge-looked fired +6 +6 +ok/,
  /edge nudge-talking fired +6 +6 +ok/,
  /edge nudge-gone fired +3 +3 +ok/,
  /chats suppressed after a block +3 +3 +ok/,
  /conversations that end with an answer +6 +6 +ok/,
  /reactions in conversations +3 +3 +ok/,
];

describe("the demo", () => {
  test("finds both sides equal: what people did, also in Telegram, and SES reported, and what EDGR says", async () => {
    const demo = startDemo(60);
    expect([await demo.ended, demo.output()]).toEqual([0, expect.stringContaining("Both sides agree")]);
    expect(demo.output()).toMatch(/welcome: sent +60 +60 +ok/);
    expect(demo.output()).toMatch(/edge welcome-story fired +42 +42 +ok/);
    for (const row of [...REPORTS, ...CHATS]) expect(demo.output()).toMatch(row);
  }, 120_000);

  test("killed while it sends, again and again, and started again, misses nothing and writes to nobody twice", async () => {
    const moments = [
      (demo: LaunchedEdgr) => acceptedMails(demo) >= 20,
      (demo: LaunchedEdgr) => acceptedMails(demo) >= 70,
      (demo: LaunchedEdgr) => messagesInTelegram(demo) >= 4,
    ];
    for (const isReached of moments) {
      const demo = startDemo(60);
      await until(async () => isReached(demo) || demo.child.exitCode !== null);
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
      "nudge: sent",
      "conversations that end with an answer",
    ])
      expect(demo.output()).toMatch(new RegExp(`${report}.* (\\d+) +\\1 +ok`));
  }, 240_000);
});
