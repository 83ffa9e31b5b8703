import { z } from "@hono/zod-openapi";
import { isoTime } from "../contacts/moment.ts";
import { id, lines } from "../http/fields.ts";

const MAX_CAMPAIGNS = 100;
const MAX_ENDPOINTS = 20;
export const MAX_REASON_CHARS = 500;

/** A time that is given, as a Date. */
export const moment = z
  .string()
  .refine((text) => isoTime(text) !== null, "must be a time such as 2026-03-06T20:00:00Z")
  .transform((text) => isoTime(text));

/** Campaigns that something is narrowed to; null: none in particular. */
export const campaignIds = z
  .array(id())
  .min(1, "must name at least one campaign; null stands for all")
  .max(MAX_CAMPAIGNS, `must have at most ${MAX_CAMPAIGNS} campaigns`)
  .transform(unique)
  .nullable();

/** Endpoints that are to be told. */
export const endpointIds = z
  .array(id())
  .min(1, "must name at least one endpoint")
  .max(MAX_ENDPOINTS, `must name at most ${MAX_ENDPOINTS} endpoints`)
  .transform(unique);

/** Why somebody does something. */
export const reason = lines(MAX_REASON_CHARS)
  .nullable()
  .openapi({ description: "Why, for the audit log.", example: "The CRM was down." });

export function unique(texts: string[]): string[] {
  return [...new Set(texts)];
}
