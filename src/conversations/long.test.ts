import { afterAll, beforeAll, expect, test } from "bun:test";
import { type KyselyPlugin, RawNode, sql } from "kysely";
import { z } from "zod";
import { createContacts, createCustomer } from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import type { Db } from "../storage/pool.ts";
import { type ConversationFilter, selectConversations } from "./conversation-queries.ts";
import type { Place } from "./cursor.ts";
import { selectSaid } from "./message-queries.ts";
import { findLastReceived } from "./reply-queries.ts";

const MESSAGES = 100_000;
const CONTACTS = 5_000;
const PAGE = 50;
/** A page, the one row too many, and what of the same index page was passed over. */
const FEW = 200;

const node = z.object({
  "Node Type": z.string(),
  "Relation Name": z.string().optional(),
  "Actual Rows": z.number(),
  "Actual Loops": z.number(),
  "Rows Removed by Filter": z.number().default(0),
  get Plans() {
    return z.array(node).default([]);
  },
});
const explanation = z.object({ "QUERY PLAN": z.tuple([z.object({ Plan: node })]) });

type Plan = z.infer<typeof node>;

let database: TestDatabase;
let customerId: string;
let contactId: string;

/** One contact whose conversation is long, among many whose are short. */
beforeAll(async () => {
  database = await createTestDatabase();
  customerId = await createCustomer(database.db);
  [contactId = ""] = await createContacts(database.db, customerId, CONTACTS);
  await sql`
    insert into message (customer_id, id, direction, channel, campaign_id, contact_id, credential_id, to_address, status,
      queued_at, sent_at)
    select ${customerId}, new_id(), case n % 3 when 0 then 'inbound' else 'outbound' end,
      case n % 2 when 0 then 'email' else 'telegram' end, case n % 3 when 2 then ${contactId}::uuid end, ${contactId},
      ${contactId}, '', case n % 3 when 0 then 'received' else 'sent' end, moment, moment
    from generate_series(1, ${MESSAGES}) as n
    cross join lateral (select timestamptz '2020-01-01' + n * interval '1 minute' as moment) as t`.execute(
    database.db,
  );
  await sql`
    insert into conversation (customer_id, contact_id, status, assignee, unread, last_message_id, last_message_at,
      last_direction, last_channel)
    select customer_id, id, case n % 50 when 0 then 'closed' else 'open' end, case n % 100 when 0 then 'Maria' end,
      (n % 70 = 0)::int, new_id(), timestamptz '2020-01-01' + n * interval '1 minute', 'inbound',
      case n % 90 when 0 then 'email' else 'telegram' end
    from (select *, row_number() over (order by id) as n from contact) as c`.execute(database.db);
  await sql`
    insert into inbound_telegram (customer_id, message_id, credential_id, chat_id, telegram_message_id, kind, entities,
      media, raw)
    select customer_id, id, credential_id, 1, row_number() over (order by id), 'text', '[]', '[]', ''
    from message where direction = 'inbound' and channel = 'telegram'`.execute(database.db);
  await sql`
    insert into inbound_mail (customer_id, message_id, inbound_event_id, kind, matched_by, ses_message_id,
      from_address, from_name, mail_references, text, whole_text, attachments)
    select customer_id, id, id, 'person', 'sender', id, '', '', '{}', '', '', '[]'
    from message where direction = 'inbound' and channel = 'email'`.execute(database.db);
  await sql`analyze`.execute(database.db);
}, 300_000);
afterAll(() => database.close());

/** What PostgreSQL did for the statement that `ask` makes. */
async function planOf(ask: (db: Db) => Promise<unknown>): Promise<Plan[]> {
  const plans: Plan[] = [];
  const explain: KyselyPlugin = {
    transformQuery: ({ node }) => (RawNode.is(node) ? explained(node) : node),
    transformResult: async ({ result }) => {
      for (const row of result.rows) plans.push(explanation.parse(row)["QUERY PLAN"][0].Plan);
      return { ...result, rows: [] };
    },
  };
  await ask(database.db.withPlugin(explain));
  return plans.flatMap(flat);
}

function explained(node: RawNode): RawNode {
  const [first = "", ...others] = node.sqlFragments;
  return RawNode.create([`explain (analyze, format json) ${first}`, ...others], node.parameters);
}

function flat(plan: Plan): Plan[] {
  return [plan, ...plan.Plans.flatMap(flat)];
}

/** Rows that were read of a table, those that were read for nothing among them. */
function rowsRead(plans: readonly Plan[], relation: string): number {
  return plans
    .filter((plan) => plan["Relation Name"] === relation)
    .reduce(
      (sum, plan) => sum + (plan["Actual Rows"] + plan["Rows Removed by Filter"]) * plan["Actual Loops"],
      0,
    );
}

const middle: Place = {
  micros: String((Date.UTC(2020, 0, 1) + (MESSAGES / 2) * 60_000) * 1000),
  id: "01989c2a-7d3c-7cc3-98c4-dc0c0c07398f",
};

test.each([null, middle])(
  "a page of a long conversation reads no more than that, from %j",
  async (cursor) => {
    const plans = await planOf((db) => selectSaid(db, customerId, contactId, { limit: PAGE, cursor }));
    for (const table of ["message", "inbound_telegram", "inbound_mail"])
      expect(rowsRead(plans, table)).toBeLessThanOrEqual(FEW);
  },
);

test("what was written last is found without the rest", async () => {
  const plans = await planOf((db) => findLastReceived(db, customerId, contactId));
  expect(rowsRead(plans, "message")).toBeLessThanOrEqual(FEW);
});

test.each<Partial<ConversationFilter>>([
  {},
  { status: "open" },
  { status: "closed" },
  { assignee: null },
  { assignee: "Maria" },
  { isUnread: true },
  { channel: "email" },
  { channel: "telegram", status: "open" },
])("a page of conversations reads no more than that, with %j", async (filter) => {
  const cursor = { micros: String((Date.UTC(2020, 0, 1) + CONTACTS * 60_000) * 1000), id: middle.id };
  const plans = await planOf((db) =>
    selectConversations(db, customerId, { isUnread: false, ...filter }, { limit: PAGE, cursor }),
  );
  expect(rowsRead(plans, "conversation")).toBeLessThanOrEqual(FEW);
});
