import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import {
  type CampaignApi,
  createCampaignApi,
  helloCampaign,
  smtpCredential,
} from "../../test/support/campaign-api.ts";
import { append, eventOf, listRuns, projectAll, type Run } from "../../test/support/campaigns.ts";
import type { Event } from "../events/event.ts";

const NOW = new Date("2026-03-29T12:10:00.000Z");
const human = { agent: "human", agentRule: "browser" } as const;
const scanner = { agent: "scanner", agentRule: "known" } as const;

let api: CampaignApi;
let campaignId: string;
let run: Run;

beforeAll(async () => {
  api = await createCampaignApi({ now: () => NOW });
});
afterAll(() => api.close());

beforeEach(async () => {
  const { db } = api.database;
  const credentialId = (await api.ok("POST", "/credentials", smtpCredential())).id;
  campaignId = (await api.ok("POST", "/campaigns", helloCampaign(credentialId))).id;
  const { id } = await api.ok("POST", "/contacts", { email: `${campaignId}@example.com` });
  await api.ok("POST", `/campaigns/${campaignId}/activate`);
  await api.ok("POST", `/campaigns/${campaignId}/enroll`, { contactIds: [id] });
  await projectAll(db);
  const [first] = await listRuns(db, campaignId);
  if (first === undefined) throw new Error("nothing began");
  run = first;
});

async function openedAt(...hits: [at: string, by: Partial<Event>][]): Promise<void> {
  await append(
    api.database.db,
    ...hits.map(([at, by]) => eventOf(run, "email_opened", { ...by, at: new Date(at) })),
  );
  await projectAll(api.database.db);
}

const path = (query: string) => `/campaigns/${campaignId}/analytics/hours?type=email_opened&${query}`;
const series = async (query: string) => (await api.ok("GET", path(query))).items;

test("hours have what happened in them, total, unique, by people", async () => {
  await openedAt(
    ["2026-03-28T22:10:00Z", scanner],
    ["2026-03-28T22:59:59Z", human],
    ["2026-03-28T23:00:00Z", human],
    ["2026-02-01T00:00:00Z", human],
  );
  const items = [
    {
      start: "2026-03-28T22:00:00.000Z",
      type: "email_opened",
      total: 2,
      unique: 1,
      human: 1,
      uniqueHuman: 1,
    },
    {
      start: "2026-03-28T23:00:00.000Z",
      type: "email_opened",
      total: 1,
      unique: 0,
      human: 1,
      uniqueHuman: 0,
    },
  ];
  expect<unknown>(await series("")).toEqual(items);
  expect<unknown>(await series("nodeId=hello")).toEqual(items);
  expect(await series("nodeId=end")).toEqual([]);
  const cut = await series("from=2026-03-28T23:00:00Z&to=2026-03-29T02:00:00%2B02:00");
  expect(cut.map(({ start }) => start)).toEqual(["2026-03-28T23:00:00.000Z"]);
});

test("days are those of the zone, also where the clock is changed", async () => {
  await openedAt(
    ["2026-03-28T22:10:00Z", human],
    ["2026-03-28T23:10:00Z", human],
    ["2026-03-29T21:50:00Z", human],
    ["2026-03-29T22:10:00Z", human],
  );
  const days = async (zone: string) =>
    (await series(`interval=day&zone=${zone}&to=2026-03-31T00:00:00Z`)).map(({ start, total }) => [
      start,
      total,
    ]);
  expect(await days("Europe/Paris")).toEqual([
    ["2026-03-27T23:00:00.000Z", 1],
    ["2026-03-28T23:00:00.000Z", 2],
    ["2026-03-29T22:00:00.000Z", 1],
  ]);
  expect(await days("UTC")).toEqual([
    ["2026-03-28T00:00:00.000Z", 2],
    ["2026-03-29T00:00:00.000Z", 2],
  ]);
});

test("are a table too", async () => {
  await openedAt(["2026-03-28T22:10:00Z", human]);
  const { text } = await api.call("GET", `/api/v1${path("format=csv")}`);
  expect(text).toBe(
    "start,type,total,unique,human,uniqueHuman\r\n2026-03-28T22:00:00.000Z,email_opened,1,1,1,1\r\n",
  );
});

test.each([
  ["from=2026-03-01T00:00:00Z&to=2026-02-01T00:00:00Z", "to"],
  ["from=2026-01-01T00:00:00Z", "to"],
  ["interval=day&from=2025-01-01T00:00:00Z", "to"],
  ["from=yesterday", "from"],
  ["zone=Mars/Olympus", "zone"],
  ["from=0000-01-01T00:00:00Z&to=0000-01-02T00:00:00Z", "from"],
  ["interval=week", "interval"],
])("%s is refused, naming the field", async (query, field) => {
  const answer = await api.call("GET", `/api/v1${path(query)}`);
  expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, field]);
});
