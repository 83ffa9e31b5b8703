import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import { openDatabaseBefore } from "../../../test/support/migrations.ts";
import { newId } from "../../events/id.ts";
import { migrate } from "../migrate.ts";
import type { Database } from "../pool.ts";

const customerId = newId();

let database: Database;

/** A database of the version before, with something in it, and what has come of that after the migration. */
beforeAll(async () => {
  database = await openDatabaseBefore("0013-telegram");
  const { db } = database;
  await sql`
    insert into credential (customer_id, id, type, name, settings, secret)
    values (${customerId}, ${newId()}, 'smtp', 'SES', '{}', '')`.execute(db);
  await sql`
    insert into inbound_seen (customer_id, source, key) values (${customerId}, 'sns', '\\x01')`.execute(db);
  await sql`
    insert into inbound_event (customer_id, id, source, status, topic_arn, envelope_id, sent_at)
    values (${customerId}, ${newId()}, 'ses', 'odd', 'arn', 'envelope', now())`.execute(db);
  await migrate(db);
});

afterAll(() => database.close());

test("credentials and what SES told stay as they are, and have no webhook and no bot", async () => {
  const { rows } = await sql`
    select c.name, c.webhook_secret as secret, c.webhook_secret_hash as hash, s.source as seen, e.topic_arn as topic,
      e.credential_id as bot
    from credential c, inbound_seen s, inbound_event e`.execute(database.db);
  expect(rows).toEqual([{ name: "SES", secret: null, hash: null, seen: "sns", topic: "arn", bot: null }]);
});

test("what is kept says where it is from: a topic of SES, or a bot of Telegram", async () => {
  const keep = (source: string, topicArn: string | null, credentialId: string | null) =>
    sql`
      insert into inbound_event (customer_id, id, source, status, topic_arn, credential_id, envelope_id, sent_at)
      values (${customerId}, ${newId()}, ${source}, 'odd', ${topicArn}, ${credentialId}, '1', now())`.execute(
      database.db,
    );
  await keep("telegram", null, newId());
  await expect(keep("telegram", "arn", null)).rejects.toThrow("inbound_event_origin_check");
  await expect(keep("ses", null, newId())).rejects.toThrow("inbound_event_origin_check");
});
