import { afterAll, afterEach, beforeAll, beforeEach, expect } from "bun:test";
import { sql } from "kysely";
import type { Event } from "../../src/events/event.ts";
import { projectAll } from "./campaigns.ts";
import { type ChatBench, createChatBench } from "./chat-bench.ts";
import { areDueAfter, listAttempts, passPauses, passWaits, type SeenAttempt } from "./delivering.ts";
import { until } from "./installation.ts";
import { type Sink, startSink } from "./sink.ts";

export type Health = { failures: number; slowedForS: number | null; isOpen: boolean };

export type ChatTroubles = {
  bench(): ChatBench;
  /** A stand-in that is closed after the test. */
  standIn<Server extends { close(): Promise<void> }>(starting: Promise<Server>): Promise<Server>;
  /** Something happens of which one endpoint is told once. @returns the attempt, when it is recorded */
  tried(type: Event["type"]): Promise<SeenAttempt | undefined>;
  areRecorded(): Promise<void>;
  /** Whether all that waits is due so many seconds after its last attempt was recorded. */
  areDueAfter(seconds: number): Promise<boolean>;
  healthOf(endpointId: string): Promise<Health>;
  endpointOf(id: string): Promise<{ [field: string]: unknown }>;
  /** As if all the time had passed until deliveries come due; pauses of endpoints go on. */
  passRetries(): Promise<void>;
  /** As if all the time had passed that anybody is to wait. */
  passAllWaits(): Promise<void>;
  /** One that is told of endpoints that are disabled, and of what `lookedAgain` makes happen. */
  addWitness(): Promise<void>;
  /** Resolves when workers have looked for what is due once more, and told the witness. */
  lookedAgain(): Promise<void>;
  /**
   * The endpoint is disabled for a reason, which the witness is told; nothing more is sent. Mended and enabled, it gets
   * what it was owed.
   */
  expectDisabled(id: string, reason: RegExp, chat: { mend(): void; asked(): number }): Promise<void>;
};

/** Workers and a customer of its own for every test of the file, for chats that don't take what they are sent. */
export function useChatTroubles(): ChatTroubles {
  let bench: ChatBench;
  let customerId: string;
  let witnessed: Sink;
  let opened: { close(): Promise<void> }[] = [];

  beforeAll(async () => {
    bench = await createChatBench();
  });
  afterAll(() => bench.close());

  beforeEach(async () => {
    customerId = await bench.newCustomer();
    witnessed = await standIn(startSink());
    bench.start();
  });
  afterEach(async () => {
    await bench.stop();
    // What is left over is nothing to the next test's workers.
    await sql`update webhook_endpoint set status = 'disabled', disabled_by = 'person'`.execute(bench.db);
    await Promise.all(opened.map((each) => each.close()));
    opened = [];
  });

  async function standIn<Server extends { close(): Promise<void> }>(
    starting: Promise<Server>,
  ): Promise<Server> {
    const server = await starting;
    opened.push(server);
    return server;
  }

  const attempts = () => listAttempts(bench.db, customerId);
  const areRecorded = (count = 1) =>
    until(async () => {
      const made = await attempts();
      return made.length >= count && made.every((each) => each.isFinished);
    });

  async function tried(type: Event["type"]): Promise<SeenAttempt | undefined> {
    const before = (await attempts()).length;
    await bench.happen(type);
    await areRecorded(before + 1);
    return (await attempts())[before];
  }

  async function healthOf(endpointId: string): Promise<Health> {
    const { rows } = await sql<Health>`
      select consecutive_failures as failures, extract(epoch from slowed_until - now())::float as "slowedForS",
        open_until is not null as "isOpen"
      from webhook_health where endpoint_id = ${endpointId}`.execute(bench.db);
    const [health] = rows;
    if (health === undefined) throw new Error("no health");
    return health;
  }

  async function passRetries(): Promise<void> {
    await areRecorded(0);
    await passWaits(bench.db, customerId);
    bench.wake();
  }

  async function passAllWaits(): Promise<void> {
    await areRecorded(0);
    await passPauses(bench.db, customerId);
    await passRetries();
  }

  async function lookedAgain(): Promise<void> {
    const before = witnessed.received.length;
    await bench.happen("topic_left");
    await until(async () => witnessed.received.length > before);
  }

  const endpointOf = async (id: string) => (await bench.call("GET", `/api/v1/webhooks/endpoints/${id}`)).body;

  async function expectDisabled(
    id: string,
    reason: RegExp,
    chat: { mend(): void; asked(): number },
  ): Promise<void> {
    const because = { by: "gone", reason: expect.stringMatching(reason) };
    await until(async () => (await endpointOf(id)).status === "disabled");
    expect(await endpointOf(id)).toMatchObject({ disabled: because });
    await projectAll(bench.db);
    bench.wake();
    await witnessed.until(1);
    expect(JSON.parse(witnessed.received[0]?.body ?? "")).toMatchObject({
      type: "endpoint_disabled",
      data: { data: { endpointId: id, ...because } },
    });
    const before = chat.asked();
    await passAllWaits();
    await lookedAgain();
    expect(chat.asked()).toBe(before);
    chat.mend();
    expect((await bench.call("POST", `/api/v1/webhooks/endpoints/${id}/enable`)).status).toBe(200);
    bench.wake();
    await bench.allAre("delivered");
  }

  return {
    bench: () => bench,
    standIn,
    tried,
    areRecorded,
    areDueAfter: (seconds) => areDueAfter(bench.db, customerId, seconds),
    healthOf,
    endpointOf,
    passRetries,
    passAllWaits,
    async addWitness() {
      const eventTypes = ["endpoint_disabled", "topic_left"];
      await bench.endpoint("custom", witnessed.url("/"), { eventTypes });
    },
    lookedAgain,
    expectDisabled,
  };
}
