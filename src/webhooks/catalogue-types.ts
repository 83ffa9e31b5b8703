import { EVENT_TYPES, type EventType } from "../events/event.ts";

/**
 * What the log keeps for EDGR's own use and tells nobody: the steps of the engine, of which a campaign takes many for
 * each contact.
 */
const INTERNAL = ["run_completed", "timer_elapsed"] as const;

/** What endpoints can be told of. */
export type CatalogueType = Exclude<EventType, (typeof INTERNAL)[number]>;

export const CATALOGUE_TYPES: readonly CatalogueType[] = EVENT_TYPES.filter(isTold);

export function isCatalogueType(type: string): type is CatalogueType {
  return CATALOGUE_TYPES.some((known) => known === type);
}

function isTold(type: EventType): type is CatalogueType {
  return !INTERNAL.some((internal) => internal === type);
}
