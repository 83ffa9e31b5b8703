import type { End } from "./end.ts";

/**
 * What Discord allows the address we call from, whichever webhook is called: a limit that it tells us of, and 10,000
 * answers of 401, 403 or 429 within ten minutes, after which it bans the address for some time.
 */
export type DiscordLimits = {
  note(end: End): void;
  /** Whether a webhook of Discord may be called. @param now Unix milliseconds */
  allows(now: number): boolean;
};

const UNWELCOME = new Set([401, 403, 429]);
const WINDOW_MS = 600_000;
/** Half of what bans: others may call from the same address. */
const MAX_UNWELCOME = 5_000;

export function createDiscordLimits(): DiscordLimits {
  let slowedUntil = 0;
  let unwelcome: number[] = [];
  return {
    note({ attempt, result, verdict, finishedAt }) {
      if (attempt.delivery.endpointType !== "discord") return;
      const at = finishedAt.getTime();
      if (verdict.isGlobal) slowedUntil = Math.max(slowedUntil, at + (verdict.slowsForS ?? 0) * 1_000);
      if (result?.ok === true && UNWELCOME.has(result.status)) unwelcome.push(at);
    },
    allows(now) {
      const firstLately = unwelcome.findIndex((at) => at > now - WINDOW_MS);
      unwelcome = firstLately === -1 ? [] : unwelcome.slice(firstLately);
      return now >= slowedUntil && unwelcome.length < MAX_UNWELCOME;
    },
  };
}
