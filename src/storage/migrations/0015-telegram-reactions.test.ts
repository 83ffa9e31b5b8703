import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import { openDatabaseBefore } from "../../../test/support/migrations.ts";
import { newId } from "../../events/id.ts";
import { migrate } from "../migrate.ts";
import type { Database } from "../pool.ts";

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
  database = await openDatabaseBefore("0015-telegram-reactions");
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
