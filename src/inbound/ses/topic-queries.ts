import { sql } from "kysely";
import { AppError } from "../../errors.ts";
import type { Db } from "../../storage/pool.ts";
import type { Topic } from "./topic.ts";

/** A topic whose messages are believed, and whose they are. */
export type AllowedTopic = { topicArn: string; customerId: string };

export type SubscriptionState = "none" | "pending" | "confirmed" | "unsubscribed";

export type TopicRow = {
  topicArn: string;
  subscription: SubscriptionState;
  allowedAt: Date;
  subscriptionAt: Date | null;
  lastMessageAt: Date | null;
  lastError: string | null;
};

/** A topic that nobody allowed, and that really is one: SNS signed what came from it. */
export type AskingRow = { topicArn: string; firstAt: Date; lastAt: Date; messages: number };

/** What confirms a subscription. */
export type Confirmation = {
  customerId: string;
  topicArn: string;
  token: string;
  /** Of a stand-in for SNS; null: of the topic's region. */
  origin: string | null;
  askedAt: Date;
};

/** How long a token confirms (protocols 1.7). */
export const TOKEN_LIFE_HOURS = 48;
const MAX_ASKING = 1_000;
const MAX_ASKING_SHOWN = 100;

export async function selectAllowedTopics(db: Db): Promise<AllowedTopic[]> {
  const { rows } = await sql<AllowedTopic>`
    select topic_arn as "topicArn", customer_id as "customerId" from ses_topic`.execute(db);
  return rows;
}

/** Whether a topic of this account and name is one that the credential `c` allows by its pattern. */
const isFitting = (accountId: unknown, name: unknown) => sql`(
  c.settings->'ses'->>'accountId' = ${accountId} and c.settings->'ses'->>'topicPattern' is not null
  and ${name} like replace(replace(c.settings->'ses'->>'topicPattern', '_', '\\_'), '*', '%'))`;

/** The same of the topic `t`. */
const fitsCredential = isFitting(sql`split_part(t.topic_arn, ':', 5)`, sql`split_part(t.topic_arn, ':', 6)`);

/**
 * The topics that a customer's credentials allow: those they name, those that were allowed by a pattern and still fit
 * one, and those that ask and fit nobody else's.
 */
const allowedTopics = (customerId: string) => sql`
  select distinct on (topic_arn) topic_arn, credential_id
  from (
    select n.topic_arn, c.id as credential_id, true as is_named
    from credential c
    cross join lateral jsonb_array_elements_text(
      case jsonb_typeof(settings->'ses'->'topicArns') when 'array' then settings->'ses'->'topicArns' else '[]' end
    ) as n(topic_arn)
    where c.customer_id = ${customerId}
    union all
    select t.topic_arn, c.id, false
    from ses_topic t join credential c on ${fitsCredential}
    where t.customer_id = ${customerId} and c.customer_id = ${customerId}
    union all
    select t.topic_arn, c.id, false
    from credential c join ses_asking t on t.account_id = c.settings->'ses'->>'accountId' and ${fitsCredential}
    where c.customer_id = ${customerId}
      and not exists (select from credential c where c.customer_id <> ${customerId} and ${fitsCredential})
      and not exists (select from ses_topic o where o.topic_arn = t.topic_arn and o.customer_id <> ${customerId})
  ) as allowed
  order by topic_arn, is_named desc, credential_id`;

/**
 * Makes the allow-list of a customer what his credentials say, to be called in the transaction that changed one. A
 * topic that asked for a confirmation while it was not allowed gets it now, as long as its token lives.
 * @throws AppError conflict when another customer names one of the topics
 */
export async function keepTopics(db: Db, customerId: string): Promise<void> {
  await sql`
    with named as (${allowedTopics(customerId)}), gone as (
      delete from ses_topic t
      where t.customer_id = ${customerId} and not exists (select from named where topic_arn = t.topic_arn)
    )
    insert into ses_topic as t (customer_id, topic_arn, credential_id, subscription, subscription_at,
      confirm_token, confirm_origin, confirm_due_at)
    select ${customerId}::uuid, n.topic_arn, n.credential_id, case when a.topic_arn is null then 'none' else 'pending' end,
      a.confirm_token_at, a.confirm_token, a.confirm_origin, case when a.topic_arn is not null then now() end
    from named n
    left join ses_asking a on a.topic_arn = n.topic_arn
      and a.confirm_token_at > now() - make_interval(hours => ${TOKEN_LIFE_HOURS})
    order by n.topic_arn
    on conflict (topic_arn) do update set credential_id = excluded.credential_id
    where t.customer_id = excluded.customer_id`.execute(db);
  const { rows } = await sql<{ topicArn: string }>`
    select n.topic_arn as "topicArn" from (${allowedTopics(customerId)}) as n
    where not exists (select from ses_topic t where t.topic_arn = n.topic_arn and t.customer_id = ${customerId})
    order by n.topic_arn`.execute(db);
  const [taken] = rows;
  if (taken !== undefined) {
    const reason = `${taken.topicArn} is a topic of another customer of this installation`;
    throw new AppError("conflict", `ses.topicArns: ${reason}.`, [{ field: "ses.topicArns", reason }]);
  }
  await sql`
    delete from ses_asking a using ses_topic t
    where t.customer_id = ${customerId} and a.topic_arn = t.topic_arn`.execute(db);
}

/**
 * Whose the patterns make a topic that nobody named.
 * @returns null when it fits no customer's credentials, or those of several
 */
export async function findFittingCredential(
  db: Db,
  { arn, accountId, name }: Topic,
): Promise<(AllowedTopic & { credentialId: string }) | null> {
  const { rows } = await sql<{ customerId: string; credentialId: string }>`
    select distinct on (customer_id) customer_id as "customerId", id as "credentialId"
    from credential c where ${isFitting(accountId, name)}
    order by customer_id, id limit 2`.execute(db);
  const [row, other] = rows;
  return row === undefined || other !== undefined ? null : { topicArn: arn, ...row };
}

/**
 * Allows a topic that SNS signed for and whose account and name fit one customer's credential.
 * @returns null when it stays refused; who has it when somebody else allowed it just now
 */
export async function adoptTopic(db: Db, topic: Topic): Promise<AllowedTopic | null> {
  const fitting = await findFittingCredential(db, topic);
  if (fitting === null) return null;
  const { topicArn, customerId, credentialId } = fitting;
  // The credential is held: whoever changes it meanwhile looks at the topics after this.
  await sql`
    with held as (
      select id from credential c
      where customer_id = ${customerId} and id = ${credentialId} and ${isFitting(topic.accountId, topic.name)}
      for share
    )
    insert into ses_topic (customer_id, topic_arn, credential_id)
    select ${customerId}::uuid, ${topicArn}, id from held
    on conflict (topic_arn) do nothing`.execute(db);
  const { rows } = await sql<AllowedTopic>`
    select topic_arn as "topicArn", customer_id as "customerId" from ses_topic
    where topic_arn = ${topicArn}`.execute(db);
  if (rows.length > 0) await sql`delete from ses_asking where topic_arn = ${topicArn}`.execute(db);
  return rows[0] ?? null;
}

/** The topics of a credential: those it names, and those that its pattern allowed. */
export async function selectTopics(
  db: Db,
  customerId: string,
  credentialId: string,
  topicArns: readonly string[],
): Promise<TopicRow[]> {
  const { rows } = await sql<TopicRow>`
    select topic_arn as "topicArn", subscription, allowed_at as "allowedAt", subscription_at as "subscriptionAt",
      last_message_at as "lastMessageAt", last_error as "lastError"
    from ses_topic
    where customer_id = ${customerId} and (topic_arn = any (${topicArns}::text[]) or credential_id = ${credentialId})
    order by topic_arn`.execute(db);
  return rows;
}

/**
 * Topics that want to connect, of AWS accounts that the customer has a topic of or names.
 * @param accountId the one he names
 */
export async function selectAsking(
  db: Db,
  customerId: string,
  accountId: string | null,
): Promise<AskingRow[]> {
  const { rows } = await sql<AskingRow>`
    select topic_arn as "topicArn", first_at as "firstAt", last_at as "lastAt", messages
    from ses_asking a
    where account_id = ${accountId}
      or account_id in (select split_part(topic_arn, ':', 5) from ses_topic where customer_id = ${customerId})
    order by last_at desc limit ${MAX_ASKING_SHOWN}`.execute(db);
  return rows;
}

/**
 * Notes that a topic wants to connect, and what would confirm it. Of too many the one is forgotten that has been
 * silent the longest.
 */
export async function noteAsking(
  db: Db,
  asking: {
    topicArn: string;
    accountId: string;
    messages: number;
    confirmation: { token: string; origin: string | null; askedAt: Date } | null;
  },
): Promise<void> {
  const { topicArn, accountId, messages, confirmation } = asking;
  await sql`
    insert into ses_asking as a (topic_arn, account_id, messages, confirm_token, confirm_origin, confirm_token_at)
    values (${topicArn}, ${accountId}, ${messages}, ${confirmation?.token ?? null},
      ${confirmation?.origin ?? null}, ${confirmation?.askedAt ?? null})
    on conflict (topic_arn) do update set last_at = now(), messages = a.messages + excluded.messages,
      confirm_token = coalesce(excluded.confirm_token, a.confirm_token),
      confirm_origin = case when excluded.confirm_token is null then a.confirm_origin else excluded.confirm_origin end,
      confirm_token_at = coalesce(excluded.confirm_token_at, a.confirm_token_at)`.execute(db);
  await sql`
    delete from ses_asking where topic_arn in (
      select topic_arn from ses_asking order by last_at desc, topic_arn offset ${MAX_ASKING})`.execute(db);
}

/** That a topic spoke: whoever hears of it is subscribed, however that came about. */
export async function noteMessage(db: Db, { customerId, topicArn }: AllowedTopic): Promise<void> {
  await sql`
    update ses_topic
    set last_message_at = now(),
      subscription_at = case subscription when 'none' then now() else subscription_at end,
      subscription = case subscription when 'none' then 'confirmed' else subscription end
    where customer_id = ${customerId} and topic_arn = ${topicArn}`.execute(db);
}

/** Puts a subscription's confirmation on the list of those to be made, unless the subscription ended after that. */
export async function awaitConfirmation(db: Db, confirmation: Confirmation): Promise<void> {
  const { customerId, topicArn, token, origin, askedAt } = confirmation;
  await sql`
    update ses_topic
    set subscription = 'pending', subscription_at = ${askedAt}, last_error = null, confirm_token = ${token},
      confirm_origin = ${origin}, confirm_attempts = 0, confirm_due_at = now()
    where customer_id = ${customerId} and topic_arn = ${topicArn}
      and (subscription <> 'unsubscribed' or subscription_at <= ${askedAt})`.execute(db);
}

/** That SNS ended a subscription, unless another was confirmed after that. */
export async function noteUnsubscribed(
  db: Db,
  { customerId, topicArn }: AllowedTopic,
  at: Date,
): Promise<void> {
  await sql`
    update ses_topic
    set subscription = 'unsubscribed', subscription_at = ${at}, confirm_token = null, confirm_origin = null,
      confirm_due_at = null
    where customer_id = ${customerId} and topic_arn = ${topicArn}
      and (subscription_at is null or subscription_at <= ${at})`.execute(db);
}

/**
 * Confirmations that are due. Each comes again after a pause that doubles, to an hour: who takes one and dies leaves
 * it to the next.
 */
export async function takeConfirmations(db: Db, limit: number): Promise<Confirmation[]> {
  const { rows } = await sql<Confirmation>`
    with due as (
      select customer_id, topic_arn from ses_topic
      where confirm_due_at <= now() order by confirm_due_at limit ${limit} for update skip locked
    )
    update ses_topic t
    set confirm_attempts = confirm_attempts + 1,
      confirm_due_at = now() + least(interval '15 seconds' * power(2, least(confirm_attempts, 10)), interval '1 hour')
    from due
    where t.customer_id = due.customer_id and t.topic_arn = due.topic_arn
    returning t.customer_id as "customerId", t.topic_arn as "topicArn", t.confirm_token as token,
      t.confirm_origin as origin, t.subscription_at as "askedAt"`.execute(db);
  return rows;
}

/** How an attempt to confirm went; one that a newer token or the end of the topic overtook says nothing. */
export async function settleConfirmation(
  db: Db,
  { customerId, topicArn, token }: Confirmation,
  outcome: { kind: "confirmed" } | { kind: "failed" | "again"; reason: string },
): Promise<void> {
  const { kind } = outcome;
  const isOver = kind !== "again";
  await sql`
    update ses_topic
    set subscription = case ${kind}::text when 'confirmed' then 'confirmed' when 'failed' then 'none' else subscription end,
      subscription_at = case when ${kind}::text = 'confirmed' then now() else subscription_at end,
      last_error = ${outcome.kind === "confirmed" ? null : outcome.reason},
      confirm_token = case when ${isOver}::boolean then null else confirm_token end,
      confirm_origin = case when ${isOver}::boolean then null else confirm_origin end,
      confirm_due_at = case when ${isOver}::boolean then null else confirm_due_at end
    where customer_id = ${customerId} and topic_arn = ${topicArn} and confirm_token = ${token}`.execute(db);
}
