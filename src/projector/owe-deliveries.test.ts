import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { sql } from "kysely";
import { append, createCustomer, projectAll } from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { createEndpoint } from "../../test/support/delivering.ts";
import { type Event, newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";

let database: TestDatabase;
let customerId: string;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());
beforeEach(async () => {
  customerId = await createCustomer(database.db);
});

const endpoint = async (settings: Parameters<typeof createEndpoint>[3] = {}, customer = customerId) =>
  (await createEndpoint(database.db, customer, "https://example.com/", settings)).id;

function event(type: Event["type"], about: Partial<Event> = {}): Event {
  return newEvent({ id: newId(), type, at: new Date(), customerId, ...about });
}

async function happen(...events: Event[]): Promise<void> {
  await append(database.db, ...events);
  await projectAll(database.db);
}

/** Of an endpoint, the types of what it is owed. */
async function owed(endpointId: string): Promise<string[]> {
  const { rows } = await sql<{ type: string }>`
    select event_type as type from webhook_delivery where endpoint_id = ${endpointId} order by position`.execute(
    database.db,
  );
  return rows.map(({ type }) => type);
}

test("each endpoint is owed what its patterns name, and what is EDGR's own nobody is", async () => {
  const [all, some, other] = [
    await endpoint(),
    await endpoint({ eventTypes: ["email_*", "unsubscribed"] }),
    await endpoint({}, await createCustomer(database.db)),
  ];
  const types = [
    "email_opened",
    "email_clicked",
    "message_sent",
    "unsubscribed",
    "timer_elapsed",
    "run_completed",
  ] as const;
  await happen(...types.map((type) => event(type)));
  expect(await owed(all)).toEqual(["email_opened", "email_clicked", "message_sent", "unsubscribed"]);
  expect(await owed(some)).toEqual(["email_opened", "email_clicked", "unsubscribed"]);
  expect(await owed(other)).toEqual([]);
});

test("a delivery has what the log can be searched by, and is due at once", async () => {
  const endpointId = await endpoint();
  const about = { campaignId: newId(), contactId: newId(), messageId: newId() };
  const happened = event("message_bounced", about);
  await happen(happened);
  const { rows } = await sql`
    select event_id as "eventId", kind, event_type as type, event_at as at, campaign_id as "campaignId",
      contact_id as "contactId", message_id as "messageId", status, due_at <= now() as "isDue", attempts, trigger,
      position > 0 as "hasPosition", payload
    from webhook_delivery where endpoint_id = ${endpointId}`.execute(database.db);
  expect(rows).toEqual([
    {
      ...about,
      eventId: happened.id,
      kind: "event",
      type: "message_bounced",
      at: happened.at,
      status: "pending",
      isDue: true,
      attempts: 0,
      trigger: "automatic",
      hasPosition: true,
      payload: null,
    },
  ]);
});

test("campaigns, machines and digests are as the endpoint has them, and a disabled one is owed nothing", async () => {
  const campaignId = newId();
  const digest = { type: "slack", digestSeconds: 300, digestTypes: ["email_opened"] } as const;
  const ids = {
    ofCampaign: await endpoint({ campaignIds: [campaignId] }),
    automatic: await endpoint({ includeAutomatic: true }),
    gathers: await endpoint({ ...digest, digestTypes: [...digest.digestTypes] }),
    disabled: await endpoint(),
  };
  await sql`
    update webhook_endpoint set status = 'disabled', disabled_by = 'person' where id = ${ids.disabled}`.execute(
    database.db,
  );
  await happen(
    event("email_opened", { campaignId, agent: "human" }),
    event("email_clicked", { campaignId: newId(), agent: "proxy" }),
    event("email_clicked", { agent: "scanner" }),
    event("message_sent"),
  );
  expect(await owed(ids.ofCampaign)).toEqual(["email_opened"]);
  expect(await owed(ids.automatic)).toEqual([
    "email_opened",
    "email_clicked",
    "email_clicked",
    "message_sent",
  ]);
  expect(await owed(ids.gathers)).toEqual(["email_clicked", "message_sent"]);
  expect(await owed(ids.disabled)).toEqual([]);
});

test("an endpoint is not told that it was disabled, and the others are", async () => {
  const [about, other] = [await endpoint(), await endpoint()];
  await happen(event("endpoint_disabled", { data: { endpointId: about } }), event("message_sent"));
  expect(await owed(about)).toEqual(["message_sent"]);
  expect(await owed(other)).toEqual(["endpoint_disabled", "message_sent"]);
});

test("an event that is projected once more is not owed once more", async () => {
  const endpointId = await endpoint();
  await happen(event("message_sent"));
  await sql`update webhook_delivery set status = 'delivered', due_at = null, finished_at = now() where endpoint_id = ${endpointId}`.execute(
    database.db,
  );
  await sql`update projector_cursor set position = position - 1 where name = 'projector'`.execute(
    database.db,
  );
  await projectAll(database.db);
  const { rows } = await sql`select status from webhook_delivery where endpoint_id = ${endpointId}`.execute(
    database.db,
  );
  expect(rows).toEqual([{ status: "delivered" }]);
});
