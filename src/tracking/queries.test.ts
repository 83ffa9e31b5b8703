import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { createEdge, NOW_MS, token } from "../../test/support/tracking-edge.ts";
import { newId } from "../events/id.ts";
import { unsubscribeUrl } from "./links.ts";
import { resubscribe, type SubscriptionHit, unsubscribe } from "./queries.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

type Sent = { customerId: string; messageId: string; contactId: string; campaignId: string; runId: string };

let sent: Sent;
beforeEach(async () => {
  sent = await createMessage({ customerId: await createCustomer(false), to: "Ann@Example.com" });
});

async function createCustomer(confirmUnsubscribe: boolean): Promise<string> {
  const id = newId();
  await sql`
    insert into customer (customer_id, name, ip_policy, confirm_unsubscribe)
    values (${id}, ${id}, 'truncated', ${confirmUnsubscribe})`.execute(database.db);
  return id;
}

async function createMessage(message: {
  customerId: string;
  to: string;
  direction?: "inbound";
  channel?: "telegram";
}): Promise<Sent> {
  const ids = { messageId: newId(), contactId: newId(), campaignId: newId(), runId: newId() };
  await sql`
    insert into message (customer_id, id, direction, channel, campaign_id, run_id, contact_id, credential_id, to_address)
    values (${message.customerId}, ${ids.messageId}, ${message.direction ?? "outbound"}, ${message.channel ?? "email"}, ${ids.campaignId},
      ${ids.runId}, ${ids.contactId}, ${newId()}, ${message.to})`.execute(database.db);
  return { customerId: message.customerId, ...ids };
}

function hit(changes: Partial<SubscriptionHit> = {}): SubscriptionHit {
  return {
    eventId: newId(NOW_MS),
    customerId: sent.customerId,
    messageId: sent.messageId,
    at: new Date(NOW_MS),
    agent: "human",
    agentRule: "no-rule",
    userAgent: "Firefox",
    ip: "203.0.113.7",
    via: "link",
    ...changes,
  };
}

async function suppressions(customerId = sent.customerId) {
  const { rows } = await sql`
    select channel, address, reason, contact_id, message_id from suppression
    where customer_id = ${customerId} order by reason`.execute(database.db);
  return rows;
}

async function events(customerId = sent.customerId) {
  const { rows } = await sql<Record<string, unknown>>`
    select type, at, campaign_id, run_id, message_id, contact_id, agent, agent_rule, user_agent, host(ip) as ip, data
    from event_log where customer_id = ${customerId} order by position`.execute(database.db);
  return rows;
}

const types = async () => (await events()).map((event) => event.type);

describe("unsubscribing", () => {
  test("suppresses the address in lower case and records the event with everything about the message", async () => {
    expect(await unsubscribe(database.db, hit())).toBe("unsubscribed");
    expect(await suppressions()).toEqual([
      {
        channel: "email",
        address: "ann@example.com",
        reason: "unsubscribe",
        contact_id: sent.contactId,
        message_id: sent.messageId,
      },
    ]);
    expect(await events()).toEqual([
      {
        type: "unsubscribed",
        at: new Date(NOW_MS),
        campaign_id: sent.campaignId,
        run_id: sent.runId,
        message_id: sent.messageId,
        contact_id: sent.contactId,
        agent: "human",
        agent_rule: "no-rule",
        user_agent: "Firefox",
        ip: "203.0.113.0",
        data: { via: "link" },
      },
    ]);
  });

  test("through the link in a Telegram message suppresses the chat, and coming back lifts that", async () => {
    sent = await createMessage({
      customerId: await createCustomer(false),
      to: "5823456789",
      channel: "telegram",
    });
    expect(await unsubscribe(database.db, hit())).toBe("unsubscribed");
    expect(await suppressions()).toMatchObject([
      { channel: "telegram", address: "5823456789", reason: "unsubscribe", contact_id: sent.contactId },
    ]);
    expect(await resubscribe(database.db, hit({ via: "button" }))).toBe("resubscribed");
    expect(await suppressions()).toEqual([]);
    expect((await events()).map(({ type, data }) => [type, data])).toEqual([
      ["unsubscribed", { channel: "telegram", via: "link" }],
      ["resubscribed", { channel: "telegram", via: "button" }],
    ]);
  });

  test("twice, or twenty times at once, changes and records nothing more", async () => {
    const results = await Promise.all(Array.from({ length: 20 }, () => unsubscribe(database.db, hit())));
    expect(new Set(results)).toEqual(new Set(["unsubscribed"]));
    expect(await unsubscribe(database.db, hit({ via: "one_click" }))).toBe("unsubscribed");
    expect(await suppressions()).toHaveLength(1);
    expect(await types()).toEqual(["unsubscribed"]);
  });

  test("through a link does nothing for a customer who wants a confirmation; a button or one-click does", async () => {
    sent = await createMessage({ customerId: await createCustomer(true), to: "bob@example.com" });
    expect(await unsubscribe(database.db, hit())).toBe("confirmation_needed");
    expect(await suppressions()).toEqual([]);
    expect(await events()).toEqual([]);
    expect(await unsubscribe(database.db, hit({ via: "button" }))).toBe("unsubscribed");
    expect(await suppressions()).toHaveLength(1);

    sent = await createMessage({ customerId: await createCustomer(true), to: "bob@example.com" });
    expect(await unsubscribe(database.db, hit({ via: "one_click" }))).toBe("unsubscribed");
    expect(await suppressions()).toHaveLength(1);
  });

  test("by a request that was carried out before changes nothing, though the person has come back since", async () => {
    const request = hit();
    await unsubscribe(database.db, request);
    await resubscribe(database.db, hit({ via: "button" }));
    expect(await unsubscribe(database.db, request)).toBe("unsubscribed");
    expect(await suppressions()).toEqual([]);
    expect(await types()).toEqual(["unsubscribed", "resubscribed"]);
  });

  test("from a message that does not exist, is another customer's, or was received, changes nothing", async () => {
    const other = await createMessage({ customerId: await createCustomer(false), to: "eve@example.com" });
    const received = await createMessage({
      customerId: sent.customerId,
      to: "us@example.com",
      direction: "inbound",
    });
    for (const messageId of [newId(), other.messageId, received.messageId]) {
      expect(await unsubscribe(database.db, hit({ messageId }))).toBe("unknown_message");
      expect(await resubscribe(database.db, hit({ messageId }))).toBe("unknown_message");
    }
    expect(await suppressions()).toEqual([]);
    expect(await suppressions(other.customerId)).toEqual([]);
    expect(await events()).toEqual([]);
  });

  test("leaves nothing behind when its event cannot be recorded", async () => {
    await expect(unsubscribe(database.db, hit({ ip: "not an address" }))).rejects.toThrow();
    expect(await suppressions()).toEqual([]);
    expect(await events()).toEqual([]);
  });
});

describe("resubscribing", () => {
  test("lifts the unsubscribe and records it, once", async () => {
    await unsubscribe(database.db, hit());
    const results = await Promise.all(
      Array.from({ length: 5 }, () => resubscribe(database.db, hit({ via: "button" }))),
    );
    expect(new Set(results)).toEqual(new Set(["resubscribed"]));
    expect(await suppressions()).toEqual([]);
    expect(await types()).toEqual(["unsubscribed", "resubscribed"]);
  });

  test("lifts no bounce, no complaint, and nobody else's unsubscribe", async () => {
    const other = await createCustomer(false);
    await sql`
      insert into suppression (customer_id, channel, address, reason) values
        (${sent.customerId}, 'email', 'ann@example.com', 'bounce'),
        (${sent.customerId}, 'email', 'ann@example.com', 'unsubscribe'),
        (${sent.customerId}, 'email', 'bob@example.com', 'unsubscribe'),
        (${other}, 'email', 'ann@example.com', 'unsubscribe')`.execute(database.db);
    await resubscribe(database.db, hit({ via: "button" }));
    expect(await suppressions()).toMatchObject([
      { address: "ann@example.com", reason: "bounce" },
      { address: "bob@example.com", reason: "unsubscribe" },
    ]);
    expect(await suppressions(other)).toHaveLength(1);
  });

  test("records nothing when there was nothing to lift", async () => {
    expect(await resubscribe(database.db, hit({ via: "button" }))).toBe("resubscribed");
    expect(await events()).toEqual([]);
  });
});

test("over HTTP: a scanner's GET changes nothing, a person's unsubscribes, the button undoes it", async () => {
  const edge = createEdge({
    unsubscribes: {
      unsubscribe: (given) => unsubscribe(database.db, given),
      resubscribe: (given) => resubscribe(database.db, given),
    },
  });
  const path = unsubscribeUrl("", token({ customerId: sent.customerId, messageId: sent.messageId }));
  const form = { "Content-Type": "application/x-www-form-urlencoded" };

  await edge.request(path, { headers: { "User-Agent": "curl/8.4.0" } });
  await edge.request(path, { method: "HEAD" });
  expect(await types()).toEqual([]);
  expect(await (await edge.request(path)).text()).toContain("You are unsubscribed");
  expect(await suppressions()).toHaveLength(1);
  const undone = await edge.request(path, { method: "POST", headers: form, body: "action=resubscribe" });
  expect(await undone.text()).toContain("You are subscribed again");
  expect(await suppressions()).toEqual([]);
  await edge.request(path, { method: "POST", headers: form, body: "List-Unsubscribe=One-Click" });
  expect(await suppressions()).toHaveLength(1);
  expect(await types()).toEqual(["unsubscribed", "resubscribed", "unsubscribed"]);
  expect(edge.logged).toEqual([]);
});
