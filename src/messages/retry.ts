const MINUTE_MS = 60_000;

/**
 * When a message that the server deferred is tried again: greylisting usually ends within minutes, a full mailbox
 * or a busy server within hours, and after about a day a sender would rather know.
 */
const DELAYS_MS = [1, 5, 15, 60, 120, 240, 480, 480].map((minutes) => minutes * MINUTE_MS);

/**
 * @param attempts how many were made
 * @param random 0 to 1; spreads the delay by 20 % both ways, so that a deferred crowd does not come back at once
 * @returns milliseconds to wait, or null when it has been enough
 */
export function retryDelayMs(attempts: number, random: number): number | null {
  const delay = DELAYS_MS[attempts - 1];
  return delay === undefined ? null : Math.round(delay * (0.8 + 0.4 * random));
}
