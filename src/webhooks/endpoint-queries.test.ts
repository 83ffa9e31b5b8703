import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import { createTestApp, type TestApp } from "../../test/support/app.ts";
import { TEST_ENCRYPTION_KEY } from "../../test/support/campaigns.ts";
import { disableEndpoint, openEndpoint } from "./endpoint-queries.ts";
import { endpointRoutes } from "./endpoint-routes.ts";

let api: TestApp;

beforeAll(async () => {
  const egress = { refusal: async () => null };
  const deps = { egress, isOpened: async () => false, encryptionKey: TEST_ENCRYPTION_KEY, randomBytes };
  api = await createTestApp([endpointRoutes(deps)]);
});
afterAll(() => api.close());

async function create(): Promise<string> {
  const body = { type: "custom", url: "https://example.com/hooks?key=a", headers: { "X-Key": "b" } };
  return (await api.call("POST", "/api/v1/webhooks/endpoints", { body })).body.id;
}

const disable = (id: string) =>
  api.database.db
    .transaction()
    .execute((db) => disableEndpoint(db, api.customer.id, id, "gone", "It answered 410 Gone."));

test("of ten who disable an endpoint at once one does, and the log has it once", async () => {
  const id = await create();
  const done = await Promise.all(Array.from({ length: 10 }, () => disable(id)));
  expect(done.filter(Boolean)).toHaveLength(1);
  const { rows } = await sql`
    select e.data, (select array_agg(s.status order by s.version) from webhook_endpoint_state s
      where s.customer_id = e.customer_id and s.endpoint_id = ${id}) as states
    from event_log e where e.type = 'endpoint_disabled' and e.data ->> 'endpointId' = ${id}`.execute(
    api.database.db,
  );
  expect(rows).toEqual([
    {
      data: {
        endpointId: id,
        url: "https://example.com/hooks?key=…",
        by: "gone",
        reason: "It answered 410 Gone.",
      },
      states: ["enabled", "disabled"],
    },
  ]);
});

test("an endpoint that is not there is not disabled", async () => {
  expect(await disable("01989c2a-7d3c-7cc3-98c4-dc0c0c07398f")).toBe(false);
});

test.each(["url", "headers", "private_key"])(
  "the %s of another endpoint, put in its place, can't be opened",
  async (column) => {
    const [id, other] = [await create(), await create()];
    await sql`
      update webhook_endpoint e set ${sql.ref(column)} = o.${sql.ref(column)}
      from webhook_endpoint o where e.id = ${id} and o.id = ${other}`.execute(api.database.db);
    const opened = openEndpoint(api.database.db, TEST_ENCRYPTION_KEY, api.customer.id, id);
    await expect(opened).rejects.toThrow();
  },
);
