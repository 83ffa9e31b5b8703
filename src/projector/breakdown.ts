import { type RawBuilder, sql } from "kysely";

/**
 * How many links and recipient domains of a campaign are counted by name: the first that come. A link that differs
 * for every contact, or a list with ten thousand domains, must not make a counter for every row of the log.
 */
export const MAX_VALUES = { link: 1_000, domain: 500 };

/** Where the others are counted. */
export const OTHER = "other";

export const countColumns = sql`total, unique_total, unique_human, human, proxy, prefetch, scanner`;

/** Of rows that are counts already. */
export const summedCounts = sql`sum(total) as total, sum(unique_total) as unique_total,
  sum(unique_human) as unique_human, sum(human) as human, sum(proxy) as proxy, sum(prefetch) as prefetch,
  sum(scanner) as scanner`;

/** The `set` of an upsert. */
export function addCounts(table: "counter" | "campaign_hour" | "breakdown"): RawBuilder<unknown> {
  const t = sql.raw(table);
  return sql`total = ${t}.total + excluded.total, unique_total = ${t}.unique_total + excluded.unique_total,
    unique_human = ${t}.unique_human + excluded.unique_human, human = ${t}.human + excluded.human,
    proxy = ${t}.proxy + excluded.proxy, prefetch = ${t}.prefetch + excluded.prefetch,
    scanner = ${t}.scanner + excluded.scanner`;
}

/** Of events `b`: how many, how many in `firsts`, and the hits by agent. */
export function counts(hasFirsts: boolean): RawBuilder<unknown> {
  const among = (position: string) => {
    const column = sql.raw(position);
    return hasFirsts
      ? sql`count(*) filter (where b.position in (select ${column} from firsts where ${column} is not null))`
      : sql`0`;
  };
  return sql`count(*) as total, ${among("first")} as unique_total, ${among("first_person")} as unique_human,
    count(*) filter (where b.agent = 'human') as human, count(*) filter (where b.agent = 'proxy') as proxy,
    count(*) filter (where b.agent = 'prefetch') as prefetch, count(*) filter (where b.agent = 'scanner') as scanner`;
}

/** `date_trunc` reads the zone's name for every row: five times dearer. */
export function hourOf(at: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`date_bin('1 hour', ${at}, '2000-01-01Z')`;
}

/**
 * Ends a statement whose `parts` are counts by dimension, value, node and type: adds them to `breakdown`, the values
 * of `bounded` that there is no more room for as `other`. Values get their room in the log's order, so that counting
 * the log again in other batches gives the same.
 * @param found a select of those values, each once, with the `position` of its first event and, of a link, its `url`
 */
export function addToBreakdown(bounded: "domain" | "link", found: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`
    found as (${found}), fresh as materialized (
      select f.customer_id, f.campaign_id, f.value, f.url, f.position
      from found f
      where not exists (
        select from breakdown_value v
        where v.customer_id = f.customer_id and v.campaign_id = f.campaign_id and v.dimension = ${bounded}
          and v.value = f.value)
    ), held as materialized (
      select c.customer_id, c.campaign_id, coalesce(l.number, 0) as held
      from (select distinct customer_id, campaign_id from fresh) as c
      left join lateral (
        select max(v.number) as number from breakdown_value v
        where v.customer_id = c.customer_id and v.campaign_id = c.campaign_id and v.dimension = ${bounded}
      ) as l on true
    ), numbered as materialized (
      select f.customer_id, f.campaign_id, f.value, f.url,
        h.held + row_number() over (partition by f.customer_id, f.campaign_id order by f.position) as number
      from fresh f
      join held h on h.customer_id = f.customer_id and h.campaign_id = f.campaign_id
    ), admitted as (
      insert into breakdown_value (customer_id, campaign_id, dimension, value, number, url)
      select customer_id, campaign_id, ${bounded}, value, number, url from numbered where number <= ${MAX_VALUES[bounded]}
    )
    insert into breakdown (customer_id, campaign_id, dimension, value, node_id, type, ${countColumns})
    select p.customer_id, p.campaign_id, p.dimension, case when n.value is null then p.value else ${OTHER} end as named,
      p.node_id, p.type, ${summedCounts}
    from parts p
    left join numbered n on p.dimension = ${bounded} and n.customer_id = p.customer_id
      and n.campaign_id = p.campaign_id and n.value = p.value and n.number > ${MAX_VALUES[bounded]}
    group by p.customer_id, p.campaign_id, p.dimension, named, p.node_id, p.type
    on conflict (customer_id, campaign_id, dimension, value, node_id, type) do update set ${addCounts("breakdown")}`;
}
