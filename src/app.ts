import { randomBytes } from "node:crypto";
import { analyticsRoutes } from "./campaigns/analytics-routes.ts";
import { doubleOptInRoutes } from "./campaigns/double-opt-in-routes.ts";
import { enrollRoutes } from "./campaigns/enroll-routes.ts";
import { enrollmentRoutes } from "./campaigns/enrollment-routes.ts";
import { campaignPreviewRoutes } from "./campaigns/preview-routes.ts";
import { progressRoutes } from "./campaigns/progress-routes.ts";
import { campaignRoutes } from "./campaigns/routes.ts";
import { testSendRoutes } from "./campaigns/test-send-routes.ts";
import type { Config } from "./config.ts";
import { activityRoutes } from "./contacts/activity-routes.ts";
import { contactRoutes } from "./contacts/routes.ts";
import { mediaRoutes } from "./conversations/media-routes.ts";
import { conversationMessageRoutes } from "./conversations/message-routes.ts";
import { conversationRoutes } from "./conversations/routes.ts";
import { credentialRoutes } from "./credentials/routes.ts";
import { awsItself } from "./credentials/ses-setup-aws.ts";
import { sesSetupRoutes } from "./credentials/ses-setup-routes.ts";
import { botWebhookRoutes } from "./credentials/telegram-webhook-routes.ts";
import { customerRoutes } from "./customers/routes.ts";
import type { Egress } from "./egress/client.ts";
import { createIsOpened } from "./egress/opened.ts";
import { resolveBySystem } from "./egress/resolve.ts";
import { exportRoutes } from "./exports/routes.ts";
import { createApp } from "./http/app.ts";
import { createClientIp } from "./http/client-ip.ts";
import type { Metrics } from "./http/metrics.ts";
import type { Ready } from "./http/pages.ts";
import type { App } from "./http/server.ts";
import { refusalRoutes } from "./imports/refusal-routes.ts";
import { importRoutes } from "./imports/routes.ts";
import { inboundRoutes } from "./inbound/routes.ts";
import { createReceiver } from "./inbound/ses/receiver.ts";
import { sesEventRoutes } from "./inbound/ses/routes.ts";
import { sesTopicRoutes } from "./inbound/ses/topic-routes.ts";
import { telegramLinkRoutes } from "./inbound/telegram/link-routes.ts";
import { createTelegramReceiver } from "./inbound/telegram/receiver.ts";
import { telegramUpdateRoutes } from "./inbound/telegram/routes.ts";
import type { Logger } from "./logger.ts";
import { messageRoutes } from "./messages/routes.ts";
import { viewMessage } from "./messages/view.ts";
import { openBots } from "./open-bots.ts";
import { segmentRoutes } from "./segments/routes.ts";
import { within } from "./spool/failover.ts";
import type { HitLog } from "./spool/hit-log.ts";
import { pendingMigrations } from "./storage/migrate.ts";
import type { Database, Db } from "./storage/pool.ts";
import type { Secrets } from "./storage/secrets.ts";
import { suppressionRoutes } from "./suppressions/routes.ts";
import { createFileFetch } from "./telegram/files.ts";
import { openTelegram } from "./telegram/open.ts";
import { templatePreviewRoutes } from "./templates/preview-routes.ts";
import { templateRoutes } from "./templates/routes.ts";
import { contactTopicRoutes } from "./topics/contact-routes.ts";
import { topicRoutes } from "./topics/routes.ts";
import { readPreferences, savePreferences } from "./tracking/preferences-queries.ts";
import { trackingRoutes } from "./tracking/routes.ts";
import type { Tokens } from "./tracking/token.ts";
import { auditRoutes } from "./webhooks/audit-routes.ts";
import { attemptDelivery } from "./webhooks/deliver.ts";
import { deliveryActionRoutes } from "./webhooks/delivery-action-routes.ts";
import { deliveryBulkRoutes } from "./webhooks/delivery-bulk-routes.ts";
import { deliveryRoutes } from "./webhooks/delivery-routes.ts";
import { watchEndpoints } from "./webhooks/endpoint-metrics.ts";
import { endpointRoutes } from "./webhooks/endpoint-routes.ts";
import { endpointStatusRoutes } from "./webhooks/endpoint-status-routes.ts";
import { eventRoutes } from "./webhooks/event-routes.ts";
import { eventTypeRoutes } from "./webhooks/event-type-routes.ts";
import { selectBacklogs } from "./webhooks/metrics-queries.ts";
import { replayRoutes } from "./webhooks/replay-routes.ts";
import { secretRoutes } from "./webhooks/secret-routes.ts";
import { testRoutes } from "./webhooks/test-routes.ts";
import type { Workers } from "./workers.ts";

type AppParts = {
  config: Config;
  database: Database;
  secrets: Secrets;
  tokens: Tokens;
  workers: Workers;
  egress: Egress;
  /** For the stand-ins of EDGR_SNS_TRUSTED_HOSTS and a Bot API server of one's own alone. */
  trustedEgress: Egress;
  metrics: Metrics;
  logger: Logger;
};

/** How long somebody waits at the API for a mail server. */
const SMTP_ANSWER_MS = 20_000;

/** And for a whole file of Telegram. */
const TELEGRAM_FILE_WITHIN_MS = 20_000;

/** Of metrics, the spool's are needed just when the database does not answer. */
const METRICS_WITHIN_MS = 5_000;

/** A load balancer asks often and waits shortly. */
const READY_WITHIN_MS = 2_000;

/** The HTTP surface of a process, wired. */
export function assembleApp(parts: AppParts): App {
  const { config, database, secrets, tokens, workers, egress, metrics, logger } = parts;
  const now = () => new Date();
  const { hits } = workers;
  const { publicUrl } = config;
  metrics.watchSpool(hits.status);
  watchEndpoints(metrics.registry, {
    read: () => selectBacklogs(database.db),
    answerWithinMs: METRICS_WITHIN_MS,
    log: logger,
  });
  const trackingApp = trackingRoutes({
    tokens,
    append: hits.append,
    unsubscribes: hits,
    preferences: {
      read: (message) => readPreferences(database.db, message),
      save: (hit, choice) => savePreferences(database.db, hit, choice),
    },
    view: (claims) => viewMessage({ db: database.db, tokens, publicUrl }, claims),
    clientIp: createClientIp(config.trustedProxies),
    now: Date.now,
    counters: metrics,
    log: {
      lostHit: (event, error) => logger.error({ err: error, event }, "a hit could not be recorded"),
      failed: (route, error) => logger.error({ err: error, route }, "a hit could not be answered"),
    },
  });
  const receiver = createReceiver({
    db: database.db,
    egress,
    trustedHosts: config.snsTrustedHosts,
    trustedEgress: parts.trustedEgress,
    now: Date.now,
    takesOld: false,
    onAppend: workers.wake,
    counters: metrics,
    log: logger,
  });
  trackingApp.route("/", sesEventRoutes(receiver));
  const { encryptionKey } = secrets;
  const telegramReceiver = createTelegramReceiver({
    db: database.db,
    encryptionKey,
    now,
    onAppend: workers.wake,
    counters: metrics,
    log: logger,
  });
  trackingApp.route("/", telegramUpdateRoutes(telegramReceiver));
  const telegram = openTelegram({ ...parts, apiRoot: config.telegramApiRoot });
  const bots = openBots(parts, telegram);
  const fetchFile = createFileFetch({ ...telegram, withinMs: TELEGRAM_FILE_WITHIN_MS });
  const isOpened = createIsOpened({ allow: config.egressAllow, resolve: resolveBySystem });
  const resources = [
    customerRoutes(),
    importRoutes("contacts"),
    refusalRoutes("contacts", { log: logger }),
    importRoutes("suppressions"),
    refusalRoutes("suppressions", { log: logger }),
    exportRoutes({ now, log: logger }),
    contactRoutes(),
    activityRoutes(),
    topicRoutes(),
    contactTopicRoutes({ now }),
    telegramLinkRoutes({ encryptionKey }),
    templateRoutes(),
    templatePreviewRoutes({ tokens, publicUrl, now }),
    segmentRoutes({ now }),
    suppressionRoutes({ now }),
    sesTopicRoutes(),
    sesSetupRoutes({ encryptionKey, publicUrl, aws: awsItself(egress) }),
    inboundRoutes(),
    credentialRoutes({ encryptionKey, bots, answerWithinMs: SMTP_ANSWER_MS, now }),
    botWebhookRoutes(bots),
    campaignRoutes({ refusedUrl: egress.refusalByForm }),
    campaignPreviewRoutes({ tokens, publicUrl, now }),
    testSendRoutes({
      encryptionKey,
      answerWithinMs: SMTP_ANSWER_MS,
      tokens,
      publicUrl: config.publicUrl,
      now,
      api: telegram.api,
    }),
    analyticsRoutes({ now }),
    progressRoutes({ now }),
    doubleOptInRoutes(),
    enrollRoutes({ now }),
    enrollmentRoutes(),
    messageRoutes({ now }),
    mediaRoutes({ encryptionKey, fetchFile }),
    conversationRoutes(),
    conversationMessageRoutes({ now, onAppend: workers.wake }),
    eventTypeRoutes(),
    eventRoutes(),
    endpointRoutes({ encryptionKey, randomBytes, egress, isOpened }),
    endpointStatusRoutes({ onAppend: workers.wake }),
    secretRoutes({ encryptionKey, randomBytes }),
    testRoutes({ publicUrl, now, attempt: makeAttempt(parts) }),
    deliveryRoutes({ encryptionKey, publicUrl, now }),
    deliveryActionRoutes({ encryptionKey, publicUrl, now, onDue: workers.wakeDeliveries }),
    deliveryBulkRoutes({ now, onDue: workers.wakeDeliveries }),
    replayRoutes({ now }),
    auditRoutes(),
  ];
  const ready = readiness(database.db, hits);
  return createApp({ database, config, encryptionKey, trackingApp, ready, logger, now, metrics, resources });
}

/** Makes one attempt of a delivery for somebody who waits for what comes of it. */
function makeAttempt({ config, secrets, egress, metrics, logger }: AppParts) {
  const { publicUrl } = config;
  const { encryptionKey } = secrets;
  const deps = {
    egress,
    encryptionKey,
    publicUrl,
    now: Date.now,
    random: Math.random,
    counters: metrics,
    log: logger,
  };
  return (db: Db, customerId: string, deliveryId: string) =>
    attemptDelivery({ ...deps, db }, customerId, deliveryId);
}

/**
 * Without its database a process still takes hits, all that a mail's links lead to: it should keep getting them, so it
 * is ready in that sense until its spool is full.
 */
function readiness(db: Db, hits: HitLog): Ready {
  return async () => {
    const { state, events, bytes, oldestAt, setAside, isFull } = hits.status();
    const spool = { events, bytes, oldestAt, setAside };
    if (isFull) return { ready: false, reason: "the spool is full" };
    if (state === "draining") return { ready: "degraded", reason: "hits wait in the spool", spool };
    const away = { ready: "degraded", reason: "the database is away", spool } as const;
    if (state === "away") return away;
    try {
      const pending = await within(pendingMigrations(db), READY_WITHIN_MS);
      if (pending.length === 0) return { ready: true };
      return { ready: false, reason: `the database lacks ${pending.join(", ")}` };
    } catch {
      return away;
    }
  };
}
