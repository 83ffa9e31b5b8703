import { z } from "zod";

/**
 * How SNS delivers again what EDGR could not take (protocols 1.8). Left to itself it gives up after a minute, which a
 * restart of a database outlasts. Together 3,230 to 3,560 seconds: SNS takes no policy of more than 3,600.
 */
const RETRIES = {
  minDelayTarget: 5,
  maxDelayTarget: 60,
  numRetries: 63,
  numNoDelayRetries: 0,
  numMinDelayRetries: 4,
  numMaxDelayRetries: 53,
  backoffFunction: "exponential",
};

const policy = z.looseObject({ healthyRetryPolicy: z.looseObject({}).nullish() });

/** What a subscription's attribute DeliveryPolicy has to be where nothing else is in it. */
export const DELIVERY_POLICY = JSON.stringify({ healthyRetryPolicy: RETRIES });

/** Whether SNS delivers again for an hour. @param text the attribute; null when the subscription has none */
export function retriesLong(text: string | null): boolean {
  const present = parsePolicy(text).healthyRetryPolicy ?? {};
  return Object.entries(RETRIES).every(([name, value]) => present[name] === value);
}

/** The policy with these retries: what else is in it stays. */
export function withLongRetries(text: string | null): string {
  return JSON.stringify({ ...parsePolicy(text), healthyRetryPolicy: RETRIES });
}

function parsePolicy(text: string | null): z.infer<typeof policy> {
  try {
    return policy.safeParse(JSON.parse(text ?? "{}")).data ?? {};
  } catch {
    return {};
  }
}
