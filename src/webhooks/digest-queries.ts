import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";
import type { ChatType, DigestCount } from "./told.ts";

/** An open digest whose time has come; nobody else has it until the transaction ends. */
export type DueDigest = {
  customerId: string;
  endpointId: string;
  /** Of the digest, and of the delivery that it becomes. */
  id: string;
  type: ChatType;
  openedAt: Date;
};

/** A digest, ready to be delivered. */
export type ClosedDigest = DueDigest & { payload: string };

/**
 * Takes digests that are due, at most `limit`: the endpoint's present interval counts, also when it was changed
 * meanwhile. Those of endpoints that are disabled or gather nothing any more are due at once.
 * @param db a transaction
 */
export async function takeDueDigests(
  db: Db,
  { now, limit }: { now: Date; limit: number },
): Promise<DueDigest[]> {
  const { rows } = await sql<DueDigest>`
    select d.customer_id as "customerId", d.endpoint_id as "endpointId", d.id, e.type, d.opened_at as "openedAt"
    from webhook_digest d
    join webhook_endpoint e on e.customer_id = d.customer_id and e.id = d.endpoint_id
    where e.status = 'disabled' or e.digest_seconds is null
      or d.opened_at + make_interval(secs => e.digest_seconds) <= ${now}
    order by d.opened_at
    limit ${limit}
    for update of d skip locked`.execute(db);
  return rows;
}

/**
 * What digests have counted, with the campaigns' counters as they are now: hits of machines are in them where the
 * endpoint is told of these.
 * @returns by the digest's id
 */
export async function selectDigestCounts(
  db: Db,
  digests: readonly DueDigest[],
): Promise<Map<string, DigestCount[]>> {
  type Row = Omit<DigestCount, "campaign"> & { id: string; campaignId: string | null; name: string | null };
  const { rows } = await sql<Row>`
    select d.id, c.event_type as type, c.total as count, k.campaign_id as "campaignId", k.name,
      case when b.total >= c.total then b.total end as total
    from unnest(${column(digests, "customerId")}::uuid[], ${column(digests, "endpointId")}::uuid[],
      ${column(digests, "id")}::uuid[]) as d(customer_id, endpoint_id, id)
    join webhook_endpoint e on e.customer_id = d.customer_id and e.id = d.endpoint_id
    join webhook_digest_count c on c.customer_id = d.customer_id and c.endpoint_id = d.endpoint_id
    left join lateral (
      select id as campaign_id, name from campaign where customer_id = d.customer_id and id = c.campaign_id
    ) as k on true
    left join lateral (
      select sum(case when e.include_automatic or human + proxy + prefetch + scanner = 0 then total
        else human + proxy end)::bigint as total
      from breakdown
      where customer_id = d.customer_id and campaign_id = c.campaign_id and dimension = 'all' and value = ''
        and type = c.event_type
    ) as b on true
    order by c.event_type, c.campaign_id`.execute(db);
  const byDigest = new Map<string, DigestCount[]>();
  for (const { id, type, count, total, campaignId, name } of rows) {
    const campaign = campaignId === null || name === null ? null : { id: campaignId, name };
    byDigest.set(id, [...(byDigest.get(id) ?? []), { type, campaign, count, total }]);
  }
  return byDigest;
}

/** Makes each digest a delivery that is due, and closes it. */
export async function closeDigests(db: Db, digests: readonly ClosedDigest[], now: Date): Promise<void> {
  await sql`
    with closing as (
      select * from unnest(${column(digests, "customerId")}::uuid[], ${column(digests, "endpointId")}::uuid[],
        ${column(digests, "id")}::uuid[], ${column(digests, "payload")}::text[])
        as d(customer_id, endpoint_id, id, payload)
    ), closed as (
      delete from webhook_digest d using closing c
      where d.customer_id = c.customer_id and d.endpoint_id = c.endpoint_id and d.id = c.id
      returning d.customer_id, d.endpoint_id, d.id, c.payload
    )
    insert into webhook_delivery (customer_id, endpoint_id, event_id, kind, event_type, event_at, position, status,
      due_at, payload)
    select customer_id, endpoint_id, id, 'digest', 'digest', ${now}, 0, 'pending', ${now}, payload
    from closed`.execute(db);
}

function column<Name extends keyof ClosedDigest>(
  digests: readonly Pick<ClosedDigest, Name>[],
  name: Name,
): ClosedDigest[Name][] {
  return digests.map((digest) => digest[name]);
}
