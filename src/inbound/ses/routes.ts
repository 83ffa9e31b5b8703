import { type Context, Hono } from "hono";
import type { ApiEnv } from "../../http/env.ts";
import { type ProblemCode, problemResponse } from "../../http/problem.ts";
import { decode, readAtMost } from "../body.ts";
import type { Receiver } from "./receiver.ts";

/** Where SNS delivers to, for everybody: what is signed says whose it is. */
export const SES_EVENTS_PATH = "/api/ses-events";

/** SNS sends 256 KiB at most, before they are escaped as JSON (protocols 1.1). */
const MAX_BODY_BYTES = 1024 * 1024;

const CODES = { 400: "invalid", 403: "forbidden", 503: "unavailable" } as const satisfies Record<
  number,
  ProblemCode
>;

/** For the app to mount at its root: asks for no API key, takes any content type. */
export function sesEventRoutes(receiver: Pick<Receiver, "receive">): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  app.all(SES_EVENTS_PATH, async (c) => {
    if (c.req.method !== "POST") {
      c.header("Allow", "POST");
      return refused(c, "method_not_allowed", "Amazon SNS delivers by POST.");
    }
    const bytes = await readAtMost(c.req.raw, MAX_BODY_BYTES);
    if (bytes === null) return refused(c, "too_large", `The body must have at most ${MAX_BODY_BYTES} bytes.`);
    const text = decode(bytes);
    if (text === null) return refused(c, "invalid", "The body is not UTF-8.");
    const { status, detail } = await receiver.receive(text);
    return status === 200 ? c.body(null, 200) : refused(c, CODES[status], detail);
  });
  return app;
}

function refused(c: Context<ApiEnv>, code: ProblemCode, detail: string): Response {
  return problemResponse(c, { code, detail, fields: [] });
}
