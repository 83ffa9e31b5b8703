import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import type { TestCustomer } from "../../test/support/app.ts";
import {
  type CampaignApi,
  createCampaignApi,
  helloCampaign,
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
import { newId } from "../events/id.ts";
import { claimMessages } from "./claim-queries.ts";

let api: CampaignApi;
let customer: TestCustomer;
let credentialId: string;
let campaignId: string;
let runs: Run[];

beforeAll(async () => {
  api = await createCampaignApi();
});
afterAll(() => api.close());

/** `hello` is queued for three contacts. */
beforeEach(async () => {
  customer = await api.createCustomer(newId());
  credentialId = (await ok("POST", "/credentials", smtpCredential())).id;
  await createContacts(api.database.db, customer.id, 3);
  campaignId = await runningCampaign();
  runs = await listRuns(api.database.db, campaignId);
});

const ok = (method: string, path: string, body?: unknown) => api.ok(method, path, body, customer);
const message = (run = 0) => ok("GET", `/messages/${runs[run]?.messageId}`);
const retry = (run = 0) => api.call("POST", `/api/v1/messages/${runs[run]?.messageId}/retry`, { customer });

async function runningCampaign(): Promise<string> {
  const { id } = await ok("POST", "/campaigns", helloCampaign(credentialId));
  await ok("POST", `/campaigns/${id}/activate`);
  await ok("POST", `/campaigns/${id}/enroll`, { all: true });
  await projectAll(api.database.db);
  return id;
}

async function happen(run: number, type: Parameters<typeof eventOf>[1], more: object = {}): Promise<void> {
  const of = runs[run];
  if (of === undefined) throw new Error("there is no such run");
  await append(api.database.db, eventOf(of, type, more));
  await projectAll(api.database.db);
}

async function claimed(): Promise<string[]> {
  const { messages } = await claimMessages(
    api.database.db,
    { customerId: customer.id, credentialId },
    { worker: 1, limit: 10, look: 10, day: "2026-11-25", ceiling: null },
  );
  return messages.map(({ id }) => id);
}

const ids = (page: { items: { id: string }[] }) => page.items.map((item) => item.id);

describe("a message", () => {
  test("says where it belongs, what became of it and what its reader did first", async () => {
    expect(await message()).toMatchObject({
      direction: "outbound",
      channel: "email",
      campaignId,
      nodeId: "hello",
      runId: runs[0]?.id ?? "",
      enrollmentId: runs[0]?.enrollmentId ?? "",
      contactId: runs[0]?.contactId ?? "",
      credentialId,
      to: expect.stringMatching(/^c\d@example\.com$/),
      subject: null,
      status: "queued",
      attempts: 0,
      sentAt: null,
      openedAt: null,
      clickedUrl: null,
    });
    const person = { agent: "human", agentRule: "browser" };
    const [first, later] = [new Date("2026-11-20T10:00:00.000Z"), new Date("2026-11-20T11:00:00.000Z")];
    await happen(0, "message_sent", { data: { subject: "Hi", providerMessageId: "0100" } });
    await happen(0, "email_opened", { ...person, at: first });
    await happen(0, "email_opened", { ...person, at: later });
    await happen(0, "email_clicked", {
      ...person,
      at: later,
      data: { clickedUrl: "https://example.com/buy" },
    });
    expect(await message()).toMatchObject({
      status: "sent",
      subject: "Hi",
      providerMessageId: "0100",
      sentAt: expect.any(String),
      openedAt: first.toISOString(),
      clickedAt: later.toISOString(),
      clickedUrl: "https://example.com/buy",
    });
  });

  test("is listed newest first, by campaign, contact and status", async () => {
    const other = await runningCampaign();
    await happen(0, "message_sent");
    await happen(1, "message_failed", { data: { reason: "550" } });
    const inOrder = (found: (string | null)[]) => found.toSorted().reverse();
    const mine = inOrder(runs.map((run) => run.messageId));
    const others = inOrder((await listRuns(api.database.db, other)).map((run) => run.messageId));
    expect<unknown>(ids(await ok("GET", "/messages"))).toEqual([...others, ...mine]);
    expect<unknown>(ids(await ok("GET", `/messages?campaignId=${campaignId}`))).toEqual(mine);
    const first = await ok("GET", `/messages?campaignId=${campaignId}&limit=2`);
    const second = await ok("GET", `/messages?campaignId=${campaignId}&limit=2&cursor=${first.nextCursor}`);
    expect<unknown>([...ids(first), ...ids(second)]).toEqual(mine);
    const failed = `/messages?campaignId=${campaignId}&status=failed`;
    expect<unknown>(ids(await ok("GET", failed))).toEqual([runs[1]?.messageId]);
    const contact = `/messages?contactId=${runs[0]?.contactId}`;
    expect(ids(await ok("GET", contact))).toHaveLength(2);
    expect<unknown>(ids(await ok("GET", `${contact}&campaignId=${campaignId}`))).toEqual([
      runs[0]?.messageId,
    ]);
    expect<unknown>(ids(await ok("GET", `${contact}&status=sent`))).toEqual([runs[0]?.messageId]);
    expect(ids(await ok("GET", `${contact}&status=failed`))).toEqual([]);
  });

  test("is not listed by status alone", async () => {
    const answer = await api.call("GET", "/api/v1/messages?status=failed", { customer });
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, "status"]);
  });
});

describe("a message that waits", () => {
  const put = (dueIn: string, reason: string | null) =>
    sql`
    update message set due_at = now() + ${dueIn}::interval, postponed_reason = ${reason}
    where id = ${runs[0]?.messageId}`.execute(api.database.db);
  const postponed = async () => (await message()).postponed;

  test("for its turn says nothing of it, and one that was put off says why and until when", async () => {
    expect(await postponed()).toBeNull();
    for (const reason of ["quiet_hours", "frequency_cap", "deferred"]) {
      await put("1 hour", reason);
      expect(await postponed()).toEqual({ reason, until: expect.any(String) });
      await put("-1 hour", reason);
      expect(await postponed()).toBeNull();
    }
    const { items } = await ok("GET", `/messages?campaignId=${campaignId}`);
    expect(items.map((item) => item.postponed)).toEqual([null, null, null]);
  });

  test("for its credential's window or next day says that, unless it is put off longer", async () => {
    const now = new Date();
    const hour = (ahead: number) =>
      `${new Date(now.getTime() + ahead * 3_600_000).toISOString().slice(11, 13)}:00`;
    const day = now.toISOString().slice(0, 10);
    const warmUp = { startedOn: day, ceilings: [1] };
    await ok("PATCH", `/credentials/${credentialId}`, { warmUp });
    await sql`
      insert into credential_day (customer_id, credential_id, day, sent)
      values (${customer.id}, ${credentialId}, ${day}, 1)`.execute(api.database.db);
    expect(await postponed()).toMatchObject({ reason: "warm_up" });
    const sendWindow = { from: hour(2), to: hour(3), timeZone: "UTC" };
    await ok("PATCH", `/credentials/${credentialId}`, { sendWindow });
    expect(await postponed()).toMatchObject({ reason: "send_window" });
    await put("1 hour", "quiet_hours");
    expect(await postponed()).toMatchObject({ reason: "quiet_hours" });
    await happen(0, "message_sent");
    expect(await postponed()).toBeNull();
  });
});

describe("retrying", () => {
  test.each(["message_failed", "message_uncertain"] as const)(
    "after %s sends the message anew, and its run ends anew",
    async (type) => {
      await claimed();
      await happen(0, type, { data: { reason: "it broke" } });
      expect(await claimed()).toEqual([]);
      const queued = await retry();
      expect(queued.status).toBe(200);
      expect(queued.body).toMatchObject({ status: "queued", attempts: 0, error: null });
      const [restarted] = await listRuns(api.database.db, campaignId);
      expect([restarted?.status, restarted?.output]).toEqual(["running", {}]);
      expect<unknown>(await claimed()).toEqual([runs[0]?.messageId]);
      await happen(0, "message_sent", { data: { subject: "Hi" } });
      expect(await message()).toMatchObject({ status: "sent", error: null });
      const [ended] = await listRuns(api.database.db, campaignId);
      expect([ended?.status, ended?.output]).toEqual([
        "completed",
        { sent: true, sentAt: expect.any(String) },
      ]);
    },
  );

  test("is in the contact's activity", async () => {
    await happen(0, "message_failed", { data: { reason: "550" } });
    await retry();
    await projectAll(api.database.db);
    const { items } = await ok("GET", `/contacts/${runs[0]?.contactId}/activity?type=message_queued`);
    expect(items.map((item) => item.data)).toEqual([{ retry: true }, {}]);
  });

  test("twice at the same moment queues the message once", async () => {
    await happen(0, "message_failed", { data: { reason: "550" } });
    const answers = await Promise.all([retry(), retry()]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
  });

  test.each(["queued", "message_sent", "contact_suppressed"] as const)(
    "a message that is in another state (%s) is a conflict",
    async (type) => {
      if (type !== "queued") await happen(0, type);
      const before = await message();
      expect((await retry()).status).toBe(409);
      expect(await message()).toEqual(before);
    },
  );

  test("a message whose campaign is gone is a conflict that says so", async () => {
    await happen(0, "message_failed", { data: { reason: "550" } });
    await ok("POST", `/campaigns/${campaignId}/pause`);
    await ok("DELETE", `/campaigns/${campaignId}`);
    const answer = await retry();
    expect([answer.status, answer.body.detail]).toEqual([
      409,
      "It can't be sent again: its campaign does not exist any more.",
    ]);
  });

  test("a message whose credential is gone is a conflict that says so", async () => {
    for (const run of [0, 1, 2]) await happen(run, "message_failed", { data: { reason: "550" } });
    const other = await ok("POST", "/credentials", smtpCredential());
    await ok("PATCH", `/campaigns/${campaignId}`, helloCampaign(other.id));
    await ok("POST", `/campaigns/${campaignId}/activate`);
    await ok("DELETE", `/credentials/${credentialId}`);
    const answer = await retry();
    expect([answer.status, answer.body.detail]).toEqual([
      409,
      "It can't be sent again: its credential does not exist any more.",
    ]);
  });

  test("a message whose enrollment is completed is a conflict that says so", async () => {
    await happen(0, "message_uncertain", { data: { reason: "interrupted" } });
    const person = { agent: "human", agentRule: "browser" };
    await happen(0, "email_clicked", { ...person, data: { clickedUrl: "https://example.com/buy" } });
    const answer = await retry();
    expect([answer.status, answer.body.detail]).toEqual([
      409,
      "It can't be sent again: its enrollment is completed.",
    ]);
  });
});
