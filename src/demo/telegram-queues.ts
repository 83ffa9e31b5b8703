export type Webhook = {
  url: string;
  secret: string;
  maxConnections: number;
  /** Empty: all but those that have to be asked for. */
  allowedUpdates: string[];
};

/** A call that a webhook makes by what it answers with. */
export type WebhookCall = { method: string; params: { [name: string]: unknown } };

export type Deliver = (url: string, init: RequestInit) => Promise<Response>;

type Update = { id: number; kind: string; body: string };
type Failure = { at: number; message: string };

const ASKED_FOR = ["chat_member", "message_reaction", "message_reaction_count"];

/**
 * What waits for bots at Telegram: per chat one after the other, where one that is not taken holds those behind it up;
 * chats side by side.
 */
export function createTelegramQueues({
  deliver,
  retryMs,
  onTaken,
  onCall,
}: {
  deliver: Deliver;
  retryMs: (attempt: number) => number;
  onTaken: (updateId: number) => void;
  /** What comes of it is told to nobody. */
  onCall: (botId: number, call: WebhookCall) => void;
}) {
  const webhooks = new Map<number, Webhook>();
  const failures = new Map<number, Failure>();
  const queues = new Map<string, Update[]>();
  const running = new Map<string, Promise<void>>();
  const lastIds = new Map<number, number>();
  let isStopped = false;

  const waiting = (botId: number): number =>
    [...queues].reduce((sum, [key, queue]) => (key.startsWith(`${botId}/`) ? sum + queue.length : sum), 0);

  function run(botId: number, key: string): void {
    if (running.has(key) || !webhooks.has(botId) || isStopped) return;
    running.set(
      key,
      drain(botId, queues.get(key) ?? []).finally(() => {
        running.delete(key);
        if ((queues.get(key)?.length ?? 0) > 0) run(botId, key);
      }),
    );
  }

  async function drain(botId: number, queue: Update[]): Promise<void> {
    for (let attempt = 0; !isStopped; ) {
      const [update] = queue;
      const webhook = webhooks.get(botId);
      if (update === undefined || webhook === undefined) return;
      const problem = isWanted(webhook, update.kind) ? await attemptTo(botId, webhook, update) : null;
      if (problem === null) {
        onTaken(update.id);
        queue.shift();
        attempt = 0;
        continue;
      }
      failures.set(botId, { at: Math.floor(Date.now() / 1000), message: problem });
      await new Promise((resolve) => setTimeout(resolve, retryMs(attempt)));
      attempt += 1;
    }
  }

  /** @returns null when it was taken */
  async function attemptTo(
    botId: number,
    { url, secret }: Webhook,
    { body }: Update,
  ): Promise<string | null> {
    const headers = new Headers({ "Content-Type": "application/json", "Accept-Encoding": "gzip, deflate" });
    if (secret !== "") headers.set("X-Telegram-Bot-Api-Secret-Token", secret);
    try {
      const response = await deliver(url, { method: "POST", headers, body, redirect: "manual" });
      const text = await response.text();
      const call = response.ok ? callIn(text) : null;
      if (call !== null) onCall(botId, call);
      if (response.ok) return null;
      return `Wrong response from the webhook: ${response.status} ${response.statusText}`;
    } catch {
      return "Connection failed";
    }
  }

  return {
    webhook: (botId: number): Webhook | null => webhooks.get(botId) ?? null,

    setWebhook(botId: number, webhook: Webhook | null): void {
      if (webhook === null) webhooks.delete(botId);
      else webhooks.set(botId, webhook);
      for (const key of queues.keys()) if (key.startsWith(`${botId}/`)) run(botId, key);
    },

    info(botId: number): object {
      const webhook = webhooks.get(botId);
      const failure = failures.get(botId);
      return {
        url: webhook?.url ?? "",
        has_custom_certificate: false,
        pending_update_count: waiting(botId),
        ...(failure === undefined
          ? {}
          : { last_error_date: failure.at, last_error_message: failure.message }),
        ...(webhook === undefined
          ? {}
          : { max_connections: webhook.maxConnections, allowed_updates: webhook.allowedUpdates }),
      };
    },

    push(botId: number, update: object): number {
      const given = "update_id" in update ? Number(update.update_id) : null;
      const id = given ?? (lastIds.get(botId) ?? 100_000_000) + 1;
      lastIds.set(botId, id);
      const kind = Object.keys(update).find((key) => key !== "update_id") ?? "";
      const key = `${botId}/${queueOf(update)}`;
      const queue = queues.get(key) ?? [];
      queue.push({ id, kind, body: JSON.stringify({ update_id: id, ...update }) });
      queues.set(key, queue);
      run(botId, key);
      return id;
    },

    async idle(): Promise<void> {
      while (running.size > 0) await Promise.all(running.values());
    },

    stop(): void {
      isStopped = true;
    },
  };
}

/** What an answer may not name (protocols 3.2). */
const NOT_BY_ANSWER = /^(?:setWebhook|deleteWebhook|close|logOut|get.*)$/i;

function callIn(text: string): WebhookCall | null {
  if (text === "") return null;
  const { method, ...params } = JSON.parse(text);
  return typeof method === "string" && !NOT_BY_ANSWER.test(method) ? { method, params } : null;
}

function isWanted({ allowedUpdates }: Webhook, kind: string): boolean {
  return allowedUpdates.length === 0 ? !ASKED_FOR.includes(kind) : allowedUpdates.includes(kind);
}

/** The chat, or the person of what belongs to none. */
function queueOf(update: object): string {
  const text = JSON.stringify(update);
  return /"chat":\{[^{}]*"id":(-?\d+)/.exec(text)?.[1] ?? /"id":(-?\d+)/.exec(text)?.[1] ?? "none";
}
