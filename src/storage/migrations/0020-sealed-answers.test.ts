import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import { openDatabaseBefore } from "../../../test/support/migrations.ts";
import { newId } from "../../events/id.ts";
import { findAnswer } from "../../http/queries.ts";
import { migrate } from "../migrate.ts";
import type { Database } from "../pool.ts";

const customerId = newId();

let database: Database;

/** A database of the version before, with an answer in it. */
beforeAll(async () => {
  database = await openDatabaseBefore("0020-sealed-answers");
  await sql`
    insert into idempotency_key (customer_id, key, fingerprint, status, body)
    values (${customerId}, 'k1', 'print', 201, '{"id":"1"}')`.execute(database.db);
  await migrate(database.db);
});

afterAll(() => database.close());

test("an answer of the version before is found as it was kept", async () => {
  expect(await findAnswer(database.db, customerId, "k1")).toEqual({
    fingerprint: "print",
    status: 201,
    body: '{"id":"1"}',
    sealed: null,
  });
});
