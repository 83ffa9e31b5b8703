import type { Context } from "hono";
import { newId } from "../events/id.ts";
import type { ApiEnv } from "./env.ts";

const SANE = /^[A-Za-z0-9._-]{1,64}$/;

/** This request's id: the caller's `X-Request-Id` when it is fit for a log line, else a new one. */
export function requestIdOf(c: Context<ApiEnv>): string {
  const known: string | undefined = c.get("requestId");
  if (known !== undefined) return known;
  const given = c.req.header("X-Request-Id");
  const id = given !== undefined && SANE.test(given) ? given : newId();
  c.set("requestId", id);
  return id;
}
