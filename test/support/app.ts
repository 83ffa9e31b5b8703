import { Hono } from "hono";
import pino from "pino";
import { createApiKey, hashApiKey } from "../../src/customers/api-keys.ts";
import { findCustomerByKey } from "../../src/customers/queries.ts";
import { createApp } from "../../src/http/app.ts";
import type { ApiRoutes } from "../../src/http/env.ts";
import { createMetrics } from "../../src/http/metrics.ts";
import { TEST_ENCRYPTION_KEY } from "./campaigns.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";

export type TestCustomer = { id: string; key: string };

export type TestApp = {
  app: ReturnType<typeof createApp>;
  database: TestDatabase;
  /** The customer whose key `call` sends. */
  customer: TestCustomer;
  /** One more customer, for tests of what must not reach another. */
  createCustomer(name: string): Promise<TestCustomer>;
  /** A request with this customer's key; `body` is sent as JSON. */
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  close(): Promise<void>;
};

export type CallOptions = { body?: unknown; customer?: TestCustomer; headers?: Record<string, string> };

/** What our answers have in common; an answer without JSON has an empty body. */
export type Body = {
  id: string;
  items: Body[];
  nextCursor: string | null;
  errors: { field: string; reason: string }[];
  [field: string]: unknown;
};

export type Answer = { status: number; headers: Headers; text: string; body: Body };

/** The whole app with these resources on a database of its own. Close it in `afterAll`. */
export async function createTestApp(
  resources: readonly ApiRoutes[],
  now = () => new Date(),
): Promise<TestApp> {
  const database = await createTestDatabase();
  const app = createApp({
    database,
    config: { publicUrl: "https://edgr.example.com" },
    encryptionKey: TEST_ENCRYPTION_KEY,
    trackingApp: new Hono(),
    ready: async () => ({ ready: true }),
    logger: pino({ level: "silent" }),
    now,
    metrics: createMetrics(),
    resources,
  });

  async function createCustomer(customerName: string): Promise<TestCustomer> {
    const { key } = await createApiKey(database.db, { customerName, name: "test" });
    const owner = await findCustomerByKey(database.db, hashApiKey(key));
    if (owner === null) throw new Error("the key just made is not there");
    return { id: owner.customerId, key };
  }

  const customer = await createCustomer("test customer");

  async function call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const headers = new Headers({ Authorization: `Bearer ${(options.customer ?? customer).key}` });
    if (options.body !== undefined) headers.set("Content-Type", "application/json");
    for (const [name, value] of Object.entries(options.headers ?? {})) headers.set(name, value);
    const body = typeof options.body === "string" ? options.body : (JSON.stringify(options.body) ?? null);
    const response = await app.request(path, { method, headers, body }, { ip: null });
    const text = await response.text();
    const isJson = response.headers.get("Content-Type")?.includes("json") === true && text !== "";
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: JSON.parse(isJson ? text : "{}"),
    };
  }

  return { app, database, customer, createCustomer, call, close: () => database.close() };
}
