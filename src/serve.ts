import { assembleApp } from "./app.ts";
import type { Config } from "./config.ts";
import { ensureFirstCustomer, listApiKeys } from "./customers/api-keys.ts";
import { createEgress } from "./egress/client.ts";
import { resolveBySystem } from "./egress/resolve.ts";
import { createMetrics } from "./http/metrics.ts";
import { findPort, listen } from "./http/server.ts";
import type { Logger } from "./logger.ts";
import { ANSWER_WITHIN_MS } from "./spool/hit-log.ts";
import { openSpool } from "./spool/spool.ts";
import { migrate } from "./storage/migrate.ts";
import { checkServer, DatabaseAwayError, openStorage, type Storage, somebodyElses } from "./storage/open.ts";
import { openDatabase } from "./storage/pool.ts";
import { loadSecrets, readSecrets } from "./storage/secrets.ts";
import { createTokens } from "./tracking/token.ts";
import { startWorkers } from "./workers.ts";

export type RunningServer = {
  /** Where it listens, and what links in emails begin with. */
  url: string;
  publicUrl: string;
  /** Null when the database is away, and nobody knows. */
  hasApiKey: boolean | null;
  /** Resolves if the embedded database goes away by itself: nothing works from then on. */
  lost: Promise<void>;
  /** Drains: what has been accepted is finished, then everything stops, the embedded database last. */
  stop(): Promise<void>;
  /** For an exit that cannot wait. */
  kill(): Promise<void>;
};

/** Something that runs until it is stopped. */
type Part = { name: string; stop(): Promise<void> };

const POOL_SIZE = 20;
const HIT_POOL_SIZE = 6;
/** Bytes bound the spool first (EDGR_SPOOL_MAX_MIB, some 1,700 events each MiB) unless somebody allows a great many. */
const MAX_SPOOLED_EVENTS = 10_000_000;
const HTTP_DRAIN_MS = 10_000;
const EVERYWHERE = ["0.0.0.0/0", "::/0"];

/**
 * Everything one EDGR process does, wired by hand.
 * @throws AppError, a sentence for a person, when it cannot start; whatever had started has been stopped again
 */
export async function startServer(configured: Config, logger: Logger): Promise<RunningServer> {
  const config = await settlePort(configured);
  const lost = Promise.withResolvers<void>();
  const parts: Part[] = [];
  try {
    const { storage, isThere } = await findStorage(config, lost.resolve, logger);
    parts.push({ name: "storage", stop: storage.stop });
    const database = openDatabase(storage.connection, POOL_SIZE);
    parts.push({ name: "pool", stop: database.close });
    const hitDatabase = openDatabase(storage.connection, HIT_POOL_SIZE, ANSWER_WITHIN_MS);
    parts.push({ name: "pool of the hits", stop: hitDatabase.close });
    const prepare = async () => {
      await migrate(database.db);
      await ensureFirstCustomer(database.db, config.apiKey);
    };
    if (isThere) await prepare();
    const secrets = await loadSecrets(config.dataDir, new Date(), (message) => logger.warn(message));
    const limits = { maxBytes: config.spoolMaxBytes, maxEvents: MAX_SPOOLED_EVENTS };
    const spool = openSpool(config.dataDir, limits, Date.now);
    parts.push({ name: "spool", stop: async () => spool.close() });
    const arrive = isThere ? null : () => prepareLate(config, prepare);
    const tokens = createTokens(secrets.signingKeys);
    const egress = createEgress({ allow: config.egressAllow, resolve: resolveBySystem });
    parts.push({ name: "egress", stop: async () => egress.close() });
    const trustedEgress = createEgress({ allow: EVERYWHERE, resolve: resolveBySystem });
    parts.push({ name: "egress to trusted hosts", stop: async () => trustedEgress.close() });
    warnOfTrustedHosts(config, logger);
    const metrics = createMetrics();
    const workers = startWorkers({
      config,
      database,
      hitDatabase,
      spool,
      arrive,
      secrets,
      tokens,
      egress,
      trustedEgress,
      metrics,
      logger,
    });
    parts.push({ name: "workers", stop: workers.stop });
    const app = assembleApp({
      config,
      database,
      secrets,
      tokens,
      workers,
      egress,
      trustedEgress,
      metrics,
      logger,
    });
    const http = listen(app, config);
    parts.push({ name: "http", stop: () => http.stop(HTTP_DRAIN_MS) });
    return {
      url: urlOf(config),
      publicUrl: config.publicUrl,
      hasApiKey: isThere ? (await listApiKeys(database.db)).some((key) => key.revokedAt === null) : null,
      lost: lost.promise,
      stop: () => stopAll(parts, logger),
      kill: storage.kill,
    };
  } catch (error) {
    await stopAll(parts, logger);
    throw error;
  }
}

/**
 * The database, or, when it is somebody else's server and does not answer now, the hope for it: an installation that
 * has its keys can take hits and keep them until it is back. One that has none can't read a single token.
 */
async function findStorage(
  config: Config,
  onLost: () => void,
  logger: Logger,
): Promise<{ storage: Storage; isThere: boolean }> {
  try {
    return { storage: await openStorage({ ...config, purpose: "serve", onLost }), isThere: true };
  } catch (error) {
    const { databaseUrl, dataDir } = config;
    if (!(error instanceof DatabaseAwayError) || databaseUrl === null) throw error;
    if ((await readSecrets(dataDir)) === null) throw error;
    logger.error({ err: error }, "starts without its database: takes hits, and keeps them until it is back");
    return { storage: somebodyElses(databaseUrl), isThere: false };
  }
}

function warnOfTrustedHosts({ snsTrustedHosts }: Config, logger: Logger): void {
  if (snsTrustedHosts.length === 0) return;
  const hosts = snsTrustedHosts.join(", ");
  logger.warn(
    `EDGR_SNS_TRUSTED_HOSTS: ${hosts} can report bounces and complaints as if they were Amazon SNS`,
  );
}

/** What a start does with the database, for one that was away then. */
async function prepareLate(config: Config, prepare: () => Promise<void>): Promise<void> {
  if (config.databaseUrl !== null) await checkServer(config.databaseUrl);
  await prepare();
}

/** PORT=0 means a free port, which has to be known before anything writes links with it. */
async function settlePort(config: Config): Promise<Config> {
  const port = await findPort(config);
  const publicUrl =
    config.publicUrl === `http://localhost:${config.port}` ? `http://localhost:${port}` : config.publicUrl;
  return { ...config, port, publicUrl };
}

function urlOf({ host, port }: Config): string {
  const everywhere = host === "0.0.0.0" || host === "::";
  const name = everywhere ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return `http://${name}:${port}`;
}

/** The last started is the first stopped; one that fails must not keep the others running. */
async function stopAll(parts: readonly Part[], logger: Logger): Promise<void> {
  for (const { name, stop } of parts.toReversed()) {
    try {
      await stop();
    } catch (error) {
      logger.error({ err: error, part: name }, "could not stop cleanly");
    }
  }
}
