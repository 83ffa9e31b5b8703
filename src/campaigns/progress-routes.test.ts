import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import fc from "fast-check";
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
import { sumTallies } from "../messages/queries.ts";

const NOW = new Date();
const CONTACTS = 12;
const HOUR_MS = 3_600_000;

let api: CampaignApi;
let customer: TestCustomer;
let credentialId: string;
let campaignId: string;
let runs: Run[];

beforeAll(async () => {
  api = await createCampaignApi({ now: () => NOW });
});
afterAll(() => api.close());

beforeEach(async () => {
  customer = await api.createCustomer(newId());
  credentialId = (await ok("POST", "/credentials", smtpCredential())).id;
  await createContacts(api.database.db, customer.id, CONTACTS);
  campaignId = (await ok("POST", "/campaigns", helloCampaign(credentialId))).id;
  await ok("POST", `/campaigns/${campaignId}/activate`);
  await ok("POST", `/campaigns/${campaignId}/enroll`, { all: true });
  await projectAll(api.database.db);
  runs = await listRuns(api.database.db, campaignId);
});

const ok = (method: string, path: string, body?: unknown) => api.ok(method, path, body, customer);
const progress = () => ok("GET", `/campaigns/${campaignId}/progress`);

async function happen(run: number, type: Parameters<typeof eventOf>[1], more: object = {}): Promise<void> {
  const of = runs[run];
  if (of === undefined) throw new Error("there is no such run");
  await append(api.database.db, eventOf(of, type, more));
  await projectAll(api.database.db);
}

/** An hour of the day now, by UTC, in the form of a window's ends. */
const hour = (ahead: number) => `${new Date(NOW.getTime() + ahead * HOUR_MS).toISOString().slice(11, 13)}:00`;

test("says what became of the messages, whatever became of them later", async () => {
  await happen(0, "message_sent");
  await happen(0, "message_bounced", { data: { bounceType: "Permanent" } });
  await happen(1, "message_sent");
  await happen(1, "message_rejected", { data: { reason: "Bad content" } });
  await happen(2, "message_failed", { data: { reason: "550" } });
  await happen(3, "contact_suppressed", { data: { reason: "manual" } });
  await happen(4, "message_uncertain");
  await happen(5, "message_failed", { data: { reason: "550" } });
  await ok("POST", `/messages/${runs[5]?.messageId}/retry`);
  expect(await progress()).toMatchObject({
    status: "active",
    queued: 7,
    sent: 2,
    failed: 1,
    suppressed: 1,
    cancelled: 0,
    uncertain: 1,
  });
  await ok("POST", `/campaigns/${campaignId}/pause`);
  expect(await progress()).toMatchObject({ status: "paused", secondsLeft: null, finishesAt: null });
});

test("agrees with the messages themselves, whatever is done to them and whenever the tallies are added up", async () => {
  const statuses = ["queued", "suppressed", "cancelled", "failed", "uncertain", "sent", "delivered"] as const;
  const step = fc.record({
    share: fc.integer({ min: 1, max: 4 }),
    status: fc.constantFrom(...statuses),
    reason: fc.constantFrom(null, "quiet_hours", "frequency_cap", "deferred"),
    act: fc.constantFrom("move", "move", "move", "add", "remove", "sum"),
  });
  const { db } = api.database;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      for (const { share, status, reason, act } of steps) {
        if (act === "sum") await Promise.all([sumTallies(db), sumTallies(db)]);
        const some = sql`customer_id = ${customer.id} and hashtext(id::text) % ${share} = 0`;
        if (act === "move") {
          await sql`
            update message set status = ${status}, postponed_reason = ${reason},
              sent_at = case when ${status} in ('sent', 'delivered') then now() end where ${some}`.execute(
            db,
          );
        } else if (act === "remove") {
          await sql`delete from message where ${some} and run_id is null and sent_at is null`.execute(db);
        } else if (act === "add") {
          await sql`
            insert into message (customer_id, id, direction, channel, campaign_id, contact_id, credential_id, to_address,
              status)
            values (${customer.id}, new_id(), 'outbound', 'email', ${campaignId}, new_id(), ${credentialId}, 'x@x.example',
              ${status})`.execute(db);
        }
      }
      const { postponed, queued, sent, failed, suppressed, cancelled, uncertain } = await progress();
      const { rows } = await sql`
        select count(*) filter (where status = 'queued')::int as queued,
          count(*) filter (where status in ('sent', 'delivered'))::int as sent,
          count(*) filter (where status = 'failed')::int as failed,
          count(*) filter (where status = 'suppressed')::int as suppressed,
          count(*) filter (where status = 'cancelled')::int as cancelled,
          count(*) filter (where status = 'uncertain')::int as uncertain,
          jsonb_build_object(
            'quietHours', count(*) filter (where status = 'queued' and postponed_reason = 'quiet_hours'),
            'frequencyCap', count(*) filter (where status = 'queued' and postponed_reason = 'frequency_cap'),
            'deferred', count(*) filter (where status = 'queued' and postponed_reason = 'deferred'),
            'sendWindow', 0, 'warmUp', 0) as postponed
        from message where customer_id = ${customer.id}`.execute(db);
      expect<unknown>({ postponed, queued, sent, failed, suppressed, cancelled, uncertain }).toEqual(rows[0]);
      const { rows: pace } = await sql<{ sent: number }>`
        select coalesce(sum(sent), 0)::int as sent from sending_pace where customer_id = ${customer.id}`.execute(
        db,
      );
      expect<unknown>(pace[0]?.sent).toBe(
        (
          await sql<{ sent: number }>`
            select count(*)::int as sent from message
            where customer_id = ${customer.id} and sent_at is not null`.execute(db)
        ).rows[0]?.sent,
      );
    }),
    { numRuns: 40 },
  );
});

test("measures the rate of the last minutes, and tells from it when the rest has gone", async () => {
  for (const [run, secondsAgo] of [100, 80, 60, 40, 20, 0].entries()) {
    await happen(run, "message_sent", { at: new Date(NOW.getTime() - secondsAgo * 1_000) });
  }
  const { ratePerMinute, secondsLeft, finishesAt } = await progress();
  // Six in 100 to 110 s, as the first of them lies in its ten seconds; as many are left.
  expect(Number(ratePerMinute)).toBeWithin(3.2, 3.7);
  expect(Number(secondsLeft)).toBeWithin(100, 112);
  expect(Date.parse(String(finishesAt))).toBeWithin(NOW.getTime() + 99_000, NOW.getTime() + 112_000);
});

test("says of a campaign that sends nothing now, though it might, that there is no telling", async () => {
  expect(await progress()).toMatchObject({ queued: CONTACTS, ratePerMinute: 0, secondsLeft: null });
});

test("says whose window is closed, and expects the rest when it has opened", async () => {
  const sendWindow = { from: hour(2), to: hour(4), timeZone: "UTC" };
  await ok("PATCH", `/credentials/${credentialId}`, { sendWindow, rateLimitPerSecond: 1 });
  await sql`
    update message set postponed_reason = 'deferred' where id = ${runs[0]?.messageId}`.execute(
    api.database.db,
  );
  const opens = Math.floor(NOW.getTime() / HOUR_MS + 2) * HOUR_MS;
  const expected = await progress();
  expect(expected).toMatchObject({
    postponed: { sendWindow: CONTACTS - 1, deferred: 1, warmUp: 0 },
    finishesAt: new Date(opens + CONTACTS * 1_000).toISOString(),
  });
  expect(expected.secondsLeft).toBe(Math.ceil((opens + CONTACTS * 1_000 - NOW.getTime()) / 1_000));
});

test("says that the day's ceiling is reached, and counts the days it takes", async () => {
  const warmUp = {
    startedOn: NOW.toISOString().slice(0, 10),
    ceilings: [2, 5],
    maxPerDay: 6,
  };
  await ok("PATCH", `/credentials/${credentialId}`, { warmUp, rateLimitPerSecond: 1 });
  await sql`
    insert into credential_day (customer_id, credential_id, day, sent)
    values (${customer.id}, ${credentialId}, ${warmUp.startedOn}, 2)`.execute(api.database.db);
  expect(await ok("GET", `/credentials/${credentialId}`)).toMatchObject({
    today: { day: warmUp.startedOn, timeZone: "UTC", sent: 2, ceiling: 2 },
    hold: { reason: "warm_up", until: expect.stringContaining("T00:00:00.000Z") },
  });
  const inThreeDays = Date.parse(warmUp.startedOn) + 3 * 24 * HOUR_MS;
  expect(await progress()).toMatchObject({
    postponed: { warmUp: CONTACTS },
    finishesAt: new Date(inThreeDays + 1_000).toISOString(),
  });
});
