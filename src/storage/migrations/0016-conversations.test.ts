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
};
const customerId = newId();
const [ann, bob, machine, gone] = [newId(), newId(), newId(), newId()];
const [first, second, third, fromMachine] = [newId(), newId(), newId(), newId()];

let database: Database;

/** A database of the version before with messages in it, and what has come of them after the migration. */
beforeAll(async () => {
  database = openDatabase(await createDatabase("template1"), 2);
  const { db } = database;
  const migrator = new Migrator({ db, provider: { getMigrations: async () => before } });
  await migrator.migrateToLatest();
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
