import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Migration, Migrator, sql } from "kysely";
import { createDatabase } from "../../../test/support/database.ts";
import { newId } from "../../events/id.ts";
import { migrate } from "../migrate.ts";
import { type Database, openDatabase } from "../pool.ts";
import * as foundation from "./0001-foundation.ts";
import * as graph from "./0002-graph.ts";
import * as templates from "./0003-templates.ts";
import * as imports from "./0004-imports.ts";
import * as segments from "./0005-segments.ts";
import * as sending from "./0006-sending.ts";
import * as analytics from "./0007-analytics.ts";
import * as webhookCalls from "./0008-webhook-calls.ts";
import * as inbound from "./0009-inbound.ts";
import * as bounces from "./0010-bounces.ts";
import * as inboundMail from "./0011-inbound-mail.ts";
import * as topicPatterns from "./0012-topic-patterns.ts";
import * as telegram from "./0013-telegram.ts";
import * as telegramSending from "./0014-telegram-sending.ts";

const before: Record<string, Migration> = {
  "0001-foundation": foundation,
  "0002-graph": graph,
  "0003-templates": templates,
  "0004-imports": imports,
  "0005-segments": segments,
  "0006-sending": sending,
  "0007-analytics": analytics,
  "0008-webhook-calls": webhookCalls,
  "0009-inbound": inbound,
  "0010-bounces": bounces,
  "0011-inbound-mail": inboundMail,
  "0012-topic-patterns": topicPatterns,
  "0013-telegram": telegram,
  "0014-telegram-sending": telegramSending,
};
const customerId = newId();

let database: Database;

/** @param secondsLater when he wrote, after there was the contact; null: never */
async function addContact(
  contact: { chatId: number; email?: string; attributes?: object; tags?: string[] },
  secondsLater: number | null,
): Promise<void> {
  const { chatId, email = null, attributes = {}, tags = [] } = contact;
  const id = newId();
  const { db } = database;
  await sql`
    insert into contact (customer_id, id, email, telegram_chat_id, attributes, tags, created_at)
    values (${customerId}, ${id}, ${email}, ${chatId}, ${JSON.stringify(attributes)}::jsonb, ${tags}::text[],
      '2026-03-02T12:00:00Z')`.execute(db);
  if (secondsLater === null) return;
  const messageId = newId();
  await sql`
    insert into message (customer_id, id, direction, channel, contact_id, credential_id, to_address, status, queued_at)
    values (${customerId}, ${messageId}, 'inbound', 'telegram', ${id}, ${newId()}, '1', 'received',
      '2026-03-02T12:00:00Z'::timestamptz + make_interval(secs => ${secondsLater}))`.execute(db);
  await sql`
    insert into inbound_telegram (customer_id, message_id, credential_id, chat_id, telegram_message_id, kind, entities,
      media, raw)
    values (${customerId}, ${messageId}, ${newId()}, ${chatId}, 1, 'text', '[]', '[]', '{}')`.execute(db);
}

beforeAll(async () => {
  database = openDatabase(await createDatabase("template1"), 2);
  const migrator = new Migrator({ db: database.db, provider: { getMigrations: async () => before } });
  await migrator.migrateToLatest();
  const made = { firstName: "Ann", username: "ann" };
  await addContact({ chatId: 1, attributes: made }, -1);
  await addContact({ chatId: 2, attributes: made }, 60);
  await addContact({ chatId: 3, attributes: made, email: "ann@example.com" }, -1);
  await addContact({ chatId: 4, attributes: { ...made, plan: "pro" } }, -1);
  await addContact({ chatId: 5, attributes: made, tags: ["vip"] }, -1);
  await addContact({ chatId: 6 }, null);
  await addContact({ chatId: -7 }, -1);
  await migrate(database.db);
});

afterAll(() => database.close());

test("contacts that a chat made are told from those that somebody entered or has added to", async () => {
  const { rows } = await sql<{ chatId: number }>`
    select telegram_chat_id as "chatId" from contact where made_by_chat order by 1`.execute(database.db);
  expect(rows).toEqual([{ chatId: 1 }]);
});

test("a contact still needs an address, unless a chat made it", async () => {
  const insert = (isMade: boolean) =>
    sql`
      insert into contact (customer_id, id, made_by_chat) values (${customerId}, ${newId()}, ${isMade})`.execute(
      database.db,
    );
  await expect(insert(false)).rejects.toThrow("contact_reachable_check");
  await insert(true);
});

test("messages that were there answer nothing, and nobody has reacted", async () => {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from inbound_telegram
    where answers_message_id is null and matched_by is null`.execute(database.db);
  expect(rows).toEqual([{ count: 6 }]);
});
