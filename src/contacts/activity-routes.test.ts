import { afterAll, beforeAll, expect, test } from "bun:test";
import { type CampaignApi, createCampaignApi } from "../../test/support/campaign-api.ts";
import { append, projectAll } from "../../test/support/campaigns.ts";
import { newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";

const AT = new Date("2026-03-06T20:00:00.000Z");

let api: CampaignApi;
let contactId: string;
let campaignId: string;
let eventIds: string[];

/** Twelve events: an opening and a click in turn, the first four in a campaign. */
beforeAll(async () => {
  api = await createCampaignApi();
  contactId = (await api.ok("POST", "/contacts", { email: "ann@example.com" })).id;
  campaignId = newId();
  const events = Array.from({ length: 12 }, (_, number) =>
    newEvent({
      id: newId(Date.now() - 1_000 + number),
      type: number % 2 === 0 ? "email_opened" : "email_clicked",
      at: AT,
      customerId: api.customer.id,
      contactId,
      campaignId: number < 4 ? campaignId : null,
      agent: "human",
      agentRule: "browser",
      userAgent: "Mozilla/5.0 Firefox",
      ip: "203.0.113.9",
      data: number % 2 === 0 ? {} : { clickedUrl: "https://example.com/buy" },
    }),
  );
  eventIds = events.map((event) => event.id);
  await append(api.database.db, ...events);
  await projectAll(api.database.db);
});
afterAll(() => api.close());

const activity = (query = "") => api.ok("GET", `/contacts/${contactId}/activity${query}`);

test("the activity shows who did what, whence and when", async () => {
  const { items } = await activity("?limit=1");
  expect<unknown>(items).toEqual([
    {
      id: eventIds[11],
      type: "email_clicked",
      at: AT.toISOString(),
      campaignId: null,
      nodeId: null,
      runId: null,
      messageId: null,
      agent: "human",
      agentRule: "browser",
      userAgent: "Mozilla/5.0 Firefox",
      ip: "203.0.113.9",
      data: { clickedUrl: "https://example.com/buy" },
    },
  ]);
});

test("the activity goes from the newest to the oldest, each event on one page, also when more comes meanwhile", async () => {
  const first = await activity("?limit=5");
  const later = newEvent({
    id: newId(),
    type: "unsubscribed",
    at: AT,
    customerId: api.customer.id,
    contactId: (await api.ok("POST", "/contacts", { email: "bea@example.com" })).id,
  });
  await append(api.database.db, later, { ...later, id: newId(), contactId, type: "resubscribed" });
  await projectAll(api.database.db);
  const second = await activity(`?limit=5&cursor=${first.nextCursor}`);
  const third = await activity(`?limit=5&cursor=${second.nextCursor}`);
  const pages = [first, second, third].map((page) => page.items.map((item) => item.id));
  expect(pages.flat()).toEqual(eventIds.toReversed());
  expect(third.nextCursor).toBeNull();
});

test("the activity of one type, of one campaign, of both", async () => {
  expect((await activity("?type=email_clicked")).items).toHaveLength(6);
  expect((await activity(`?campaignId=${campaignId}`)).items).toHaveLength(4);
  const both = await activity(`?campaignId=${campaignId}&type=email_opened`);
  expect(both.items.map((item) => item.id)).toEqual([eventIds[2], eventIds[0]].map(String));
  const answer = await api.call("GET", `/api/v1/contacts/${contactId}/activity?type=anything`);
  expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, "type"]);
});

test("there is no activity of a contact that does not exist", async () => {
  expect((await api.call("GET", `/api/v1/contacts/${newId()}/activity`)).status).toBe(404);
});
