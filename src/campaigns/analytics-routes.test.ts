import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  type CampaignApi,
  createCampaignApi,
  helloCampaign,
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

const NOW = new Date("2026-03-06T20:30:00.000Z");
const HOUR_MS = 3_600_000;
const human = { agent: "human", agentRule: "browser" } as const;
const NO_HITS = {
  total: 0,
  unique: 0,
  human: 0,
  uniqueHuman: 0,
  agents: { human: 0, proxy: 0, prefetch: 0, scanner: 0 },
};
const NOTHING = {
  queued: 0,
  sent: 0,
  failed: 0,
  suppressed: 0,
  uncertain: 0,
  opened: NO_HITS,
  clicked: NO_HITS,
  unsubscribed: 0,
};

let api: CampaignApi;
let credentialId: string;
let campaignId: string;
let runs: Run[];

beforeAll(async () => {
  api = await createCampaignApi({ now: () => NOW });
  credentialId = (await api.ok("POST", "/credentials", smtpCredential())).id;
});
afterAll(() => api.close());

beforeEach(async () => {
  campaignId = (await api.ok("POST", "/campaigns", helloCampaign(credentialId))).id;
});

const analytics = (query = "") => api.ok("GET", `/campaigns/${campaignId}/analytics${query}`);

/** `hello` is queued for three contacts. */
async function enrollThree(): Promise<void> {
  await sql`delete from contact where customer_id = ${api.customer.id}`.execute(api.database.db);
  const contactIds = await createContacts(api.database.db, api.customer.id, 3);
  await api.ok("POST", `/campaigns/${campaignId}/activate`);
  await api.ok("POST", `/campaigns/${campaignId}/enroll`, { contactIds });
  await projectAll(api.database.db);
  runs = await listRuns(api.database.db, campaignId);
}

async function happen(
  ...events: [run: number, type: Parameters<typeof eventOf>[1], more?: object][]
): Promise<void> {
  const made = events.map(([run, type, more]) => {
    const of = runs[run];
    if (of === undefined) throw new Error("there is no such run");
    return eventOf(of, type, { at: NOW, ...more });
  });
  await append(api.database.db, ...made);
  await projectAll(api.database.db);
}

describe("analytics", () => {
  test("of a draft are zeros for every node and edge", async () => {
    expect(await analytics()).toMatchObject({
      enrollments: { total: 0, active: 0, completed: 0 },
      totals: NOTHING,
      nodes: [
        { nodeId: "hello", type: "message", ...NOTHING },
        { nodeId: "end", type: "exit", ...NOTHING },
      ],
      edges: [{ edgeId: "e1", from: "hello", to: "end", firesWhen: "clicked", fired: 0 }],
      hours: [],
    });
  });

  test("count what was sent and who did what, people apart from machines", async () => {
    await enrollThree();
    await happen(
      [0, "message_sent"],
      [1, "message_failed", { data: { reason: "550" } }],
      [2, "message_uncertain"],
    );
    await happen(
      [0, "email_opened", human],
      [0, "email_opened", { agent: "proxy", agentRule: "gmail" }],
      [0, "email_opened", { agent: "prefetch", agentRule: "apple" }],
      [2, "email_opened", { agent: "scanner", agentRule: "known" }],
      [0, "email_clicked", { ...human, data: { clickedUrl: "https://example.com/buy" } }],
      [0, "unsubscribed", human],
    );
    const said = await analytics();
    const hello = {
      queued: 3,
      sent: 1,
      failed: 1,
      suppressed: 0,
      uncertain: 1,
      opened: {
        total: 4,
        unique: 2,
        human: 2,
        uniqueHuman: 1,
        agents: { human: 1, proxy: 1, prefetch: 1, scanner: 1 },
      },
      clicked: {
        total: 1,
        unique: 1,
        human: 1,
        uniqueHuman: 1,
        agents: { human: 1, proxy: 0, prefetch: 0, scanner: 0 },
      },
      unsubscribed: 1,
    };
    expect(said).toMatchObject({
      enrollments: { total: 3, active: 2, completed: 1 },
      totals: hello,
      nodes: [
        { nodeId: "hello", ...hello },
        { nodeId: "end", ...NOTHING },
      ],
      edges: [{ edgeId: "e1", fired: 1 }],
    });
  });

  test("tell what came back from messages, and how many of them it concerns", async () => {
    await enrollThree();
    await happen([0, "message_sent"], [1, "message_sent"]);
    const hard = { data: { bounceType: "Permanent", bounceSubType: "General" } };
    await happen([0, "message_delivered"], [1, "message_bounced", hard], [0, "message_received"]);
    await happen(
      [
        1,
        "message_bounced",
        { data: { bounceType: "Permanent", bounceSubType: "OnAccountSuppressionList" } },
      ],
      [0, "message_received"],
      [0, "message_complained"],
      [0, "message_delivered"],
    );
    const { totals, bounces } = await analytics();
    expect(bounces).toEqual({ hard: 1, soft: 0, providerSuppressed: 1, other: 0 });
    expect(totals).toMatchObject({
      runs: { total: 3, unique: 3, failed: 0 },
      sent: 2,
      delivered: { total: 2, unique: 1 },
      bounced: { total: 2, unique: 1 },
      complained: { total: 1, unique: 1 },
      replied: { total: 2, unique: 1 },
    });
  });

  test("are a table with a line for each node, by parameter or by header; edges have their own", async () => {
    await enrollThree();
    await happen([0, "email_clicked", { ...human, data: { clickedUrl: "https://example.com/buy" } }]);
    const path = `/api/v1/campaigns/${campaignId}/analytics`;
    const byParameter = await api.call("GET", `${path}?format=csv`);
    const byHeader = await api.call("GET", path, { headers: { Accept: "text/csv" } });
    expect(byHeader.text).toBe(byParameter.text);
    const [header, hello, end, ...rest] = byParameter.text.split("\r\n");
    expect(header).toStartWith("nodeId,type,runs.total,runs.unique,runs.failed,queued,sent,");
    expect(hello).toStartWith("hello,message,3,3,0,3,0,");
    expect(end).toStartWith("end,exit,1,1,0,0,0,");
    expect(rest).toEqual([""]);
    expect(byParameter.headers.get("Content-Type")).toBe("text/csv; charset=utf-8");
    const edges = await api.call("GET", `${path}/edges?format=csv`);
    expect(edges.text).toBe("edgeId,from,to,firesWhen,fired\r\ne1,hello,end,clicked,1\r\n");
    expect((await api.call("GET", path, { headers: { Accept: "*/*" } })).body.totals).toBeDefined();
  });

  test("by hour go back as far as asked, the present hour included", async () => {
    await enrollThree();
    await happen(
      [0, "email_opened", { ...human, at: NOW }],
      [1, "email_opened", { agent: "scanner", at: new Date(NOW.getTime() - 2 * HOUR_MS) }],
      [2, "email_opened", { ...human, at: new Date(NOW.getTime() - 3 * HOUR_MS) }],
    );
    const opened = { type: "email_opened", total: 1 };
    // What enrolling itself counts lies at the database's own time, after NOW.
    const hoursOf = async (hours: number) => {
      const said = await analytics(`?hours=${hours}`);
      const all = Array.isArray(said.hours) ? said.hours : [];
      return all.filter((count) => count.type === "email_opened");
    };
    expect(await hoursOf(1)).toEqual([{ hour: "2026-03-06T20:00:00.000Z", ...opened, human: 1 }]);
    expect(await hoursOf(3)).toEqual([
      { hour: "2026-03-06T18:00:00.000Z", ...opened, human: 0 },
      { hour: "2026-03-06T20:00:00.000Z", ...opened, human: 1 },
    ]);
    expect(await hoursOf(4)).toHaveLength(3);
  });

  test.each(["0", "2161", "-1", "1.5", "x", ""])("of %p hours are refused", async (hours) => {
    const answer = await api.call("GET", `/api/v1/campaigns/${campaignId}/analytics?hours=${hours}`);
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, "hours"]);
  });

  test("keep the numbers of nodes and edges that the graph has no more", async () => {
    await enrollThree();
    await happen(
      [0, "message_sent"],
      [0, "email_clicked", { ...human, data: { clickedUrl: "https://example.com/buy" } }],
    );
    await api.ok("PATCH", `/campaigns/${campaignId}`, {
      nodes: [helloNode(credentialId, { id: "other" })],
      edges: [],
    });
    expect(await analytics()).toMatchObject({
      totals: { sent: 1 },
      nodes: [
        { nodeId: "other", sent: 0 },
        { nodeId: "end", type: "exit" },
        { nodeId: "hello", type: "message", sent: 1 },
      ],
      edges: [{ edgeId: "e1", from: "hello", to: "end", firesWhen: "clicked", fired: 1 }],
    });
  });
});
