import type { ScheduleSettings } from "../credentials/schedule.ts";
import type { EventType, Json } from "../events/event.ts";
import type { CampaignMessage, ClaimedMessage } from "./claim-queries.ts";

/** A credential as a lane sends through it: a mail server or a bot. */
export type Outlet = {
  customerId: string;
  credentialId: string;
  /** Messages a second, at most. */
  perSecond: number;
  /** Messages in hand at once, at most: what is in hand when a process dies is uncertain. */
  maxInHand: number;
  schedule: ScheduleSettings;
  open(): Channel;
};

export type Channel = {
  /** Makes what is sent of a claimed message. Rejects for what is not the recipient's fault. */
  compose(message: ClaimedMessage): Promise<Composed>;
  close(): void;
};

/** `send` hands one message over, and never rejects. */
export type Composed = { ok: true; send: () => Promise<Outcome> } | { ok: false; outcome: Refused | PutOff };

/** What the log is told, in this order. */
export type Fact = { type: EventType; data: { [key: string]: Json } };

type Refused = { kind: "refused"; reason: string; facts: Fact[] };
type PutOff = { kind: "put_off"; reason: string; until: Date };

/**
 * What became of handing one message over.
 * `sent`: it was taken, then. `refused`: never. `later`: this message may be tried again, and that counts as an attempt.
 * `put_off`: it waits until then, and is not to blame. `readdressed`: its recipient has another address now, at which
 * it is tried at once. `unreachable`: it was not handed over, and nothing can be through this credential for now.
 * `resting`: the credential was told to pause, which is noted; nothing failed. `uncertain`: the answer got lost, so it
 * may have been taken, and is never sent again by itself; `isOutage`: others would fare the same.
 */
export type Outcome =
  | { kind: "sent"; facts: Fact[]; at: Date }
  | Refused
  | { kind: "later"; reason: string }
  | PutOff
  | { kind: "readdressed"; reason: string }
  | { kind: "unreachable"; reason: string }
  | { kind: "resting"; reason: string }
  | { kind: "uncertain"; reason: string; isOutage: boolean };

/** A message that is not sent, and why. */
export function refused(reason: string, ...more: Fact[]): Refused {
  return { kind: "refused", reason, facts: [{ type: "message_failed", data: { reason } }, ...more] };
}

/** What the links of a campaign's message say of it. */
export function idsOf({ id, customerId, campaignId, nodeId, runId }: CampaignMessage) {
  return { customerId, campaignId, nodeId, runId, messageId: id };
}
