import { expect, test } from "bun:test";
import path from "node:path";
import { sql } from "kysely";
import { startEmbedded } from "../../src/storage/embedded.ts";
import { openDatabase } from "../../src/storage/pool.ts";
import { readSecrets } from "../../src/storage/secrets.ts";
import { clickUrl, pixelUrl, unsubscribeUrl } from "../../src/tracking/links.ts";
import { createTokens, urlDigest } from "../../src/tracking/token.ts";
import {
  createCampaign,
  createContacts,
  createCredential,
  createCustomer,
  enroll,
  listRuns,
} from "../support/campaigns.ts";
import { until, useInstallation } from "../support/installation.ts";

const BROWSER = { "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0" };
const SHOP = "https://example.com/buy";

const installation = useInstallation();

/** A PostgreSQL of the test's own, which it can stop under EDGR and start again. */
async function startPostgres() {
  const dataDir = path.join(installation.root, "elsewhere");
  const server = await startEmbedded({
    dataDir,
    purpose: "serve",
    settings: { fsync: "off" },
    onLost: () => {},
  });
  const url = new URL("postgres:///edgr");
  url.searchParams.set("host", server.connection.host ?? "");
  url.searchParams.set("user", server.connection.user ?? "");
  if (server.connection.port !== undefined) url.searchParams.set("port", String(server.connection.port));
  return { url: url.href, stop: server.stop };
}

test("without its database EDGR redirects, says honestly what it can't record, and goes on when it is back", async () => {
  let postgres = await startPostgres();
  const edgr = await installation.start({ env: { ...installation.env(), DATABASE_URL: postgres.url } });
  const links = await sendOne(postgres.url, edgr.url);
  const get = (url: string) => fetch(url, { headers: BROWSER, redirect: "manual" });

  expect((await get(links.pixel)).status).toBe(200);
  await postgres.stop();
  const clicked = await get(links.click);
  expect([clicked.status, clicked.headers.get("Location")]).toEqual([302, SHOP]);
  expect((await get(links.pixel)).status).toBe(503);
  const refused = await get(links.unsubscribe);
  expect([refused.status, await refused.text()]).toEqual([503, expect.stringContaining("<h1>")]);
  expect((await get(`${edgr.url}/readyz`)).status).toBe(503);
  expect((await get(`${edgr.url}/healthz`)).status).toBe(200);
  expect(edgr.output()).toContain('"email_clicked"');

  postgres = await startPostgres();
  await until(async () => (await get(`${edgr.url}/readyz`)).status === 200);
  expect((await get(links.pixel)).status).toBe(200);
  expect(await (await get(links.unsubscribe)).text()).toContain("You are unsubscribed");
  expect(await opensCounted(postgres.url, 2)).toBe(2);
  edgr.child.kill("SIGTERM");
  expect(await edgr.ended).toBe(0);
  await postgres.stop();
}, 90_000);

async function sendOne(databaseUrl: string, origin: string) {
  const database = openDatabase(databaseUrl, 2);
  const { db } = database;
  const customerId = await createCustomer(db);
  const credentialId = await createCredential(db, customerId, {});
  const html = `<a href="${SHOP}">buy</a>`;
  const node = { id: "hello", type: "message", channel: "email", credentialId, subject: "Hi", html };
  const campaign = await createCampaign(db, customerId, { nodes: [node], edges: [] });
  await createContacts(db, customerId, 1);
  await enroll(db, campaign, { all: true });
  const find = async () => (await listRuns(db, campaign.campaignId))[0];
  await until(async () => (await find()) !== undefined);
  const run = await find();
  await database.close();
  const secrets = await readSecrets(installation.dataDir);
  if (run?.messageId === undefined || run.messageId === null || secrets === null)
    throw new Error("nothing was sent");
  const tokens = createTokens(secrets.signingKeys);
  const { campaignId } = campaign;
  const ids = { customerId, campaignId, node: "hello", runId: run.id, messageId: run.messageId };
  const sign = (digest: string | null) =>
    tokens.sign({ ...ids, expiresAt: Math.floor(Date.now() / 1000) + 3600, urlDigest: digest });
  return {
    pixel: pixelUrl(origin, sign(null)),
    click: clickUrl(origin, sign(urlDigest(SHOP)), SHOP),
    unsubscribe: unsubscribeUrl(origin, sign(null)),
  };
}

/** The opens in the counters, as soon as there are at least so many. */
async function opensCounted(databaseUrl: string, atLeast: number): Promise<number> {
  const database = openDatabase(databaseUrl, 2);
  const read = async () => {
    const { rows } = await sql<{ total: number }>`
      select coalesce(sum(total), 0)::int as total from counter where type = 'email_opened'`.execute(
      database.db,
    );
    return rows[0]?.total ?? 0;
  };
  await until(async () => (await read()) >= atLeast);
  const total = await read();
  await database.close();
  return total;
}
