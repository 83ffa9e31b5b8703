import { afterAll, beforeAll, expect, test } from "bun:test";
import { createTestApp, type TestApp } from "../../test/support/app.ts";
import { CATALOGUE_TYPES } from "./catalogue-types.ts";
import { eventTypeRoutes } from "./event-type-routes.ts";

let api: TestApp;

beforeAll(async () => {
  api = await createTestApp([eventTypeRoutes()]);
});
afterAll(() => api.close());

test("the catalogue lists every type with its schema and an example", async () => {
  const { status, body } = await api.call("GET", "/api/v1/event-types");
  expect([status, body.nextCursor]).toEqual([200, null]);
  expect(body.items.map(({ type }) => type)).toEqual([...CATALOGUE_TYPES]);
});

test("one type is what the list says of it", async () => {
  const { body } = await api.call("GET", "/api/v1/event-types/email_clicked");
  expect(body).toMatchObject({
    type: "email_clicked",
    payloadVersion: 1,
    schema: { properties: { data: { properties: { data: { required: ["clickedUrl"] } } } } },
    example: { type: "email_clicked", data: { agent: "human", data: { clickedUrl: expect.any(String) } } },
  });
  const list = await api.call("GET", "/api/v1/event-types");
  expect(list.body.items.find(({ type }) => type === "email_clicked")).toEqual(body);
});

test.each([
  ["email_open", "the nearest is email_opened"],
  ["run_completed", "is no event type"],
  ["email_*", "is a pattern"],
])("%s is not there: %s", async (type, reason) => {
  const { status, body } = await api.call("GET", `/api/v1/event-types/${type}`);
  expect(status).toBe(404);
  expect(body.detail).toContain(reason);
});
