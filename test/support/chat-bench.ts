import pino from "pino";
import { readConfig } from "../../src/config.ts";
import { createApiKey, hashApiKey } from "../../src/customers/api-keys.ts";
import { findCustomerByKey } from "../../src/customers/queries.ts";
import { type Event, newEvent } from "../../src/events/event.ts";
import { newId } from "../../src/events/id.ts";
import { storableJson } from "../../src/events/storable.ts";
import { createMetrics } from "../../src/http/metrics.ts";
import type { Db } from "../../src/storage/pool.ts";
import { runDeliveries } from "../../src/webhooks/run-deliveries.ts";
import { runDigests } from "../../src/webhooks/run-digests.ts";
import type { EndpointType } from "../../src/webhooks/told.ts";
import { append, projectAll, TEST_ENCRYPTION_KEY } from "./campaigns.ts";
import { createTestDatabase } from "./database.ts";
import { listDeliveries, loopbackEgress, type SeenDelivery } from "./delivering.ts";
import { until } from "./installation.ts";
import { assembleWholeApp } from "./whole-app.ts";

export const CHAT_PUBLIC_URL = "https://edgr.example.com";

type Answer = { status: number; text: string; body: { [field: string]: unknown } };

/** Everything from what happens to what a chat gets, over HTTP, as in one process. */
export type ChatBench = {
  db: Db;
  /** A customer with a key of its own; the one before is left alone from then on. */
  newCustomer(): Promise<string>;
  /** With that customer's key; `body` is sent as JSON. */
  call(method: string, path: string, body?: object): Promise<Answer>;
  /** An endpoint that tells at once and as fast as it can; `settings` as the API takes them. @returns its id */
  endpoint(type: EndpointType, url: string, settings?: object): Promise<string>;
  /** Appended and projected. @returns its id */
  happen(type: Event["type"], more?: Partial<Event>): Promise<string>;
  happenAll(events: readonly Partial<Event>[]): Promise<void>;
  deliveries(): Promise<SeenDelivery[]>;
  /** Resolves when nothing owed to the customer's endpoints is in another state. */
  allAre(status: string): Promise<void>;
  /** Begins to deliver and to close digests. */
  start(): void;
  /** What is under way ends. */
  stop(): Promise<void>;
  /** Makes workers look now. */
  wake(): void;
  /** Lets that much more time have passed for the workers that run, not for the database. */
  shiftMs(ms: number): void;
  /** Everything that was logged so far. */
  logged(): string;
  close(): Promise<void>;
};

/** The whole app and the workers that tell endpoints, on a database of its own. Close it in `afterAll`. */
export async function createChatBench(): Promise<ChatBench> {
  const database = await createTestDatabase();
  const { db } = database;
  const lines: string[] = [];
  const logger = pino({ level: "trace" }, { write: (line: string) => void lines.push(line) });
  const metrics = createMetrics();
  const egress = loopbackEgress();
  const app = assembleWholeApp(database, {
    config: readConfig({ EDGR_EGRESS_ALLOW: "127.0.0.0/8", EDGR_PUBLIC_URL: CHAT_PUBLIC_URL }, "/"),
    secrets: { encryptionKey: TEST_ENCRYPTION_KEY, signingKeys: [] },
    egress,
    metrics,
    logger,
  });
  let customer = { id: "", key: "" };
  let shiftedMs = 0;
  let working: { wake(): void; stop(): Promise<unknown> } | null = null;

  async function call(method: string, path: string, body?: object): Promise<Answer> {
    const headers = { Authorization: `Bearer ${customer.key}`, "Content-Type": "application/json" };
    const given = body === undefined ? {} : { body: JSON.stringify(body) };
    const request = new Request(`http://localhost${path}`, { method, headers, ...given });
    const response = await app.fetch(request, { ip: null });
    const text = await response.text();
    const isJson = response.headers.get("Content-Type")?.includes("json") === true && text !== "";
    return { status: response.status, text, body: JSON.parse(isJson ? text : "{}") };
  }

  function work() {
    const now = () => Date.now() + shiftedMs;
    const deps = { db, publicUrl: CHAT_PUBLIC_URL, now, log: logger };
    const deliveries = runDeliveries({
      ...deps,
      egress,
      encryptionKey: TEST_ENCRYPTION_KEY,
      random: () => 0.5,
      counters: metrics,
      onAppend: () => {},
    });
    const digests = runDigests({ ...deps, now: Date.now, onClose: deliveries.wake });
    return {
      wake() {
        digests.wake();
        deliveries.wake();
      },
      stop: () => Promise.all([digests.stop(), deliveries.stop()]),
    };
  }

  async function happenAll(events: readonly Partial<Event>[]): Promise<Event[]> {
    const made = events.map(({ type = "message_sent", data = {}, ...more }) => {
      const storable = Object.fromEntries(
        Object.entries(data).map(([name, value]) => [name, storableJson(value)]),
      );
      return newEvent({
        id: newId(),
        type,
        at: new Date(),
        customerId: customer.id,
        ...more,
        data: storable,
      });
    });
    for (let from = 0; from < made.length; from += 500) await append(db, ...made.slice(from, from + 500));
    await projectAll(db, 5_000);
    working?.wake();
    return made;
  }

  const bench: ChatBench = {
    db,
    async newCustomer() {
      const { key } = await createApiKey(db, { customerName: newId(), name: "test" });
      const owner = await findCustomerByKey(db, hashApiKey(key));
      if (owner === null) throw new Error("the key just made is not there");
      customer = { id: owner.customerId, key };
      return owner.customerId;
    },
    call,
    async endpoint(type, url, settings = {}) {
      const atOnce =
        type === "custom" ? {} : { ratePerSecond: null, maxConcurrency: 10, digestSeconds: null };
      const { status, text, body } = await call("POST", "/api/v1/webhooks/endpoints", {
        type,
        url,
        ...atOnce,
        ...settings,
      });
      if (status !== 201) throw new Error(text);
      return String(body.id);
    },
    async happen(type, more = {}) {
      const [event] = await happenAll([{ type, ...more }]);
      return event?.id ?? "";
    },
    happenAll: async (events) => void (await happenAll(events)),
    deliveries: () => listDeliveries(db, customer.id),
    allAre: (status) => until(async () => (await bench.deliveries()).every((each) => each.status === status)),
    start() {
      shiftedMs = 0;
      working = work();
    },
    async stop() {
      await working?.stop();
      working = null;
    },
    wake: () => working?.wake(),
    shiftMs: (ms) => {
      shiftedMs += ms;
    },
    logged: () => lines.join(""),
    async close() {
      await bench.stop();
      egress.close();
      await database.close();
    },
  };
  return bench;
}
