import { sql } from "kysely";
import type { Db } from "../../storage/pool.ts";
import { takeDue } from "../queries.ts";
import type { SesFact, SesMail } from "./events.ts";
import { type Correlation, keptFacts, keptMail, type Matched } from "./notice.ts";

/** What was taken already is known by: an envelope's id or a fact's key, as hexadecimal digits. */
export type Seen = { customerId: string; source: "sns" | "ses" | "telegram"; digest: string };

export type Kept = {
  id: string;
  customerId: string;
  status: "waiting" | "odd";
  reason: string | null;
  name: string | null;
  topicArn: string;
  envelopeId: string;
  sentAt: Date;
  sesMessageId: string | null;
  mail: SesMail | null;
  facts: readonly SesFact[] | null;
  raw: string | null;
};

export type Waiting = {
  customerId: string;
  id: string;
  sentAt: Date;
  mail: SesMail;
  facts: SesFact[];
};

/** SNS redelivers within the hour, its dead-letter queues within two weeks; older messages are refused before. */
const SEEN_DAYS = 35;
const KEPT_DAYS = 90;
/** How long facts wait for their message. */
const WAIT = "24 hours";

/**
 * Remembers what is taken now. In one order, so that two processes that are told the same at the same moment wait
 * for each other and not both for ever.
 * @returns those that were not there before
 */
export async function claimSeen(db: Db, names: readonly Seen[]): Promise<Seen[]> {
  const { rows } = await sql<Seen>`
    insert into inbound_seen (customer_id, source, key)
    select customer_id, source, decode(digest, 'hex')
    from unnest(${column(names, "customerId")}::uuid[], ${column(names, "source")}::text[],
      ${column(names, "digest")}::text[]) as n(customer_id, source, digest)
    order by customer_id, source, digest
    on conflict (customer_id, source, key) do nothing
    returning customer_id as "customerId", source, encode(key, 'hex') as digest`.execute(db);
  return rows;
}

/**
 * The message of each mail, always one of the customer's: by the tag that names it, by the id that SES gave it, by
 * our own Message-ID.
 * @returns by the place in `mails`; one that is not there fits none
 */
export async function findMessages(
  db: Db,
  mails: readonly ({ customerId: string } & Correlation)[],
): Promise<Map<number, Matched>> {
  const fields = sql`m.id, m.run_id, m.campaign_id, m.contact_id, m.to_address`;
  const outbound = sql`m.direction = 'outbound' and m.channel = 'email'`;
  const { rows } = await sql<Matched & { number: number }>`
    select a.number::int as number, f.id, f.run_id as "runId", f.campaign_id as "campaignId",
      f.contact_id as "contactId", f.to_address as "toAddress"
    from unnest(${column(mails, "customerId")}::uuid[], ${column(mails, "taggedId")}::uuid[],
      ${mails.map(({ providerId }) => providerId)}::text[], ${column(mails, "headerId")}::uuid[]) with ordinality
      as a(customer_id, tagged_id, provider_id, header_id, number)
    cross join lateral (
      select ${fields}, 1 as rank from message m
      where m.customer_id = a.customer_id and m.id = a.tagged_id and ${outbound}
      union all
      select ${fields}, 2 from message m
      where m.customer_id = a.customer_id and m.provider_message_id = a.provider_id and ${outbound}
      union all
      select ${fields}, 3 from message m
      where m.customer_id = a.customer_id and m.id = a.header_id and ${outbound}
      order by rank limit 1
    ) as f`.execute(db);
  return new Map(rows.map(({ number, ...message }) => [number - 1, message]));
}

/** Keeps what fits no message: facts that wait are looked for again from a second later on. */
export async function keepInbound(db: Db, kept: readonly Kept[]): Promise<void> {
  if (kept.length === 0) return;
  const rows = JSON.stringify(kept);
  await sql`
    insert into inbound_event (customer_id, id, source, status, reason, name, topic_arn, envelope_id, sent_at,
      ses_message_id, mail, facts, raw, look_at)
    select "customerId", id, 'ses', status, reason, name, "topicArn", "envelopeId", "sentAt",
      "sesMessageId", mail, facts, raw, case when facts is not null then now() + interval '1 second' end
    from jsonb_to_recordset(${rows}::jsonb) as k("customerId" uuid, id uuid, status text, reason text, name text,
      "topicArn" text, "envelopeId" text, "sentAt" timestamptz, "sesMessageId" text, mail jsonb, facts jsonb,
      raw text)`.execute(db);
}

/**
 * Facts whose turn it is to be looked for again, locked; after a day they are `unmatched`.
 * @param db a transaction
 */
export async function takeWaiting(db: Db, limit: number): Promise<Waiting[]> {
  const { rows } = await sql<{ customerId: string; id: string; sentAt: Date; mail: unknown; facts: unknown }>`
    ${takeDue("ses", limit)}
    returning i.customer_id as "customerId", i.id, i.sent_at as "sentAt", i.mail, i.facts`.execute(db);
  return rows.map(({ mail, facts, ...row }) => ({
    ...row,
    mail: keptMail.parse(mail),
    facts: keptFacts.parse(facts),
  }));
}

/** Ends the waiting of these: of those in `matched` because their message is there, of others when a day is over. */
export async function endWaiting(
  db: Db,
  taken: readonly { customerId: string; id: string }[],
  matched: readonly { customerId: string; id: string }[],
): Promise<void> {
  await sql`
    update inbound_event i
    set look_at = null,
      status = case when w.is_matched then 'matched' else 'unmatched' end,
      reason = case when w.is_matched then null else 'no message of yours fits it' end
    from (
      select customer_id, id, (customer_id, id) in (
          select * from unnest(${column(matched, "customerId")}::uuid[], ${column(matched, "id")}::uuid[])
        ) as is_matched
      from unnest(${column(taken, "customerId")}::uuid[], ${column(taken, "id")}::uuid[]) as t(customer_id, id)
    ) as w
    where i.customer_id = w.customer_id and i.id = w.id
      and (w.is_matched or i.received_at < now() - interval '${sql.raw(WAIT)}')`.execute(db);
}

/** Forgets what no redelivery can repeat any more, and what nobody has looked at for a season. */
export async function forgetInbound(db: Db): Promise<void> {
  await sql`delete from inbound_seen where at < now() - make_interval(days => ${SEEN_DAYS})`.execute(db);
  await sql`
    delete from inbound_event
    where received_at < now() - make_interval(days => ${KEPT_DAYS}) and status <> 'waiting'`.execute(db);
}

/** An array of what needs no escaping: ids and closed vocabularies. */
function column<Row extends Record<Key, string | null>, Key extends string>(
  rows: readonly Row[],
  key: Key,
): string {
  return `{${rows.map((row) => row[key] ?? "null").join(",")}}`;
}
