import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { sql } from "kysely";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";

const MINUTE_MS = 60_000;
const ZONES = [
  "UTC",
  "Europe/Paris",
  "America/New_York",
  "America/Havana",
  "Australia/Lord_Howe",
  "Asia/Kathmandu",
  "Pacific/Chatham",
] as const;

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

type Case = { ms: number; zone: (typeof ZONES)[number]; from: number; to: number };

async function quietEnds(cases: readonly Case[]): Promise<(number | null)[]> {
  const { rows } = await sql<{ ends: Date | null }>`
    select quiet_ends(moment, zone, quiet_from, quiet_to) as ends
    from unnest(${cases.map(({ ms }) => new Date(ms))}::timestamptz[], ${cases.map(({ zone }) => zone)}::text[],
      ${cases.map(({ from }) => clock(from))}::time[], ${cases.map(({ to }) => clock(to))}::time[])
      with ordinality as c(moment, zone, quiet_from, quiet_to, number)
    order by number`.execute(database.db);
  return rows.map(({ ends }) => ends?.getTime() ?? null);
}

const clock = (minute: number) =>
  `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;

const formats = new Map(
  ZONES.map((zone) => [
    zone,
    new Intl.DateTimeFormat("en-GB", {
      timeZone: zone,
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    }),
  ]),
);

/** Minutes since midnight that a wall clock shows. */
function wall(zone: Case["zone"], ms: number): number {
  const [hour = 0, minute = 0] = (formats.get(zone)?.format(ms) ?? "").split(":").map(Number);
  return hour * 60 + minute;
}

/**
 * Looks at a wall clock minute by minute, until it is quiet no more, and will not be for three hours. An end that the
 * clock shows twice is the second.
 */
function watched({ ms, zone, from, to }: Case): number | null {
  const isQuiet = (at: number) => {
    const now = wall(zone, at);
    return from < to ? now >= from && now < to : now >= from || now < to;
  };
  if (!isQuiet(ms)) return null;
  let last = Math.floor(ms / MINUTE_MS) * MINUTE_MS;
  for (let at = last; at <= last + 180 * MINUTE_MS; at += MINUTE_MS) if (isQuiet(at)) last = at;
  const over = last + MINUTE_MS;
  const showing = Array.from({ length: 180 }, (_, minute) => over + minute * MINUTE_MS).filter(
    (at) => wall(zone, at) === to,
  );
  if (wall(zone, over) === to) return showing.at(-1) ?? over;
  // The clock jumped over the end: it comes as much later as the clock jumped.
  return over + ((to - wall(zone, last) - 1 + 1440) % 1440) * MINUTE_MS;
}

const changes = ["2026-03-29T01:00Z", "2026-10-25T01:00Z", "2026-03-08T05:00Z", "2026-11-01T05:00Z"];
const halfHours = (hours: number) => fc.integer({ min: 0, max: hours * 2 - 1 }).map((half) => half * 30);
const moments = fc.oneof(
  fc.integer({ min: Date.UTC(2026, 0), max: Date.UTC(2027, 0) }),
  fc
    .tuple(fc.constantFrom(...changes), fc.integer({ min: -26 * 60, max: 26 * 60 }))
    .map(([change, minutes]) => Date.parse(change) + minutes * MINUTE_MS),
);
const cases = fc
  .record({ ms: moments, zone: fc.constantFrom(...ZONES), from: halfHours(24), length: halfHours(20) })
  .filter(({ length }) => length > 0)
  .map(({ length, ...rest }): Case => ({ ...rest, to: (rest.from + length) % 1440 }));

describe("quiet hours", () => {
  test("end at the second time also when their end is the first minute that comes twice", async () => {
    const night = { zone: "America/New_York", from: 960, to: 60, ms: 1_793_509_140_000 } as const;
    expect(await quietEnds([night])).toEqual([watched(night)]);
    expect(watched(night)).toBe(1_793_512_800_000);
  });

  test("end when a watched wall clock says so, over midnight and when clocks are changed", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(cases, { minLength: 20, maxLength: 100 }), async (drawn) => {
        expect(await quietEnds(drawn)).toEqual(drawn.map(watched));
      }),
      { numRuns: 40 },
    );
  });

  test("end at the second time that a clock shows, and later when it shows none", async () => {
    const night = { zone: "Europe/Paris", from: 21 * 60, to: 150 } as const;
    expect(
      await quietEnds([
        { ...night, ms: Date.parse("2026-10-24T22:00Z") },
        { ...night, ms: Date.parse("2026-03-28T23:00Z") },
      ]),
    ).toEqual([Date.parse("2026-10-25T01:30Z"), Date.parse("2026-03-29T01:30Z")]);
  });

  test("that end when they begin are none", async () => {
    expect(await quietEnds([{ ms: 0, zone: "UTC", from: 0, to: 0 }])).toEqual([null]);
  });
});
