import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import { migrate } from "../src/storage/migrate.ts";
import type { Database } from "../src/storage/pool.ts";
import { loadSecrets } from "../src/storage/secrets.ts";
import { createTokens } from "../src/tracking/token.ts";
import { clickPaths, createAudience, pixelPaths } from "./audience.ts";
import { measureCompose } from "./compose.ts";
import { type Load, load } from "./load.ts";
import { freePort, type Place } from "./place.ts";
import { measureProjection } from "./projection.ts";
import { startBareBun, startNginx } from "./references.ts";
import { startServer } from "./server.ts";
import { type Row, round, row } from "./table.ts";

const CONTACTS = 20_000;
const CONNECTIONS = 128;
const MAX_LAG_MS = 120_000;

/** Pixels and clicks over HTTP, their projection, and emails composed, each beside its reference. */
export async function measureHits(place: Place): Promise<Row[]> {
  const { dir, dataDir, seconds, withDatabase } = place;
  const drive = (origin: string, paths: readonly string[]) =>
    load(dir, origin, paths, { connections: CONNECTIONS, seconds });
  const secrets = await loadSecrets(dataDir, new Date(), console.warn);
  const tokens = createTokens(secrets.signingKeys);
  const audience = await withDatabase(async ({ db }) => {
    await migrate(db);
    return createAudience(db, CONTACTS);
  });
  const paths = { pixel: pixelPaths(audience, tokens), click: clickPaths(audience, tokens) };
  const bare = await startBareBun(dir, await freePort());
  const bareLoad = await drive(bare.origin, paths.pixel);
  await bare.stop();
  const nginx = await startNginx(dir, await freePort());
  const nginxLoad = await drive(nginx.origin, paths.pixel);
  await nginx.stop();

  const server = await startServer(dataDir, await freePort());
  await load(dir, server.origin, paths.pixel, { connections: 16, seconds: 2 });
  const pixel = await recorded(place, "email_opened", () => drive(server.origin, paths.pixel));
  const click = await recorded(place, "email_clicked", () => drive(server.origin, paths.click));
  const steady = await steadyLag(place, server.origin, paths.pixel);
  const rssMiB = await server.rssMiB();
  await server.stop();
  const restarted = await startServer(dataDir, await freePort());
  await restarted.stop();
  const projection = await withDatabase((database) => measureProjection(database, audience));
  const compose = measureCompose(tokens);

  const perSecond = (load: Load) => `${round(load.requestsPerSecond)}/s`;
  return [
    row(
      "pixel against nginx",
      perSecond(pixel.load),
      perSecond(nginxLoad),
      ratio(pixel.load, nginxLoad),
      "≥ 0.40",
    ),
    row(
      "pixel against bare Bun",
      perSecond(pixel.load),
      perSecond(bareLoad),
      ratio(pixel.load, bareLoad),
      "≥ 0.60",
    ),
    row("pixel p99", `${pixel.load.p99Ms.toFixed(1)} ms`, "", null, "≤ 25 ms"),
    row(
      "click against pixel",
      perSecond(click.load),
      perSecond(pixel.load),
      ratio(click.load, pixel.load),
      "≥ 0.85",
    ),
    row(
      "pixels recorded",
      `${pixel.recorded}`,
      `${pixel.load.answered} answered`,
      null,
      `+0 to ${CONNECTIONS}`,
    ),
    row(
      "clicks recorded",
      `${click.recorded}`,
      `${click.load.answered} answered`,
      null,
      `+0 to ${CONNECTIONS}`,
    ),
    row("answers that were errors", `${pixel.load.errors + click.load.errors}`, "", null, "0"),
    row("lag after full load", `${(pixel.lagMs / 1000).toFixed(1)} s`, "", null, "—"),
    row(
      "lag at steady load",
      `${(steady.lagMs / 1000).toFixed(2)} s`,
      `${round(steady.perSecond)}/s`,
      null,
      "≤ 2 s",
    ),
    row(
      "projection against COPY",
      `${round(projection.projectedPerSecond)}/s`,
      `${round(projection.copiedPerSecond)}/s`,
      projection.projectedPerSecond / projection.copiedPerSecond,
      "≥ 0.25",
    ),
    row(
      "compose against parse + serialise",
      `${compose.composedPerSecond.toFixed(0)}/s`,
      `${compose.parsedPerSecond.toFixed(0)}/s`,
      compose.composedPerSecond / compose.parsedPerSecond,
      "≥ 0.5",
    ),
    row(
      "server memory",
      `${rssMiB.toFixed(0)} MiB`,
      `after ${pixel.recorded + click.recorded} hits`,
      null,
      "≤ 250 MiB",
    ),
    row("start to first answer", `${(restarted.startMs / 1000).toFixed(2)} s`, "", null, "≤ 1.5 s"),
  ];
}

/** Runs a load, then counts what it left in the log, and waits for the projector to catch up. */
async function recorded({ withDatabase }: Place, type: string, work: () => Promise<Load>) {
  return withDatabase(async ({ db }) => {
    const count = async () =>
      (await sql<{ count: number }>`select count(*) as count from event_log where type = ${type}`.execute(db))
        .rows[0]?.count ?? 0;
    const before = await count();
    const result = await work();
    const ended = performance.now();
    await caughtUp(db);
    return { load: result, recorded: (await count()) - before, lagMs: performance.now() - ended };
  });
}

/** The highest lag that is seen while four connections ask as fast as they are answered. */
async function steadyLag({ dir, seconds, withDatabase }: Place, origin: string, paths: readonly string[]) {
  return withDatabase(async ({ db }) => {
    let running = true;
    let lagMs = 0;
    const watching = (async () => {
      while (running) {
        lagMs = Math.max(lagMs, await lag(db));
        await sleep(200);
      }
    })();
    const result = await load(dir, origin, paths, { connections: 4, seconds });
    running = false;
    await watching;
    await caughtUp(db);
    return { lagMs, perSecond: result.requestsPerSecond };
  });
}

/** How old the oldest event is that is not projected. */
async function lag(db: Database["db"]): Promise<number> {
  const { rows } = await sql<{ ms: number | null }>`
    select extract(epoch from now() - at)::float8 * 1000 as ms from event_log
    where position > (select position from projector_cursor) order by position limit 1`.execute(db);
  return rows[0]?.ms ?? 0;
}

async function caughtUp(db: Database["db"]): Promise<void> {
  const deadline = performance.now() + MAX_LAG_MS;
  while ((await lag(db)) > 0) {
    if (performance.now() > deadline) throw new Error("the projector does not catch up");
    await sleep(50);
  }
}

function ratio(measured: Load, reference: Load): number {
  return measured.requestsPerSecond / reference.requestsPerSecond;
}
