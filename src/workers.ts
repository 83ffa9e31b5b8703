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
import { createPausable } from "./pausable.ts";
import { runProjector } from "./projector/run-projector.ts";
import { runRetention } from "./retention.ts";
import { type HitLog, startHitLog } from "./spool/hit-log.ts";
import type { Spool } from "./spool/spool.ts";
import { type Database, isRefusal, ping } from "./storage/pool.ts";
import type { Secrets } from "./storage/secrets.ts";
import { openTelegram } from "./telegram/open.ts";
import type { Tokens } from "./tracking/token.ts";

/** The event log of a process and everything that follows from what is in it. */
export type Workers = {
  hits: HitLog;
  /** Says that something was appended to the log. */
  wake(): void;
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
  logger: Logger;
};

// A mail server's answers wait for the log together; whoever is told that it failed tries again.
const ANSWERS = { maxGroup: 1_000, maxWaiting: 20_000, maxWrites: 2, timeoutMs: 2_000, isRefusal };

/** Begins to project, send and wait. */
export function startWorkers(parts: WorkersParts): Workers {
  const { config, database, hitDatabase, spool, secrets, tokens, egress, logger } = parts;
  const { db, pool } = database;
  let { arrive } = parts;
  const telegram = openTelegram({ ...parts, apiRoot: config.telegramApiRoot });
  const hasFailed = (error: unknown) => logger.error({ err: error }, "workers: could not begin or end");
  const projecting = createPausable(() => {
    const projector = runProjector(db, () => acting.wake(), logger);
    const maintenance = runMaintenance(db, logger);
    const retention = runRetention(db, () => new Date(), logger);
    const imports = runImports(db, logger);
    const matching = runMatching(
      () => matchWaiting(db),
      projecting.wake,
      (error) => logger.error({ err: error }, "ses: could not match what waits, tries again"),
    );
    const matchingReactions = runMatching(
      () => matchWaitingReactions(db),
      projecting.wake,
      (error) => logger.error({ err: error }, "telegram: could not match what waits, tries again"),
    );
    const reading = runMailReading({
      db,
      encryptionKey: secrets.encryptionKey,
      fetchObject: createObjectFetch({ egress, endpoint: null, maxBytes: MAX_MAIL_BYTES, now: Date.now }),
      onAppend: projecting.wake,
      now: Date.now,
      random: Math.random,
      log: logger,
    });
    const { trustedEgress } = parts;
    const trustedHosts = config.snsTrustedHosts;
    const confirming = runConfirmations({
      db,
      egress,
      trustedHosts,
      trustedEgress,
      now: Date.now,
      log: logger,
    });
    const moves = runBotMoves({ db, bots: openBots(parts, telegram), log: logger });
    return {
      wake: projector.wake,
      stop: () =>
        stopAll([
          maintenance,
          retention,
          imports,
          matching,
          matchingReactions,
          reading,
          confirming,
          moves,
          projector,
        ]),
    };
  }, hasFailed);

  const log = createPostgresLog(pool, projecting.wake);
  const answers = createGroupCommit<readonly Event[]>((answered) => log.append(answered.flat()), ANSWERS);

  // What acts on what people have done (or have not done, in time) rests while a part of that is in the spool: nobody
  // is mailed whose unsubscribe waits there, and no time runs out on an open that does.
  const acting = createPausable(() => {
    const sender = runSender({
      database,
      db,
      append: answers.append,
      tokens,
      publicUrl: config.publicUrl,
      encryptionKey: secrets.encryptionKey,
      api: telegram.api,
      log: logger,
      now: Date.now,
      random: Math.random,
    });
    const webhooks = runWebhooks({
      db,
      egress,
      onAppend: projecting.wake,
      now: Date.now,
      random: Math.random,
      log: logger,
    });
    const parts = [sender, runSteps(db, projecting.wake, Date.now, logger), webhooks];
    const enrolls = runEnrolls(db, projecting.wake, logger);
    const wake = () => {
      for (const part of parts) part.wake();
    };
    return { wake, stop: () => stopAll([...parts, enrolls]) };
  }, hasFailed);

  const hits = startHitLog({
    database: hitDatabase,
    log: createPostgresLog(hitDatabase.pool, projecting.wake),
    spool,
    isThere: arrive === null,
    async probe() {
      if (arrive === null) return ping(hitDatabase.pool);
      await arrive();
      arrive = null;
      projecting.allow(true);
    },
    random: Math.random,
    logger,
    onAppend: projecting.wake,
    onState: (state) => acting.allow(state === "database"),
  });
  projecting.allow(arrive === null);
  acting.allow(hits.status().state === "database");

  return {
    hits,
    wake: projecting.wake,
    async stop() {
      await Promise.all([acting.stop(), hits.stop()]);
      await answers.drain();
      await projecting.stop();
    },
  };
}

async function stopAll(parts: readonly { stop(): Promise<void> }[]): Promise<void> {
  await Promise.all(parts.map((part) => part.stop()));
}
