import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  type CampaignApi,
  createCampaignApi,
  helloCampaign,
  helloNode,
  smtpCredential,
} from "../../test/support/campaign-api.ts";
import { listRuns, projectAll } from "../../test/support/campaigns.ts";
import { newId } from "../events/id.ts";

let api: CampaignApi;
let credentialId: string;

beforeAll(async () => {
  api = await createCampaignApi();
});
afterAll(() => api.close());
beforeEach(async () => {
  credentialId = (await api.ok("POST", "/credentials", smtpCredential())).id;
});

const create = (more: object = {}) => api.ok("POST", "/campaigns", helloCampaign(credentialId, more));
const contact = async () => (await api.ok("POST", "/contacts", { email: `${newId()}@example.com` })).id;

async function count(table: "campaign" | "campaign_node"): Promise<number | undefined> {
  const { rows } = await sql<{ count: number }>`select count(*) from ${sql.table(table)}`.execute(
    api.database.db,
  );
  return rows[0]?.count;
}

describe("a campaign", () => {
  test("is created as a draft, with what was left out filled in", async () => {
    const created = await create();
    expect(created).toMatchObject({
      name: "Welcome",
      status: "draft",
      version: 0,
      countAutomaticHits: false,
      hasUnactivatedChanges: true,
      nodes: [{ id: "hello", trackOpens: true, text: null, from: null }, { id: "end" }],
      edges: [{ id: "e1", url: null }],
    });
    expect(await api.ok("GET", `/campaigns/${created.id}`)).toEqual(created);
  });

  test("with a wrong graph is refused, and every problem names its field and its node or edge", async () => {
    const before = await count("campaign");
    const body = helloCampaign(credentialId, {
      nodes: [
        helloNode(credentialId, { subject: "{{ contact.attributes.firstName", html: "{{ nobody }}" }),
        helloNode(newId(), { id: "second", text: "{% for %}", from: { email: "a@example.com", name: "{{" } }),
        { id: "lost", type: "wait", duration: "yesterday" },
      ],
      edges: [
        { id: "e1", from: "hello", to: "second", firesWhen: "opened" },
        { id: "e2", from: "second", to: "nowhere", firesWhen: "clicked" },
      ],
    });
    const answer = await api.call("POST", "/api/v1/campaigns", { body });
    expect(answer.status).toBe(400);
    const fields = new Map(answer.body.errors.map(({ field, reason }) => [field, reason]));
    expect([...fields.keys()].sort()).toEqual([
      "edges.1.to",
      "nodes.0.html",
      "nodes.0.subject",
      "nodes.1.credentialId",
      "nodes.1.from.name",
      "nodes.1.text",
      "nodes.2.duration",
    ]);
    expect(fields.get("nodes.0.html")).toContain('node "hello"');
    expect(fields.get("nodes.1.credentialId")).toContain('node "second"');
    expect(fields.get("edges.1.to")).toContain('edge "e2"');
    expect(await count("campaign")).toBe(before);
  });

  test("of an unknown type of node is refused at its type", async () => {
    const nodes = [{ id: "a", type: "teleport" }];
    const answer = await api.call("POST", "/api/v1/campaigns", { body: { name: "A", nodes, edges: [] } });
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, "nodes.0.type"]);
  });

  test("is listed without its graph, newest first, by status too", async () => {
    const customer = await api.createCustomer("lists campaigns");
    const credential = await api.ok("POST", "/credentials", smtpCredential(), customer);
    const ids = [];
    for (const name of ["a", "b", "c"]) {
      ids.unshift((await api.ok("POST", "/campaigns", helloCampaign(credential.id, { name }), customer)).id);
    }
    await api.ok("POST", `/campaigns/${ids[1]}/activate`, undefined, customer);
    const first = await api.ok("GET", "/campaigns?limit=2", undefined, customer);
    const second = await api.ok("GET", `/campaigns?limit=2&cursor=${first.nextCursor}`, undefined, customer);
    expect([...first.items, ...second.items].map((item) => item.id)).toEqual(ids);
    expect(Object.keys(first.items[0] ?? {})).not.toContain("nodes");
    const active = await api.ok("GET", "/campaigns?status=active", undefined, customer);
    expect(active.items.map((item) => item.id)).toEqual(ids.slice(1, 2));
  });

  test("keeps what a change does not mention, and is not changed into a wrong one", async () => {
    const { id, nodes } = await create({ countAutomaticHits: true });
    expect(await api.ok("PATCH", `/campaigns/${id}`, { name: "Renamed" })).toMatchObject({
      name: "Renamed",
      nodes,
      countAutomaticHits: true,
    });
    const answer = await api.call("PATCH", `/api/v1/campaigns/${id}`, {
      body: { nodes: [helloNode(credentialId)] },
    });
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, "edges.0.to"]);
    expect((await api.ok("GET", `/campaigns/${id}`)).nodes).toEqual(nodes);
  });
});

const SETTINGS = {
  countAutomaticHits: true,
  maxRounds: 3,
  exitOn: ["replied", "unsubscribed"],
  reenrollAfter: "P1DT12H",
  timeZone: "Europe/Paris",
  quietHours: { from: "21:00", to: "08:30" },
  ignoreFrequencyCap: true,
  topicId: null,
};

describe("a campaign's settings", () => {
  test("have defaults", async () => {
    expect(await create()).toMatchObject({
      maxRounds: 10,
      exitOn: [],
      reenrollAfter: null,
      timeZone: "UTC",
      quietHours: null,
      ignoreFrequencyCap: false,
      topicId: null,
    });
  });

  test("are read as they were given, from a list too, and make no new version", async () => {
    const customer = await api.createCustomer(newId());
    credentialId = (await api.ok("POST", "/credentials", smtpCredential(), customer)).id;
    const body = helloCampaign(credentialId, SETTINGS);
    const { id } = await api.ok("POST", "/campaigns", body, customer);
    expect(await api.ok("POST", `/campaigns/${id}/activate`, undefined, customer)).toMatchObject(SETTINGS);
    const change = { quietHours: null, reenrollAfter: "P1W", exitOn: [], timeZone: "Asia/Tokyo" };
    const changed = await api.ok("PATCH", `/campaigns/${id}`, change, customer);
    const expected = { ...SETTINGS, ...change, reenrollAfter: "P7D", hasUnactivatedChanges: false };
    expect(changed).toMatchObject(expected);
    const { items } = await api.ok("GET", "/campaigns", undefined, customer);
    const { hasUnactivatedChanges, ...summary } = expected;
    expect(items).toEqual([expect.objectContaining({ id, ...summary })]);
  });

  test("may name a topic of the customer's own", async () => {
    const insert = async (customerId: string) => {
      const topicId = newId();
      await sql`insert into topic (customer_id, id, name, description)
        values (${customerId}, ${topicId}, ${topicId}, '')`.execute(api.database.db);
      return topicId;
    };
    const topicId = await insert(api.customer.id);
    const { id } = await create({ topicId });
    expect(await api.ok("GET", `/campaigns/${id}`)).toMatchObject({ topicId });
    const another = await insert((await api.createCustomer(newId())).id);
    const answer = await api.call("PATCH", `/api/v1/campaigns/${id}`, { body: { topicId: another } });
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, "topicId"]);
    expect((await api.ok("PATCH", `/campaigns/${id}`, { topicId: null })).topicId).toBeNull();
  });
});

test("a campaign of every type of node is read as it was given, and activated once", async () => {
  const nodes = everyNode(credentialId);
  const edges = [
    { id: "e1", from: "isPro", to: "mark", firesWhen: "true" },
    { id: "e2", from: "isPro", to: "ab", firesWhen: "false" },
    { id: "e3", from: "mark", to: "hook", firesWhen: "always" },
    { id: "e4", from: "ab", to: "hello", firesWhen: "variant", variant: "a" },
    { id: "e5", from: "hook", to: "hello", firesWhen: "failed" },
    { id: "e6", from: "hello", to: "eve", firesWhen: "notOpened", within: "P3D" },
    { id: "e7", from: "eve", to: "morning", firesWhen: "always" },
    { id: "e8", from: "morning", to: "isPro", firesWhen: "always" },
    { id: "e9", from: "hello", to: "end", firesWhen: "complained" },
  ];
  const created = await api.ok("POST", "/campaigns", { name: "Everything", nodes, edges });
  expect(created).toMatchObject({ nodes, edges });
  const activated = await api.ok("POST", `/campaigns/${created.id}/activate`);
  expect(activated).toMatchObject({ version: 1, hasUnactivatedChanges: false });
  expect(await api.ok("POST", `/campaigns/${created.id}/activate`)).toMatchObject({ version: 1 });
  const { rows } = await sql`
    select edge_id, within::text, variant, kind, is_negative, within_cycle, closes_cycle from campaign_edge
    where campaign_id = ${created.id} and edge_id in ('e4', 'e6', 'e8', 'e9') order by edge_id`.execute(
    api.database.db,
  );
  const plain = { within: null, variant: null, kind: null, is_negative: false, closes_cycle: false };
  expect(rows).toEqual([
    { ...plain, edge_id: "e4", variant: "a", within_cycle: true },
    { ...plain, edge_id: "e6", within: "3 days", kind: "opened", is_negative: true, within_cycle: true },
    { ...plain, edge_id: "e8", within_cycle: true, closes_cycle: true },
    { ...plain, edge_id: "e9", within_cycle: false },
  ]);
});

test("a campaign that was saved before there were other nodes is read with what came since", async () => {
  const { id } = await create();
  await sql`
    update campaign set
      nodes = (select jsonb_agg(node - 'format') from jsonb_array_elements(nodes) as node),
      edges = (select jsonb_agg(edge - 'within' - 'variant') from jsonb_array_elements(edges) as edge)
    where id = ${id}`.execute(api.database.db);
  expect(await api.ok("GET", `/campaigns/${id}`)).toMatchObject({
    nodes: [{ id: "hello", format: "html" }, { id: "end" }],
    edges: [{ id: "e1", within: null, variant: null }],
  });
  expect(await api.ok("POST", `/campaigns/${id}/activate`)).toMatchObject({ hasUnactivatedChanges: false });
});

describe("activating", () => {
  test("makes a version, and none when nothing has changed", async () => {
    const { id } = await create();
    const first = await api.ok("POST", `/campaigns/${id}/activate`);
    expect(first).toMatchObject({ status: "active", version: 1, hasUnactivatedChanges: false });
    const rows = await count("campaign_node");
    expect(await api.ok("POST", `/campaigns/${id}/activate`)).toMatchObject({ version: 1 });
    const moved = {
      nodes: [helloNode(credentialId, { position: { x: 1, y: 2 } }), { id: "end", type: "exit" }],
    };
    expect(await api.ok("PATCH", `/campaigns/${id}`, moved)).toMatchObject({ hasUnactivatedChanges: false });
    expect(await api.ok("POST", `/campaigns/${id}/activate`)).toMatchObject({ version: 1 });
    expect(await count("campaign_node")).toBe(rows);
  });

  test.each([
    ["a text", { nodes: [helloNode("", { subject: "New" }), { id: "end", type: "exit" }] }],
    ["a trigger", { edges: [{ id: "e1", from: "hello", to: "end", firesWhen: "opened" }] }],
    [
      "a link",
      {
        edges: [{ id: "e1", from: "hello", to: "end", firesWhen: "clicked", url: "https://example.com/buy" }],
      },
    ],
  ])("after a change of %s makes the next version", async (_, change) => {
    const { id } = await create();
    await api.ok("POST", `/campaigns/${id}/activate`);
    const body = JSON.parse(
      JSON.stringify(change).replace('"credentialId":""', `"credentialId":"${credentialId}"`),
    );
    expect(await api.ok("PATCH", `/campaigns/${id}`, body)).toMatchObject({
      status: "active",
      version: 1,
      hasUnactivatedChanges: true,
    });
    expect(await api.ok("POST", `/campaigns/${id}/activate`)).toMatchObject({
      version: 2,
      hasUnactivatedChanges: false,
    });
  });

  test("after one more edge, and after its removal, makes the next version", async () => {
    const created = await create();
    const { id } = created;
    await api.ok("POST", `/campaigns/${id}/activate`);
    const edges = Array.isArray(created.edges) ? created.edges : [];
    const more = { id: "e2", from: "hello", to: "end", firesWhen: "unsubscribed" };
    await api.ok("PATCH", `/campaigns/${id}`, { edges: [...edges, more] });
    expect((await api.ok("POST", `/campaigns/${id}/activate`)).version).toBe(2);
    await api.ok("PATCH", `/campaigns/${id}`, { edges });
    expect((await api.ok("POST", `/campaigns/${id}/activate`)).version).toBe(3);
  });

  test("twice at the same moment makes one version", async () => {
    const { id } = await create();
    const answers = await Promise.all([
      api.ok("POST", `/campaigns/${id}/activate`),
      api.ok("POST", `/campaigns/${id}/activate`),
    ]);
    expect(answers.map((answer) => answer.version)).toEqual([1, 1]);
  });

  test("leaves people under way in the version they began with", async () => {
    const { id } = await create();
    await api.ok("POST", `/campaigns/${id}/activate`);
    await api.ok("POST", `/campaigns/${id}/enroll`, { contactIds: [await contact()] });
    await api.ok("PATCH", `/campaigns/${id}`, {
      nodes: [helloNode(credentialId, { id: "other" })],
      edges: [],
    });
    await api.ok("POST", `/campaigns/${id}/activate`);
    await api.ok("POST", `/campaigns/${id}/enroll`, { contactIds: [await contact()] });
    await projectAll(api.database.db);
    const { items } = await api.ok("GET", `/campaigns/${id}/enrollments`);
    expect(items.map((item) => item.version)).toEqual([2, 1]);
    expect((await listRuns(api.database.db, id)).map((run) => run.nodeId)).toEqual(["hello", "other"]);
  });
});

describe("pausing and resuming", () => {
  test("go back and forth between running and paused, and repeating one changes nothing", async () => {
    const { id } = await create();
    await api.ok("POST", `/campaigns/${id}/activate`);
    for (const [action, status] of [
      ["pause", "paused"],
      ["pause", "paused"],
      ["resume", "active"],
      ["resume", "active"],
      ["pause", "paused"],
      ["activate", "active"],
    ]) {
      expect(await api.ok("POST", `/campaigns/${id}/${action}`)).toMatchObject({ status, version: 1 });
    }
  });

  test.each(["pause", "resume"])("%s of a draft is a conflict that says why", async (action) => {
    const { id } = await create();
    const answer = await api.call("POST", `/api/v1/campaigns/${id}/${action}`);
    expect(answer.status).toBe(409);
    expect(answer.body.detail).toBe("The campaign is a draft: it has to be activated first.");
  });
});

describe("deleting", () => {
  test("takes a draft away, and refuses a running campaign", async () => {
    const { id } = await create();
    await api.ok("POST", `/campaigns/${id}/activate`);
    expect((await api.call("DELETE", `/api/v1/campaigns/${id}`)).status).toBe(409);
    const draft = await create();
    expect((await api.call("DELETE", `/api/v1/campaigns/${draft.id}`)).status).toBe(204);
    expect((await api.call("GET", `/api/v1/campaigns/${draft.id}`)).status).toBe(404);
  });

  test("withdraws what a paused campaign had ahead and keeps what happened", async () => {
    const { id } = await create();
    await api.ok("POST", `/campaigns/${id}/activate`);
    const contactId = await contact();
    await api.ok("POST", `/campaigns/${id}/enroll`, { contactIds: [contactId] });
    await projectAll(api.database.db);
    const { items } = await api.ok("GET", `/campaigns/${id}/enrollments`);
    await api.ok("POST", `/campaigns/${id}/pause`);
    expect((await api.call("DELETE", `/api/v1/campaigns/${id}`)).status).toBe(204);
    expect(await api.ok("GET", `/enrollments/${items[0]?.id}`)).toMatchObject({
      status: "completed",
      runs: [{ nodeId: "hello", type: "message", status: "cancelled" }],
    });
    const messages = await api.ok("GET", `/messages?contactId=${contactId}`);
    expect(messages.items.map((message) => message.status)).toEqual(["cancelled"]);
    const activity = await api.ok("GET", `/contacts/${contactId}/activity`);
    expect(activity.items.map((item) => item.type)).toEqual(["message_queued", "campaign_started"]);
    await projectAll(api.database.db);
    expect((await api.call("GET", `/api/v1/campaigns/${id}/analytics`)).status).toBe(404);
  });

  test("leaves a message that is being handed over to its end", async () => {
    const { id } = await create();
    await api.ok("POST", `/campaigns/${id}/activate`);
    const contactId = await contact();
    await api.ok("POST", `/campaigns/${id}/enroll`, { contactIds: [contactId] });
    await projectAll(api.database.db);
    await sql`update message set claimed_by = 1, claimed_at = now() where contact_id = ${contactId}`.execute(
      api.database.db,
    );
    await api.ok("POST", `/campaigns/${id}/pause`);
    await api.ok("DELETE", `/campaigns/${id}`);
    const messages = await api.ok("GET", `/messages?contactId=${contactId}`);
    expect(messages.items.map((message) => message.status)).toEqual(["queued"]);
  });
});

/** Nodes of every type, with everything that the API would fill in. */
function everyNode(credential: string): object[] {
  return [
    {
      id: "isPro",
      type: "condition",
      if: { not: { attribute: "plan", is: "in", value: ["free", "trial"] } },
    },
    {
      ...{ id: "mark", type: "update-contact", unset: ["trial"], addTags: ["vip"], removeTags: ["new"] },
      set: { plan: "pro", score: { node: "hook", output: "score" }, level: 3, isMarked: true },
    },
    { id: "ab", type: "split", variants: ["a", "b"].map((id) => ({ id, weight: 50 })) },
    {
      ...{ id: "hook", type: "webhook", url: "https://crm.example.com/score", method: "PUT" },
      ...{ headers: { "X-Source": "edgr" }, body: '{"email": {{ contact.email | json }}}' },
      ...{ timeoutSeconds: 5, output: { score: "data.score" } },
    },
    helloNode(credential, { format: "html" }),
    { id: "eve", type: "wait", until: "2026-12-24T09:00" },
    { id: "morning", type: "wait", at: { time: "09:00", weekdays: ["mon", "fri"] } },
    { id: "end", type: "exit" },
  ];
}
