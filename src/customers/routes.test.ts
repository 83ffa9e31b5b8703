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
    frequencyCap: null,
    activityRetentionDays: null,
    eventRetentionDays: null,
    deliveryRetentionDays: 90,
    softBounceLimit: { bounces: 3, days: 30 },
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

test("how long activity and events are kept is changed one by one, and null keeps them for ever", async () => {
  expect((await patch({ activityRetentionDays: 365 })).body).toMatchObject({
    activityRetentionDays: 365,
    eventRetentionDays: null,
  });
  expect((await patch({ eventRetentionDays: 30 })).body).toMatchObject({
    activityRetentionDays: 365,
    eventRetentionDays: 30,
  });
  expect((await patch({ activityRetentionDays: null })).body.activityRetentionDays).toBeNull();
});

test.each([
  [{ activityRetentionDays: 0 }, "activityRetentionDays"],
  [{ activityRetentionDays: 1.5 }, "activityRetentionDays"],
  [{ eventRetentionDays: 29 }, "eventRetentionDays"],
  [{ deliveryRetentionDays: 6 }, "deliveryRetentionDays"],
  [{ eventRetentionDays: 36_501 }, "eventRetentionDays"],
])("%p is refused, and the field named", async (body, field) => {
  const answer = await patch(body);
  expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, field]);
});

test("a frequency cap is kept as it was given, and taken away by null", async () => {
  const cap = { messages: 3, per: "P1DT12H" };
  expect((await patch({ frequencyCap: cap })).body.frequencyCap).toEqual(cap);
  expect((await patch({ confirmUnsubscribe: false })).body.frequencyCap).toEqual(cap);
  expect((await api.call("GET", "/api/v1/customer")).body.frequencyCap).toEqual(cap);
  expect((await patch({ frequencyCap: null })).body.frequencyCap).toBeNull();
});

test("a limit of soft bounces is kept as it was given, and taken away by null", async () => {
  const softBounceLimit = { bounces: 5, days: 7 };
  expect((await patch({ softBounceLimit })).body).toMatchObject({ softBounceLimit });
  expect((await patch({ confirmUnsubscribe: false })).body).toMatchObject({ softBounceLimit });
  expect((await patch({ softBounceLimit: null })).body.softBounceLimit).toBeNull();
  expect((await api.call("GET", "/api/v1/customer")).body.softBounceLimit).toBeNull();
});

test.each([
  ["softBounceLimit.bounces", { bounces: 0, days: 30 }],
  ["softBounceLimit.days", { bounces: 3, days: 366 }],
  ["softBounceLimit.days", { bounces: 3 }],
  ["softBounceLimit.days", { bounces: 3, days: 1.5 }],
])("%s can't be that of %p", async (field, softBounceLimit) => {
  const answer = await patch({ softBounceLimit });
  expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, field]);
});

test.each([
  ["frequencyCap.messages", { messages: 0, per: "P1D" }],
  ["frequencyCap.per", { messages: 1, per: "a day" }],
  ["frequencyCap.per", { messages: 1, per: "PT0S" }],
  ["frequencyCap.per", { messages: 1 }],
])("%s can't be that of %p", async (field, frequencyCap) => {
  const answer = await patch({ frequencyCap });
  expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, field]);
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
