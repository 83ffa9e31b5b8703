import { type Context, Hono } from "hono";
import type { ApiEnv } from "../../http/env.ts";
import { type ProblemCode, problemResponse } from "../../http/problem.ts";
import { decode, readAtMost } from "../body.ts";
import type { TelegramReceiver } from "./receiver.ts";

/** Where Telegram delivers to; the secret says that it is Telegram. */
export const TELEGRAM_WEBHOOK_PATH = "/api/telegram/webhook/:credentialId";

/** The largest update is far smaller. */
const MAX_BODY_BYTES = 1024 * 1024;
const SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token";

/** For the app to mount at its root: asks for no API key, takes any content type. */
export function telegramUpdateRoutes(receiver: Pick<TelegramReceiver, "admit" | "receive">): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  app.all(TELEGRAM_WEBHOOK_PATH, async (c) => {
    if (c.req.method !== "POST") {
      c.header("Allow", "POST");
      return refused(c, "method_not_allowed", "Telegram delivers by POST.");
    }
    // Nothing of the body is read before it is known who sends it.
    const secret = c.req.header(SECRET_HEADER) ?? null;
    const webhook = await receiver.admit(c.req.param("credentialId"), secret);
    if (webhook === null) return refused(c, "unauthorized", "The secret token is not this webhook's.");
    const bytes = await readAtMost(c.req.raw, MAX_BODY_BYTES);
    if (bytes === null) return refused(c, "too_large", `The body must have at most ${MAX_BODY_BYTES} bytes.`);
    const text = decode(bytes);
    const answer = text === null ? null : await receiver.receive(webhook, text);
    if (answer === null) return refused(c, "invalid", "The body must be a JSON object with an update_id.");
    return c.json(answer, 200);
  });
  return app;
}

function refused(c: Context<ApiEnv>, code: ProblemCode, detail: string): Response {
  return problemResponse(c, { code, detail, fields: [] });
}
