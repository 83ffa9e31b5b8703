import { sql } from "kysely";
import { AppError } from "../errors.ts";
import { type AskingRow, selectTopics } from "../inbound/ses/topic-queries.ts";
import type { Db } from "../storage/pool.ts";
import { type Credential, lockCredential, saveCredential } from "./queries.ts";
import { smtpSettings } from "./schema.ts";
import type { Setup } from "./ses-setup.ts";
import { namesOf } from "./ses-setup-plan.ts";

const MAX_TOPICS = 20;

/** A credential that mail goes out through Amazon SES with, whoever's it is. */
export type SesCredential = { customerId: string; customer: string; id: string; name: string };

/** All of the installation, for whoever runs it. */
export async function selectSesCredentials(db: Db): Promise<SesCredential[]> {
  const { rows } = await sql<SesCredential>`
    select c.customer_id as "customerId", u.name as customer, c.id, c.name
    from credential c join customer u on u.customer_id = c.customer_id
    where c.type = 'smtp'
      and (jsonb_typeof(c.settings->'ses') = 'object' or c.settings->>'host' like 'email-smtp%.amazonaws.com%')
    order by u.name, c.customer_id, c.id`.execute(db);
  return rows;
}

/** Every topic that wants to connect, whoever it is for. */
export async function selectAllAsking(db: Db): Promise<AskingRow[]> {
  const { rows } = await sql<AskingRow>`
    select topic_arn as "topicArn", first_at as "firstAt", last_at as "lastAt", messages
    from ses_asking order by last_at desc, topic_arn`.execute(db);
  return rows;
}

/** What EDGR knows itself of how far a credential's setup is. */
export async function readSetup(
  db: Db,
  customerId: string,
  { id, settings: { host, ses } }: Credential,
  publicUrl: string,
): Promise<Setup> {
  return {
    names: namesOf({ id, host, ses }, publicUrl),
    publicUrl,
    configurationSet: ses?.configurationSet ?? null,
    topics: await selectTopics(db, customerId, id, ses?.topicArns ?? []),
    aws: null,
  };
}

/**
 * Writes what is at AWS now into the credential, and so allows the topic.
 * @returns false when the credential is gone
 * @throws AppError conflict when the topic is another customer's, unprocessable when there is no room for one more
 */
export async function recordSetup(
  db: Db,
  customerId: string,
  id: string,
  { configurationSet, topicArn }: { configurationSet: string; topicArn: string },
): Promise<boolean> {
  const present = await lockCredential(db, customerId, id);
  if (present === null) return false;
  const { name, settings } = present;
  const topicArns = [...new Set([...(settings.ses?.topicArns ?? []), topicArn])];
  if (topicArns.length > MAX_TOPICS) {
    const reason = `has ${MAX_TOPICS} topics already: take one out that is not used`;
    throw new AppError("unprocessable", `ses.topicArns ${reason}.`, [{ field: "ses.topicArns", reason }]);
  }
  const changed = smtpSettings.parse({ ...settings, ses: { ...settings.ses, configurationSet, topicArns } });
  await saveCredential(db, customerId, { id, name, settings: changed, secret: null });
  return true;
}
