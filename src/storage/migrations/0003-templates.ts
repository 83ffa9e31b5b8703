import { type Kysely, sql } from "kysely";

/** Layouts and partials of messages; topics that a contact can leave one by one. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // `uses` names the templates that `source` names, so that one statement finds all that a message needs.
  await sql`
    create table template (
      customer_id uuid not null,
      id uuid not null,
      name text not null,
      kind text not null check (kind in ('layout', 'partial')),
      format text not null check (format in ('html', 'mjml')),
      source text not null,
      uses text[] not null default '{}',
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (customer_id, id),
      unique (customer_id, name)
    )`.execute(db);
  await sql`
    create table topic (
      customer_id uuid not null,
      id uuid not null,
      name text not null,
      description text not null,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (customer_id, id)
    )`.execute(db);
  await sql`create unique index topic_name on topic (customer_id, lower(name))`.execute(db);
  // A row says that the contact does not want what is sent under the topic; without one it gets everything.
  await sql`
    create table contact_topic_left (
      customer_id uuid not null,
      contact_id uuid not null,
      topic_id uuid not null,
      left_at timestamptz not null default now(),
      primary key (customer_id, contact_id, topic_id),
      foreign key (customer_id, contact_id) references contact (customer_id, id) on delete cascade,
      foreign key (customer_id, topic_id) references topic (customer_id, id) on delete cascade
    )`.execute(db);
  await sql`create index contact_topic_left_topic on contact_topic_left (customer_id, topic_id)`.execute(db);
}
