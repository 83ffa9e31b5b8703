import { type RawBuilder, sql } from "kysely";
import type { Comparison, EventFilter, FieldFilter, Filter } from "./filter.ts";
import { lowered } from "./filter-matches.ts";
import { momentOf } from "./moment.ts";

/** Ids are made when EDGR learns of an event, at most so long before it happened by its sender's clock. */
const CLOCK_SLACK_MS = 24 * 60 * 60 * 1000;

/**
 * The filter as a condition, true or false and never null, on the row `c` of `contact`; node leaves also need the
 * enrollment in question as `en.id`. Everything a person wrote travels as a parameter.
 */
export function filterSql(asked: Filter, at: { now: Date }): RawBuilder<boolean> {
  if ("all" in asked) return joined(asked.all, sql` and `, sql`true`, at);
  if ("any" in asked) return joined(asked.any, sql` or `, sql`false`, at);
  if ("not" in asked) return sql`(not ${filterSql(asked.not, at)})`;
  if ("tag" in asked) return sql`(c.tags @> array[${asked.tag}::text])`;
  if ("event" in asked) return eventSql(asked, at);
  if ("field" in asked) return fieldSql(asked, at);
  if ("attribute" in asked) return comparesSql(asked, walk(sql`c.attributes`, asked.attribute), at);
  // The condition stands inside, so that the run is looked up once however often the value is named.
  return sql`(select ${comparesSql(asked, sql`read.value`, at)} from (select (
    select ${walk(sql`r.output`, asked.output)} from node_run r
    where r.customer_id = c.customer_id and r.enrollment_id = en.id and r.node_id = ${asked.node}
    order by r.round desc limit 1) as value) as read)`;
}

function joined(
  parts: readonly Filter[],
  separator: RawBuilder<unknown>,
  empty: RawBuilder<boolean>,
  at: { now: Date },
): RawBuilder<boolean> {
  if (parts.length === 0) return empty;
  return sql`(${sql.join(
    parts.map((part) => filterSql(part, at)),
    separator,
  )})`;
}

function eventSql(asked: EventFilter, { now }: { now: Date }): RawBuilder<boolean> {
  const since = asked.within === undefined ? null : momentOf(`-${asked.within}`, now);
  const found = sql`
    from activity a
    where a.customer_id = c.customer_id and a.contact_id = c.id and a.type = ${asked.event}
      and (a.agent is null or a.agent in ('human', 'proxy'))
      ${asked.campaignId === undefined ? sql`` : sql`and a.campaign_id = ${asked.campaignId}::uuid`}
      ${since === null ? sql`` : sql`and a.at >= ${since} and a.id >= ${firstIdOf(since)}`}`;
  const times = asked.atLeast ?? 1;
  if (times === 1) return sql`exists (select ${found})`;
  return sql`((select count(*) from (select ${found} limit ${times}) as counted) = ${times})`;
}

function firstIdOf(since: Date): RawBuilder<string> {
  return sql`first_id_at(${new Date(Math.max(0, since.getTime() - CLOCK_SLACK_MS))}::timestamptz)`;
}

function fieldSql(asked: FieldFilter, at: { now: Date }): RawBuilder<boolean> {
  switch (asked.field) {
    case "createdAt":
      return comparesTime(asked, sql`c.created_at`, at);
    case "updatedAt":
      return comparesTime(asked, sql`c.updated_at`, at);
    case "timeZone":
      return comparesText(asked, sql`c.time_zone`);
    case "email":
      return comparesText({ ...asked, value: lowered(asked.value) }, sql`lower(c.email)`);
    case "emailDomain":
      return comparesText(
        { ...asked, value: lowered(asked.value) },
        sql`lower(substring(c.email from '[^@]*$'))`,
      );
  }
}

/** By text keys, which open objects alone: a number in the path never counts into a list. */
export function walk(root: RawBuilder<unknown>, dotted: string): RawBuilder<unknown> {
  const keys = dotted.split(".").map((name) => sql`-> ${name}::text`);
  return sql`(${root} ${sql.join(keys, sql` `)})`;
}

/** @param found an expression of type jsonb */
function comparesSql(asked: Comparison, found: RawBuilder<unknown>, at: { now: Date }): RawBuilder<boolean> {
  const value = sql`${JSON.stringify(asked.value ?? null)}::jsonb`;
  const kind = sql`jsonb_typeof(${found})`;
  const text = sql`(${found} #>> '{}')`;
  switch (asked.is) {
    case "exists":
      return sql`coalesce(${kind} <> 'null', false)`;
    case "missing":
      return sql`coalesce(${kind} = 'null', true)`;
    case "equals":
      return sql`coalesce(${found} = ${value}, false)`;
    case "notEquals":
      return sql`coalesce(${found} <> ${value}, true)`;
    // A list that holds the value as an element; what is found is no list or null itself then.
    case "in":
      return sql`coalesce(${kind} not in ('array', 'null') and ${value} @> ${found}, false)`;
    case "notIn":
      return sql`coalesce(${kind} in ('array', 'null') or not ${value} @> ${found}, true)`;
    case "contains":
      return sql`coalesce(case ${kind} when 'array' then ${found} @> ${value}
        when 'string' then ${typeof asked.value === "string"} and strpos(${text}, ${textOf(asked)}) > 0 end, false)`;
    case "startsWith":
      return sql`coalesce(case ${kind} when 'string' then starts_with(${text}, ${textOf(asked)}) end, false)`;
    case "before":
    case "after":
      return comparesTime(asked, sql`case ${kind} when 'string' then iso_time(${text}) end`, at);
    default:
      return sql`coalesce(${kind} = 'number' and ${found} ${SIGNS[asked.is]} ${value}, false)`;
  }
}

const SIGNS = { greaterThan: sql`>`, atLeast: sql`>=`, lessThan: sql`<`, atMost: sql`<=` };

function comparesText(asked: Comparison, found: RawBuilder<unknown>): RawBuilder<boolean> {
  const values = [asked.value ?? []].flat().map(String);
  switch (asked.is) {
    case "exists":
      return sql`(${found} is not null)`;
    case "missing":
      return sql`(${found} is null)`;
    case "equals":
    case "in":
      return sql`coalesce(${found} = any (${values}::text[]), false)`;
    case "notEquals":
    case "notIn":
      return sql`coalesce(${found} <> all (${values}::text[]), true)`;
    case "contains":
      return sql`coalesce(strpos(${found}, ${textOf(asked)}) > 0, false)`;
    case "startsWith":
      return sql`coalesce(starts_with(${found}, ${textOf(asked)}), false)`;
    default:
      return sql`false`;
  }
}

function comparesTime(
  asked: Comparison,
  found: RawBuilder<unknown>,
  { now }: { now: Date },
): RawBuilder<boolean> {
  if (typeof asked.value !== "string") return sql`false`;
  const moment = momentOf(asked.value, now);
  return asked.is === "before"
    ? sql`coalesce(${found} < ${moment}, false)`
    : sql`coalesce(${found} > ${moment}, false)`;
}

function textOf(asked: Comparison): RawBuilder<string> {
  return sql`${typeof asked.value === "string" ? asked.value : ""}::text`;
}
