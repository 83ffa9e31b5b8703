import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { sql } from "kysely";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { waitEnds } from "../../test/support/wait-ends.ts";
import { WEEKDAYS } from "./node-schema.ts";
import type { WaitNode } from "./schema.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.close());

const HOUR_MS = 3_600_000;

/** Clocks that go forward and back in March and October, at other times and hours, by half an hour, and never. */
const ZONES = [
  "UTC",
  "Europe/Paris",
  "America/New_York",
  "America/St_Johns",
  "Australia/Lord_Howe",
  "Pacific/Auckland",
  "Asia/Kathmandu",
  "Asia/Tokyo",
  "Africa/Cairo",
];

/** Moments around which a clock of `ZONES` changes. */
const CHANGES = [
  "2025-03-30T01:00:00Z",
  "2025-10-26T01:00:00Z",
  "2025-03-09T07:00:00Z",
  "2025-11-02T06:00:00Z",
  "2025-04-05T15:00:00Z",
  "2025-10-04T15:30:00Z",
  "2025-09-27T14:00:00Z",
  "2025-04-24T22:00:00Z",
];

const aroundAChange = fc
  .tuple(fc.constantFrom(...CHANGES), fc.integer({ min: -60 * HOUR_MS, max: 60 * HOUR_MS }))
  .map(([change, away]) => new Date(Date.parse(change) + away));
const anyTime = fc.date({
  min: new Date("2016-01-01T00:00:00Z"),
  max: new Date("2036-01-01T00:00:00Z"),
  noInvalidDate: true,
});
const moment = fc.oneof(aroundAChange, anyTime);
const time = fc
  .integer({ min: 0, max: 24 * 60 - 1 })
  .map((minutes) => new Date(minutes * 60_000).toISOString().slice(11, 16));

type Pause = Pick<WaitNode, "duration" | "until" | "at">;

const pause: fc.Arbitrary<Pause> = fc.oneof(
  fc.record({
    at: fc.record({ time, weekdays: fc.subarray([...WEEKDAYS], { minLength: 1 }) }),
  }),
  fc.record({ until: moment.map((local) => local.toISOString().slice(0, 16)) }),
  fc.record({ until: moment.map((local) => `${local.toISOString().slice(0, 16)}+02:00`) }),
  fc.record({ duration: fc.constantFrom("PT1S", "PT26H", "P1D", "P3W", "P1M", "P1Y2M3DT4H5M6.5S") }),
);

const drawnWait = fc.record({ pause, start: moment, zone: fc.constantFrom(...ZONES) });

type Wait = typeof drawnWait extends fc.Arbitrary<infer T> ? T : never;

async function endsInSql(waits: readonly Wait[]): Promise<string[]> {
  const rows = waits.map(({ pause: { duration, ...settings }, start, zone }, number) => ({
    number,
    settings,
    wait: duration,
    start,
    zone,
  }));
  const found = await sql<{ ends: Date }>`
    select wait_ends(settings, wait, start, zone) as ends
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as w(number int, settings jsonb, wait interval, start timestamptz, zone text)
    order by number`.execute(database.db);
  return found.rows.map(({ ends }) => ends.toISOString());
}

test("a wait ends when the clocks of its contact say, also when they go forward or back", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(drawnWait, { minLength: 40, maxLength: 40 }), async (waits) => {
      const expected = waits.map(({ pause, start, zone }) => {
        const node: WaitNode = { id: "pause", type: "wait", ...pause };
        return waitEnds(node, start, zone).toISOString();
      });
      expect(await endsInSql(waits)).toEqual(expected);
    }),
    { numRuns: 60 },
  );
});

describe("in Paris", () => {
  test.each([
    ["a time that is skipped in March", "02:30", "2025-03-29T23:00:00Z", "2025-03-30T01:30:00.000Z"],
    ["a time that comes twice in October", "02:30", "2025-10-25T22:00:00Z", "2025-10-26T01:30:00.000Z"],
    ["the time it is now", "09:00", "2025-06-02T07:00:00Z", "2025-06-03T07:00:00.000Z"],
  ])("%s comes once", async (_, time, start, ends) => {
    const at = { time, weekdays: [...WEEKDAYS] };
    const wait = { pause: { at }, start: new Date(start), zone: "Europe/Paris" };
    expect(await endsInSql([wait])).toEqual([ends]);
  });
});

describe("a contact's time zone", () => {
  async function known(zone: string | null, fallback: string | null): Promise<string | undefined> {
    const { rows } = await sql<{ zone: string }>`
      select known_zone(${zone}::text, ${fallback}::text) as zone`.execute(database.db);
    return rows[0]?.zone;
  }

  test.each([
    [null],
    [""],
    ["Mars/Olympus"],
    ["Mars/Olympus5"],
    ["XYZ-3"],
    ["Etc/GMT+99"],
    ["CEST"],
    ["../../etc/passwd"],
    ["Europe/Paris; drop table contact"],
  ])("that is %p gives way to the campaign's, and that to UTC", async (zone) => {
    expect(await known(zone, "America/New_York")).toBe("America/New_York");
    expect(await known(zone, "Nowhere/AtAll")).toBe("UTC");
  });

  test("is every one of the IANA database, with its own clocks", async () => {
    const zones = Intl.supportedValuesOf("timeZone").concat("UTC", "Etc/GMT-14", "CET", "EST5EDT");
    const instants = ["2025-01-15T12:00:00Z", "2025-07-15T12:00:00Z"];
    const { rows } = await sql<{ zone: string; at: string; local: string }>`
      select zone, at, to_char(at::timestamptz at time zone known_zone(zone, 'Nowhere/AtAll'), 'YYYY-MM-DD HH24:MI:SS')
        as local
      from unnest(${zones}::text[]) as zone, unnest(${instants}::text[]) as at`.execute(database.db);
    const wrong = rows.filter(({ zone, at, local }) => local !== localTime(zone, new Date(at)));
    expect(wrong).toEqual([]);
  });
});

function localTime(timeZone: string, at: Date): string {
  const style = { dateStyle: "short", timeStyle: "medium", timeZone } as const;
  // Sweden writes times as ISO 8601 does.
  return new Intl.DateTimeFormat("sv-SE", style).format(at);
}
