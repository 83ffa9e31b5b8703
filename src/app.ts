import { analyticsRoutes } from "./campaigns/analytics-routes.ts";
import { enrollmentRoutes } from "./campaigns/enrollment-routes.ts";
import { campaignRoutes } from "./campaigns/routes.ts";
import { testSendRoutes } from "./campaigns/test-send-routes.ts";
import type { Config } from "./config.ts";
import { activityRoutes } from "./contacts/activity-routes.ts";
import { contactRoutes } from "./contacts/routes.ts";
import { credentialRoutes } from "./credentials/routes.ts";
import { customerRoutes } from "./customers/routes.ts";
import { createApp } from "./http/app.ts";
import { createClientIp } from "./http/client-ip.ts";
import { createMetrics } from "./http/metrics.ts";
import type { Ready } from "./http/pages.ts";
import type { App } from "./http/server.ts";
import type { Logger } from "./logger.ts";
import { messageRoutes } from "./messages/routes.ts";
import { pendingMigrations } from "./storage/migrate.ts";
import type { Database, Db } from "./storage/pool.ts";
import type { Secrets } from "./storage/secrets.ts";
import { suppressionRoutes } from "./suppressions/routes.ts";
import { resubscribe, unsubscribe } from "./tracking/queries.ts";
import { trackingRoutes } from "./tracking/routes.ts";
import type { Tokens } from "./tracking/token.ts";
import type { Workers } from "./workers.ts";

type AppParts = {
  config: Config;
  database: Database;
  secrets: Secrets;
  tokens: Tokens;
  workers: Workers;
  logger: Logger;
};

/** How long somebody waits at the API for a mail server. */
const SMTP_ANSWER_MS = 20_000;

/** The HTTP surface of a process, wired. */
export function assembleApp({ config, database, secrets, tokens, workers, logger }: AppParts): App {
  const now = () => new Date();
  const metrics = createMetrics();
  const trackingApp = trackingRoutes({
    tokens,
    append: workers.append,
    unsubscribes: {
      unsubscribe: (hit) => unsubscribe(database.db, hit).finally(workers.wake),
      resubscribe: (hit) => resubscribe(database.db, hit).finally(workers.wake),
    },
    clientIp: createClientIp(config.trustedProxies),
    now: Date.now,
    counters: metrics,
    log: {
      lostHit: (event, error) => logger.error({ err: error, event }, "a hit could not be recorded"),
      failed: (route, error) => logger.error({ err: error, route }, "a hit could not be answered"),
    },
  });
  const { encryptionKey } = secrets;
  const resources = [
    customerRoutes(),
    contactRoutes(),
    activityRoutes(),
    suppressionRoutes({ now }),
    credentialRoutes({ encryptionKey, answerWithinMs: SMTP_ANSWER_MS }),
    campaignRoutes(),
    testSendRoutes({
      encryptionKey,
      answerWithinMs: SMTP_ANSWER_MS,
      tokens,
      publicUrl: config.publicUrl,
      now,
    }),
    analyticsRoutes({ now }),
    enrollmentRoutes(),
    messageRoutes({ now }),
  ];
  const ready = isCurrent(database.db);
  return createApp({ database, config, trackingApp, ready, logger, now, metrics, resources });
}

function isCurrent(db: Db): Ready {
  return async () => {
    const pending = await pendingMigrations(db);
    return pending.length === 0
      ? { ready: true }
      : { ready: false, reason: `the database lacks ${pending.join(", ")}` };
  };
}
