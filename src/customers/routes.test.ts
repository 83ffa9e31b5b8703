import { afterAll, beforeAll, expect, test } from "bun:test";
import { createTestApp, type TestApp } from "../../test/support/app.ts";
import { customerRoutes } from "./routes.ts";

let api: TestApp;

beforeAll(async () => {
  api = await createTestApp([customerRoutes()]);
});
afterAll(() => api.close());

const patch = (body: object) => api.call("PATCH", "/api/v1/customer", { body });

test("a new account keeps whole IPs, unsubscribes at once and has no address", async () => {
  const customer = await api.createCustomer("new");
  const answer = await api.call("GET", "/api/v1/customer", { customer });
  expect(answer.status).toBe(200);
  expect(answer.body).toMatchObject({
    id: customer.id,
    name: "new",
    ipPolicy: "whole",
    confirmUnsubscribe: false,
    postalAddress: null,
  });
});

test("a change changes what it names and nothing else", async () => {
  const changed = await patch({ ipPolicy: "truncated", postalAddress: "1 Main St\nSpringfield" });
  expect(changed.status).toBe(200);
  expect(changed.body).toMatchObject({ ipPolicy: "truncated", postalAddress: "1 Main St\nSpringfield" });
  await patch({ confirmUnsubscribe: true });
  const { body } = await patch({ postalAddress: null, name: " Renamed " });
  expect(body).toMatchObject({
    name: "Renamed",
    ipPolicy: "truncated",
    confirmUnsubscribe: true,
    postalAddress: null,
  });
  expect((await api.call("GET", "/api/v1/customer")).body).toEqual(body);
});

test("an account can't take another's name", async () => {
  await api.createCustomer("taken");
  const answer = await patch({ name: "taken" });
  expect(answer.status).toBe(409);
});

test.each([
  ["ipPolicy", "some"],
  ["confirmUnsubscribe", "yes"],
  ["name", "  "],
  ["name", null],
  ["postalAddress", ""],
  ["id", "01989c2a-7d3c-7cc3-98c4-dc0c0c07398f"],
])("%s can't be %p", async (field, value) => {
  const answer = await patch({ [field]: value });
  expect(answer.status).toBe(400);
  expect(answer.body.errors[0]?.field).toBe(field);
});
