import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  type CampaignApi,
  createCampaignApi,
  helloNode,
  smtpCredential,
} from "../../test/support/campaign-api.ts";
import { append, createContacts, eventOf, listRuns, projectAll } from "../../test/support/campaigns.ts";
import { usualPath } from "./analytics-funnel.ts";

let api: CampaignApi;
let campaignId: string;

const graph = (credentialId: string) => ({
  name: "Funnel",
  nodes: [
    helloNode(credentialId),
    helloNode(credentialId, { id: "offer" }),
    helloNode(credentialId, { id: "nudge" }),
    { id: "end", type: "exit" },
  ],
  edges: [
    { id: "opened", from: "hello", to: "nudge", firesWhen: "opened" },
    { id: "clicked", from: "hello", to: "offer", firesWhen: "clicked" },
    { id: "bought", from: "offer", to: "end", firesWhen: "clicked" },
    { id: "back", from: "offer", to: "hello", firesWhen: "opened" },
  ],
});

/** Of four, two click in `hello` and one of them in `offer`; one opens. */
beforeAll(async () => {
  api = await createCampaignApi();
  const { db } = api.database;
  const credentialId = (await api.ok("POST", "/credentials", smtpCredential())).id;
  campaignId = (await api.ok("POST", "/campaigns", graph(credentialId))).id;
  await api.ok("POST", `/campaigns/${campaignId}/activate`);
  const contactIds = await createContacts(db, api.customer.id, 4);
  await api.ok("POST", `/campaigns/${campaignId}/enroll`, { contactIds });
  await projectAll(db);
  const click = {
    agent: "human",
    agentRule: "browser",
    data: { clickedUrl: "https://example.com/buy" },
  } as const;
  const [first, second, third] = await listRuns(db, campaignId);
  if (first === undefined || second === undefined || third === undefined) throw new Error("too few began");
  await append(db, eventOf(first, "email_clicked", click), eventOf(second, "email_clicked", click));
  await append(db, eventOf(third, "email_opened", { agent: "human", agentRule: "browser" }));
  await projectAll(db);
  const offer = (await listRuns(db, campaignId)).find((run) => run.nodeId === "offer");
  if (offer === undefined) throw new Error("nobody got an offer");
  await append(db, eventOf(offer, "email_opened", { agent: "human", agentRule: "browser" }));
  await append(db, eventOf(offer, "email_clicked", click));
  await projectAll(db);
});
afterAll(() => api.close());

const funnel = async (query = "") =>
  (await api.ok("GET", `/campaigns/${campaignId}/analytics/funnel${query}`)).items;

test("a funnel goes the way that most have taken, and counts an enrollment once at each node", async () => {
  expect<unknown>(await funnel()).toEqual([
    {
      nodeId: "hello",
      type: "message",
      enrollments: 4,
      runs: 5,
      shareOfFirst: 1,
      shareOfPrevious: null,
      dropOff: 0,
    },
    {
      nodeId: "offer",
      type: "message",
      enrollments: 2,
      runs: 2,
      shareOfFirst: 0.5,
      shareOfPrevious: 0.5,
      dropOff: 2,
    },
    {
      nodeId: "end",
      type: "exit",
      enrollments: 1,
      runs: 1,
      shareOfFirst: 0.25,
      shareOfPrevious: 0.5,
      dropOff: 1,
    },
  ]);
});

test("a funnel goes by the nodes it is given", async () => {
  const steps = await funnel("?nodes=hello,nudge");
  expect(steps.map(({ nodeId, enrollments }) => [nodeId, enrollments])).toEqual([
    ["hello", 4],
    ["nudge", 1],
  ]);
  const csv = await api.call(
    "GET",
    `/api/v1/campaigns/${campaignId}/analytics/funnel?nodes=nudge,hello&format=csv`,
  );
  expect(csv.text).toBe(
    "nodeId,type,enrollments,runs,shareOfFirst,shareOfPrevious,dropOff\r\nnudge,message,1,1,1,,0\r\nhello,message,4,5,4,4,-3\r\n",
  );
});

test.each(["hello,nobody", "hello,hello", ""])("the nodes %p are refused", async (nodes) => {
  const answer = await api.call("GET", `/api/v1/campaigns/${campaignId}/analytics/funnel?nodes=${nodes}`);
  expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, "nodes"]);
});

test("the usual way ends where nothing new is reached, and takes the first of equals", () => {
  const nodes = ["a", "b", "c"].map((id) => ({ id, type: "exit" as const }));
  const edge = { firesWhen: "always", url: null, within: null, variant: null } as const;
  const edges = [
    { ...edge, id: "1", from: "a", to: "b" },
    { ...edge, id: "2", from: "b", to: "a" },
    { ...edge, id: "3", from: "a", to: "c" },
  ];
  expect(usualPath({ nodes, edges }, [])).toEqual(["a", "b"]);
  expect(usualPath({ nodes, edges }, [{ edgeId: "3", fired: 1 }])).toEqual(["a", "c"]);
  expect(usualPath({ nodes: [], edges: [] }, [])).toEqual([]);
});
