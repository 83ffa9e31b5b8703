import { sql } from "kysely";
import { NIL_ID } from "../events/id.ts";
import type { Page } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";
import type { Replay, ReplayStatus } from "./replay.ts";
import type { Opened, Scope } from "./replay-chunk-queries.ts";

const LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff";

const columns = sql`id, status, filter, endpoint_ids as "endpointIds", which, payload,
  rate_per_second as "ratePerSecond", reason, created_by as "createdBy", total, scanned, matched, opened,
  last_error as "lastError", created_at as "createdAt", updated_at as "updatedAt", finished_at as "finishedAt"`;

/** A replay with what working on it needs. */
export type ClaimedReplay = Scope &
  Pick<Replay, "id" | "which" | "payload" | "ratePerSecond"> & {
    status: "running" | "cancelled";
    dueFrom: Date;
  };

/** The part of the log that a filter names, as far as it is projected now. */
export async function findScope(
  db: Db,
  customerId: string,
  { filter, endpointIds }: Pick<Replay, "filter" | "endpointIds">,
): Promise<Scope> {
  const { rows } = await sql<Pick<Scope, "afterId" | "untilId" | "untilPosition">>`
    select coalesce(first_id_at(${filter.from}::timestamptz), ${NIL_ID}) as "afterId",
      coalesce(first_id_at(${filter.to}::timestamptz), ${LAST_ID}) as "untilId", position as "untilPosition"
    from projector_cursor where name = 'projector'`.execute(db);
  const [range] = rows;
  if (range === undefined) throw new Error("the projector's cursor is missing");
  return { customerId, endpointIds, filter, ...range };
}

/**
 * How many events of the log are in a range.
 * @returns null when they are more than `atMost`
 */
export async function countEvents(db: Db, scope: Scope, atMost: number): Promise<number | null> {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from (
      select from event_log
      where customer_id = ${scope.customerId} and id > ${scope.afterId} and id < ${scope.untilId}
        and position <= ${scope.untilPosition}
        and (${scope.filter.eventIds}::uuid[] is null or id = any (${scope.filter.eventIds}::uuid[]))
      limit ${atMost + 1}
    ) as events`.execute(db);
  const count = rows[0]?.count ?? 0;
  return count > atMost ? null : count;
}

export type NewReplay = Pick<
  Replay,
  "id" | "which" | "payload" | "ratePerSecond" | "reason" | "createdBy" | "total"
>;

export async function insertReplay(db: Db, scope: Scope, replay: NewReplay, now: Date): Promise<void> {
  await sql`
    insert into webhook_replay (customer_id, id, filter, endpoint_ids, which, payload, rate_per_second, reason,
      created_by, total, after_id, until_id, until_position, due_from, next_at, created_at, updated_at)
    values (${scope.customerId}, ${replay.id}, ${JSON.stringify(scope.filter)}::jsonb, ${scope.endpointIds}::uuid[],
      ${replay.which}, ${replay.payload}, ${replay.ratePerSecond}, ${replay.reason}, ${replay.createdBy},
      ${replay.total}, ${scope.afterId}, ${scope.untilId}, ${scope.untilPosition}, ${now}, ${now}, ${now}, ${now})`.execute(
    db,
  );
}

/** Those of these ids that are an endpoint of the customer's, with how they stand. */
export async function selectTargets(
  db: Db,
  customerId: string,
  ids: readonly string[],
): Promise<{ id: string; status: "enabled" | "disabled" }[]> {
  const { rows } = await sql<{ id: string; status: "enabled" | "disabled" }>`
    select id, status from webhook_endpoint
    where customer_id = ${customerId} and id = any (${ids}::uuid[])`.execute(db);
  return rows;
}

/** Up to `limit + 1`, newest first. */
export async function selectReplays(db: Db, customerId: string, { limit, cursor }: Page): Promise<Replay[]> {
  const { rows } = await sql<Replay>`
    select ${columns} from webhook_replay
    where customer_id = ${customerId} and (${cursor}::uuid is null or id < ${cursor}::uuid)
    order by id desc limit ${limit + 1}`.execute(db);
  return rows;
}

export async function findReplay(db: Db, customerId: string, id: string): Promise<Replay | null> {
  const { rows } = await sql<Replay>`
    select ${columns} from webhook_replay where customer_id = ${customerId} and id = ${id}`.execute(db);
  return rows[0] ?? null;
}

/** The replay with its row locked: it waits for the chunk under way. */
export async function lockReplay(db: Db, customerId: string, id: string): Promise<Replay | null> {
  const { rows } = await sql<Replay>`
    select ${columns} from webhook_replay where customer_id = ${customerId} and id = ${id} for update`.execute(
    db,
  );
  return rows[0] ?? null;
}

/** Changes how a replay goes on, from now on. */
export async function saveReplay(
  db: Db,
  customerId: string,
  id: string,
  change: { status: ReplayStatus; ratePerSecond: number | null },
  now: Date,
): Promise<void> {
  await sql`
    update webhook_replay set status = ${change.status}, rate_per_second = ${change.ratePerSecond}, failures = 0,
      last_error = null, due_from = ${now}, next_at = ${now}, updated_at = ${now}
    where customer_id = ${customerId} and id = ${id}`.execute(db);
}

export type DeliveryCounts = { pending: number; delivered: number; failed: number; cancelled: number };

/** What became of the deliveries that this replay was the last to open. */
export async function countOpened(db: Db, customerId: string, id: string): Promise<DeliveryCounts> {
  const { rows } = await sql<DeliveryCounts>`
    select count(*) filter (where status = 'pending') as pending,
      count(*) filter (where status = 'delivered') as delivered, count(*) filter (where status = 'failed') as failed,
      count(*) filter (where status = 'cancelled') as cancelled
    from webhook_delivery where customer_id = ${customerId} and replay_id = ${id}`.execute(db);
  return rows[0] ?? { pending: 0, delivered: 0, failed: 0, cancelled: 0 };
}

/** The replay that has waited longest and that nobody works on, locked until the transaction ends. */
export async function claimReplay(db: Db, now: Date): Promise<ClaimedReplay | null> {
  const { rows } = await sql<ClaimedReplay>`
    select customer_id as "customerId", id, status, filter, endpoint_ids as "endpointIds", which, payload,
      rate_per_second as "ratePerSecond", after_id as "afterId", until_id as "untilId",
      until_position as "untilPosition", due_from as "dueFrom"
    from webhook_replay
    where status in ('running', 'cancelled') and finished_at is null and next_at <= ${now}
    order by next_at limit 1
    for update skip locked`.execute(db);
  return rows[0] ?? null;
}

/**
 * Whether any of the endpoints takes more: it is enabled, and less than `ahead` of what this replay opened for it is
 * pending.
 * @returns `gone` when none of them is there any more
 */
export async function readRoom(
  db: Db,
  replay: ClaimedReplay,
  ahead: number,
): Promise<"room" | "full" | "gone"> {
  const { rows } = await sql<{ endpoints: number; takers: number }>`
    select count(*) as endpoints, count(*) filter (where e.status = 'enabled' and p.pending < ${ahead}) as takers
    from webhook_endpoint e
    cross join lateral (
      select count(*) as pending from (
        select from webhook_delivery d
        where d.customer_id = ${replay.customerId} and d.replay_id = ${replay.id} and d.status = 'pending'
          and d.endpoint_id = e.id
        limit ${ahead}
      ) as open
    ) as p
    where e.customer_id = ${replay.customerId} and e.id = any (${replay.endpointIds}::uuid[])`.execute(db);
  const counts = rows[0] ?? { endpoints: 0, takers: 0 };
  if (counts.endpoints === 0) return "gone";
  return counts.takers > 0 ? "room" : "full";
}

/** @param next.at when the next chunk may begin; `next.dueFrom` when its first delivery is due */
export async function advanceReplay(
  db: Db,
  replay: ClaimedReplay,
  chunk: Opened,
  next: { at: Date; dueFrom: Date },
  now: Date,
): Promise<void> {
  await sql`
    update webhook_replay set after_id = ${chunk.lastId ?? replay.afterId}, scanned = scanned + ${chunk.scanned},
      matched = matched + ${chunk.matched}, opened = opened + ${chunk.opened}, due_from = ${next.dueFrom},
      next_at = ${next.at}, failures = 0, last_error = null, updated_at = ${now},
      status = case when ${chunk.isLast} then 'completed' else status end,
      finished_at = case when ${chunk.isLast} then ${now}::timestamptz end
    where customer_id = ${replay.customerId} and id = ${replay.id}`.execute(db);
}

/** Leaves a replay alone until a time. */
export async function postponeReplay(db: Db, replay: ClaimedReplay, until: Date): Promise<void> {
  await sql`
    update webhook_replay set next_at = ${until}
    where customer_id = ${replay.customerId} and id = ${replay.id}`.execute(db);
}

/** Ends a replay; `lastError` says why when nobody asked for it. */
export async function endReplay(
  db: Db,
  replay: ClaimedReplay,
  lastError: string | null,
  now: Date,
): Promise<void> {
  await sql`
    update webhook_replay set status = 'cancelled', last_error = ${lastError}, updated_at = ${now}, finished_at = ${now}
    where customer_id = ${replay.customerId} and id = ${replay.id}`.execute(db);
}

/** Cancels some of what a replay opened and that is still pending; what somebody is just writing to is left for later. */
export async function cancelOpened(
  db: Db,
  replay: ClaimedReplay,
  limit: number,
  now: Date,
): Promise<{ cancelled: number; isLast: boolean }> {
  const isOpen = sql`customer_id = ${replay.customerId} and replay_id = ${replay.id} and status = 'pending'`;
  const { rows } = await sql<{ cancelled: number; isLast: boolean }>`
    with found as materialized (
      select endpoint_id, event_id from webhook_delivery where ${isOpen} limit ${limit} for update skip locked
    ), cancelled as (
      update webhook_delivery d set status = 'cancelled', due_at = null, finished_at = ${now},
        last_failure = 'The replay was cancelled.'
      from found f
      where d.customer_id = ${replay.customerId} and d.endpoint_id = f.endpoint_id and d.event_id = f.event_id
    )
    select (select count(*) from found) as cancelled, not exists (
      select from webhook_delivery d where ${isOpen}
        and (d.endpoint_id, d.event_id) not in (select endpoint_id, event_id from found)
    ) as "isLast"`.execute(db);
  return rows[0] ?? { cancelled: 0, isLast: true };
}

/** Notes that a chunk failed; after so many in a row the replay is paused. */
export async function noteReplayFailure(
  db: Db,
  replay: ClaimedReplay,
  failure: { reason: string; atMost: number; nextAt: Date },
): Promise<void> {
  await sql`
    update webhook_replay set failures = failures + 1, last_error = ${failure.reason}, next_at = ${failure.nextAt},
      updated_at = now(),
      status = case when failures + 1 >= ${failure.atMost} and status = 'running' then 'paused' else status end
    where customer_id = ${replay.customerId} and id = ${replay.id} and finished_at is null`.execute(db);
}
