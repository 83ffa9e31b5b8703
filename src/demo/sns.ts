import { setTimeout as sleep } from "node:timers/promises";
import { listen } from "../http/server.ts";
import type { Journal, Mail } from "./journal.ts";
import { type News, newsOf } from "./ses.ts";
import { snsCertificate } from "./sns-certificate.ts";
import { confirmedXml, type Envelope, notificationOf, subscriptionTo, TOPIC } from "./sns-envelope.ts";

/** A stand-in for Amazon SNS on loopback, with Amazon SES behind it. */
export type Sns = {
  /**
   * Subscribes EDGR, which has to confirm it; from then on it is told of everything, of what is in the journal too.
   * @throws when it does not confirm in time
   */
  subscribe(endpoint: string): Promise<void>;
  /** Tells of a mail, in no order. Resolves when the mail may be answered: some reports arrive before that. */
  publish(mail: Mail): Promise<void>;
  /** Whether everything that there was to tell has been taken or refused. */
  isIdle(): boolean;
  /** Rejects with the first fault of the stand-in. */
  failed: Promise<never>;
  close(): Promise<void>;
};

const CONNECTIONS = 8;
const RETRY_MS = 250;
const DELIVERY_TIMEOUT_MS = 15_000;
const CONFIRM_TIMEOUT_MS = 30_000;
/** So long the answer to a mail waits for a hasty report. */
const HOLD_MS = 500;

/** @param random between 0 and 1, decides what comes first */
export function startSns(port: number, journal: Journal, random: () => number): Sns {
  const certificateUrl = `http://127.0.0.1:${port}/SimpleNotificationService-${"0".repeat(32)}.pem`;
  const told = new Set(journal.entries.flatMap((entry) => (entry.kind === "told" ? [entry.id] : [])));
  const left = (mail: Mail) => newsOf(mail).filter(({ id }) => !told.has(id));
  const waiting = journal.entries.flatMap((entry) => (entry.kind === "mail" ? left(entry) : []));
  const underWay = new Set<Promise<void>>();
  const ending = new AbortController();
  const failure = Promise.withResolvers<never>();
  const confirmed = Promise.withResolvers<"confirmed">();
  let endpoint: string | null = null;

  const server = serveSns(port, () => {
    journal.add({ kind: "confirmed" });
    confirmed.resolve("confirmed");
  });

  function begin(to: string, news: News): Promise<void> {
    const { id, what, mail } = news;
    const delivery = deliver(to, notificationOf(news, certificateUrl), ending.signal).then((status) => {
      if (status !== null) journal.add({ kind: "told", id, to: mail.to, node: mail.node, what, status });
    });
    const ended = delivery.catch(failure.reject).finally(() => {
      underWay.delete(ended);
      next();
    });
    underWay.add(ended);
    return ended;
  }

  function next(): void {
    while (endpoint !== null && underWay.size < CONNECTIONS && !ending.signal.aborted) {
      const news = takeAny(waiting, random);
      if (news === null) break;
      begin(endpoint, news);
    }
  }

  return {
    async subscribe(to) {
      if (!journal.entries.some(({ kind }) => kind === "confirmed")) {
        await deliver(to, subscriptionTo(TOPIC, certificateUrl), ending.signal);
        const outcome = await Promise.race([confirmed.promise, sleep(CONFIRM_TIMEOUT_MS)]);
        if (outcome !== "confirmed")
          throw new Error("EDGR did not confirm the subscription to its SNS topic.");
      }
      endpoint = to;
      next();
    },
    async publish(mail) {
      const news = left(mail);
      const to = endpoint;
      const hasty = to === null ? [] : news.filter(({ isHasty }) => isHasty).map((each) => begin(to, each));
      waiting.push(...news.filter(({ isHasty }) => to === null || !isHasty));
      next();
      if (hasty.length > 0) await Promise.race([Promise.all(hasty), sleep(HOLD_MS)]);
    },
    isIdle: () => waiting.length === 0 && underWay.size === 0,
    failed: failure.promise,
    async close() {
      ending.abort();
      await Promise.all(underWay);
      await server.stop(0);
    },
  };
}

function serveSns(port: number, onConfirm: () => void) {
  const answer = (request: Request) => {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname.endsWith(".pem")) return new Response(snsCertificate.cert);
    if (searchParams.get("Action") !== "ConfirmSubscription") return new Response(null, { status: 404 });
    onConfirm();
    return new Response(confirmedXml(searchParams.get("TopicArn") ?? ""));
  };
  return listen({ fetch: answer }, { host: "127.0.0.1", port });
}

/**
 * Delivers until it is taken or refused for good.
 * @param signal ends that
 * @returns the answer's status; null when it ended before there was one
 */
async function deliver(endpoint: string, envelope: Envelope, signal: AbortSignal): Promise<number | null> {
  const body = JSON.stringify(envelope);
  const headers = { "Content-Type": "text/plain; charset=UTF-8" };
  while (!signal.aborted) {
    try {
      const until = AbortSignal.any([signal, AbortSignal.timeout(DELIVERY_TIMEOUT_MS)]);
      const answer = await fetch(endpoint, { method: "POST", headers, body, signal: until });
      await answer.arrayBuffer();
      if (answer.status < 500) return answer.status;
    } catch {
      // EDGR may be away for a moment: it is told again.
    }
    await sleep(RETRY_MS);
  }
  return null;
}

/** Takes one out, whichever. */
function takeAny(waiting: News[], random: () => number): News | null {
  const place = Math.floor(random() * waiting.length);
  const last = waiting.pop();
  if (last === undefined) return null;
  const taken = waiting[place] ?? last;
  if (place < waiting.length) waiting[place] = last;
  return taken;
}
