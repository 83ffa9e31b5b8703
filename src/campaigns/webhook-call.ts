import type { Json } from "../events/event.ts";
import { storableJson } from "../events/storable.ts";

/** A run of a webhook node whose turn it is, with what is sent of it. */
export type WebhookCall = {
  customerId: string;
  runId: string;
  enrollmentId: string;
  campaignId: string;
  campaignName: string;
  version: number;
  nodeId: string;
  /** Of the node, as its version has them; parsed by whoever makes the call. */
  settings: unknown;
  contactId: string;
  /** Null when the contact has been deleted meanwhile. */
  contact: WebhookContact | null;
  /** This one included. */
  attempts: number;
};

export type WebhookContact = {
  email: string | null;
  timeZone: string | null;
  attributes: { [name: string]: Json };
  tags: string[];
};

/** What came back: an answer, or why there was none. `isFinal`: no use in trying again. */
export type Answer =
  | { ok: true; status: number; headers: { [name: string]: string }; body: Buffer; isTruncated: boolean }
  | { ok: false; reason: string; isFinal: boolean };

/** What becomes of the run: it ends, well or not, or the call is made again after `delayMs`. */
export type Outcome =
  | { kind: "completed"; status: number; output: { [name: string]: Json } }
  | { kind: "failed"; status: number | null; reason: string }
  | { kind: "again"; delayMs: number; reason: string };

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;

/** A deployment at the other end takes a minute, an outage an hour; after three the contact should not be kept. */
const DELAYS_MS = [10 * SECOND_MS, MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 120 * MINUTE_MS];
/** However long a server asks for, it is asked once a day. */
const MAX_DELAY_MS = 24 * 60 * MINUTE_MS;
/** 4xx says that the request is at fault, but for these: too slow, too early, too many. */
const TEMPORARY_4XX = [408, 425, 429];

/**
 * Makes an outcome of an answer. 2xx completes the run; what `mapping` asks for is taken from the JSON answer, and a
 * path that leads nowhere gives nothing. Redirects and most of 4xx fail at once, everything else is tried again.
 * @param mapping names of the output, and dotted paths into the answer
 * @param random 0 to 1; spreads a delay by 20 % both ways
 * @param now Unix milliseconds, for a `Retry-After` that is a date
 */
export function outcomeOf(
  answer: Answer,
  mapping: { [name: string]: string },
  attempts: number,
  random: number,
  now: number,
): Outcome {
  if (!answer.ok) {
    return answer.isFinal
      ? { kind: "failed", status: null, reason: answer.reason }
      : againOrFailed(null, answer.reason, attempts, random, 0);
  }
  const { status } = answer;
  if (status >= 200 && status < 300) return completed(answer, mapping);
  const reason = `The server answered ${status}.`;
  const isFinal = status < 500 && !TEMPORARY_4XX.includes(status);
  if (isFinal) return { kind: "failed", status, reason };
  return againOrFailed(status, reason, attempts, random, retryAfterMs(answer.headers["retry-after"], now));
}

function completed(answer: Extract<Answer, { ok: true }>, mapping: { [name: string]: string }): Outcome {
  const { status } = answer;
  if (Object.keys(mapping).length === 0) return { kind: "completed", status, output: {} };
  const json = answer.isTruncated ? undefined : parseJson(answer.body);
  if (json === undefined) {
    const what = answer.isTruncated ? "more than is read of an answer" : "something that is not JSON";
    return { kind: "failed", status, reason: `The server answered ${status} with ${what}.` };
  }
  const output: { [name: string]: Json } = {};
  for (const [name, path] of Object.entries(mapping)) {
    const value = valueAt(json, path);
    if (value !== undefined) output[name] = storableJson(value);
  }
  return { kind: "completed", status, output };
}

function againOrFailed(
  status: number | null,
  reason: string,
  attempts: number,
  random: number,
  askedMs: number,
): Outcome {
  const delay = DELAYS_MS[attempts - 1];
  if (delay === undefined)
    return { kind: "failed", status, reason: `${reason} It was tried ${attempts} times.` };
  const spread = Math.round(delay * (0.8 + 0.4 * random));
  return { kind: "again", delayMs: Math.min(MAX_DELAY_MS, Math.max(spread, askedMs)), reason };
}

/** RFC 9110 section 10.2.3: seconds, or a date. */
function retryAfterMs(header: string | undefined, now: number): number {
  if (header === undefined) return 0;
  if (/^\d{1,9}$/.test(header)) return Number(header) * SECOND_MS;
  const date = Date.parse(header);
  return Number.isNaN(date) ? 0 : date - now;
}

/** @returns undefined for what is no JSON */
function parseJson(body: Buffer): Json | undefined {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    return undefined;
  }
}

function valueAt(json: Json, path: string): Json | undefined {
  let value: Json | undefined = json;
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Object.hasOwn(value, name)
      ? Array.isArray(value)
        ? value[Number(name)]
        : value[name]
      : undefined;
  }
  return value;
}

/** What is sent when the node has no body of its own. */
export function standardBody(call: WebhookCall): string {
  const { email = null, timeZone = null, attributes = {}, tags = [] } = call.contact ?? {};
  return JSON.stringify({
    campaign: { id: call.campaignId, name: call.campaignName, version: call.version },
    nodeId: call.nodeId,
    enrollmentId: call.enrollmentId,
    runId: call.runId,
    contact: { id: call.contactId, email, timeZone, attributes, tags },
  });
}
