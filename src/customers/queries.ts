import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";

export const IP_POLICIES = ["whole", "truncated", "none"] as const;

export type Customer = {
  id: string;
  name: string;
  ipPolicy: (typeof IP_POLICIES)[number];
  confirmUnsubscribe: boolean;
  postalAddress: string | null;
  frequencyCap: FrequencyCap | null;
  activityRetentionDays: number | null;
  eventRetentionDays: number | null;
  deliveryRetentionDays: number | null;
  softBounceLimit: SoftBounceLimit | null;
  createdAt: Date;
};

/** At most so many messages to a contact within a time, an ISO 8601 duration, over all campaigns. */
export type FrequencyCap = { messages: number; per: string };

/** After how many soft bounces, within how many days and with no delivery in between, an address is suppressed. */
export type SoftBounceLimit = { bounces: number; days: number };

export type ApiKey = {
  id: string;
  customerName: string;
  name: string;
  prefix: string;
  createdAt: Date;
  lastUsedAt: Date | null;
  revokedAt: Date | null;
};

const customerColumns = sql`customer_id as id, name, ip_policy as "ipPolicy",
  confirm_unsubscribe as "confirmUnsubscribe", postal_address as "postalAddress", created_at as "createdAt",
  case when frequency_cap_per is not null
    then jsonb_build_object('messages', frequency_cap_messages, 'per', frequency_cap_per) end as "frequencyCap",
  activity_retention_days as "activityRetentionDays", event_retention_days as "eventRetentionDays",
  delivery_retention_days as "deliveryRetentionDays",
  case when soft_bounces is not null
    then jsonb_build_object('bounces', soft_bounces, 'days', soft_bounce_days) end as "softBounceLimit"`;

const keyColumns = sql`k.id, c.name as "customerName", k.name, k.prefix, k.created_at as "createdAt",
  k.last_used_at as "lastUsedAt", k.revoked_at as "revokedAt"`;

export async function findCustomer(db: Db, customerId: string): Promise<Customer | null> {
  const { rows } = await sql<Customer>`
    select ${customerColumns} from customer where customer_id = ${customerId}`.execute(db);
  return rows[0] ?? null;
}

/** Writes every setting of a customer as it is given. */
export async function saveCustomer(db: Db, customer: Customer): Promise<void> {
  await sql`
    update customer set name = ${customer.name}, ip_policy = ${customer.ipPolicy},
      confirm_unsubscribe = ${customer.confirmUnsubscribe}, postal_address = ${customer.postalAddress},
      frequency_cap_messages = ${customer.frequencyCap?.messages ?? null},
      frequency_cap_per = ${customer.frequencyCap?.per ?? null},
      activity_retention_days = ${customer.activityRetentionDays},
      event_retention_days = ${customer.eventRetentionDays},
      delivery_retention_days = ${customer.deliveryRetentionDays},
      soft_bounces = ${customer.softBounceLimit?.bounces ?? null},
      soft_bounce_days = ${customer.softBounceLimit?.days ?? null}
    where customer_id = ${customer.id}`.execute(db);
}

/** The customer with its row locked, so that a change made of what was read loses no other change. */
export async function lockCustomer(db: Db, customerId: string): Promise<Customer | null> {
  const { rows } = await sql<Customer>`
    select ${customerColumns} from customer where customer_id = ${customerId} for update`.execute(db);
  return rows[0] ?? null;
}

/** Inserts a customer unless one of that name is there. */
export async function insertCustomer(db: Db, id: string, name: string): Promise<boolean> {
  const { rows } = await sql`
    insert into customer (customer_id, name) values (${id}, ${name})
    on conflict (name) do nothing returning customer_id`.execute(db);
  return rows.length === 1;
}

/** Inserts a customer unless there is one already, whatever its name; two processes at once insert one. */
export async function insertFirstCustomer(db: Db, id: string, name: string): Promise<void> {
  await sql`
    insert into customer (customer_id, name)
    select ${id}::uuid, ${name}::text where not exists (select from customer)
    on conflict (name) do nothing`.execute(db);
}

/**
 * Inserts a key for the customer of that name, or for the oldest customer when `customerName` is null.
 * @returns false when the same key is already there, revoked or not
 */
export async function insertApiKey(
  db: Db,
  key: { customerName: string | null; id: string; name: string; prefix: string; hash: Buffer },
): Promise<boolean> {
  const { rows } = await sql`
    insert into api_key (customer_id, id, name, prefix, hash)
    select customer_id, ${key.id}::uuid, ${key.name}::text, ${key.prefix}::text, ${key.hash}::bytea
    from customer
    where ${key.customerName}::text is null or name = ${key.customerName}
    order by created_at, customer_id limit 1
    on conflict (hash) do nothing returning id`.execute(db);
  return rows.length === 1;
}

/** The customer a key that is not revoked belongs to, with the key's name. */
export async function findCustomerByKey(
  db: Db,
  hash: Buffer,
): Promise<{ customerId: string; keyName: string } | null> {
  const { rows } = await sql<{ customerId: string; keyName: string }>`
    select customer_id as "customerId", name as "keyName" from api_key
    where hash = ${hash} and revoked_at is null`.execute(db);
  return rows[0] ?? null;
}

/** Notes that a key is in use, at most once a minute. */
export async function touchApiKey(db: Db, hash: Buffer): Promise<void> {
  await sql`
    update api_key set last_used_at = now()
    where hash = ${hash} and (last_used_at is null or last_used_at < now() - interval '1 minute')`.execute(
    db,
  );
}

/** Every customer's keys, oldest first, revoked ones too. */
export async function selectApiKeys(db: Db): Promise<ApiKey[]> {
  const { rows } = await sql<ApiKey>`
    select ${keyColumns} from api_key k join customer c using (customer_id) order by k.id`.execute(db);
  return rows;
}

/** The keys that are not revoked and have this id or begin with this prefix. */
export async function findApiKeys(db: Db, idOrPrefix: string): Promise<ApiKey[]> {
  const { rows } = await sql<ApiKey>`
    select ${keyColumns} from api_key k join customer c using (customer_id)
    where k.revoked_at is null and (k.id::text = ${idOrPrefix} or starts_with(k.prefix, ${idOrPrefix}))
    order by k.id`.execute(db);
  return rows;
}

export async function setApiKeyRevoked(db: Db, id: string): Promise<void> {
  await sql`update api_key set revoked_at = now() where id = ${id} and revoked_at is null`.execute(db);
}
