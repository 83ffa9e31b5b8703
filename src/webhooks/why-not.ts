import type { EventType } from "../events/event.ts";
import { isCatalogueType } from "./catalogue-types.ts";
import { typesOf } from "./event-pattern.ts";

/** What decides whether an endpoint is told of an event. */
export type Matched = {
  type: EventType;
  campaignId: string | null;
  /** Not a machine's hit. */
  isByPerson: boolean;
  /** Of an `endpoint_disabled`: the endpoint. */
  aboutEndpointId: string | null;
  /** What it means for endpoints is worked out. */
  isProjected: boolean;
};

/** What an endpoint was told of when an event came. */
export type MatchingState = {
  status: "enabled" | "disabled";
  /** Why it was disabled. */
  reason: string | null;
  eventTypes: readonly string[];
  campaignIds: readonly string[] | null;
  includeAutomatic: boolean;
  /** Events of this type went into a digest. */
  isGathered: boolean;
};

export const WHY_NOT = [
  "not_yet",
  "internal",
  "not_there",
  "itself",
  "disabled",
  "type",
  "campaign",
  "automatic",
  "gathered",
  "forgotten",
] as const;

export type WhyNot = { code: (typeof WHY_NOT)[number]; reason: string };

/**
 * Why an endpoint has no delivery of an event.
 * @param endpointId the endpoint
 * @param state what it was when the event came; null: it was not there yet
 */
export function whyNot(event: Matched, endpointId: string, state: MatchingState | null): WhyNot {
  if (!event.isProjected) return why("not_yet", "The event is so new that it is still being worked out.");
  if (!isCatalogueType(event.type))
    return why("internal", "No endpoint is told of steps inside of campaigns.");
  if (state === null) return why("not_there", "The endpoint was created after the event.");
  if (event.aboutEndpointId === endpointId) return why("itself", "The event is about this endpoint.");
  if (state.status === "disabled") {
    return why("disabled", `The endpoint was disabled then: ${state.reason ?? "no reason was given"}`);
  }
  if (!isTold(state.eventTypes, event.type)) {
    return why(
      "type",
      `The endpoint was told of ${state.eventTypes.join(", ")} then, which this type is not among.`,
    );
  }
  if (state.campaignIds !== null && !isOneOf(state.campaignIds, event.campaignId)) {
    return why("campaign", "The endpoint was told of other campaigns only then.");
  }
  if (!event.isByPerson && !state.includeAutomatic) {
    return why("automatic", "A machine did it, and the endpoint was told of what people do only.");
  }
  if (state.isGathered) {
    return why("gathered", "The endpoint was told of it in a digest with others of its type.");
  }
  return why("forgotten", "Its delivery was kept for as long as your account says, and is gone.");
}

function why(code: WhyNot["code"], reason: string): WhyNot {
  return { code, reason };
}

function isTold(patterns: readonly string[], type: EventType): boolean {
  return patterns.some((pattern) => typesOf(pattern).some((known) => known === type));
}

function isOneOf(ids: readonly string[], id: string | null): boolean {
  return id !== null && ids.includes(id);
}
