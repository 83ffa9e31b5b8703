import { readFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { sql } from "kysely";
import { findPort } from "../../src/http/server.ts";
import { type Db, openDatabase } from "../../src/storage/pool.ts";
import { readSecrets } from "../../src/storage/secrets.ts";
import {
  createCampaign,
  createContacts,
  createCredential,
  createCustomer,
  enroll,
  listRuns,
} from "./campaigns.ts";
import { type Answer, linksOf, SHOP, startLoad } from "./edge-load.ts";
import { findWrong } from "./edge-verdict.ts";
import { type EdgrProcess, startEdgr } from "./edgr-process.ts";
import { startPostgres } from "./postgres.ts";

export type Outage = {
  /** A folder for both of them. */
  root: string;
  seconds: number;
  connections: number;
  contacts: number;
};

export type Figures = {
  answers: readonly Answer[];
  /** Asked while PostgreSQL was away and EDGR was there. */
  duringOutage: { answered: number; refused: number; p50Ms: number; p99Ms: number; maxMs: number };
  spooled: number;
  drainedPerSecond: number;
  /** Everything that is not as it was answered, in words; empty when all is well. */
  wrong: string[];
};

const BEFORE_MS = 1_000;
const AFTER_MS = 1_000;

/**
 * People open, click and unsubscribe all the time, while PostgreSQL is killed, EDGR is killed during the outage and
 * started again without its database, PostgreSQL comes back, and EDGR is killed while it drains. Then everything that
 * was answered is looked for.
 */
export async function runOutage({ root, seconds, connections, contacts }: Outage): Promise<Figures> {
  const dataDir = path.join(root, "data");
  const elsewhere = path.join(root, "elsewhere");
  const port = await findPort({ host: "127.0.0.1", port: 0 });
  let postgres = await startPostgres(elsewhere);
  const env = { EDGR_DATA_DIR: dataDir, TMPDIR: root, DATABASE_URL: postgres.url, PORT: String(port) };
  let edgr = await startEdgr({ env });
  const started = [edgr];
  const restart = async () => {
    edgr.child.kill("SIGKILL");
    await edgr.ended;
    edgr = await startEdgr({ env });
    started.push(edgr);
  };
  try {
    const links = await sendToEverybody(postgres.url, edgr, dataDir, contacts);
    const load = startLoad(links, connections);
    await delay(BEFORE_MS);

    const away = performance.now();
    await postgres.kill();
    await delay((seconds * 1000) / 2);
    const killed = performance.now();
    await restart();
    const restarted = performance.now();
    await delay((seconds * 1000) / 2);
    const spooled = (await readSpool(edgr)).events;
    postgres = await startPostgres(elsewhere);
    const back = performance.now();

    const { db, close } = openDatabase(postgres.url, 2);
    const before = await countEvents(db);
    while ((await countEvents(db)) === before) await delay(1);
    await restart();
    while ((await readSpool(edgr)).status !== "ready") await delay(10);
    const drained = performance.now();
    await delay(AFTER_MS);
    await load.stop();

    const { answers } = load;
    const during = answers.filter(
      ({ atMs, tookMs }) => (atMs > away && atMs + tookMs < killed) || (atMs > restarted && atMs < back),
    );
    const figures = {
      answers,
      duringOutage: summarise(during),
      spooled,
      drainedPerSecond: (spooled / (drained - back)) * 1000,
      wrong: await findWrong(db, answers),
    };
    await close();
    return figures;
  } finally {
    for (const { child } of started) child.kill("SIGKILL");
    await postgres.stop();
  }
}

/**
 * The same people, while the embedded PostgreSQL of an EDGR is killed, with which EDGR ends, and EDGR is started again.
 * @returns everything that is not as it was answered, in words
 */
export async function runEmbeddedOutage(root: string): Promise<{ answered: number; wrong: string[] }> {
  const dataDir = path.join(root, "data");
  const port = await findPort({ host: "127.0.0.1", port: 0 });
  const env = { EDGR_DATA_DIR: dataDir, TMPDIR: root, PORT: String(port) };
  const started = [await startEdgr({ env })];
  const [first] = started;
  if (first === undefined) throw new Error("nothing was started");
  try {
    const socket = encodeURIComponent(path.join(dataDir, "run"));
    const databaseUrl = `postgres:///edgr?host=${socket}&user=postgres`;
    const load = startLoad(await sendToEverybody(databaseUrl, first, dataDir, 200), 16);
    await delay(BEFORE_MS);
    const lockFile = await readFile(path.join(dataDir, "postgres/postmaster.pid"), "utf8");
    process.kill(Number.parseInt(lockFile, 10), "SIGKILL");
    await first.ended;
    const second = await startEdgr({ env });
    started.push(second);
    await delay(AFTER_MS);
    await load.stop();
    while ((await readSpool(second)).status !== "ready") await delay(10);

    const { db, close } = openDatabase(databaseUrl, 2);
    const answered = load.answers.filter(({ said }) => said !== "none" && said !== "later").length;
    const wrong = await findWrong(db, load.answers);
    await close();
    second.child.kill("SIGTERM");
    await second.ended;
    return { answered, wrong };
  } finally {
    for (const { child } of started) child.kill("SIGKILL");
  }
}

/** A campaign whose one message everybody has got. @returns what its links lead to, for each of them */
async function sendToEverybody(databaseUrl: string, edgr: EdgrProcess, dataDir: string, contacts: number) {
  const { db, close } = openDatabase(databaseUrl, 2);
  const customerId = await createCustomer(db);
  const credentialId = await createCredential(db, customerId, {});
  const html = `<a href="${SHOP}">buy</a>`;
  const node = { id: "hello", type: "message", channel: "email", credentialId, subject: "Hi", html };
  const campaign = await createCampaign(db, customerId, { nodes: [node], edges: [] });
  await createContacts(db, customerId, contacts);
  await enroll(db, campaign, { all: true });
  const list = () => listRuns(db, campaign.campaignId);
  while ((await list()).length < contacts) await delay(20);
  const runs = await list();
  await close();
  const secrets = await readSecrets(dataDir);
  return linksOf(runs, secrets?.signingKeys ?? [], edgr.url);
}

async function readSpool({ url }: EdgrProcess): Promise<{ status: string; events: number }> {
  const answer: { status: string; spool?: { events: number } } = await (await fetch(`${url}/readyz`)).json();
  return { status: answer.status, events: answer.spool?.events ?? 0 };
}

async function countEvents(db: Db): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from event_log`.execute(db);
  return rows[0]?.count ?? 0;
}

function summarise(during: readonly Answer[]): Figures["duringOutage"] {
  const times = during.map(({ tookMs }) => tookMs).toSorted((a, b) => a - b);
  const quantile = (share: number) =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  const refused = during.filter(({ said }) => said === "later" || said === "none").length;
  return {
    answered: during.length - refused,
    refused,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    maxMs: times.at(-1) ?? 0,
  };
}
