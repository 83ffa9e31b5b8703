import { type Kysely, sql } from "kysely";

/**
 * Counters of a campaign's whole life by link, recipient domain and device, and of nodes and edges without hours, so that no
 * answer adds up more rows than it shows.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await breakdowns(db);
  await links(db);
  await earlierCounts(db);
}

// `value` is empty for the dimension `all`, the edge's id for `edge`, the digest of the address for `link`, else what it says. `other` are the
// values that came when `breakdown_value` was full for the campaign.
async function breakdowns(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table breakdown (
      customer_id uuid not null,
      campaign_id uuid not null,
      dimension text not null check (dimension in ('all', 'edge', 'link', 'domain', 'device')),
      value text not null,
      node_id text not null,
      type text not null,
      total bigint not null,
      unique_total bigint not null,
      unique_human bigint not null,
      human bigint not null,
      proxy bigint not null,
      prefetch bigint not null,
      scanner bigint not null,
      primary key (customer_id, campaign_id, dimension, value, node_id, type)
    ) with (fillfactor = 70)`.execute(db);
  await sql`
    create table breakdown_value (
      customer_id uuid not null,
      campaign_id uuid not null,
      dimension text not null check (dimension in ('link', 'domain')),
      value text not null,
      number int not null,
      url text,
      primary key (customer_id, campaign_id, dimension, value),
      unique (customer_id, campaign_id, dimension, number),
      check ((dimension = 'link') = (url is not null))
    )`.execute(db);
  // What `counter` has for each node: a year of a campaign's days would else be a million rows.
  await sql`
    create table campaign_hour (
      customer_id uuid not null,
      campaign_id uuid not null,
      hour timestamptz not null,
      type text not null,
      total bigint not null,
      unique_total bigint not null,
      unique_human bigint not null,
      human bigint not null,
      proxy bigint not null,
      prefetch bigint not null,
      scanner bigint not null,
      primary key (customer_id, campaign_id, hour, type)
    ) with (fillfactor = 70)`.execute(db);
}

// Which links a run has clicked, and whether a person did: what `node_run.seen` is for opens, for many links.
async function links(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table run_link (
      customer_id uuid not null,
      run_id uuid not null,
      link text not null,
      by_person boolean not null,
      primary key (customer_id, run_id, link)
    )`.execute(db);
}

// `node_run.seen` has further bits from here on: 64 delivered, 128 bounced, 256 complained, 512 answered.
//
// What the hours hold already, and the runs that there are. Links, domains and devices are counted from here on.
async function earlierCounts(db: Kysely<unknown>): Promise<void> {
  // Until now the first of a batch, for types of which nobody remembers the first.
  await sql`
    update counter set unique_total = 0, unique_human = 0
    where type not in ('email_opened', 'email_clicked', 'unsubscribed')`.execute(db);
  await sql`
    insert into counter (customer_id, campaign_id, node_id, type, hour,
      total, unique_total, unique_human, human, proxy, prefetch, scanner)
    select customer_id, campaign_id, node_id, 'run_started', date_bin('1 hour', created_at, '2000-01-01Z'),
      count(*), count(*), count(*), 0, 0, 0, 0
    from node_run
    group by 1, 2, 3, 5`.execute(db);
  await sql`
    insert into campaign_hour (customer_id, campaign_id, hour, type,
      total, unique_total, unique_human, human, proxy, prefetch, scanner)
    select customer_id, campaign_id, hour, type, sum(total), sum(unique_total), sum(unique_human),
      sum(human), sum(proxy), sum(prefetch), sum(scanner)
    from counter
    group by 1, 2, 3, 4`.execute(db);
  await sql`
    insert into breakdown (customer_id, campaign_id, dimension, value, node_id, type,
      total, unique_total, unique_human, human, proxy, prefetch, scanner)
    select customer_id, campaign_id, 'all', '', node_id, type, sum(total), sum(unique_total), sum(unique_human),
      sum(human), sum(proxy), sum(prefetch), sum(scanner)
    from counter
    group by 1, 2, 5, 6`.execute(db);
  await sql`
    insert into breakdown (customer_id, campaign_id, dimension, value, node_id, type,
      total, unique_total, unique_human, human, proxy, prefetch, scanner)
    select customer_id, campaign_id, 'edge', edge_id, '', 'edge_fired', sum(fired), 0, 0, 0, 0, 0, 0
    from edge_counter
    group by 1, 2, 4`.execute(db);
}
