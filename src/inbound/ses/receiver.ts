import type { Egress } from "../../egress/client.ts";
import { createGroupCommit } from "../../events/group-commit.ts";
import type { Logger } from "../../logger.ts";
import { setNewest } from "../../newest.ts";
import { type Db, isRefusal } from "../../storage/pool.ts";
import { createCertificates } from "./certificates.ts";
import { digestOf, type Notice } from "./notice.ts";
import { claimSeen } from "./queries.ts";
import { type Asked, MAX_AGE_MS, type Outcome, type Reception, receive } from "./receive.ts";
import { type Recorded, recordNotices } from "./record.ts";
import type { SnsMessage } from "./sns.ts";
import type { Topic } from "./topic.ts";
import {
  type AllowedTopic,
  adoptTopic,
  awaitConfirmation,
  findFittingCredential,
  noteAsking,
  noteMessage,
  noteUnsubscribed,
  selectAllowedTopics,
} from "./topic-queries.ts";
import { createTopics } from "./topics.ts";

export type Receiver = {
  /** Resolves when what is in it is durable, or why it is not to be. Never rejects. */
  receive(body: string): Promise<Reception>;
  /** Resolves when nothing is being written any more. */
  drain(): Promise<void>;
};

export type ReceiverParts = {
  db: Db;
  egress: Pick<Egress, "send">;
  /** `host` or `host:port` of stand-ins for SNS (EDGR_SNS_TRUSTED_HOSTS). */
  trustedHosts: readonly string[];
  /** How those are reached: they are where public servers are not. */
  trustedEgress: Pick<Egress, "send">;
  now: () => number;
  /** Whether messages of any age are taken, as stored ones are that somebody feeds again. */
  takesOld: boolean;
  /** Called when something was appended to the log. */
  onAppend: () => void;
  counters: { sesRequest(outcome: Outcome): void; sesFacts(recorded: Recorded): void };
  log: Pick<Logger, "debug" | "info" | "error">;
};

// SNS gives up after 15 seconds. One write at a time: what comes meanwhile makes the next group a large one.
const GROUPS = { maxGroup: 500, maxWaiting: 10_000, maxWrites: 1, timeoutMs: 5_000, isRefusal };
/** How often what a topic does is written down, however much it says. */
const NOTE_EVERY_MS = 10_000;
const MAX_NOTED = 1_000;

/** All that takes part in receiving from SNS, for one process. */
export function createReceiver(parts: ReceiverParts): Receiver {
  const { db, now, counters, log } = parts;
  const certificates = createCertificates(parts);
  const topics = createTopics(() => selectAllowedTopics(db), now);
  const hearing = createThrottle(now);
  const asking = createThrottle(now);
  const group = createGroupCommit<Notice>(async (notices) => {
    const recorded = await recordNotices(db, notices);
    counters.sesFacts(recorded);
    if (recorded.matched > 0) parts.onAppend();
  }, GROUPS);

  async function record(notice: Notice): Promise<void> {
    try {
      await group.append(notice);
    } catch (error) {
      if (!isRefusal(error) || notice.content.kind === "odd") throw error;
      // The error quotes what was told, and that is not for the log.
      log.error(
        { messageId: notice.envelopeId, topicArn: notice.topicArn },
        "ses: the database refuses a message",
      );
      const content = {
        kind: "odd",
        reason: "the database refuses it",
        raw: JSON.stringify(notice.content),
      } as const;
      await group.append({ ...notice, content });
    }
  }

  async function adopt(topic: Topic): Promise<AllowedTopic | null> {
    const allowed = await db.transaction().execute((transaction) => adoptTopic(transaction, topic));
    if (allowed !== null) log.info(allowed, "ses: a topic is allowed by a credential's pattern");
    return allowed;
  }

  async function ask(message: SnsMessage, confirmation: Asked | null): Promise<void> {
    const { arn: topicArn, accountId } = message.topic;
    const messages = asking.count(topicArn);
    if (messages === 0 && confirmation === null) return;
    log.info({ topicArn }, "ses: a topic that nobody allowed wants to connect");
    await noteAsking(db, { topicArn, accountId, messages: Math.max(messages, 1), confirmation });
  }

  async function heard(topic: AllowedTopic): Promise<void> {
    const { topicArn } = topic;
    if (hearing.count(topicArn) === 0) return;
    try {
      await noteMessage(db, topic);
    } catch (error) {
      log.error({ err: error, topicArn }, "ses: could not note that a topic spoke");
    }
  }

  return {
    async receive(body) {
      const reception = await receive(
        {
          topics,
          certificates,
          trustedHosts: parts.trustedHosts,
          now,
          maxAgeMs: parts.takesOld ? null : MAX_AGE_MS,
          isFitting: async (topic) => (await findFittingCredential(db, topic)) !== null,
          adopt,
          record,
          confirm: (message, topic, asked) =>
            once(db, message, topic, (transaction) => awaitConfirmation(transaction, { ...topic, ...asked })),
          unsubscribed: (message, topic) =>
            once(db, message, topic, (transaction) => noteUnsubscribed(transaction, topic, message.at)),
          ask,
          heard,
          log,
        },
        body,
      );
      counters.sesRequest(reception.outcome);
      return reception;
    },
    drain: group.drain,
  };
}

/** Does what a message asks for unless it was done before: an old one delivered again would undo what came since. */
async function once(
  db: Db,
  message: SnsMessage,
  { customerId }: AllowedTopic,
  work: (transaction: Db) => Promise<void>,
): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    const seen = { customerId, source: "sns", digest: digestOf(message.messageId) } as const;
    if ((await claimSeen(transaction, [seen])).length > 0) await work(transaction);
  });
}

type Throttle = {
  /** @returns how often it was called for `name` since it last said so; 0 when that was a moment ago */
  count(name: string): number;
};

function createThrottle(now: () => number): Throttle {
  const noted = new Map<string, { at: number; since: number }>();
  return {
    count(name) {
      const entry = noted.get(name) ?? { at: Number.NEGATIVE_INFINITY, since: 0 };
      entry.since += 1;
      noted.set(name, entry);
      if (now() - entry.at < NOTE_EVERY_MS) return 0;
      const { since } = entry;
      setNewest(noted, name, { at: now(), since: 0 }, MAX_NOTED);
      return since;
    },
  };
}
