import { createHash } from "node:crypto";
import type pg from "pg";
import { findSmtpCredential, setCredentialStatus } from "../credentials/queries.ts";
import { openBot } from "../credentials/telegram-queries.ts";
import { createSignal } from "../signal.ts";
import { LOCKS } from "../storage/locks.ts";
import type { Database } from "../storage/pool.ts";
import type { Outlet } from "./channel.ts";
import { type ChatRates, createChatRates } from "./chat-rates.ts";
import type { DeliverDeps } from "./deliver.ts";
import { type Lane, type LaneEnd, runLane } from "./lane.ts";
import {
  type CredentialWork,
  failOrphanedMessages,
  listCredentialsWithWork,
  reportUncertainMessages,
  sumTallies,
} from "./queries.ts";
import { type EmailDeps, emailOutlet } from "./send-email.ts";
import { type TelegramDeps, telegramOutlet } from "./send-telegram.ts";
import { createStandings, type Standing } from "./standing.ts";

export type SenderDeps = DeliverDeps & EmailDeps & TelegramDeps & { database: Database };

export type Sender = {
  /** Says that messages may have been queued. */
  wake(): void;
  /** Claims nothing more, waits for what is being handed over, and ends. */
  stop(): Promise<void>;
};

const LOOK_MS = 1_000;
const RECOVERY_MS = 10_000;
const SUM_MS = 60_000;

/**
 * Sends what is queued, for as long as the process lives. Each credential with work gets a lane, in one process
 * at a time (its advisory lock says so), so that its rate limit holds over all of them.
 */
export function runSender(deps: SenderDeps): Sender {
  const signal = createSignal();
  const lanes = new Map<string, Lane & { revision: string }>();
  const standings = createStandings(deps);
  const chats = new Map<string, ChatRates>();
  let stopping = false;
  let failures: unknown[] = [];

  function breakOff(error: unknown): void {
    failures.push(error);
    signal.wake();
  }

  async function loop(): Promise<void> {
    while (!stopping) {
      try {
        await work();
      } catch (error) {
        deps.log.error({ err: error }, "sender: broke off, begins anew");
        await signal.sleep(LOOK_MS);
      }
    }
  }

  // One connection holds the worker's locks for as long as it works; when it breaks, the locks are gone, others
  // may take over, and this worker begins anew under another number. So it does when a claim failed that the
  // database may have made: under another number, recovery finds what nobody has in hand.
  async function work(): Promise<void> {
    const holder = await deps.database.pool.connect();
    failures = [];
    holder.on("error", breakOff);
    try {
      const worker = await takeNumber(holder, deps.random);
      const recovery = {
        do: () => recover(deps, worker),
        everyMs: RECOVERY_MS,
        at: Number.NEGATIVE_INFINITY,
      };
      const summing = { do: () => sumTallies(deps.db), everyMs: SUM_MS, at: deps.now() };
      while (!stopping && failures.length === 0) {
        for (const chore of [recovery, summing]) {
          if (deps.now() - chore.at < chore.everyMs) continue;
          await chore.do();
          chore.at = deps.now();
        }
        for (const credential of await listCredentialsWithWork(deps.db)) {
          await openLane(holder, worker, credential);
        }
        await signal.sleep(LOOK_MS);
      }
      if (failures.length > 0) throw failures[0];
    } finally {
      await Promise.all([...lanes.values()].map((lane) => lane.stop()));
      holder.release(true);
    }
  }

  async function openLane(holder: pg.PoolClient, worker: number, ref: CredentialWork): Promise<void> {
    const key = `${ref.customerId}/${ref.credentialId}`;
    const running = lanes.get(key);
    // A lane whose credential was changed ends; the next look opens one with the new settings.
    if (running !== undefined && running.revision !== ref.revision) void running.stop();
    if (running !== undefined || standings.isResting(key, ref.revision)) return;
    const lock = [LOCKS.credential, lockNumber(key)];
    const { rows } = await holder.query("select pg_try_advisory_lock($1, $2) as held", lock);
    if (rows[0]?.held !== true) return;
    const unlock = () => holder.query("select pg_advisory_unlock($1, $2)", lock);
    const outlet = await openOutlet(ref, key).catch((error: unknown) => unreadable(ref, key, error));
    if (outlet === null) {
      await unlock();
      return;
    }
    const standing = standings.of(key, outlet.perSecond, ref.revision);
    const lane = runLane(outlet, worker, standing.rate, deps);
    lanes.set(key, { ...lane, revision: ref.revision });
    void lane.ended.then((end) => {
      lanes.delete(key);
      settle(standing, end);
      // When the connection is gone, so is the lock.
      unlock().then(signal.wake, () => {});
    });
  }

  /** @returns null when the credential is gone meanwhile */
  async function openOutlet(ref: CredentialWork, key: string): Promise<Outlet | null> {
    const { customerId, credentialId } = ref;
    if (ref.type === "smtp") {
      const credential = await findSmtpCredential(deps.db, deps.encryptionKey, customerId, credentialId);
      return credential === null ? null : emailOutlet(credential, deps);
    }
    const bot = await openBot(deps.db, deps.encryptionKey, customerId, credentialId, { lock: false });
    if (bot === null) return null;
    const rates = chats.get(key) ?? createChatRates();
    chats.set(key, rates);
    return telegramOutlet(customerId, bot, rates, deps);
  }

  // One customer's credential that another key sealed must not stop everybody's mail.
  async function unreadable(ref: CredentialWork, key: string, error: unknown): Promise<null> {
    const reason = `The credential can't be read: ${error instanceof Error ? error.message : String(error)}`;
    settle(standings.of(key, 1, ref.revision), { kind: "unreachable", reason });
    await setCredentialStatus(deps.db, ref.customerId, ref.credentialId, "failing", reason);
    return null;
  }

  function settle(standing: Standing, end: LaneEnd): void {
    if (end.kind === "broken") breakOff(end.error);
    else standings.settle(standing, end);
  }

  const running = loop();
  return {
    wake() {
      signal.wake();
      for (const lane of lanes.values()) lane.wake();
    },
    async stop() {
      stopping = true;
      signal.wake();
      await running;
    },
  };
}

/** A number no other worker has, held by its lock for as long as the connection lives. */
async function takeNumber(holder: pg.PoolClient, random: () => number): Promise<number> {
  for (;;) {
    const number = Math.floor(random() * 0x7fff_ffff);
    const { rows } = await holder.query("select pg_try_advisory_lock($1, $2) as held", [
      LOCKS.sender,
      number,
    ]);
    if (rows[0]?.held === true) return number;
  }
}

async function recover({ database, log }: SenderDeps, worker: number): Promise<void> {
  const count = await database.db.transaction().execute(reportUncertainMessages);
  if (count > 0) log.warn({ count }, "sender: messages were in the hands of a worker that died");
  const orphans = await database.db.transaction().execute((db) => failOrphanedMessages(db, worker));
  if (orphans > 0)
    log.warn({ count: orphans }, "sender: messages were to go through a credential that is gone");
}

// Two credentials that share a number only wait for each other between processes.
function lockNumber(key: string): number {
  return createHash("sha256").update(key).digest().readInt32BE(0);
}
