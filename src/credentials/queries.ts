import { sql } from "kysely";
import type { Page } from "../http/pagination.ts";
import { keepTopics } from "../inbound/ses/topic-queries.ts";
import type { Db } from "../storage/pool.ts";
import { type SmtpCredential, type SmtpSettings, smtpSettings } from "./schema.ts";
import { EMPTY_SECRET_BYTES, openSecret } from "./secret-box.ts";
import { type Bot, toBot } from "./telegram-queries.ts";

/** A mail server's credential as it may be shown: of its password only that there is one. */
export type Credential = {
  id: string;
  type: "smtp";
  name: string;
  settings: SmtpSettings;
  hasPassword: boolean;
  status: "active" | "failing" | "disabled";
  statusReason: string | null;
  createdAt: Date;
  updatedAt: Date;
};

/** `secret` is sealed. */
export type SealedCredential = { id: string; name: string; settings: SmtpSettings; secret: Buffer };

type Row = Omit<Credential, "settings"> & { settings: unknown };

const columns = sql`id, type, name, settings, octet_length(secret) > ${EMPTY_SECRET_BYTES} as "hasPassword", status,
  status_reason as "statusReason", created_at as "createdAt", updated_at as "updatedAt"`;

/** One customer's SMTP credential with its password opened, or null. */
export async function findSmtpCredential(
  db: Db,
  encryptionKey: Buffer,
  customerId: string,
  id: string,
): Promise<SmtpCredential | null> {
  const { rows } = await sql<{ name: string; settings: unknown; secret: Buffer }>`
    select name, settings, secret from credential
    where customer_id = ${customerId} and id = ${id} and type = 'smtp'`.execute(db);
  const row = rows[0];
  if (row === undefined) return null;
  const password = openSecret(encryptionKey, `${customerId}/${id}`, row.secret);
  return {
    customerId,
    id,
    name: row.name,
    settings: smtpSettings.parse(row.settings),
    password: password === "" ? null : password,
  };
}

export async function insertCredential(
  db: Db,
  customerId: string,
  credential: SealedCredential,
): Promise<void> {
  await sql`
    insert into credential (customer_id, id, type, name, settings, secret)
    values (${customerId}, ${credential.id}, 'smtp', ${credential.name},
      ${JSON.stringify(credential.settings)}::jsonb, ${credential.secret})`.execute(db);
  await keepTopics(db, customerId);
}

export async function findCredential(db: Db, customerId: string, id: string): Promise<Credential | null> {
  const { rows } = await sql<Row>`
    select ${columns} from credential
    where customer_id = ${customerId} and id = ${id} and type = 'smtp'`.execute(db);
  return rows[0] === undefined ? null : toCredential(rows[0]);
}

/** The credential with its row locked: who refers to it in the meantime waits. */
export async function lockCredential(db: Db, customerId: string, id: string): Promise<Credential | null> {
  const { rows } = await sql<Row>`
    select ${columns} from credential
    where customer_id = ${customerId} and id = ${id} and type = 'smtp' for update`.execute(db);
  return rows[0] === undefined ? null : toCredential(rows[0]);
}

/** Those of these ids that are credentials; none of them goes before the transaction does. */
export async function holdCredentials(
  db: Db,
  customerId: string,
  ids: readonly string[],
): Promise<{ id: string; type: "smtp" | "telegram" }[]> {
  const { rows } = await sql<{ id: string; type: "smtp" | "telegram" }>`
    select id, type from credential
    where customer_id = ${customerId} and id = any (${ids}::uuid[])
    for key share`.execute(db);
  return rows;
}

/**
 * Writes a credential as it is given, its secret only when there is a new one. What was said of how sending
 * goes was said of the old one.
 */
export async function saveCredential(
  db: Db,
  customerId: string,
  credential: Omit<SealedCredential, "secret"> & { secret: Buffer | null },
): Promise<void> {
  await sql`
    update credential set name = ${credential.name}, settings = ${JSON.stringify(credential.settings)}::jsonb,
      secret = coalesce(${credential.secret}, secret), updated_at = now(), status_reason = null,
      status = case status when 'failing' then 'active' else status end
    where customer_id = ${customerId} and id = ${credential.id}`.execute(db);
  await keepTopics(db, customerId);
}

export async function deleteCredential(db: Db, customerId: string, id: string): Promise<void> {
  await sql`delete from credential where customer_id = ${customerId} and id = ${id}`.execute(db);
  await sql`delete from credential_day where customer_id = ${customerId} and credential_id = ${id}`.execute(
    db,
  );
  await keepTopics(db, customerId);
}

/** How many attempts each of these credentials has made on its day; one that is not listed made none. */
export async function selectSentOn(
  db: Db,
  customerId: string,
  days: readonly { credentialId: string; day: string }[],
): Promise<Map<string, number>> {
  const { rows } = await sql<{ credentialId: string; sent: number }>`
    select d.credential_id as "credentialId", d.sent
    from unnest(${days.map(({ credentialId }) => credentialId)}::uuid[], ${days.map(({ day }) => day)}::date[])
      as asked(credential_id, day)
    join credential_day d on d.customer_id = ${customerId} and d.credential_id = asked.credential_id
      and d.day = asked.day`.execute(db);
  return new Map(rows.map(({ credentialId, sent }) => [credentialId, sent]));
}

/** The settings of these credentials. */
export async function selectSettings(
  db: Db,
  customerId: string,
  ids: readonly string[],
): Promise<{ id: string; settings: SmtpSettings }[]> {
  const { rows } = await sql<{ id: string; settings: unknown }>`
    select id, settings from credential
    where customer_id = ${customerId} and id = any (${ids}::uuid[]) and type = 'smtp'`.execute(db);
  return rows.map(({ id, settings }) => ({ id, settings: smtpSettings.parse(settings) }));
}

/** The campaigns, running or paused, whose present version sends through a credential, or that have mail queued for it. */
export async function findCampaignsUsing(
  db: Db,
  customerId: string,
  credentialId: string,
): Promise<{ id: string; name: string }[]> {
  const { rows } = await sql<{ id: string; name: string }>`
    select id, name from campaign c
    where customer_id = ${customerId} and status <> 'draft' and (
      exists (
        select from campaign_node n
        where n.customer_id = c.customer_id and n.campaign_id = c.id and n.version = c.version
          and n.credential_id = ${credentialId})
      or exists (
        select from message m
        where m.customer_id = c.customer_id and m.campaign_id = c.id and m.credential_id = ${credentialId}
          and m.status = 'queued' and m.claimed_by is null))
    order by id`.execute(db);
  return rows;
}

/** Those of all types, newest first, one more than the page holds. */
export async function selectCredentials(
  db: Db,
  customerId: string,
  page: Page,
): Promise<(Credential | Bot)[]> {
  const { rows } = await sql<Omit<Row, "type"> & { type: "smtp" | "telegram" }>`
    select ${columns} from credential
    where customer_id = ${customerId} and (${page.cursor}::uuid is null or id < ${page.cursor}::uuid)
    order by id desc limit ${page.limit + 1}`.execute(db);
  return rows.map(({ hasPassword, type, ...row }) =>
    type === "telegram" ? toBot({ ...row, type }) : toCredential({ ...row, type, hasPassword }),
  );
}

/** Says how sending through a credential goes, for the operator to see. */
export async function setCredentialStatus(
  db: Db,
  customerId: string,
  id: string,
  status: "active" | "failing",
  reason: string | null,
): Promise<void> {
  await sql`
    update credential set status = ${status}, status_reason = ${reason}
    where customer_id = ${customerId} and id = ${id} and status <> 'disabled'
      and (status, status_reason) is distinct from (${status}, ${reason})`.execute(db);
}

// Settings that came later than the row get their defaults.
function toCredential(row: Row): Credential {
  return { ...row, settings: smtpSettings.parse(row.settings) };
}
