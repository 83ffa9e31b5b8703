import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  type CampaignApi,
  createCampaignApi,
  helloCampaign,
  smtpCredential,
} from "../../test/support/campaign-api.ts";
import { projectAll } from "../../test/support/campaigns.ts";
import { newId } from "../events/id.ts";
import { MAX_TOPICS } from "./schema.ts";

const NOW = new Date("2026-05-05T10:00:00Z");

let api: CampaignApi;
beforeAll(async () => {
  api = await createCampaignApi({ now: () => NOW });
});
afterAll(() => api.close());

const create = (name: string) => api.ok("POST", "/topics", { name });

describe("a topic", () => {
  test("is created, listed, read, changed and deleted", async () => {
    const created = await api.ok("POST", "/topics", { name: " News ", description: "Once a month." });
    expect(created).toMatchObject({ name: "News", description: "Once a month.", left: 0 });
    expect(await api.ok("GET", `/topics/${created.id}`)).toEqual(created);
    expect((await api.ok("GET", "/topics")).items).toEqual([created]);
    const changed = await api.ok("PATCH", `/topics/${created.id}`, { description: "" });
    expect(changed).toMatchObject({ name: "News", description: "" });
    expect((await api.call("DELETE", `/api/v1/topics/${created.id}`)).status).toBe(204);
    expect((await api.call("GET", `/api/v1/topics/${created.id}`)).status).toBe(404);
  });

  test("has its name alone, in whatever case", async () => {
    const { id } = await create("Offers");
    await create("Tips");
    for (const [method, path, name] of [
      ["POST", "/topics", "offers"],
      ["PATCH", `/topics/${id}`, "TIPS"],
    ] as const) {
      const answer = await api.call(method, `/api/v1${path}`, { body: { name } });
      expect([answer.status, answer.body.errors]).toEqual([
        409,
        [{ field: "name", reason: "belongs to another topic" }],
      ]);
    }
    expect(await api.ok("PATCH", `/topics/${id}`, { name: "OFFERS" })).toMatchObject({ name: "OFFERS" });
  });

  test("that a campaign is sent under is not deleted", async () => {
    const { id } = await create("Used");
    const credential = await api.ok("POST", "/credentials", smtpCredential());
    const campaign = await api.ok("POST", "/campaigns", helloCampaign(credential.id, { topicId: id }));
    const answer = await api.call("DELETE", `/api/v1/topics/${id}`);
    expect([answer.status, answer.body.detail]).toEqual([
      409,
      `Campaigns are still sent under this topic: "Welcome" (${campaign.id}).`,
    ]);
  });

  test("that does not exist keeps a campaign from being saved", async () => {
    const credential = await api.ok("POST", "/credentials", smtpCredential());
    const body = helloCampaign(credential.id, { topicId: newId() });
    const answer = await api.call("POST", "/api/v1/campaigns", { body });
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, "topicId"]);
  });

  test("more than fit on a page are refused", async () => {
    const customer = await api.createCustomer("many topics");
    for (let number = 0; number < MAX_TOPICS; number += 1)
      await api.ok("POST", "/topics", { name: `Topic ${number}` }, customer);
    expect((await api.call("POST", "/api/v1/topics", { body: { name: "One more" }, customer })).status).toBe(
      409,
    );
  });
});

describe("a contact's topics", () => {
  let contactId: string;
  let news: string;
  let tips: string;
  beforeEach(async () => {
    contactId = (await api.ok("POST", "/contacts", { email: `${newId()}@example.com` })).id;
    [news, tips] = [(await create(`A ${newId()}`)).id, (await create(`B ${newId()}`)).id];
  });

  const put = (left: string[]) => api.call("PUT", `/api/v1/contacts/${contactId}/topics`, { body: { left } });
  const state = async () => {
    const { items } = await api.ok("GET", `/contacts/${contactId}/topics`);
    return items.filter(({ leftAt }) => leftAt !== null).map(({ topicId, leftAt }) => [topicId, leftAt]);
  };
  const activity = async () => {
    await projectAll(api.database.db);
    const { items } = await api.ok("GET", `/contacts/${contactId}/activity`);
    return items.map(({ type, data }) => [type, data]);
  };

  test("are all there and none is left at first", async () => {
    const { items } = await api.ok("GET", `/contacts/${contactId}/topics`);
    expect(items.find(({ topicId }) => topicId === news)).toMatchObject({ leftAt: null });
    expect(await state()).toEqual([]);
  });

  test("are left and come back to, with events, once", async () => {
    for (const left of [[news, tips], [news, tips], [tips]]) expect((await put(left)).status).toBe(200);
    expect(await state()).toEqual([[tips, NOW.toISOString()]]);
    expect(await api.ok("GET", `/topics/${tips}`)).toMatchObject({ left: 1 });
    const seen = await activity();
    expect(seen).toHaveLength(3);
    expect(seen).toContainEqual(["topic_left", { topicId: tips }]);
    expect(seen).toContainEqual(["topic_left", { topicId: news }]);
    expect(seen).toContainEqual(["topic_rejoined", { topicId: news }]);
  });

  test("that do not exist are named, and nothing changes", async () => {
    const answer = await put([news, newId()]);
    expect([answer.status, answer.body.errors]).toEqual([400, [{ field: "left.1", reason: "is no topic" }]]);
    expect(await state()).toEqual([]);
  });

  test("of nobody are not found", async () => {
    contactId = newId();
    expect((await put([])).status).toBe(404);
    expect((await api.call("GET", `/api/v1/contacts/${contactId}/topics`)).status).toBe(404);
  });
});
