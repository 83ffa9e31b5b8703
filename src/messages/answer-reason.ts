import { storableText } from "../events/storable.ts";

const MAX_REASON_CHARS = 1_000;

/** What a server says of a message it does not take, to be kept: it may say anything, and at any length. */
export function storableReason(text: string): string {
  return storableText(text.slice(0, MAX_REASON_CHARS));
}
