import { type Kysely, sql } from "kysely";

/** Uploaded files being imported, in pieces any process can work on, and the lines that were refused. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await imports(db);
  await chunks(db);
  await refusals(db);
}

async function imports(db: Kysely<unknown>): Promise<void> {
  // The cursor (next_…) moves in the transaction that writes the rows before it: neither is there without the other.
  await sql`
    create table import (
      customer_id uuid not null,
      id uuid not null,
      kind text not null check (kind in ('contacts', 'suppressions')),
      status text not null default 'uploading' check (status in
        ('uploading', 'uploaded', 'running', 'paused', 'completed', 'cancelled', 'failed', 'expired')),
      problem text,
      size_bytes bigint not null default 0,
      chunks int not null default 0,
      format jsonb,
      preview jsonb,
      settings jsonb,
      next_chunk int not null default 0,
      next_offset int not null default 0,
      next_row bigint not null default 1,
      done_bytes bigint not null default 0,
      created bigint not null default 0,
      updated bigint not null default 0,
      unchanged bigint not null default 0,
      refused bigint not null default 0,
      worked_ms bigint not null default 0,
      worked_at timestamptz not null default now(),
      created_at timestamptz not null default now(),
      started_at timestamptz,
      finished_at timestamptz,
      primary key (customer_id, id),
      check (status in ('uploading', 'expired', 'cancelled') or (format is not null and preview is not null)),
      check (status in ('uploading', 'uploaded', 'expired', 'cancelled') or settings is not null),
      check ((status = 'failed') = (problem is not null)),
      check ((status in ('completed', 'cancelled', 'failed', 'expired')) = (finished_at is not null))
    )`.execute(db);
  // Whose turn it is: the import that has waited longest.
  await sql`create index import_turn on import (worked_at) where status = 'running'`.execute(db);
  await sql`create index import_age on import (created_at)`.execute(db);
}

async function chunks(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table import_chunk (
      customer_id uuid not null,
      import_id uuid not null,
      number int not null,
      start_bytes bigint not null,
      bytes bytea not null,
      primary key (customer_id, import_id, number),
      foreign key (customer_id, import_id) references import on delete cascade
    )`.execute(db);
  // Written once, read once, deleted: not worth the time to compress.
  await sql`alter table import_chunk alter column bytes set storage external`.execute(db);
}

async function refusals(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table import_refusal (
      customer_id uuid not null,
      import_id uuid not null,
      row_number bigint not null,
      field text not null,
      reason text not null,
      line text not null,
      is_cut boolean not null,
      primary key (customer_id, import_id, row_number),
      foreign key (customer_id, import_id) references import on delete cascade
    )`.execute(db);
}
