import { type Kysely, sql } from "kysely";

/** Replays of the log to webhook endpoints, and the log of who did what, and why. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await replays(db);
  await audit(db);
}

/**
 * The cursor is an id, because an event's id is its place in the customer's own part of the log; `until_position` is
 * what had been projected when the replay was asked for: nothing of that comes later behind the cursor.
 * `next_at`: when it is to be looked at; `due_from`: when the next of its deliveries may be made, at its rate.
 */
async function replays(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table webhook_replay (
      customer_id uuid not null references customer,
      id uuid not null,
      status text not null default 'running' check (status in ('running', 'paused', 'cancelled', 'completed')),
      filter jsonb not null,
      endpoint_ids uuid[] not null,
      which text not null check (which in ('failed', 'missing', 'all')),
      payload text not null check (payload in ('original', 'anew')),
      rate_per_second real check (rate_per_second > 0),
      total bigint,
      scanned bigint not null default 0,
      matched bigint not null default 0,
      opened bigint not null default 0,
      after_id uuid not null,
      until_id uuid not null,
      until_position bigint not null,
      due_from timestamptz not null default now(),
      next_at timestamptz not null default now(),
      failures int not null default 0,
      last_error text,
      reason text,
      created_by text not null,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      finished_at timestamptz,
      primary key (customer_id, id),
      check (status <> 'completed' or finished_at is not null)
    )`.execute(db);
  // A cancelled one is worked on until what it had opened is cancelled too.
  await sql`
    create index webhook_replay_work on webhook_replay (next_at)
    where status in ('running', 'cancelled') and finished_at is null`.execute(db);
  await sql`
    create index webhook_delivery_replay on webhook_delivery (customer_id, replay_id, status, endpoint_id)
    where replay_id is not null`.execute(db);
}

async function audit(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table audit_log (
      customer_id uuid not null references customer,
      id uuid not null default new_id(),
      at timestamptz not null default now(),
      actor text not null,
      action text not null check (action ~ '^[a-z_]{1,64}$'),
      subject text,
      reason text,
      details jsonb not null default '{}',
      primary key (customer_id, id)
    )`.execute(db);
  await sql`create index audit_log_action on audit_log (customer_id, action, id)`.execute(db);
  await sql`create index audit_log_actor on audit_log (customer_id, actor, id)`.execute(db);
  await sql`create index audit_log_subject on audit_log (customer_id, subject, id)`.execute(db);
}
