import type { Result } from "../egress/result.ts";
import { MASK } from "./endpoint-url.ts";

/**
 * What came back, without what is secret of the address that was called: servers repeat it in redirects and errors,
 * and what they say is in the log, and told to others when an endpoint is disabled for it.
 */
export function maskedAnswer(result: Result, secrets: readonly string[]): Result {
  if (!result.ok || secrets.length === 0) return result;
  const headers = Object.entries(result.headers).map(([name, value]) => [name, masked(value, secrets)]);
  return { ...result, headers: Object.fromEntries(headers), body: maskedBody(result.body, secrets) };
}

// As bytes: nothing else of a body that is no text may change.
function maskedBody(body: Buffer, secrets: readonly string[]): Buffer {
  const found = secrets.filter((secret) => body.includes(secret));
  if (found.length === 0) return body;
  return Buffer.from(masked(body.toString("latin1"), found.map(bytesOf), bytesOf(MASK)), "latin1");
}

function masked(text: string, secrets: readonly string[], mask = MASK): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, mask), text);
}

/** A character for each byte. */
function bytesOf(text: string): string {
  return Buffer.from(text).toString("latin1");
}
