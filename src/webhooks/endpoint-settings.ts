import { invalid } from "../http/problem.ts";
import { CHAT_DIGEST_DEFAULTS } from "./digest-defaults.ts";
import type { Endpoint, EndpointSettings } from "./endpoint-edit-queries.ts";
import type { EndpointChange, NewEndpoint } from "./endpoint-schema.ts";
import type { EndpointType } from "./told.ts";

/** A program takes what it can; a chat about one message a second, one after the other (protocols 6.2). */
const PACE = {
  program: { ratePerSecond: null, maxConcurrency: 10 },
  chat: { ratePerSecond: 1, maxConcurrency: 1 },
};

const NOTHING_GATHERED = { digestSeconds: null, digestTypes: [] };

type Given = Omit<NewEndpoint, "url" | "headers">;

/** What a new endpoint is, with the defaults of its type. */
export function withDefaults({ type, ...given }: Given): EndpointSettings {
  refuseDigests(type, given);
  const isChat = type !== "custom";
  const pace = isChat ? PACE.chat : PACE.program;
  const digests = isChat ? CHAT_DIGEST_DEFAULTS : NOTHING_GATHERED;
  return {
    ...given,
    ratePerSecond: given.ratePerSecond === undefined ? pace.ratePerSecond : given.ratePerSecond,
    maxConcurrency: given.maxConcurrency ?? pace.maxConcurrency,
    digestSeconds: given.digestSeconds === undefined ? digests.digestSeconds : given.digestSeconds,
    digestTypes: given.digestTypes ?? digests.digestTypes,
  };
}

/** What an endpoint is after a change. */
export function settingsOf(
  before: Endpoint,
  given: Omit<EndpointChange, "url" | "headers">,
): EndpointSettings {
  refuseDigests(before.type, given);
  const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return {
    description: before.description,
    eventTypes: before.eventTypes,
    campaignIds: before.campaignIds,
    includeAutomatic: before.includeAutomatic,
    ratePerSecond: before.ratePerSecond,
    maxConcurrency: before.maxConcurrency,
    strictOrder: before.strictOrder,
    digestSeconds: before.digestSeconds,
    digestTypes: before.digestTypes,
    retrySchedule: before.retrySchedule,
    ...present,
  };
}

/** Whether other events are told, or at another time: what is kept as a state of the endpoint. */
export function matchesOther(before: EndpointSettings, after: EndpointSettings): boolean {
  const matching = ({
    eventTypes,
    campaignIds,
    includeAutomatic,
    digestSeconds,
    digestTypes,
  }: EndpointSettings) =>
    JSON.stringify([eventTypes, campaignIds, includeAutomatic, digestSeconds, digestTypes]);
  return matching(before) !== matching(after);
}

function refuseDigests(
  type: EndpointType,
  given: Pick<EndpointChange, "digestSeconds" | "digestTypes">,
): void {
  if (type !== "custom") return;
  const fields = (["digestSeconds", "digestTypes"] as const).filter(
    (field) => given[field] !== undefined && given[field] !== null,
  );
  if (fields.length > 0)
    throw invalid(fields.map((field) => ({ field, reason: "is only for chats, which people read" })));
}
