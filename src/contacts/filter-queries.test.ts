import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { sql } from "kysely";
import { createCustomer } from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { AGENTS, type Json } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { type Filter, filter, OPERATORS } from "./filter.ts";
import { type FilterFacts, matches } from "./filter-matches.ts";
import { filterSql } from "./filter-queries.ts";

const NOW = new Date("2026-03-31T12:00:00.000Z");
const CAMPAIGNS = [newId(), newId()] as const;
const TEXTS = [
  "",
  "a",
  "ab",
  "AB",
  "é",
  "5",
  "x' or true --",
  "%",
  "2026-02-28T12:00:00Z",
  "2026-02-31",
  "2026-03-31T12:00",
  "2026-03-31T12:00:00.123456+02:00",
] as const;
const NAMES = ["a", "b", "0", "__proto__", "it's"] as const;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

const text = fc.constantFrom(...TEXTS);
const scalar = fc.oneof(text, fc.constantFrom(0, -1, 5, 5.5, 1e21, 1e-7), fc.boolean());
const name = fc.constantFrom(...NAMES);
// Mostly what is there: a filter that finds nothing to compare proves little.
const path = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom("a", "b", "a.b") },
  { weight: 1, arbitrary: fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join(".")) },
);

const comparison = fc
  .tuple(fc.constantFrom(...OPERATORS), scalar, fc.array(scalar, { minLength: 1, maxLength: 3 }), moment())
  .map(([is, one, list, time]) => {
    if (is === "exists" || is === "missing") return { is };
    if (is === "in" || is === "notIn") return { is, value: list };
    return { is, value: is === "before" || is === "after" ? time : one };
  });

const leaf = fc.oneof(
  fc.record({ tag: text }),
  fc.tuple(path, comparison).map(([attribute, compared]) => ({ attribute, ...compared })),
  fc
    .tuple(path, fc.constantFrom("a", "b"), comparison)
    .map(([output, node, compared]) => ({ node, output, ...compared })),
  fc
    .tuple(fc.constantFrom("email", "emailDomain", "timeZone", "createdAt", "updatedAt"), comparison)
    .map(([field, compared]) => ({ field, ...compared })),
  fc.record(
    {
      event: fc.constantFrom("email_opened", "email_clicked"),
      within: fc.constantFrom("P1M", "P3D", "PT1S", "P100Y"),
      campaignId: fc.constantFrom(...CAMPAIGNS),
      atLeast: fc.integer({ min: 1, max: 3 }),
    },
    { requiredKeys: ["event"] },
  ),
);

const { filters } = fc.letrec<{ filters: unknown; leaf: unknown }>((tie) => ({
  leaf,
  filters: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    tie("leaf"),
    fc.record({ not: tie("filters") }),
    fc.record({ all: fc.array(tie("filters"), { maxLength: 3 }) }),
    fc.record({ any: fc.array(tie("filters"), { maxLength: 3 }) }),
  ),
}));

// What the schema refuses is drawn too, and left out here.
const validFilter = filters
  .map((drawn) => filter.safeParse(drawn).data)
  .filter((drawn) => drawn !== undefined);

const json = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    scalar,
    text,
    fc.constant(null),
    fc.array(scalar, { maxLength: 3 }),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(name, tie("value"), { maxKeys: 3 }),
  ),
})).value;

const output = fc
  .tuple(fc.record({ a: json, b: json }, { requiredKeys: [] }), fc.dictionary(name, json, { maxKeys: 2 }))
  .map(([likely, any]) => ({ ...any, ...likely }));

const time = fc.integer({ min: -3_000_000_000, max: 0 }).map((ago) => new Date(NOW.getTime() + ago));

const person: fc.Arbitrary<FilterFacts> = fc.record({
  now: fc.constant(NOW),
  contact: fc.record({
    email: fc.constantFrom("Ann@Example.com", "bea@a.example", null),
    timeZone: fc.constantFrom("Europe/Paris", "a", null),
    attributes: output,
    tags: fc.uniqueArray(text, { maxLength: 3 }),
    createdAt: time,
    updatedAt: time,
  }),
  activity: fc.array(
    fc.record({
      type: fc.constantFrom("email_opened" as const, "email_clicked" as const),
      at: fc.oneof(
        time,
        fc.constantFrom(NOW, new Date("2026-02-28T12:00:00Z"), new Date("2026-03-28T12:00:00Z")),
      ),
      campaignId: fc.constantFrom(null, ...CAMPAIGNS),
      agent: fc.constantFrom(null, ...AGENTS),
    }),
    { maxLength: 5 },
  ),
  outputs: fc.tuple(output, output).map(
    ([a, b]) =>
      new Map([
        ["a", a],
        ["b", b],
      ]),
  ),
});

describe("SQL and TypeScript", () => {
  test("say the same of any filter and any person", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(validFilter, { minLength: 20, maxLength: 20 }),
        person,
        async (asked, facts) => {
          expect(await answers(asked, facts)).toEqual(asked.map((one) => matches(one, facts)));
        },
      ),
      { numRuns: 150 },
    );
  });
});

/** What SQL says of a person who is written into the tables for it. */
async function answers(asked: readonly Filter[], facts: FilterFacts): Promise<boolean[]> {
  const { db } = database;
  const customerId = await createCustomer(db);
  const contactId = newId();
  const enrollmentId = newId();
  const { contact } = facts;
  await sql`
    insert into contact (customer_id, id, email, telegram_chat_id, time_zone, attributes, tags, created_at, updated_at)
    values (${customerId}, ${contactId}, ${contact.email}, 1, ${contact.timeZone},
      ${JSON.stringify(contact.attributes)}::jsonb, ${contact.tags}::text[], ${contact.createdAt}, ${contact.updatedAt})`.execute(
    db,
  );
  await sql`
    insert into activity (customer_id, contact_id, id, type, at, campaign_id, agent, data)
    select ${customerId}, ${contactId}, id, type, at, "campaignId", agent, '{}'
    from jsonb_to_recordset(${JSON.stringify(facts.activity.map((event) => ({ ...event, id: newId(event.at.getTime()) })))}::jsonb)
      as a(id uuid, type text, at timestamptz, "campaignId" uuid, agent text)`.execute(db);
  const runs = [...facts.outputs].flatMap(([node, output]) => [
    { node, output: { a: "of an earlier round" }, round: 1 },
    { node, output, round: 2 },
  ]);
  await sql`
    insert into node_run (customer_id, id, enrollment_id, contact_id, campaign_id, version, node_id, status, output, round)
    select ${customerId}, new_id(), ${enrollmentId}, ${contactId}, ${CAMPAIGNS[0]}, 1, node, 'completed', output, round
    from jsonb_to_recordset(${JSON.stringify(runs)}::jsonb) as r(node text, output jsonb, round int)`.execute(
    db,
  );
  const { rows } = await sql<{ fits: boolean[] }>`
    select array[${sql.join(asked.map((one) => filterSql(one, facts)))}] as fits
    from contact c, (select ${enrollmentId}::uuid as id) as en
    where c.customer_id = ${customerId}`.execute(db);
  return rows[0]?.fits ?? [];
}

function moment() {
  return fc.oneof(text, fc.constantFrom("-P1M", "-P1M", "-PT1S", "-P2W", "P1D"));
}
