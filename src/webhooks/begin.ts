import type { Request } from "../egress/client.ts";
import { newId } from "../events/id.ts";
import type { Db } from "../storage/pool.ts";
import { type BegunAttempt, beginAttempts, type DueDelivery } from "./claim-queries.ts";
import type { OpenEndpoints, SigningEndpoint } from "./open-endpoints.ts";
import { renderEvent } from "./render.ts";
import { signatureHeaders, webhookId } from "./sign.ts";
import type { Told } from "./told.ts";

export type BeginDeps = {
  endpoints: OpenEndpoints;
  publicUrl: string;
  now: () => number;
  log: { error(details: object, message: string): void };
};

/** An attempt that the database knows to be running. */
export type Attempt = {
  id: string;
  delivery: DueDelivery;
  startedAt: Date;
  order: Order;
};

/** What is to be sent; or why it can't be, which trying again may change or not. */
export type Order =
  | { ok: true; endpoint: SigningEndpoint; request: Request }
  | { ok: false; endpoint: SigningEndpoint | null; failure: string; reason: string; isFinal: boolean };

const DEADLINE_MS = 15_000;
const MAX_ANSWER_BYTES = 16_384;
const USER_AGENT = "EDGR-Webhooks/1";
const MASKED = "•••";

/**
 * Begins an attempt of each delivery: what is sent is made and kept before anything is, so that it stays the same
 * however often it is sent.
 * @param db the transaction that holds them; nothing may be sent before its end
 */
export async function beginDeliveries(
  db: Db,
  held: readonly DueDelivery[],
  deps: BeginDeps,
): Promise<Attempt[]> {
  const opened = await openEach(db, held, deps);
  const attempts: Attempt[] = [];
  const begun: BegunAttempt[] = [];
  for (const delivery of held) {
    const endpoint = opened.get(delivery.endpointId) ?? null;
    const id = newId();
    const startedAt = new Date(deps.now());
    const made = makeOrder(delivery, endpoint, startedAt, deps);
    attempts.push({ id, delivery, startedAt, order: made.order });
    begun.push({
      id,
      delivery,
      startedAt,
      trigger: delivery.attempts === delivery.scheduleFrom ? delivery.trigger : "automatic",
      payload: delivery.payload === null ? made.payload : null,
      headers: made.headers,
    });
  }
  if (begun.length > 0) await beginAttempts(db, begun);
  return attempts;
}

/** By the endpoint's id; without those that can't be opened. */
async function openEach(
  db: Db,
  held: readonly DueDelivery[],
  { endpoints, log }: BeginDeps,
): Promise<Map<string, SigningEndpoint>> {
  const opened = new Map<string, SigningEndpoint>();
  for (const delivery of new Map(held.map((each) => [each.endpointId, each])).values()) {
    const { customerId, endpointId } = delivery;
    const endpoint = await endpoints.open(db, delivery).catch((error: unknown) => {
      log.error({ err: error, customerId, endpointId }, "webhooks: an endpoint can't be read");
      return null;
    });
    if (endpoint !== null) opened.set(endpointId, endpoint);
  }
  return opened;
}

type Made = { order: Order; payload: string | null; headers: { [name: string]: string } };

function makeOrder(
  delivery: DueDelivery,
  endpoint: SigningEndpoint | null,
  startedAt: Date,
  deps: BeginDeps,
): Made {
  const not = (failure: string, reason: string, isFinal: boolean): Made => ({
    order: { ok: false, endpoint, failure, reason, isFinal },
    payload: null,
    headers: {},
  });
  if (endpoint === null)
    return not("unreadable", "The endpoint's secrets can't be read: another key sealed them.", false);
  let payload = delivery.payload;
  if (payload === null) {
    const told = toldOf(delivery);
    if (told === null) return not("event_gone", "The event is no longer in the log.", true);
    try {
      payload = renderEvent(endpoint.type, told, deps.publicUrl, { isTest: false });
    } catch (error) {
      deps.log.error({ err: error, deliveryId: delivery.id }, "webhooks: an event can't be put into words");
      return not("payload", "EDGR could not make the request's body of this event.", true);
    }
  }
  const signature = endpoint.type === "custom" ? signed(delivery, endpoint, payload, startedAt) : {};
  const own = { "Content-Type": "application/json", "User-Agent": USER_AGENT, ...signature };
  const request: Request = {
    url: endpoint.type === "discord" ? withWait(endpoint.url) : endpoint.url,
    method: "POST",
    headers: merged(own, endpoint.headers),
    body: payload,
    deadlineMs: DEADLINE_MS,
    maxBodyBytes: MAX_ANSWER_BYTES,
  };
  const shown = Object.fromEntries(Object.keys(endpoint.headers).map((name) => [name, MASKED]));
  return { order: { ok: true, endpoint, request }, payload, headers: merged(own, shown) };
}

function signed(delivery: DueDelivery, endpoint: SigningEndpoint, body: string, startedAt: Date) {
  const timestamp = Math.floor(startedAt.getTime() / 1_000);
  return signatureHeaders({ id: webhookId(delivery.kind, delivery.eventId), timestamp, body }, endpoint);
}

/** A header that the customer gave goes before one of the same name. */
function merged(
  own: { [name: string]: string },
  given: { [name: string]: string },
): { [name: string]: string } {
  const taken = new Set(Object.keys(given).map((name) => name.toLowerCase()));
  return {
    ...Object.fromEntries(Object.entries(own).filter(([name]) => !taken.has(name.toLowerCase()))),
    ...given,
  };
}

/** Without it Discord does not say that it did not keep a message. */
function withWait(text: string): string {
  const url = new URL(text);
  url.searchParams.set("wait", "true");
  return url.href;
}

/** The event of a delivery, to be put into words; null when it is no longer in the log, or none. */
export function toldOf(delivery: DueDelivery): Told | null {
  const { event, campaignId, campaignName, contactId, contactAttributes } = delivery;
  if (event === null) return null;
  return {
    ...event,
    eventId: delivery.eventId,
    at: delivery.eventAt,
    customerId: delivery.customerId,
    campaign: campaignId === null || campaignName === null ? null : { id: campaignId, name: campaignName },
    contact:
      contactId === null || contactAttributes === null
        ? null
        : {
            id: contactId,
            email: delivery.contactEmail,
            telegramChatId: delivery.contactChatId,
            attributes: contactAttributes,
          },
  };
}
