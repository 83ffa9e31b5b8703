import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import { createCustomer } from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { isRefusal, openDatabase } from "../storage/pool.ts";
import { type Event, newEvent } from "./event.ts";
import { createGroupCommit } from "./group-commit.ts";
import { newId } from "./id.ts";
import { createPostgresLog } from "./postgres-log.ts";

let database: TestDatabase;
let customerId: string;

beforeAll(async () => {
  database = await createTestDatabase();
  customerId = await createCustomer(database.db);
});

afterAll(() => database.close());

const nothing = () => {};

function opened(more: Partial<Event> = {}): Event {
  return newEvent({ id: newId(), type: "email_opened", at: new Date(), customerId, ...more });
}

async function stored(events: readonly Event[]): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from event_log where id = any (${events.map(({ id }) => id)}::uuid[]) order by position`.execute(
    database.db,
  );
  return rows.map(({ id }) => id);
}

describe("an event", () => {
  test("is kept with everything it says", async () => {
    const event = opened({
      at: new Date("2026-11-20T10:00:00.123Z"),
      campaignId: newId(),
      runId: newId(),
      messageId: newId(),
      contactId: newId(),
      agent: "proxy",
      agentRule: "gmail",
      userAgent: 'Mozilla "quoted" \\ {a,b} ünï 😀',
      ip: "2001:db8::1",
      data: { clickedUrl: 'https://example.com/?a="b"&c=\\', deep: [null, { ok: true }] },
    });
    await createPostgresLog(database.pool, nothing).append([event]);
    const { rows } = await sql<Event>`
      select id, type, at, customer_id as "customerId", campaign_id as "campaignId", run_id as "runId",
        message_id as "messageId", contact_id as "contactId", agent, agent_rule as "agentRule",
        user_agent as "userAgent", host(ip) as ip, data
      from event_log where id = ${event.id}`.execute(database.db);
    expect(rows).toEqual([event]);
  });

  test("appended twice, in one call and in another, is there once", async () => {
    const event = opened();
    const log = createPostgresLog(database.pool, nothing);
    await log.append([event, event]);
    await log.append([event]);
    expect(await stored([event])).toEqual([event.id]);
  });

  test("of a customer that does not exist is dropped, and keeps nothing else out", async () => {
    const [lost, kept] = [opened({ customerId: newId() }), opened()];
    await createPostgresLog(database.pool, nothing).append([lost, kept]);
    expect(await stored([lost, kept])).toEqual([kept.id]);
  });

  test("is announced after it is there", async () => {
    const events = [opened(), opened()];
    const seen: Promise<string[]>[] = [];
    await createPostgresLog(database.pool, () => seen.push(stored(events))).append(events);
    expect(await Promise.all(seen)).toEqual([events.map(({ id }) => id)]);
  });
});

describe("an address", () => {
  test.each([
    ["whole", "203.0.113.9", "203.0.113.9"],
    ["whole", "2001:db8:1:2:3::4", "2001:db8:1:2:3::4"],
    ["truncated", "203.0.113.9", "203.0.113.0"],
    ["truncated", "2001:db8:1:2:3::4", "2001:db8:1::"],
    ["truncated", null, null],
    ["none", "203.0.113.9", null],
  ] as const)("of a customer who keeps %p: %p is kept as %p", async (policy, ip, kept) => {
    const customer = await createCustomer(database.db);
    await sql`update customer set ip_policy = ${policy} where customer_id = ${customer}`.execute(database.db);
    const event = opened({ customerId: customer, ip });
    await createPostgresLog(database.pool, nothing).append([event]);
    const { rows } = await sql<{ ip: string | null }>`
      select host(ip) as ip from event_log where id = ${event.id}`.execute(database.db);
    expect(rows).toEqual([{ ip: kept }]);
  });
});

describe("an event that can't be kept", () => {
  test.each([
    ["an address that is none", { ip: "999.1.1.1" }],
    ["a NUL in its text", { userAgent: "a\0b" }],
    ["a NUL in its data", { data: { clickedUrl: "a\0b" } }],
    ["half a character in its data", { data: { clickedUrl: "\ud800" } }],
    ["an id that is none", { id: "nonsense" }],
  ])("for %s is rejected alone, and those beside it are kept", async (_, wrong) => {
    const log = createPostgresLog(database.pool, nothing);
    const group = createGroupCommit<Event>((events) => log.append(events), {
      maxGroup: 100,
      maxWaiting: 1_000,
      maxWrites: 1,
      timeoutMs: 60_000,
      isRefusal,
    });
    const good = Array.from({ length: 20 }, () => opened());
    const events = good.toSpliced(7, 0, opened(wrong));
    const results = await Promise.allSettled(events.map(group.append));
    expect(results.map(({ status }) => status).indexOf("rejected")).toBe(7);
    expect(results.filter(({ status }) => status === "rejected")).toHaveLength(1);
    expect(await stored(good)).toEqual(good.map(({ id }) => id));
  });
});

describe("a connection that breaks", () => {
  test("in the middle of a write does not lose it: it is written again, once", async () => {
    const url = new URL(database.url);
    url.searchParams.set("application_name", "victim");
    const victim = openDatabase(url.href, 2);
    const event = opened();
    const appended = await database.db.transaction().execute(async (db) => {
      await sql`lock table event_log in exclusive mode`.execute(db);
      const append = createPostgresLog(victim.pool, nothing, () => 0).append([event]);
      while (!(await isCut("victim")));
      return { append };
    });
    await appended.append;
    await victim.close();
    expect(await stored([event])).toEqual([event.id]);
  });

  test("again and again is told to whoever waits", async () => {
    const nowhere = openDatabase("postgres://nobody@127.0.0.1:1/nothing", 1);
    const append = createPostgresLog(nowhere.pool, nothing, () => 0).append([opened()]);
    await expect(append).rejects.toThrow("ECONNREFUSED");
    await nowhere.close();
  });

  /** Cuts the connection of this name that waits for a lock. @returns whether there was one */
  async function isCut(name: string): Promise<boolean> {
    const { rows } = await sql<{ cut: boolean }>`
      select pg_terminate_backend(pid, 1000) as cut from pg_stat_activity
      where datname = current_database() and application_name = ${name} and wait_event_type = 'Lock'`.execute(
      database.db,
    );
    return rows[0]?.cut === true;
  }
});
