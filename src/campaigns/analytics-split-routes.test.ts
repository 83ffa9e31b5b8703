import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  type CampaignApi,
  createCampaignApi,
  helloNode,
  smtpCredential,
} from "../../test/support/campaign-api.ts";
import {
  append,
  createContacts,
  eventOf,
  listRuns,
  projectAll,
  type Run,
} from "../../test/support/campaigns.ts";
import { rateOf } from "./analytics-split.ts";

let api: CampaignApi;

beforeAll(async () => {
  api = await createCampaignApi();
});
afterAll(() => api.close());

const graph = (credentialId: string) => ({
  name: "Split",
  nodes: [
    {
      id: "pick",
      type: "split",
      variants: [
        { id: "a", weight: 1 },
        { id: "b", weight: 1 },
        { id: "c", weight: 1 },
      ],
    },
    helloNode(credentialId, { id: "hello-a" }),
    helloNode(credentialId, { id: "hello-b" }),
    { id: "end", type: "exit" },
  ],
  edges: [
    { id: "to-a", from: "pick", to: "hello-a", firesWhen: "variant", variant: "a" },
    { id: "to-b", from: "pick", to: "hello-b", firesWhen: "variant", variant: "b" },
    { id: "to-c", from: "pick", to: "end", firesWhen: "variant", variant: "c" },
  ],
});

test("variants stand side by side with what came of their messages", async () => {
  const { db } = api.database;
  const credentialId = (await api.ok("POST", "/credentials", smtpCredential())).id;
  const campaignId = (await api.ok("POST", "/campaigns", graph(credentialId))).id;
  await api.ok("POST", `/campaigns/${campaignId}/activate`);
  const contactIds = await createContacts(db, api.customer.id, 5);
  await api.ok("POST", `/campaigns/${campaignId}/enroll`, { contactIds });
  await projectAll(db);
  const chosen = ["a", "a", "b", "b", "c"];
  const picks = await listRuns(db, campaignId);
  await append(
    db,
    ...picks.map((run, at) => eventOf(run, "run_completed", { data: { variant: chosen[at] ?? "" } })),
  );
  await projectAll(db);
  const messages = (await listRuns(db, campaignId)).filter((run) => run.nodeId.startsWith("hello"));
  await append(db, ...messages.map((run) => eventOf(run, "message_sent")));
  const ofA = messages.filter((run: Run) => run.nodeId === "hello-a");
  await append(
    db,
    ...ofA.map((run) => eventOf(run, "email_opened", { agent: "human", agentRule: "browser" })),
  );
  await projectAll(db);
  const { items } = await api.ok("GET", `/campaigns/${campaignId}/analytics/splits`);
  expect<unknown[]>(items).toMatchObject([
    {
      nodeId: "pick",
      variants: [
        {
          variant: "a",
          edgeId: "to-a",
          nodeId: "hello-a",
          assigned: 2,
          sent: 2,
          opened: 2,
          openRate: { rate: 1 },
        },
        {
          variant: "b",
          edgeId: "to-b",
          nodeId: "hello-b",
          assigned: 2,
          sent: 2,
          opened: 0,
          openRate: { rate: 0 },
        },
        { variant: "c", edgeId: null, nodeId: null, assigned: 1, sent: 0, openRate: { rate: null } },
      ],
    },
  ]);
  const csv = await api.call("GET", `/api/v1/campaigns/${campaignId}/analytics/splits?format=csv`);
  expect(csv.text.split("\r\n").map((line) => line.split(",").slice(0, 6).join())).toEqual([
    "split,variant,weight,edgeId,nodeId,assigned",
    "pick,a,1,to-a,hello-a,2",
    "pick,b,1,to-b,hello-b,2",
    "pick,c,1,,,1",
    "",
  ]);
});

describe("a rate", () => {
  test("has the interval and the p-value of the formulas, worked out with an exact error function", () => {
    const rate = rateOf(45, 300, { part: 64, whole: 310 });
    expect(rate.rate).toBeCloseTo(0.15, 10);
    expect(rate.low ?? 0).toBeCloseTo(0.11403247, 6);
    expect(rate.high ?? 0).toBeCloseTo(0.19481761, 6);
    expect(rate.pValue ?? 0).toBeCloseTo(0.06883609, 6);
  });

  test("of nothing, or against nothing, is not made up", () => {
    expect(rateOf(0, 0, null)).toEqual({ rate: null, low: null, high: null, pValue: null });
    expect(rateOf(1, 2, { part: 0, whole: 0 }).pValue).toBeNull();
    expect(rateOf(2, 2, { part: 3, whole: 3 }).pValue).toBeNull();
    expect(rateOf(3, 2, null)).toMatchObject({ rate: 1, high: 1 });
  });
});
