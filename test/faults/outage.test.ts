import { afterEach, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { sql } from "kysely";
import { type Db, openDatabase } from "../../src/storage/pool.ts";
import { readSecrets } from "../../src/storage/secrets.ts";
import {
  createCampaign,
  createContacts,
  createCredential,
  createCustomer,
  enroll,
  listRuns,
} from "../support/campaigns.ts";
import { linksOf, SHOP } from "../support/edge-load.ts";
import type { EdgrProcess } from "../support/edgr-process.ts";
import { until, useInstallation } from "../support/installation.ts";
import { type Postgres, startPostgres } from "../support/postgres.ts";

const BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0";
const ONE_CLICK = {
  method: "POST",
  headers: { "Content-Type": "application/x-www-form-urlencoded" },
  body: "List-Unsubscribe=One-Click",
};

const installation = useInstallation();
let postgres: Postgres | null = null;

afterEach(async () => {
  signal("SIGCONT");
  await postgres?.stop();
  postgres = null;
});

test("without its database EDGR takes hits, says honestly what is only kept, and brings them in when it is back", async () => {
  const { edgr, link } = await start(["a", "b", "c", "asks"]);
  expect((await get(link("a").pixel)).status).toBe(200);
  await until(async () => (await readyz(edgr)).status === "ready");
  await postgres?.stop();

  const clicked = await get(link("a").click);
  expect([clicked.status, clicked.headers.get("Location")]).toEqual([302, SHOP]);
  expect((await get(link("a").pixel)).status).toBe(200);
  const kept = await get(link("a").unsubscribe);
  expect([kept.status, await kept.text()]).toEqual([200, expect.stringContaining("We have your request")]);
  expect((await get(link("b").unsubscribe, ONE_CLICK)).status).toBe(200);
  expect((await get(link("c").unsubscribe)).status).toBe(200);
  expect((await get(link("c").unsubscribe, { ...ONE_CLICK, body: "action=resubscribe" })).status).toBe(200);
  expect(await (await get(link("asks").unsubscribe)).text()).toContain("Do you want to unsubscribe?");

  const spool = {
    events: 6,
    oldestAt: expect.any(String),
    bytes: expect.any(Number),
    setAside: 0,
  };
  expect(await readyz(edgr)).toEqual({
    code: 200,
    status: "degraded",
    reason: "the database is away",
    spool,
  });
  expect((await get(`${edgr.url}/healthz`)).status).toBe(200);
  expect(await metric(edgr, "edgr_spool_events")).toBe(6);
  const refused = await get(`${edgr.url}/api/v1/contacts`, {
    headers: { Authorization: "Bearer edgr_0123456789" },
  });
  expect([refused.status, refused.headers.get("Content-Type")]).toEqual([503, "application/problem+json"]);
  expect((await installation.run(["doctor"])).output).toContain("6 hit(s) wait for the database in");

  postgres = await startPostgres(path.join(installation.root, "elsewhere"));
  await until(async () => (await readyz(edgr)).status === "ready");
  expect(await (await get(link("b").unsubscribe)).text()).toContain("You are unsubscribed");
  expect(await metric(edgr, "edgr_spool_events")).toBe(0);
  expect(await metric(edgr, "edgr_spool_drained_total")).toBe(6);
  await withDatabase(async (db) => {
    const all = { email_clicked: 1, email_opened: 2, resubscribed: 1, unsubscribed: 3 };
    await until(async () => isDeepStrictEqual(await counted(db), all));
    expect(await suppressed(db)).toEqual(["c0@example.com", "c1@example.com"]);
  });
  edgr.child.kill("SIGTERM");
  expect(await edgr.ended).toBe(0);
}, 90_000);

test("a database that does not answer holds up nobody for long, and what nobody knew about is there once", async () => {
  const { edgr, link } = await start(["a"]);
  await until(async () => (await readyz(edgr)).status === "ready");
  signal("SIGSTOP");
  const answers = await Promise.all([get(link("a").pixel), get(link("a").click), get(link("a").unsubscribe)]);
  expect(answers.map(({ status }) => status)).toEqual([200, 302, 200]);
  expect(await answers[2].text()).toContain("We have your request");
  expect(await readyz(edgr)).toMatchObject({ code: 200, status: "degraded" });

  signal("SIGCONT");
  await until(async () => (await readyz(edgr)).status === "ready");
  await withDatabase(async (db) => {
    const all = { email_clicked: 1, email_opened: 1, unsubscribed: 1 };
    await until(async () => isDeepStrictEqual(await counted(db), all));
    expect(await suppressed(db)).toEqual(["c0@example.com"]);
  });
}, 90_000);

test("a full spool redirects all the same, refuses what it can't keep, and loses nothing that it took", async () => {
  const { edgr, link } = await start(["a"], { EDGR_SPOOL_MAX_MIB: "1" });
  await until(async () => (await readyz(edgr)).status === "ready");
  await postgres?.stop();
  let taken = 0;
  for (
    let statuses = [200];
    statuses.includes(200);
    taken += statuses.filter((status) => status === 200).length
  ) {
    const answers = await Promise.all(Array.from({ length: 50 }, () => get(link("a").pixel)));
    statuses = answers.map(({ status }) => status);
  }
  expect((await get(link("a").pixel)).headers.get("Retry-After")).toBe("30");
  const clicked = await get(link("a").click);
  expect([clicked.status, clicked.headers.get("Location")]).toEqual([302, SHOP]);
  expect(edgr.output()).toContain('"type":"email_clicked"');
  const refused = await get(link("a").unsubscribe);
  expect([refused.status, await refused.text()]).toEqual([503, expect.stringContaining("could not record")]);
  expect(await readyz(edgr)).toEqual({ code: 503, status: "not ready", reason: "the spool is full" });
  expect(await metric(edgr, 'edgr_tracking_hits_not_recorded_total{route="click",reason="lost"}')).toBe(1);

  postgres = await startPostgres(path.join(installation.root, "elsewhere"));
  await until(async () => (await readyz(edgr)).status === "ready");
  expect((await get(link("a").pixel)).status).toBe(200);
  await withDatabase(async (db) => {
    await until(async () => isDeepStrictEqual(await counted(db), { email_opened: taken + 1 }));
    expect(await suppressed(db)).toEqual([]);
  });
}, 90_000);

/** EDGR on a PostgreSQL of the test's own, and somebody with a message for each name; "asks" has a customer of theirs. */
async function start(names: readonly string[], env: Record<string, string> = {}) {
  postgres = await startPostgres(path.join(installation.root, "elsewhere"));
  const { url } = postgres;
  const edgr = await installation.start({ env: { ...installation.env(), ...env, DATABASE_URL: url } });
  const keys = (await readSecrets(installation.dataDir))?.signingKeys ?? [];
  const runs = await withDatabase(async (db) => [
    ...(await send(db, names.filter((name) => name !== "asks").length)),
    ...(names.some((name) => name === "asks") ? await send(db, 1, true) : []),
  ]);
  // Whose links ask first is looked up at the start.
  edgr.child.kill("SIGTERM");
  await edgr.ended;
  const again = await installation.start({ env: { ...installation.env(), ...env, DATABASE_URL: url } });
  const all = linksOf(runs, keys, again.url);
  const link = (name: string) => {
    const found = all[names.indexOf(name)];
    if (found === undefined) throw new Error(`nobody is called ${name}`);
    return found;
  };
  return { edgr: again, link };
}

async function send(db: Db, count: number, asks = false) {
  const customerId = await createCustomer(db);
  await sql`update customer set confirm_unsubscribe = ${asks} where customer_id = ${customerId}`.execute(db);
  const credentialId = await createCredential(db, customerId, {});
  const html = `<a href="${SHOP}">buy</a>`;
  const node = { id: "hello", type: "message", channel: "email", credentialId, subject: "Hi", html };
  const campaign = await createCampaign(db, customerId, { nodes: [node], edges: [] });
  await createContacts(db, customerId, count);
  await enroll(db, campaign, { all: true });
  await until(async () => (await listRuns(db, campaign.campaignId)).length === count);
  return listRuns(db, campaign.campaignId);
}

function get(url: string, { headers, ...init }: RequestInit = {}): Promise<Response> {
  const all = new Headers(headers);
  all.set("User-Agent", BROWSER);
  return fetch(url, { redirect: "manual", ...init, headers: all });
}

async function readyz({ url }: EdgrProcess): Promise<Record<string, unknown>> {
  const answer = await get(`${url}/readyz`);
  return { code: answer.status, ...(await answer.json()) };
}

async function metric({ url }: EdgrProcess, name: string): Promise<number> {
  const text = await (await get(`${url}/metrics`)).text();
  const line = text.split("\n").find((other) => other.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}

async function withDatabase<T>(work: (db: Db) => Promise<T>): Promise<T> {
  const { db, close } = openDatabase(postgres?.url ?? "", 2);
  return work(db).finally(close);
}

/** What people did, as the counters have it. */
async function counted(db: Db): Promise<Record<string, number>> {
  const { rows } = await sql<{ type: string; total: number }>`
    select type, sum(total)::int as total from counter
    where type in ('email_opened', 'email_clicked', 'unsubscribed', 'resubscribed') group by type order by type`.execute(
    db,
  );
  return Object.fromEntries(rows.map(({ type, total }) => [type, total]));
}

async function suppressed(db: Db): Promise<string[]> {
  const { rows } = await sql<{ address: string }>`select address from suppression order by address`.execute(
    db,
  );
  return rows.map(({ address }) => address);
}

/** To every process of the database. */
function signal(name: "SIGSTOP" | "SIGCONT"): void {
  if (postgres === null) return;
  const pid = String(postgres.pid);
  const { stdout } = spawnSync("ps", ["-o", "pid=", "-p", pid, "--ppid", pid], { encoding: "utf8" });
  for (const line of stdout.split("\n").filter(Boolean)) process.kill(Number(line), name);
}
