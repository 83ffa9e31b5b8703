export const REASONS = ["unsubscribe", "bounce", "complaint", "blocked", "manual"] as const;

/** Why nothing is sent to an address. */
export type Reason = (typeof REASONS)[number];

/** How it came to a bounce or complaint that was none of the usual kind. */
export const DETAILS = ["provider_suppressed", "soft_bounces"] as const;

export type Detail = (typeof DETAILS)[number];
