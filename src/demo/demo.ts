import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { findPort } from "../http/server.ts";
import { type Api, openApi, readAll } from "./api.ts";
import { demoCampaign, demoContacts } from "./campaign.ts";
import {
  type Analytics,
  analytics,
  type Comparison,
  compare,
  isEqual,
  isOver,
  mailedTwice,
} from "./compare.ts";
import { compareReports } from "./compare-reports.ts";
import { compareTelegram } from "./compare-telegram.ts";
import { createChatReader } from "./conversations.ts";
import { gatherCrowd } from "./crowd.ts";
import { type Journal, NUDGE, openJournal, type Setup } from "./journal.ts";
import { startMailServer } from "./mail-server.ts";
import { type Sns, startSns } from "./sns.ts";
import { TOPIC } from "./sns-envelope.ts";
import { BOT, startDemoTelegram, type Telegram } from "./telegram.ts";
import { startInTelegram } from "./telegram-start.ts";

export type DemoOptions = {
  /** A directory of the demo's own. What a killed demo left there is continued. */
  dir: string;
  contacts: number;
  print: (line: string) => void;
};

export type DemoResult = { rows: Comparison[]; mailedTwice: string[]; complete: boolean };

const PEOPLE_AT_ONCE = 20;
const LOOK_MS = 500;
const START_TIMEOUT_MS = 60_000;
/** Without any progress for so long, the demo prints what it has and says that it does not match. */
const STALL_MS = 45_000;

/**
 * Runs EDGR as its users do, in a process of its own, sends a campaign to a real mail server on loopback and to
 * Telegram, lets the recipients react over HTTP and in their chats and Amazon SES report on the mail, and compares what they
 * did with what EDGR says.
 */
export async function runDemo({ dir, contacts, print }: DemoOptions): Promise<DemoResult> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const journal = openJournal(path.join(dir, "journal.jsonl"));
  const previous = journal.entries.find((entry) => entry.kind === "setup");
  if (previous !== undefined) print("Continues the demo that was interrupted.");
  const setup = previous ?? (await newSetup(journal));
  const sns = startSns(setup.snsPort, journal, Math.random);
  const telegram = await startDemoTelegram(setup, journal, contacts);
  const mailServer = await startMailServer(setup.smtpPort, journal, sns.publish);
  const server = startServer(dir, setup);
  try {
    const api = await reach(setup, server);
    print(
      `EDGR answers at http://127.0.0.1:${setup.httpPort}, the mail server at 127.0.0.1:${setup.smtpPort}.`,
    );
    const { credentialId, botId } = await prepare(api, setup, contacts);
    await sns.subscribe(`http://127.0.0.1:${setup.httpPort}/api/ses-events`);
    print(`Amazon SES reports on them through a stand-in for SNS at 127.0.0.1:${setup.snsPort}.`);
    const chats = await startInTelegram(api, telegram, contacts);
    print(
      `Telegram is a stand-in at ${telegram.apiRoot}; ${chats} people have started its bot by their links.`,
    );
    const campaignId = await beginCampaign(api, credentialId, botId);
    print(
      `A campaign of four emails goes to ${contacts} contacts; who does not open the first is written to in Telegram.`,
    );
    return await follow({ api, campaignId, journal, sns, telegram, contacts, print });
  } finally {
    await stopServer(server);
    await mailServer.close();
    await sns.close();
    await telegram.close();
    journal.close();
  }
}

/** Forgets a demo that came to its end. */
export function removeDemo(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
}

async function newSetup(journal: Journal): Promise<Setup> {
  const [httpPort, smtpPort, snsPort, telegramPort] = await freePorts();
  const setup: Setup = {
    kind: "setup",
    httpPort,
    smtpPort,
    snsPort,
    telegramPort,
    botToken: `${BOT.id}:${randomBytes(26).toString("base64url")}`,
    apiKey: `edgr_demo_${randomBytes(16).toString("base64url")}`,
  };
  journal.add(setup);
  return setup;
}

/** Below those that systems give to whoever asks for any, also to every connection that goes out. */
const PORTS = { from: 20_000, count: 12_000, tries: 50 };

/** Four ports in a row that nobody listens on: they are used some time later, and again after a kill. */
async function freePorts(): Promise<readonly [number, number, number, number]> {
  for (let left = PORTS.tries; ; left -= 1) {
    const first = PORTS.from + randomInt(PORTS.count);
    const ports = [first, first + 1, first + 2, first + 3] as const;
    const looks = await Promise.allSettled(ports.map((port) => findPort({ host: "127.0.0.1", port })));
    const taken = looks.find((look) => look.status === "rejected");
    if (taken === undefined) return ports;
    if (left === 1) throw taken.reason;
  }
}

// The IPC channel tells the server of this process's death, however it dies: then it drains and stops too.
function startServer(dir: string, setup: Setup): ChildProcess {
  const main = fileURLToPath(new URL("../main.ts", import.meta.url));
  return spawn(process.execPath, [main, "serve"], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    env: {
      ...process.env,
      DATABASE_URL: "",
      HOST: "127.0.0.1",
      PORT: String(setup.httpPort),
      EDGR_PUBLIC_URL: `http://127.0.0.1:${setup.httpPort}`,
      EDGR_DATA_DIR: path.join(dir, "data"),
      EDGR_API_KEY: setup.apiKey,
      EDGR_TELEGRAM_API_ROOT: `http://127.0.0.1:${setup.telegramPort}`,
      EDGR_SNS_TRUSTED_HOSTS: `127.0.0.1:${setup.snsPort}`,
      LOG_LEVEL: "error",
    },
  });
}

async function stopServer(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const exited = new Promise((resolve) => server.once("exit", resolve));
  server.kill("SIGTERM");
  await exited;
}

async function reach(setup: Setup, server: ChildProcess): Promise<Api> {
  const base = `http://127.0.0.1:${setup.httpPort}`;
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await answers(`${base}/readyz`))) {
    if (server.exitCode !== null || Date.now() > deadline) throw new Error("EDGR did not start; see above.");
    await sleep(LOOK_MS);
  }
  return openApi(base, setup.apiKey);
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}

const created = z.object({ id: z.string() });

async function prepare(
  api: Api,
  setup: Setup,
  contacts: number,
): Promise<{ credentialId: string; botId: string }> {
  await api("POST", "/contacts/bulk", { contacts: demoContacts(contacts) });
  const credential = created.parse(
    await api("POST", "/credentials", {
      type: "smtp",
      name: "The demo's mail server",
      host: "127.0.0.1",
      port: setup.smtpPort,
      fromEmail: "demo@example.com",
      fromName: "EDGR demo",
      rateLimitPerSecond: 500,
      ses: { configurationSet: "edgr", replyDomain: "reply.example.com" },
    }),
  );
  await api("POST", `/credentials/${credential.id}/ses/topics`, { topicArn: TOPIC });
  const bot = { type: "telegram", name: "The demo's bot", botToken: setup.botToken, rateLimitPerSecond: 500 };
  const { id: botId } = created.parse(await api("POST", "/credentials", bot, "/credentials of the bot"));
  return { credentialId: credential.id, botId };
}

async function beginCampaign(api: Api, credentialId: string, botId: string): Promise<string> {
  const campaign = created.parse(await api("POST", "/campaigns", demoCampaign(credentialId, botId)));
  await api("POST", `/campaigns/${campaign.id}/activate`, {});
  await api("POST", `/campaigns/${campaign.id}/enroll`, { all: true });
  return campaign.id;
}

type Followed = {
  api: Api;
  campaignId: string;
  journal: Journal;
  sns: Sns;
  telegram: Telegram;
  contacts: number;
  print: (line: string) => void;
};

async function follow(followed: Followed): Promise<DemoResult> {
  const { api, campaignId, journal, sns, telegram, contacts, print } = followed;
  const crowd = gatherCrowd(journal, PEOPLE_AT_ONCE, telegram.react);
  const readChats = createChatReader(api);
  let shown = "";
  let movedAt = Date.now();
  for (;;) {
    crowd.takeUp();
    const said = analytics.parse(await api("GET", `/campaigns/${campaignId}/analytics`));
    const suppressed = {
      bounce: await countSuppressed(api, "bounce"),
      complaint: await countSuppressed(api, "complaint"),
    };
    const rows = [
      ...compare(journal, said, contacts),
      ...compareReports(journal, said, suppressed),
      ...compareTelegram(journal, said, contacts, await readChats()),
    ];
    const isAtRest = crowd.isIdle() && sns.isIdle() && telegram.isIdle() && isOver(said, contacts);
    const complete = isAtRest && rows.every(isEqual);
    const progress = describeProgress(journal, said);
    if (progress !== shown) {
      print(progress);
      shown = progress;
      movedAt = Date.now();
    }
    if (complete || Date.now() - movedAt > STALL_MS) {
      return { rows, mailedTwice: mailedTwice(journal), complete };
    }
    await Promise.race([sleep(LOOK_MS), crowd.failed, sns.failed]);
  }
}

async function countSuppressed(api: Api, reason: string): Promise<number> {
  return (await readAll(api, `/suppressions?reason=${reason}`)).length;
}

function describeProgress(journal: Journal, said: Analytics): string {
  const count = (kind: "mail" | "done" | "told" | "bubble") =>
    journal.entries.filter((entry) => entry.kind === kind).length;
  const sum = (pick: (node: Analytics["nodes"][number]) => number) =>
    said.nodes.reduce((total, node) => total + pick(node), 0);
  const inTelegram = said.nodes.find(({ nodeId }) => nodeId === NUDGE)?.sent ?? 0;
  return (
    `  ${count("mail")} mails accepted, ${count("done")} things done with them, ${count("told")} reports on them, ` +
    `${count("bubble")} messages in Telegram; EDGR says ${sum((node) => node.sent) - inTelegram} and ${inTelegram} sent, ${sum((node) => node.delivered.total)} delivered, ` +
    `${sum((node) => node.opened.total)} opened, ${sum((node) => node.clicked.total)} clicked`
  );
}
