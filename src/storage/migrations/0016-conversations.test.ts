import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import { openDatabaseBefore } from "../../../test/support/migrations.ts";
import { newId } from "../../events/id.ts";
import { migrate } from "../migrate.ts";
import type { Database } from "../pool.ts";

const customerId = newId();
const [ann, bob, machine, gone] = [newId(), newId(), newId(), newId()];
const [first, second, third, fromMachine] = [newId(), newId(), newId(), newId()];

let database: Database;

/** A database of the version before with messages in it, and what has come of them after the migration. */
beforeAll(async () => {
  database = await openDatabaseBefore("0016-conversations");
  const { db } = database;
  await sql`
    insert into contact (customer_id, id, email)
    select ${customerId}, id, id || '@example.com' from unnest(${[ann, bob, machine]}::uuid[]) as c(id)`.execute(
    db,
  );
  const messages = [
    { id: first, contact: ann, direction: "inbound", minute: 2 },
    { id: second, contact: ann, direction: "inbound", minute: 1 },
    { id: newId(), contact: ann, direction: "outbound", minute: 3 },
    { id: newId(), contact: bob, direction: "outbound", minute: 1 },
    { id: fromMachine, contact: machine, direction: "inbound", minute: 1 },
    { id: third, contact: gone, direction: "inbound", minute: 1 },
  ];
  await sql`
    insert into message (customer_id, id, direction, channel, contact_id, credential_id, to_address, status, sent_at,
      campaign_id)
    select ${customerId}, id, direction, 'email', contact, new_id(), '', 'sent',
      timestamptz '2026-09-01' + minute * interval '1 minute', new_id()
    from jsonb_to_recordset(${JSON.stringify(messages)}::jsonb) as m(id uuid, contact uuid, direction text, minute int)`.execute(
    db,
  );
  await sql`
    insert into inbound_mail (customer_id, message_id, inbound_event_id, kind, matched_by, ses_message_id,
      from_address, from_name, mail_references, text, whole_text, attachments)
    values (${customerId}, ${fromMachine}, ${newId()}, 'auto_reply', 'sender', 'ses', '', '', '{}', '', '', '[]')`.execute(
    db,
  );
  await migrate(db);
});

afterAll(() => database.close());

test("who wrote before has an open conversation that nobody has read; nobody else has one", async () => {
  const { rows } = await sql`
    select contact_id, status, assignee, unread, last_message_id, last_direction from conversation`.execute(
    database.db,
  );
  expect(rows).toEqual([
    {
      contact_id: ann,
      status: "open",
      assignee: null,
      unread: 2,
      last_message_id: first,
      last_direction: "inbound",
    },
  ]);
});
