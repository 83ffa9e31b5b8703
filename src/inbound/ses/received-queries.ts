import { sql } from "kysely";
import type { Db } from "../../storage/pool.ts";
import type { Mail } from "./mail.ts";

/** A kept notification of a received mail, whose turn it is to be read. */
export type Taken = {
  customerId: string;
  id: string;
  topicArn: string;
  sentAt: Date;
  raw: string;
  /** How often it was taken, this time too. */
  attempts: number;
  /** The credential that names the topic; null when none does any more. */
  credentialId: string | null;
};

/**
 * Takes notifications that wait to be read, those that wait longest first. Whoever takes one has it for `leaseMs`, so
 * that it comes again when the process dies.
 */
export async function takeReceived(db: Db, limit: number, leaseMs: number): Promise<Taken[]> {
  const { rows } = await sql<Taken>`
    with due as (
      select customer_id, id from inbound_event
      where status = 'waiting' and name = 'Received' and read_at <= now()
      order by read_at limit ${limit} for update skip locked
    )
    update inbound_event i
    set read_at = now() + make_interval(secs => ${leaseMs / 1000}), read_attempts = read_attempts + 1
    from due
    where i.customer_id = due.customer_id and i.id = due.id
    returning i.customer_id as "customerId", i.id, i.topic_arn as "topicArn", i.sent_at as "sentAt", i.raw,
      i.read_attempts as attempts, (
        select t.credential_id from ses_topic t
        where t.customer_id = i.customer_id and t.topic_arn = i.topic_arn) as "credentialId"`.execute(db);
  return rows;
}

/** Keeps what was taken for `leaseMs` more, unless somebody else has taken it since. */
export async function keepReceived(db: Db, taken: readonly Taken[], leaseMs: number): Promise<void> {
  await sql`
    update inbound_event i
    set read_at = now() + make_interval(secs => ${leaseMs / 1000})
    from unnest(${taken.map(({ customerId }) => customerId)}::uuid[], ${taken.map(({ id }) => id)}::uuid[],
      ${taken.map(({ attempts }) => attempts)}::int[]) as t(customer_id, id, attempts)
    where i.customer_id = t.customer_id and i.id = t.id and i.status = 'waiting'
      and i.read_attempts = t.attempts`.execute(db);
}

/** What a mail says of the message it answers; all of it is looked up among the customer's own messages. */
export type Asked = {
  customerId: string;
  /** From a reply address. */
  tokenId: string | null;
  /** The ids of ours, and those a mail server gave, that its headers refer to, the most likely first. */
  references: { headerId: string | null; providerId: string | null }[];
  /** Null where the address can't be trusted. */
  sender: string | null;
};

export type Answered = {
  contactId: string;
  matchedBy: "reply_address" | "references" | "sender";
  /** The message it answers; null when its sender has not been sent any. */
  message: { id: string; campaignId: string | null; runId: string | null; credentialId: string } | null;
};

type AnsweredRow = {
  number: number;
  contactId: string;
  matchedBy: Answered["matchedBy"];
  messageId: string | null;
  campaignId: string | null;
  runId: string | null;
  credentialId: string | null;
};

/**
 * The contact of each mail, with the message it answers: by the reply address it went to, else by what its headers
 * refer to, else by its sender, who then answers what was sent to him last.
 * @returns by the place in `asked`; one that is not there is of nobody we know
 */
export async function findAnswered(db: Db, asked: readonly Asked[]): Promise<Map<number, Answered>> {
  if (asked.length === 0) return new Map();
  const numbered = JSON.stringify(
    asked.map(({ references, ...rest }, number) => ({
      number,
      ...rest,
      headerIds: references.map(({ headerId }) => headerId),
      providerIds: references.map(({ providerId }) => providerId),
    })),
  );
  const outbound = sql`m.customer_id = a."customerId" and m.direction = 'outbound' and m.channel = 'email'`;
  const fields = sql`m.contact_id, m.id, m.campaign_id, m.run_id, m.credential_id`;
  const { rows } = await sql<AnsweredRow>`
    select a.number, c.id as "contactId", f.matched_by as "matchedBy", f.id as "messageId",
      f.campaign_id as "campaignId", f.run_id as "runId", f.credential_id as "credentialId"
    from jsonb_to_recordset(${numbered}::jsonb) as a(number int, "customerId" uuid, "tokenId" uuid,
      "headerIds" uuid[], "providerIds" text[], sender text)
    cross join lateral (
      select ${fields}, 'reply_address' as matched_by, 1 as rank, 0 as place
      from message m where m.id = a."tokenId" and ${outbound}
      union all
      select ${fields}, 'references', 2, r.place
      from unnest(a."headerIds") with ordinality as r(id, place)
      join message m on m.id = r.id and ${outbound}
      union all
      select ${fields}, 'references', 2, r.place
      from unnest(a."providerIds") with ordinality as r(id, place)
      join message m on m.provider_message_id = r.id and ${outbound}
      union all
      select person.id, m.id, m.campaign_id, m.run_id, m.credential_id, 'sender', 3, 0
      from contact person
      left join lateral (
        select ${fields} from message m
        where ${outbound} and m.contact_id = person.id and m.sent_at is not null
        order by m.id desc limit 1
      ) as m on true
      where person.customer_id = a."customerId" and lower(person.email) = a.sender
      order by rank, place limit 1
    ) as f
    join contact c on c.customer_id = a."customerId" and c.id = f.contact_id`.execute(db);
  return new Map(rows.map((row) => [row.number, toAnswered(row)]));
}

function toAnswered({
  contactId,
  matchedBy,
  messageId: id,
  campaignId,
  runId,
  credentialId,
}: AnsweredRow): Answered {
  const isNone = id === null || credentialId === null;
  return { contactId, matchedBy, message: isNone ? null : { id, campaignId, runId, credentialId } };
}

/** An inbound message and the mail it is; `text` is what the person wrote. */
export type Bubble = Mail & {
  text: string;
  customerId: string;
  messageId: string;
  eventId: string;
  contactId: string;
  credentialId: string;
  campaignId: string | null;
  answersMessageId: string | null;
  matchedBy: Answered["matchedBy"];
  at: Date;
  to: string;
  sesMessageId: string;
};

/**
 * Puts mails into their conversations. A run has one message, which is the one it sent: the answer's is in its event.
 * @param db the transaction that appends their events
 */
export async function insertBubbles(db: Db, bubbles: readonly Bubble[]): Promise<void> {
  if (bubbles.length === 0) return;
  await sql`
    with told as materialized (
      select * from jsonb_to_recordset(${JSON.stringify(bubbles)}::jsonb) as b("customerId" uuid, "messageId" uuid,
        "eventId" uuid, "contactId" uuid, "credentialId" uuid, "campaignId" uuid, "answersMessageId" uuid,
        "matchedBy" text, at timestamptz, "to" text, subject text, kind text, "sesMessageId" text,
        "fromAddress" text, "fromName" text, "messageIdHeader" text, "references" text[], text text,
        "wholeText" text, html text, attachments jsonb)
    ), message_row as (
      insert into message (customer_id, id, direction, channel, campaign_id, contact_id, credential_id, to_address,
        subject, status, queued_at, sent_at)
      select "customerId", "messageId", 'inbound', 'email', "campaignId", "contactId", "credentialId", "to",
        subject, 'received', at, at
      from told
    )
    insert into inbound_mail (customer_id, message_id, inbound_event_id, kind, answers_message_id, matched_by,
      ses_message_id, from_address, from_name, message_id_header, mail_references, text, whole_text, html, attachments)
    select "customerId", "messageId", "eventId", kind, "answersMessageId", "matchedBy", "sesMessageId", "fromAddress",
      "fromName", "messageIdHeader", "references", text, "wholeText", html, attachments
    from told`.execute(db);
}

/** What became of a notification: an end, or `waiting` until it is read again. */
export type Settled = {
  customerId: string;
  id: string;
  status: "matched" | "unmatched" | "odd" | "ignored" | "waiting";
  reason: string | null;
  /** Only of one that waits. */
  readInMs: number;
};

/** One that another process has settled meanwhile stays as it is. */
export async function settleReceived(db: Db, settled: readonly Settled[]): Promise<void> {
  await sql`
    update inbound_event i
    set status = s.status, reason = s.reason, read_at = now() + make_interval(secs => s."readInMs" / 1000.0)
    from jsonb_to_recordset(${JSON.stringify(settled)}::jsonb)
      as s("customerId" uuid, id uuid, status text, reason text, "readInMs" float8)
    where i.customer_id = s."customerId" and i.id = s.id and i.status = 'waiting'`.execute(db);
}
