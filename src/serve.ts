import { assembleApp } from "./app.ts";
import type { Config } from "./config.ts";
import { ensureFirstCustomer, listApiKeys } from "./customers/api-keys.ts";
import { findPort, listen } from "./http/server.ts";
import type { Logger } from "./logger.ts";
import { migrate } from "./storage/migrate.ts";
import { openStorage } from "./storage/open.ts";
import { openDatabase } from "./storage/pool.ts";
import { loadSecrets } from "./storage/secrets.ts";
import { createTokens } from "./tracking/token.ts";
import { startWorkers } from "./workers.ts";

export type RunningServer = {
  /** Where it listens, and what links in emails begin with. */
  url: string;
  publicUrl: string;
  hasApiKey: boolean;
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
const HTTP_DRAIN_MS = 10_000;

/**
 * Everything one EDGR process does, wired by hand.
 * @throws AppError, a sentence for a person, when it cannot start; whatever had started has been stopped again
 */
export async function startServer(configured: Config, logger: Logger): Promise<RunningServer> {
  const config = await settlePort(configured);
  const lost = Promise.withResolvers<void>();
  const parts: Part[] = [];
  try {
    const storage = await openStorage({ ...config, purpose: "serve", onLost: lost.resolve });
    parts.push({ name: "storage", stop: storage.stop });
    const database = openDatabase(storage.connection, POOL_SIZE);
    parts.push({ name: "pool", stop: database.close });
    await migrate(database.db);
    const secrets = await loadSecrets(config.dataDir, new Date(), (message) => logger.warn(message));
    await ensureFirstCustomer(database.db, config.apiKey);
    const tokens = createTokens(secrets.signingKeys);
    const workers = startWorkers(config, database, secrets, tokens, logger);
    parts.push({ name: "workers", stop: workers.stop });
    const http = listen(assembleApp({ config, database, secrets, tokens, workers, logger }), config);
    parts.push({ name: "http", stop: () => http.stop(HTTP_DRAIN_MS) });
    return {
      url: urlOf(config),
      publicUrl: config.publicUrl,
      hasApiKey: (await listApiKeys(database.db)).some((key) => key.revokedAt === null),
      lost: lost.promise,
      stop: () => stopAll(parts, logger),
      kill: storage.kill,
    };
  } catch (error) {
    await stopAll(parts, logger);
    throw error;
  }
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
