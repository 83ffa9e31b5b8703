import { type Kysely, sql } from "kysely";

/** Saved filters, enrolling in the background, and how long a customer keeps what happened. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await times(db);
  await segments(db);
  await enrollJobs(db);
  await retention(db);
}

async function times(db: Kysely<unknown>): Promise<void> {
  // What `isoTime` of src/contacts/moment.ts reads; anything else is null and never an error, because people's
  // attributes hold anything. The cases are nested because only a case keeps PostgreSQL from looking ahead.
  await sql`
    create function iso_time(given text) returns timestamptz language sql immutable parallel safe as $sql$
      select case
        when given ~ '^[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])?)?$'
        then case
          when substr(given, 9, 2)::int
            <= extract(day from (substr(given, 1, 7) || '-01')::date + interval '1 month' - interval '1 day')
          then date_trunc('milliseconds',
            (given || case when given ~ '(Z|[+-][0-9]{2}:[0-9]{2})$' then '' else ' UTC' end)::timestamptz)
        end
      end
    $sql$`.execute(db);
}

async function segments(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table segment (
      customer_id uuid not null,
      id uuid not null,
      name text not null,
      filter jsonb not null,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (customer_id, id)
    )`.execute(db);
}

async function enrollJobs(db: Kysely<unknown>): Promise<void> {
  // A job goes through the contacts of `filter` in the order of their ids: those up to `after_id` are done, and
  // `until_id` was the last contact when it began. `busy_ms` is what its chunks took, and `updated_at` the end of
  // the last one, so that several jobs take turns.
  await sql`
    create table enroll_job (
      customer_id uuid not null,
      id uuid not null,
      campaign_id uuid not null,
      audience jsonb not null,
      filter jsonb not null,
      status text not null default 'running'
        check (status in ('running', 'paused', 'cancelled', 'completed', 'failed')),
      reason text,
      after_id uuid not null,
      until_id uuid not null,
      total bigint,
      selected bigint not null,
      enrolled bigint not null,
      busy_ms bigint not null,
      failures int not null default 0,
      created_at timestamptz not null,
      updated_at timestamptz not null default now(),
      finished_at timestamptz,
      primary key (customer_id, id),
      check ((status in ('running', 'paused')) = (finished_at is null))
    )`.execute(db);
  await sql`create index enroll_job_campaign on enroll_job (customer_id, campaign_id, id)`.execute(db);
  await sql`create index enroll_job_running on enroll_job (updated_at) where status = 'running'`.execute(db);
}

async function retention(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table customer
      add activity_retention_days int check (activity_retention_days between 1 and 36500),
      add event_retention_days int check (event_retention_days between 30 and 36500)`.execute(db);
}
