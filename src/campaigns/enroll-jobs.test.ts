import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import pino from "pino";
import type { TestCustomer } from "../../test/support/app.ts";
import { type CampaignApi, createCampaignApi } from "../../test/support/campaign-api.ts";
import { createContacts } from "../../test/support/campaigns.ts";
import { newId } from "../events/id.ts";
import { claimJob } from "./enroll-job-queries.ts";
import { enrollNextChunk } from "./run-enrolls.ts";

const CHUNK = 10_000;
const PEOPLE = 2 * CHUNK + 500;
const SILENT = pino({ level: "silent" });

let api: CampaignApi;
let customer: TestCustomer;
let campaignId: string;

beforeAll(async () => {
  api = await createCampaignApi();
});
afterAll(() => api.close());

beforeEach(async () => {
  // Jobs of the tests before would be worked on too.
  await sql`delete from enroll_job`.execute(api.database.db);
  customer = await api.createCustomer(newId());
  campaignId = await activeCampaign();
  await createContacts(api.database.db, customer.id, PEOPLE);
});

async function activeCampaign(): Promise<string> {
  const body = {
    name: "Waits",
    nodes: [
      { id: "pause", type: "wait", duration: "P2D" },
      { id: "end", type: "exit" },
    ],
    edges: [{ id: "e1", from: "pause", to: "end", firesWhen: "always" }],
  };
  const { id } = await ok("POST", "/campaigns", body);
  await ok("POST", `/campaigns/${id}/activate`);
  return id;
}

const ok = (method: string, path: string, body?: unknown) => api.ok(method, path, body, customer);
const call = (method: string, path: string, body?: unknown) =>
  api.call(method, `/api/v1${path}`, { body, customer });
const begin = (body: object = { all: true }) => ok("POST", `/campaigns/${campaignId}/enroll`, body);
const step = () => enrollNextChunk(api.database.db, SILENT);
const jobPath = (id: string) => `/campaigns/${campaignId}/enroll-jobs/${id}`;

async function finish(): Promise<void> {
  while ((await step()) !== "idle");
}

async function enrolled(): Promise<{ enrollments: number; people: number; started: number }> {
  const of = sql`customer_id = ${customer.id} and campaign_id = ${campaignId}`;
  const { rows } = await sql<{ enrollments: number; people: number; started: number }>`
    select count(*) as enrollments, count(distinct contact_id) as people,
      (select count(*) from event_log where ${of} and type = 'campaign_started') as started
    from enrollment where ${of}`.execute(api.database.db);
  return rows[0] ?? { enrollments: 0, people: 0, started: 0 };
}

const everybody = { enrollments: PEOPLE, people: PEOPLE, started: PEOPLE };
const oneChunk = { enrollments: CHUNK, people: CHUNK, started: CHUNK };

describe("an audience of more than 10,000", () => {
  test("begins with the first 10,000 and answers with a job that enrolls the others", async () => {
    const answer = await call("POST", `/campaigns/${campaignId}/enroll`, { all: true });
    expect<unknown>([answer.status, answer.body]).toEqual([
      202,
      {
        id: expect.any(String),
        campaignId,
        audience: { all: true },
        status: "running",
        reason: null,
        selected: CHUNK,
        enrolled: CHUNK,
        alreadyEnrolled: 0,
        total: null,
        perSecond: expect.any(Number),
        secondsLeft: null,
        createdAt: expect.any(String),
        updatedAt: expect.any(String),
        finishedAt: null,
      },
    ]);
    expect(await enrolled()).toEqual(oneChunk);
    expect(await step()).toBe("looked");
    expect(await ok("GET", jobPath(answer.body.id))).toMatchObject({
      status: "running",
      total: PEOPLE,
      secondsLeft: expect.any(Number),
    });
    await finish();
    expect(await enrolled()).toEqual(everybody);
    expect(await ok("GET", jobPath(answer.body.id))).toMatchObject({
      status: "completed",
      selected: PEOPLE,
      enrolled: PEOPLE,
      total: PEOPLE,
      secondsLeft: null,
      finishedAt: expect.any(String),
    });
  });

  test("enrolls each once, however many processes work on its jobs, and counts who was enrolled before", async () => {
    const jobs = [await begin(), await begin()];
    await Promise.all([finish(), finish(), finish()]);
    await finish();
    expect(await enrolled()).toEqual(everybody);
    const ended = await Promise.all(jobs.map(({ id }) => ok("GET", jobPath(id))));
    expect(ended.map(({ status, selected }) => [status, selected])).toEqual([
      ["completed", PEOPLE],
      ["completed", PEOPLE],
    ]);
    const sum = (field: "enrolled" | "alreadyEnrolled") =>
      ended.reduce((total, job) => total + Number(job[field]), 0);
    expect([sum("enrolled"), sum("alreadyEnrolled")]).toEqual([PEOPLE, PEOPLE]);
  });

  test("does not reach people who come after it began", async () => {
    await begin();
    await ok("POST", "/contacts", { email: "late@example.com" });
    await finish();
    expect(await enrolled()).toEqual(everybody);
  });

  test("by segment keeps the filter it began with, whatever becomes of the segment", async () => {
    const filter = { field: "emailDomain", is: "equals", value: "example.com" };
    const segment = await ok("POST", "/segments", { name: "Example", filter });
    const job = await begin({ segmentId: segment.id });
    expect(job.audience).toEqual({ segmentId: segment.id });
    await ok("DELETE", `/segments/${segment.id}`);
    await finish();
    expect(await enrolled()).toEqual(everybody);
  });

  test("goes on where it was when the process that works on it dies", async () => {
    await begin();
    await step();
    const dies = api.database.db.transaction().execute(async (transaction) => {
      expect(await claimJob(transaction)).not.toBeNull();
      // Nobody else takes it while it is being worked on.
      expect(await step()).toBe("idle");
      throw new Error("killed");
    });
    await expect(dies).rejects.toThrow("killed");
    await finish();
    expect(await enrolled()).toEqual(everybody);
  });
});

describe("an audience that one chunk holds", () => {
  test("by segment is enrolled before the answer", async () => {
    const { id } = await ok("POST", "/contacts", { email: "vip@example.com", tags: ["vip"] });
    const segment = await ok("POST", "/segments", { name: "VIP", filter: { tag: "vip" } });
    expect(await begin({ segmentId: segment.id })).toEqual(
      expect.objectContaining({ status: "completed", selected: 1, enrolled: 1, alreadyEnrolled: 0 }),
    );
    expect((await ok("GET", `/campaigns/${campaignId}/enrollments`)).items).toMatchObject([
      { contactId: id },
    ]);
    expect((await ok("GET", `/campaigns/${campaignId}/enroll-jobs`)).items).toEqual([]);
  });

  test("of a segment that does not exist is refused, and the field named", async () => {
    const answer = await call("POST", `/campaigns/${campaignId}/enroll`, { segmentId: newId() });
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, "segmentId"]);
  });
});

describe("an enroll job", () => {
  test("is paused, and resumed where it was", async () => {
    const { id } = await begin();
    expect(await ok("POST", `${jobPath(id)}/pause`)).toMatchObject({ status: "paused", secondsLeft: null });
    await finish();
    expect(await enrolled()).toEqual(oneChunk);
    expect(await ok("POST", `${jobPath(id)}/resume`)).toMatchObject({ status: "running" });
    await finish();
    expect(await enrolled()).toEqual(everybody);
  });

  test("is cancelled for good, and who is enrolled stays so", async () => {
    const { id } = await begin();
    expect(await ok("POST", `${jobPath(id)}/cancel`)).toMatchObject({ status: "cancelled" });
    await finish();
    expect(await enrolled()).toEqual(oneChunk);
    for (const verb of ["pause", "resume", "cancel"]) {
      const answer = await call("POST", `${jobPath(id)}/${verb}`);
      expect([answer.status, answer.body.detail]).toEqual([409, "The job is cancelled: it has ended."]);
    }
  });

  test("stands still while its campaign is paused, says so, and goes on with it", async () => {
    const { id } = await begin();
    await ok("POST", `/campaigns/${campaignId}/pause`);
    await finish();
    expect(await ok("GET", jobPath(id))).toMatchObject({
      status: "paused",
      reason: "The campaign is paused.",
    });
    expect(await enrolled()).toEqual(oneChunk);
    await ok("POST", `/campaigns/${campaignId}/resume`);
    await finish();
    expect(await ok("GET", jobPath(id))).toMatchObject({ status: "completed", reason: null });
    expect(await enrolled()).toEqual(everybody);
  });

  test("ends when its campaign is deleted", async () => {
    await begin();
    await ok("POST", `/campaigns/${campaignId}/pause`);
    await call("DELETE", `/campaigns/${campaignId}`);
    await finish();
    expect(await jobRows()).toEqual([{ status: "cancelled", reason: "The campaign was deleted." }]);
  });

  test("whose chunks keep failing has failed, with the reason, and others go on", async () => {
    await begin();
    const { db } = api.database;
    await sql`
      create function refuse() returns trigger language plpgsql as 'begin raise exception ''no room''; end'`.execute(
      db,
    );
    await sql`create trigger refuse before insert on enrollment execute function refuse()`.execute(db);
    await step();
    for (let failures = 0; failures < 5; failures += 1) expect(await step()).toBe("idle");
    await sql`drop trigger refuse on enrollment`.execute(db);
    await finish();
    expect(await jobRows()).toEqual([{ status: "failed", reason: "The last chunk failed: no room" }]);
    expect(await enrolled()).toEqual(oneChunk);
  });

  test("whose stored filter is no longer valid has failed", async () => {
    await begin();
    await sql`update enroll_job set filter = '{"tags": "vip"}'`.execute(api.database.db);
    await finish();
    expect(await jobRows()).toEqual([{ status: "failed", reason: "Its filter is no longer valid." }]);
  });

  test("is listed newest first, of its campaign only", async () => {
    const ids = [(await begin()).id, (await begin()).id];
    const { items } = await ok("GET", `/campaigns/${campaignId}/enroll-jobs`);
    expect(items.map((job) => job.id)).toEqual(ids.toReversed());
    const other = await activeCampaign();
    expect((await ok("GET", `/campaigns/${other}/enroll-jobs`)).items).toEqual([]);
    expect((await call("GET", `/campaigns/${other}/enroll-jobs/${ids[0]}`)).status).toBe(404);
    expect((await call("GET", `/campaigns/${newId()}/enroll-jobs`)).status).toBe(404);
  });
});

async function jobRows() {
  const { rows } = await sql`
    select status, reason from enroll_job where customer_id = ${customer.id}`.execute(api.database.db);
  return rows;
}
