import { afterAll, expect, test } from "bun:test";
import { createDatabase } from "../../test/support/database.ts";
import { migrate, pendingMigrations } from "./migrate.ts";
import { type Database, openDatabase } from "./pool.ts";

const opened: Database[] = [];

afterAll(() => Promise.all(opened.map((database) => database.close())));

test("twenty processes migrating an empty database at once apply each migration once", async () => {
  const url = await createDatabase("template1");
  const databases = Array.from({ length: 20 }, () => openDatabase(url, 1));
  opened.push(...databases);

  const applied = await Promise.all(databases.map(({ db }) => migrate(db)));

  const winners = applied.filter((names) => names.length > 0);
  expect(winners).toHaveLength(1);
  expect(winners[0]).toContain("0001-foundation");
});

test("what is pending is named before, and nothing is after", async () => {
  const database = openDatabase(await createDatabase("template1"), 1);
  opened.push(database);

  const pending = await pendingMigrations(database.db);

  expect(pending).toContain("0001-foundation");
  expect(await migrate(database.db)).toEqual(pending);
  expect(await pendingMigrations(database.db)).toEqual([]);
});

test("a second migration finds nothing to do", async () => {
  const database = openDatabase(await createDatabase("edgr_template"), 1);
  opened.push(database);

  expect(await migrate(database.db)).toEqual([]);
});
