import type { Agent, EventType, Json } from "../events/event.ts";
import {
  type Comparison,
  type EventFilter,
  type FieldFilter,
  type Filter,
  type Scalar,
  valueAt,
} from "./filter.ts";
import { isoTime, momentOf } from "./moment.ts";

/** Everything a filter can ask of a contact. */
export type FilterFacts = {
  now: Date;
  contact: {
    email: string | null;
    timeZone: string | null;
    attributes: { [key: string]: Json };
    tags: readonly string[];
    createdAt: Date;
    updatedAt: Date;
  };
  activity: readonly { type: EventType; at: Date; campaignId: string | null; agent: Agent | null }[];
  /** By node id, the output of its run of the highest round; a node without a run is not there. */
  outputs: ReadonlyMap<string, { [key: string]: Json }>;
};

/** Whether the facts fit. `filterSql` says the same in SQL; a property test holds the two together. */
export function matches(asked: Filter, facts: FilterFacts): boolean {
  if ("all" in asked) return asked.all.every((part) => matches(part, facts));
  if ("any" in asked) return asked.any.some((part) => matches(part, facts));
  if ("not" in asked) return !matches(asked.not, facts);
  if ("tag" in asked) return facts.contact.tags.includes(asked.tag);
  if ("event" in asked) return countEvents(asked, facts) >= (asked.atLeast ?? 1);
  if ("field" in asked) return matchesField(asked, facts);
  const value =
    "node" in asked
      ? valueAt(facts.outputs.get(asked.node) ?? {}, asked.output)
      : valueAt(facts.contact.attributes, asked.attribute);
  return compares(asked, value, facts.now);
}

function countEvents(asked: EventFilter, { activity, now }: FilterFacts): number {
  const since = asked.within === undefined ? null : momentOf(`-${asked.within}`, now);
  return activity.filter(
    (event) =>
      event.type === asked.event &&
      (event.agent === null || event.agent === "human" || event.agent === "proxy") &&
      (asked.campaignId === undefined || event.campaignId === asked.campaignId) &&
      (since === null || event.at >= since),
  ).length;
}

function matchesField(asked: FieldFilter, { contact, now }: FilterFacts): boolean {
  if (asked.field === "createdAt" || asked.field === "updatedAt") {
    return compares(asked, contact[asked.field].toISOString(), now);
  }
  if (asked.field === "timeZone") return compares(asked, contact.timeZone ?? undefined, now);
  const email = contact.email?.toLowerCase();
  const value = asked.field === "email" ? email : email?.split("@").at(-1);
  return compares({ ...asked, value: lowered(asked.value) }, value, now);
}

/** As emails compare: in lower case. */
export function lowered(value: Comparison["value"]): Comparison["value"] {
  if (Array.isArray(value)) return value.map(loweredOne);
  return value === undefined ? undefined : loweredOne(value);
}

function loweredOne(value: Scalar): Scalar {
  return typeof value === "string" ? value.toLowerCase() : value;
}

type Value = Exclude<Json, null> | undefined;

function compares({ is, value }: Comparison, found: Value, now: Date): boolean {
  switch (is) {
    case "exists":
      return found !== undefined;
    case "missing":
      return found === undefined;
    case "equals":
      return found === value && found !== undefined;
    case "notEquals":
      return found !== value || found === undefined;
    case "in":
      return [value].flat().some((one) => one === found && found !== undefined);
    case "notIn":
      return ![value].flat().some((one) => one === found && found !== undefined);
    case "contains":
      return contains(found, value);
    case "startsWith":
      return typeof found === "string" && typeof value === "string" && found.startsWith(value);
    case "before":
    case "after":
      return comparesTimes(is, found, value, now);
    default:
      return typeof found === "number" && typeof value === "number" && comparesNumbers(is, found, value);
  }
}

function contains(found: Value, value: Comparison["value"]): boolean {
  if (Array.isArray(found)) return found.some((one) => one === value);
  return typeof found === "string" && typeof value === "string" && found.includes(value);
}

function comparesNumbers(
  is: "greaterThan" | "atLeast" | "lessThan" | "atMost",
  found: number,
  value: number,
): boolean {
  if (is === "greaterThan") return found > value;
  if (is === "atLeast") return found >= value;
  return is === "lessThan" ? found < value : found <= value;
}

function comparesTimes(is: "before" | "after", found: Value, value: Comparison["value"], now: Date): boolean {
  const time = typeof found === "string" ? isoTime(found) : null;
  if (time === null || typeof value !== "string") return false;
  return is === "before" ? time < momentOf(value, now) : time > momentOf(value, now);
}
