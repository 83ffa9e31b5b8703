import { runEnrolls } from "./campaigns/run-enrolls.ts";
import { runSteps } from "./campaigns/run-steps.ts";
import { runWebhooks } from "./campaigns/run-webhooks.ts";
import type { Config } from "./config.ts";
import { runBotMoves } from "./credentials/telegram-moves.ts";
import type { Egress } from "./egress/client.ts";
import type { Event } from "./events/event.ts";
import { createGroupCommit } from "./events/group-commit.ts";
import { createPostgresLog } from "./events/postgres-log.ts";
import { runImports } from "./imports/run-imports.ts";
import { runMatching } from "./inbound/match-waiting.ts";
import { runConfirmations } from "./inbound/ses/confirm.ts";
import { matchWaiting } from "./inbound/ses/match-waiting.ts";
import { MAX_MAIL_BYTES } from "./inbound/ses/parse-mail.ts";
import { runMailReading } from "./inbound/ses/read-received.ts";
import { createObjectFetch } from "./inbound/ses/s3.ts";
import { matchWaitingReactions } from "./inbound/telegram/match-waiting.ts";
import type { Logger } from "./logger.ts";
import { runMaintenance } from "./maintenance.ts";
import { runSender } from "./messages/sender.ts";
import { openBots } from "./open-bots.ts";
import { createPausable, type Running } from "./pausable.ts";
import { runProjector } from "./projector/run-projector.ts";
import { runRetention } from "./retention.ts";
import { type HitLog, startHitLog } from "./spool/hit-log.ts";
import type { Spool } from "./spool/spool.ts";
import { type Database, isRefusal, ping } from "./storage/pool.ts";
import type { Secrets } from "./storage/secrets.ts";
import { openTelegram, type Telegram } from "./telegram/open.ts";
import type { Tokens } from "./tracking/token.ts";
import type { AttemptCounters } from "./webhooks/deliver.ts";
import { runDeliveries } from "./webhooks/run-deliveries.ts";
import { runDigests } from "./webhooks/run-digests.ts";
import { runReplays } from "./webhooks/run-replays.ts";

/** The event log of a process and everything that follows from what is in it. */
export type Workers = {
  hits: HitLog;
  /** Says that something was appended to the log. */
  wake(): void;
  /** Says that deliveries to endpoints may have become due. */
  wakeDeliveries(): void;
  /** Finishes what is in hand, in the order in which one feeds the next. */
  stop(): Promise<void>;
};

export type WorkersParts = {
  config: Config;
  database: Database;
  /** Connections for hits alone, on which nothing takes long. */
  hitDatabase: Database;
  spool: Spool;
  /** Null when the database has been prepared; else prepares it as soon as it is there, and rejects until then. */
  arrive: (() => Promise<void>) | null;
  secrets: Secrets;
  tokens: Tokens;
  egress: Egress;
  /** For the stand-ins of EDGR_SNS_TRUSTED_HOSTS and a Bot API server of one's own alone. */
  trustedEgress: Egress;
  /** What becomes of attempts to deliver webhooks. */
  metrics: AttemptCounters;
  logger: Logger;
};

// A mail server's answers wait for the log together; whoever is told that it failed tries again.
const ANSWERS = { maxGroup: 1_000, maxWaiting: 20_000, maxWrites: 2, timeoutMs: 2_000, isRefusal };

/** Begins to project, deliver, send and wait. */
export function startWorkers(parts: WorkersParts): Workers {
  const { database, hitDatabase, spool, logger } = parts;
  let { arrive } = parts;
  const telegram = openTelegram({ ...parts, apiRoot: parts.config.telegramApiRoot });
  const hasFailed = (error: unknown) => logger.error({ err: error }, "workers: could not begin or end");
  const onProjected = () => {
    acting.wake();
    delivering.wake();
  };
  const projecting = createPausable(
    () => startProjecting(parts, telegram, { onProjected, onAppend: projecting.wake }),
    hasFailed,
  );
  const delivering = createPausable(() => startDelivering(parts, projecting.wake), hasFailed);

  const log = createPostgresLog(database.pool, projecting.wake);
  const answers = createGroupCommit<readonly Event[]>((answered) => log.append(answered.flat()), ANSWERS);

  // What acts on what people have done (or have not done, in time) rests while a part of that is in the spool: nobody
  // is mailed whose unsubscribe waits there, and no time runs out on an open that does. What has happened is told to
  // endpoints all the same.
  const acting = createPausable(
    () => startActing(parts, telegram, { append: answers.append, onAppend: projecting.wake }),
    hasFailed,
  );

  function prepared(isPrepared: boolean): void {
    projecting.allow(isPrepared);
    delivering.allow(isPrepared);
  }

  const hits = startHitLog({
    database: hitDatabase,
    log: createPostgresLog(hitDatabase.pool, projecting.wake),
    spool,
    isThere: arrive === null,
    async probe() {
      if (arrive === null) return ping(hitDatabase.pool);
      await arrive();
      arrive = null;
      prepared(true);
    },
    random: Math.random,
    logger,
    onAppend: projecting.wake,
    onState: (state) => acting.allow(state === "database"),
  });
  prepared(arrive === null);
  acting.allow(hits.status().state === "database");

  return {
    hits,
    wake: projecting.wake,
    wakeDeliveries: delivering.wake,
    async stop() {
      await Promise.all([acting.stop(), delivering.stop(), hits.stop()]);
      await answers.drain();
      await projecting.stop();
    },
  };
}

/** What follows from the log and brings more into it, of what needs no more than the database and the servers we ask. */
function startProjecting(
  parts: WorkersParts,
  telegram: Telegram,
  { onProjected, onAppend }: { onProjected: () => void; onAppend: () => void },
): Running {
  const { config, secrets, egress, trustedEgress, logger } = parts;
  const { db } = parts.database;
  const projector = runProjector(db, onProjected, logger);
  const others = [
    runMaintenance(db, logger),
    runRetention(db, () => new Date(), logger),
    runImports(db, logger),
    runMatching(
      () => matchWaiting(db),
      onAppend,
      (error) => logger.error({ err: error }, "ses: could not match what waits, tries again"),
    ),
    runMatching(
      () => matchWaitingReactions(db),
      onAppend,
      (error) => logger.error({ err: error }, "telegram: could not match what waits, tries again"),
    ),
    runMailReading({
      db,
      encryptionKey: secrets.encryptionKey,
      fetchObject: createObjectFetch({ egress, endpoint: null, maxBytes: MAX_MAIL_BYTES, now: Date.now }),
      onAppend,
      now: Date.now,
      random: Math.random,
      log: logger,
    }),
    runConfirmations({
      db,
      egress,
      trustedHosts: config.snsTrustedHosts,
      trustedEgress,
      now: Date.now,
      log: logger,
    }),
    runBotMoves({ db, bots: openBots(parts, telegram), log: logger }),
  ];
  return { wake: projector.wake, stop: () => stopAll([...others, projector]) };
}

/** Tells endpoints what has happened. */
function startDelivering(parts: WorkersParts, onAppend: () => void): Running {
  const { config, database, secrets, egress, metrics, logger } = parts;
  const { publicUrl } = config;
  const deliveries = runDeliveries({
    db: database.db,
    egress,
    encryptionKey: secrets.encryptionKey,
    publicUrl,
    onAppend,
    now: Date.now,
    random: Math.random,
    counters: metrics,
    log: logger,
  });
  const digests = runDigests({
    db: database.db,
    publicUrl,
    now: Date.now,
    log: logger,
    onClose: deliveries.wake,
  });
  const replays = runReplays({ db: database.db, onOpen: deliveries.wake, now: Date.now, log: logger });
  return { wake: deliveries.wake, stop: () => stopAll([digests, replays, deliveries]) };
}

/** Sends to people, takes campaigns' steps, and calls what their webhook nodes call. */
function startActing(
  parts: WorkersParts,
  telegram: Telegram,
  { append, onAppend }: { append: (events: readonly Event[]) => Promise<void>; onAppend: () => void },
): Running {
  const { config, database, secrets, tokens, egress, logger } = parts;
  const { db } = database;
  const woken = [
    runSender({
      database,
      db,
      append,
      tokens,
      publicUrl: config.publicUrl,
      encryptionKey: secrets.encryptionKey,
      api: telegram.api,
      log: logger,
      now: Date.now,
      random: Math.random,
    }),
    runSteps(db, onAppend, Date.now, logger),
    runWebhooks({ db, egress, onAppend, now: Date.now, random: Math.random, log: logger }),
  ];
  const enrolls = runEnrolls(db, onAppend, logger);
  return {
    wake() {
      for (const each of woken) each.wake();
    },
    stop: () => stopAll([...woken, enrolls]),
  };
}

async function stopAll(parts: readonly { stop(): Promise<void> }[]): Promise<void> {
  await Promise.all(parts.map((part) => part.stop()));
}
