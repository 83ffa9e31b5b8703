import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Db } from "../storage/pool.ts";

/** What the server hands to every request: the peer's address, before any proxy header is believed. */
export type Bindings = { ip: string | null };

/**
 * What a handler under /api/v1 finds in `c.var`. `db` is the database, or, for a POST with an `Idempotency-Key`,
 * the transaction that also remembers the answer: handlers use nothing else.
 */
export type ApiEnv = {
  Bindings: Bindings;
  Variables: {
    requestId: string;
    customerId: string;
    /** The name of the API key, for the audit log. */
    actor: string;
    db: Db;
  };
};

/** One resource's routes, as `createApp` mounts them under /api/v1. */
export type ApiRoutes = OpenAPIHono<ApiEnv>;
